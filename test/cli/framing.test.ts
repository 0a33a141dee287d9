import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Framer, type Framing, frameOf } from '../../src/cli/framing.ts';
import { InputWindow } from '../../src/cli/input.ts';
import { FRAMINGS } from '../../src/cli/options.ts';
import { PageStoreError } from '../../src/errors.ts';
import { hexOf, text } from '../support/nodes.ts';

/** What the framer makes of chunks, each node as hex. */
function cut(framing: Framing, chunks: readonly Uint8Array[], maxBytes = 524_288): string[] {
  const window = new InputWindow();
  const framer = new Framer(framing, window, maxBytes);
  const nodes: string[] = [];
  const take = (): void => {
    while (framer.next()) nodes.push(hexOf(framer.source.subarray(framer.start, framer.end)));
  };
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const target = window.target();
      const bytes = Math.min(target.length, chunk.length - at);
      target.set(chunk.subarray(at, at + bytes));
      window.filled(bytes);
      take();
      at += bytes;
    }
  }
  framer.finish();
  take();
  return nodes;
}

function framed(framing: Framing, nodes: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    nodes.flatMap((node) => {
      const { before, after } = frameOf(framing, node.length);
      return [before, node, after];
    }),
  );
}

function chunksOf(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = places.map((place) => place % (stream.length + 1)).toSorted((a, b) => a - b);
  return [...at, stream.length].map((end, index) => stream.subarray(index === 0 ? 0 : at[index - 1], end));
}

/** A byte that the framing lets stand in a node. */
const byteOf = (framing: Framing): fc.Arbitrary<number> => {
  const delimiter = { lines: 0x0a, nul: 0x00, u32: undefined, whole: undefined }[framing];
  return fc
    .oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x00, 0x0a, 0x0d, 0xff))
    .filter((byte) => byte !== delimiter);
};

const nodesOf = (framing: Framing): fc.Arbitrary<Uint8Array[]> => {
  const short = fc.array(byteOf(framing), { maxLength: 20 }).map((bytes) => Uint8Array.from(bytes));
  const long = fc
    .tuple(byteOf(framing), fc.integer({ min: 4_000, max: 20_000 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte));
  const node = fc.oneof({ weight: 9, arbitrary: short }, { weight: 1, arbitrary: long });
  return framing === 'whole' ? node.map((one) => [one]) : fc.array(node, { maxLength: 30 });
};

const places = fc.array(fc.nat(600_000), { maxLength: 12 });

describe.each(FRAMINGS)('framing %s', (framing) => {
  test('any nodes, framed and split into chunks anywhere, come back the same', () => {
    fc.assert(
      fc.property(nodesOf(framing), places, (nodes, at) => {
        expect(cut(framing, chunksOf(framed(framing, nodes), at))).toEqual(nodes.map(hexOf));
      }),
      { numRuns: 300 },
    );
  });

  test('a chunk for each byte gives the same nodes as one chunk', () => {
    fc.assert(
      fc.property(nodesOf(framing), (nodes) => {
        const stream = framed(framing, nodes);
        const bytes = Array.from(stream, (_, index) => stream.subarray(index, index + 1));
        expect(cut(framing, bytes)).toEqual(nodes.map(hexOf));
      }),
      { numRuns: 30 },
    );
  });

  test('the longest node is accepted, and a longer one refused, wherever the chunks end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), places, (max, at) => {
        const longest = new Uint8Array(max).fill(0x61);
        expect(cut(framing, chunksOf(framed(framing, [longest]), at), max)).toEqual([hexOf(longest)]);
        const longer = new Uint8Array(max + 1).fill(0x61);
        expect(() => cut(framing, chunksOf(framed(framing, [longer]), at), max)).toThrow(
          expect.objectContaining({ code: 'NODE_TOO_LARGE' }),
        );
      }),
    );
  });
});

test.each([
  ['lines', '\n'],
  ['nul', '\0'],
] as const)(
  '%s: a last node without its delimiter is a node, and a delimiter at the end begins none',
  (framing, end) => {
    expect(cut(framing, [text(`a${end}b`)])).toEqual(['61', '62']);
    expect(cut(framing, [text(`a${end}b${end}`)])).toEqual(['61', '62']);
    expect(cut(framing, [text(`${end}${end}a${end}`)])).toEqual(['', '', '61']);
  },
);

test('empty input has no node, except with whole, where it is one', () => {
  for (const framing of ['lines', 'nul', 'u32'] as const) expect(cut(framing, [])).toEqual([]);
  expect(cut('whole', [])).toEqual(['']);
});

test('u32 input that ends within a length or within a node is refused', () => {
  const stream = framed('u32', [text('abc')]);
  for (let end = 1; end < stream.length; end++) {
    const run = (): string[] => cut('u32', [stream.subarray(0, end)]);
    expect(run).toThrow(PageStoreError);
    expect(run).toThrow(expect.objectContaining({ code: 'INVALID_FRAMING' }));
  }
});
