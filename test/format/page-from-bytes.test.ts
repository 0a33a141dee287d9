import {
  BLOCK_BYTES,
  ByteNodeArena,
  ByteNodeArenaV1,
  ByteNodeArenaV2,
  fileOffset,
  PAGE_HEADER,
  type PageFormat,
} from 'artrie-pages/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PageStoreError } from '../../src/errors.ts';
import { expectSameBytes, type GoldenName, goldenBytes, goldenNodes } from '../support/files.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { newPage } from '../support/page-model.ts';

const CLASSES = { v1: ByteNodeArenaV1, v2: ByteNodeArenaV2 } as const;

const blockOf = (file: Uint8Array, block: number): Uint8Array =>
  file.subarray(fileOffset(block), fileOffset(block + 1));

/** A valid page of 4,096 bytes with ten nodes. */
function somePage(format: PageFormat): Uint8Array {
  const page = newPage(format, 4096);
  for (const node of makeNodes(10, 10, 40)) page.allocate(node);
  return page.bytes.slice();
}

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    if (!(error instanceof PageStoreError)) throw error;
    return error.code;
  }
}

describe('pages that the Rust code wrote', () => {
  test.each(['v1', 'v2', 'arenas', 'v2-unfinalized', 'stale-header'] satisfies GoldenName[])(
    'are read from %s as another program read them',
    (name) => {
      const file = goldenBytes(name);
      const found: { ref: string; hex: string }[] = [];
      for (let block = 1; block < file.length / BLOCK_BYTES; block++) {
        const bytes = blockOf(file, block);
        if (PAGE_HEADER.read(bytes).magic === 0n) continue;
        const page = ByteNodeArena.from(bytes);
        expect(page).toBeInstanceOf(CLASSES[name.startsWith('v2') ? 'v2' : 'v1']);
        found.push(...[...page.nodes()].map((node, slot) => ({ ref: `${block}:${slot}`, hex: hexOf(node) })));
        expectSameBytes(page.bytes, bytes);
        expect([page.isDirty, page.isFinalized]).toEqual([false, false]);
      }
      expect(found).toEqual(goldenNodes(name));
    },
  );

  test.each([1, 2])('without a directory take no node, and page %i keeps its bytes', (block) => {
    // Block 1 was never finalized; block 2 is so full of 4-byte nodes that its directory did not fit.
    const bytes = blockOf(goldenBytes('v2-unfinalized'), block);
    const page = ByteNodeArenaV2.from(bytes);
    expect([...page.problems()].map(({ code }) => code)).toContain('NODES_WITHOUT_DIRECTORY');
    expect([page.nodeCount, page.canAllocate(0), page.allocate(text('a'))]).toEqual([0, false, undefined]);
    expect(codeOf(() => page.finalize())).toBe('NODES_WITHOUT_DIRECTORY');
    expectSameBytes(page.bytes, bytes);
    expect(page.isDirty).toBe(false);
  });

  test('of 4-byte nodes lost all slots where a page of ours takes fewer nodes and keeps each', () => {
    const page = new ByteNodeArenaV2();
    const node = new Uint8Array(4);
    for (let count = 0; page.canAllocate(4); count++) {
      new DataView(node.buffer).setUint32(0, count, true);
      page.allocate(node);
    }
    page.finalize();
    const kept = [...ByteNodeArenaV2.from(page.bytes).nodes()].map((each) => Buffer.from(each).readUInt32LE());
    expect(kept.length).toBeGreaterThan(30_000);
    expect(kept.every((value, slot) => value === slot)).toBe(true);
  });

  test('take more nodes, and have a valid checksum then', () => {
    const page = ByteNodeArena.from(blockOf(goldenBytes('arenas'), 4));
    const before = [...page.nodes()].map(hexOf);
    expect(page.allocate(text('ours'))).toBe(before.length);
    expect([...page.problems()]).toEqual([]);
    expect([...ByteNodeArena.from(page.bytes).nodes()].map(hexOf)).toEqual([...before, hexOf(text('ours'))]);
  });

  test('that have a stale checksum of ours get a new one with the next node, in a page of any size', () => {
    const page = new ByteNodeArenaV1(4096);
    page.allocate(text('ours'));
    // Another program appends a node and keeps the fields that it does not know.
    const bytes = page.bytes.slice();
    const view = new DataView(bytes.buffer);
    bytes.set(text('theirs'), 68);
    view.setUint32(4096 - 16, 68, true);
    view.setUint32(4096 - 12, 6, true);
    for (const [offset, value] of [
      [12, 2],
      [16, 74],
      [20, 4096 - 16],
    ] as const)
      view.setUint32(offset, value, true);
    const stale = ByteNodeArenaV1.from(bytes);
    expect([...stale.problems()].map(({ code, severity }) => [code, severity])).toEqual([
      ['PAGE_CHECKSUM_STALE', 'warning'],
    ]);
    expect(stale.allocate(text('more'))).toBe(2);
    expect([...stale.problems()]).toEqual([]);
    expect([...stale.nodes()].map((node) => Buffer.from(node).toString())).toEqual(['ours', 'theirs', 'more']);
  });
});

describe('bytes with the magic of the other class', () => {
  test.each(['v1', 'v2'] as const)('are refused, although they are a valid %s page', (format) => {
    const bytes = somePage(format);
    const Other = CLASSES[format === 'v1' ? 'v2' : 'v1'];
    expect(codeOf(() => Other.from(bytes))).toBe('PAGE_MAGIC');
    expect(() => Other.from(bytes)).toThrow(/^page 0: magic is 0x[0-9a-f]{16}, expected 0x[0-9a-f]{16}$/);
    const looked = Other.from(bytes, { unchecked: true });
    expect([...looked.problems()][0]).toMatchObject({ code: 'PAGE_MAGIC', severity: 'error', offset: 0 });
    expect(codeOf(() => looked.allocate(text('a')))).toBe('PAGE_MAGIC');
    expectSameBytes(looked.bytes, bytes);
  });
});

describe.each(['v1', 'v2'] as const)('a damaged %s page', (format) => {
  const Page = CLASSES[format];

  test('is refused for each flipped bit of its header, nodes and directory', () => {
    const bytes = somePage(format);
    const { directoryRange } = Page.from(bytes);
    const { freeOffset } = PAGE_HEADER.read(bytes);
    for (let at = 0; at < 4096; at++) {
      const inUse = at < freeOffset || (at >= directoryRange.start && at < directoryRange.end);
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << (at % 8);
      expect(codeOf(() => Page.from(damaged)) !== 'none', `byte ${at}`).toBe(inUse);
    }
  });

  test.each([
    ['PAGE_VERSION', 8, 9],
    ['PAGE_FLAGS', 10, 0x8000],
    ['PAGE_BOUNDS', 16, 4090],
  ])('is refused with %s, the first of its errors', (code, offset, value) => {
    const bytes = somePage(format);
    new DataView(bytes.buffer).setUint16(offset, value, true);
    expect(codeOf(() => Page.from(bytes))).toBe(code);
    expect(codeOf(() => ByteNodeArena.from(bytes))).toBe(code);
  });

  test('can be looked at unchecked, and is not changed', () => {
    const bytes = somePage(format);
    bytes[70]! ^= 1;
    const page = Page.from(bytes, { unchecked: true });
    expect([...page.problems()].map(({ code }) => code)).toEqual(['PAGE_CHECKSUM']);
    expect([page.nodeCount, page.canAllocate(0), page.isDirty]).toEqual([10, false, false]);
    expect(hexOf(page.read(1))).toBe(hexOf(makeNodes(10, 10, 40)[1]!));
    for (const change of [() => page.allocate(text('a')), () => page.update(1, page.read(1)), () => page.finalize()]) {
      expect(codeOf(change)).toBe('PAGE_CHECKSUM');
    }
    expectSameBytes(page.bytes, bytes);
  });

  test('without a magic can be looked at by a program that names its class', () => {
    const bytes = somePage(format);
    bytes.fill(0, 0, 8);
    expect(codeOf(() => ByteNodeArena.from(bytes))).toBe('PAGE_MAGIC');
    expect(codeOf(() => ByteNodeArena.from(bytes, { unchecked: true }))).toBe('PAGE_MAGIC');
    const page = Page.from(bytes, { unchecked: true });
    expect([...page.nodes()].map(hexOf)).toEqual(makeNodes(10, 10, 40).map(hexOf));
  });

  test('whose slot points outside throws SLOT_BOUNDS for that node alone', () => {
    const page = newPage(format, 4096);
    page.allocate(text('radix'));
    page.allocate(text('trie'));
    const bytes = page.bytes.slice();
    const { start } = page.entryRange(1);
    if (format === 'v1') new DataView(bytes.buffer).setUint32(start + 4, 5000, true);
    else bytes.set([249, 0x88, 0x13], start + 1);
    const damaged = Page.from(bytes, { unchecked: true });
    expect(codeOf(() => Page.from(bytes))).not.toBe('none');
    expect(Buffer.from(damaged.read(0)).toString()).toBe('radix');
    expect(codeOf(() => damaged.read(1))).toBe('SLOT_BOUNDS');
    expect(damaged.slotRange(1)).toEqual({ start: 69, end: 5069 });
  });

  test('never breaks a program that looks at it, whatever its bytes are', () => {
    const magic = [...somePage(format).subarray(0, 12)];
    const u32 = fc.oneof(fc.nat(4200), fc.nat(40), fc.integer({ min: 0, max: 0xffff_ffff }));
    const content = fc.record({
      fields: fc.tuple(u32, u32, u32),
      rest: fc.uint8Array({ minLength: 300, maxLength: 300 }),
      at: fc.nat(4096 - 300),
    });
    fc.assert(
      fc.property(content, ({ fields, rest, at }) => {
        const bytes = new Uint8Array(4096);
        bytes.set(rest, at);
        bytes.set(magic);
        const view = new DataView(bytes.buffer);
        for (const [index, value] of fields.entries()) view.setUint32(12 + 4 * index, value, true);
        const page = Page.from(bytes, { unchecked: true });
        for (let slot = 0; slot < page.nodeCount; slot++) {
          expect(['none', 'SLOT_BOUNDS']).toContain(codeOf(() => page.read(slot)));
        }
        const errors = [...page.problems()].filter(({ severity }) => severity === 'error');
        expect(codeOf(() => Page.from(bytes))).toBe(errors[0]?.code ?? 'none');
        expect(page.freeBytes).toBeGreaterThanOrEqual(0);
        expect(page.directoryRange.end).toBeLessThanOrEqual(4096);
        expectSameBytes(page.bytes, bytes);
      }),
      { numRuns: 300 },
    );
  });
});

test('a V2 directory that runs past the end of its page is refused, and reported if it is looked at', () => {
  const bytes = somePage('v2');
  new DataView(bytes.buffer).setUint32(20, 4090, true);
  expect(codeOf(() => ByteNodeArenaV2.from(bytes))).toBe('DIRECTORY_TRUNCATED');
  const page = ByteNodeArenaV2.from(bytes, { unchecked: true });
  expect(page.nodeCount).toBeLessThan(10);
  expect([...page.problems()][0]).toMatchObject({ code: 'DIRECTORY_TRUNCATED', expected: '10 slots' });
});

describe('from refuses by name', () => {
  const FROM = [ByteNodeArena, ByteNodeArenaV1, ByteNodeArenaV2] as const;

  test.each(FROM.map((type) => [type.name, type] as const))('what is no page or no option: %s', (name, type) => {
    for (const bytes of [undefined, null, 5, 'x', [1], new ArrayBuffer(4096)]) {
      expect(() => type.from(bytes as unknown as Uint8Array)).toThrow(
        new RegExp(`^${name}.from: bytes must be a Uint8Array`),
      );
    }
    for (const size of [0, 64, 4095, 5000, 2 * BLOCK_BYTES]) {
      expect(() => type.from(new Uint8Array(size))).toThrow(new RegExp(`^${name}.from: bytes.length must be a power`));
    }
    for (const options of [null, 5, 'x', { uncheked: true }, { unchecked: 1 }]) {
      expect(() => type.from(somePage('v1'), options as object)).toThrow(new RegExp(`^${name}.from: `));
    }
  });
});
