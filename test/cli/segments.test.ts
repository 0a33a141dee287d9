import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { SEGMENT_BYTES, SEGMENT_NODES, SLOT_BYTES } from '../../src/cli/decode/segment.ts';
import { SegmentCutter } from '../../src/cli/decode/segment.ts';
import { SegmentDecoder } from '../../src/cli/decode/segment.ts';
import { Framer, frameOf, MAX_FRAME_BYTES } from '../../src/cli/framing.ts';
import { PageStoreError } from '../../src/errors.ts';

type ManyFraming = 'lines' | 'nul' | 'u32';
const FRAMINGS: readonly ManyFraming[] = ['lines', 'nul', 'u32'];

/** The frames of a stream, by their lengths and first bytes, and the error that ends them. */
interface Frames {
  readonly frames: string[];
  readonly error: string | undefined;
}

/** @param whole - gives the bytes of one stream of whole frames, or of the end of one */
function framesOf(framing: ManyFraming, streams: Iterable<Uint8Array>): Frames {
  const frames: string[] = [];
  try {
    for (const stream of streams) {
      const filledBytes = Buffer.from(stream.buffer, stream.byteOffset, stream.length);
      const framer = new Framer(framing, { block: stream, filledBytes, start: 0, end: stream.length }, MAX_FRAME_BYTES);
      framer.finish();
      while (framer.next()) {
        const { source, start, end } = framer;
        frames.push(`${end - start}:${Buffer.from(source.subarray(start, Math.min(end, start + 8))).toString('hex')}`);
      }
    }
  } catch (error) {
    if (!(error instanceof PageStoreError)) throw error;
    return { frames, error: `${error.code} ${error.message}` };
  }
  return { frames, error: undefined };
}

/** Cuts a stream that comes in chunks, and sometimes pauses. */
function cut(framing: ManyFraming, chunks: readonly Uint8Array[], pauseAfter: (chunk: number) => boolean): Buffer[] {
  const segments: Buffer[] = [];
  let slot = new Uint8Array(SLOT_BYTES);
  const cutter = new SegmentCutter(framing, slot);
  const handOver = (bytes: number): void => {
    segments.push(Buffer.from(slot.slice(0, bytes)));
    const before = slot;
    slot = new Uint8Array(SLOT_BYTES).fill(0x0a);
    cutter.next(slot, bytes);
    before.fill(0xee);
  };
  for (const [index, chunk] of chunks.entries()) {
    for (let at = 0; at < chunk.length;) {
      const to = cutter.push(chunk, at);
      if (to <= at) throw new Error('it takes nothing');
      at = to;
      if (cutter.isTooLong) return [...segments, Buffer.from(slot.subarray(0, cutter.usedBytes))];
      if (cutter.isFull) handOver(cutter.wholeBytes);
    }
    if (pauseAfter(index) && cutter.wholeBytes > 0) handOver(cutter.wholeBytes);
  }
  if (cutter.usedBytes > 0) segments.push(Buffer.from(slot.subarray(0, cutter.usedBytes)));
  return segments;
}

function framed(framing: ManyFraming, lengths: readonly number[]): Buffer {
  return Buffer.concat(
    lengths.flatMap((length, index) => {
      const { before, after } = frameOf(framing, length);
      return [before, Buffer.alloc(length, 0x30 + (index % 64)), after];
    }),
  );
}

const length = fc.oneof(
  { weight: 20, arbitrary: fc.nat(60) },
  { weight: 4, arbitrary: fc.integer({ min: 60_000, max: 130_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: SEGMENT_BYTES - 8, max: SEGMENT_BYTES + 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(MAX_FRAME_BYTES - 1, MAX_FRAME_BYTES) },
);
const chunkBytes = fc.constantFrom(65_536, 262_144, 100_003, 7_001);

function chunksOf(stream: Uint8Array, bytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(stream.length / bytes) }, (_, at) =>
    stream.subarray(at * bytes, (at + 1) * bytes),
  );
}

describe.each(FRAMINGS)('segments of %s', (framing) => {
  test('contain all frames in order and complete, wherever chunks and pauses are', () => {
    fc.assert(
      fc.property(
        fc.array(length, { maxLength: 30 }),
        chunkBytes,
        fc.integer({ min: 1, max: 5 }),
        (lengths, bytes, every) => {
          const stream = framed(framing, lengths);
          const segments = cut(framing, chunksOf(stream, bytes), (chunk) => chunk % every === every - 1);
          expect(Buffer.concat(segments).equals(stream)).toBe(true);
          expect(framesOf(framing, segments)).toEqual(framesOf(framing, [stream]));
          // Only one frame may make a segment longer.
          for (const segment of segments) {
            if (segment.length > SEGMENT_BYTES) expect(framesOf(framing, [segment]).frames).toHaveLength(1);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('one chunk per byte at the end of a full segment gives the same frames', () => {
    for (const long of [10, SEGMENT_BYTES - 300, SEGMENT_BYTES + 5]) {
      const stream = framed(framing, [0, 3, 0, 0, 300, 1, long, 2, 0, Math.abs(SEGMENT_BYTES - long), 9, 0]);
      const from = SEGMENT_BYTES - 20;
      const bytes = chunksOf(stream.subarray(from, from + 400), 1);
      const chunks = [stream.subarray(0, from), ...bytes, stream.subarray(from + 400)];
      const segments = cut(framing, chunks, () => false);
      expect(segments.length).toBeGreaterThan(1);
      expect(framesOf(framing, segments)).toEqual(framesOf(framing, [stream]));
    }
  });

  test('an end that is truncated or too long is refused with the same message as in a stream, after all frames before it', () => {
    const ends = [
      framed(framing, [1000]).subarray(0, 600),
      framed(framing, [1000]).subarray(0, 2),
      framed(framing, [MAX_FRAME_BYTES + 1]),
      framed(framing, [MAX_FRAME_BYTES + 1, 5]),
      framed(framing, [3 * MAX_FRAME_BYTES]),
    ];
    for (const lengths of [[], [5, 0, 7], [200_000, 100_000, 30]]) {
      for (const end of ends) {
        for (const bytes of [65_536, 262_144, 999]) {
          const stream = Buffer.concat([framed(framing, lengths), end]);
          const segments = cut(framing, chunksOf(stream, bytes), () => false);
          expect(framesOf(framing, segments)).toEqual(framesOf(framing, [stream]));
        }
      }
    }
  });
});

describe('SegmentDecoder', () => {
  const decodeAll = (text: string): { nodes: string[]; refusal: string | undefined } => {
    const arena = new ConcurrentArena(1, { maxBlocks: 1, maxAllocations: SEGMENT_NODES });
    const decoder = new SegmentDecoder('lines', 'hex');
    const { shard, runs, refusal } = decoder.decode(Buffer.from(text), arena.shard());
    const nodes: string[] = [];
    let end: number | undefined;
    for (const { source, base, words, at, end: last, bytes } of arena.claimsOf(shard, runs)) {
      let found = 0;
      for (let next = at; next < last; next += 2) {
        const [offset, length] = [words[next]!, words[next + 1]!];
        expect(offset, 'it begins where the one before ends').toBe(end ?? offset);
        end = offset + length;
        found += length;
        nodes.push(Buffer.from(source.subarray(offset - base, end - base)).toString('hex'));
      }
      expect(found).toBe(bytes);
    }
    expect(arena.stats().allocations).toBe(nodes.length);
    return { nodes, refusal: refusal?.message };
  };

  test('writes the nodes without gaps, and claims each', () => {
    expect(decodeAll('61\n\n626364\n65')).toEqual({ nodes: ['61', '', '626364', '65'], refusal: undefined });
    expect(decodeAll('')).toEqual({ nodes: [], refusal: undefined });
  });

  test('has space for a segment of empty nodes, and for a segment of a single node', () => {
    expect(decodeAll('\n'.repeat(SEGMENT_BYTES)).nodes).toHaveLength(SEGMENT_BYTES);
    expect(decodeAll(`${'ab'.repeat(MAX_FRAME_BYTES / 2)}\n`).nodes).toEqual(['ab'.repeat(MAX_FRAME_BYTES / 2)]);
  });

  test('stops at the first invalid frame, and returns the nodes before it', () => {
    const { nodes, refusal } = decodeAll('61\n62\nxy\n63\n');
    expect(nodes).toEqual(['61', '62']);
    expect(refusal).toContain("'xy' is not hex");
  });
});
