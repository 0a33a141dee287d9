import { inspect } from 'node:util';
import {
  ByteNodeArena,
  ByteNodeArenaV1,
  ByteNodeArenaV2,
  maxNodeBytes,
  nodesOf,
  PAGE_FLAG,
  PAGE_HEADER,
  type PageFormat,
  pageRegions,
  V1_SLOT,
  V2_SLOT,
} from 'artrie-pages/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectSameBytes } from '../support/files.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { newPage, PAGE_SIZES, pageProperty } from '../support/page-model.ts';
import { specBlockNodes } from '../support/spec-reader.ts';

const FORMATS: PageFormat[] = ['v1', 'v2'];
const CLASSES = { v1: ByteNodeArenaV1, v2: ByteNodeArenaV2 } as const;

const hexes = (nodes: Iterable<Uint8Array>): string[] => [...nodes].map(hexOf);

/** Nodes of a page as another program reads them from its bytes. */
const specHexes = (page: ByteNodeArena): string[] =>
  specBlockNodes(Buffer.from(page.bytes), 1).map(({ bytes }) => hexOf(bytes));

function filled(
  format: PageFormat,
  pageBytes: number,
  nodes: readonly Uint8Array[],
): ByteNodeArenaV1 | ByteNodeArenaV2 {
  const page = newPage(format, pageBytes);
  for (const node of nodes) expect(page.allocate(node)).toBeDefined();
  return page;
}

describe.each(FORMATS)('a new %s page', (format) => {
  test('has no nodes and room for some, is to be stored, and is valid as it is', () => {
    const page = newPage(format);
    expect(page).toMatchObject({ pageFormat: format, pageBytes: 262_144, nodeCount: 0, nodeBytes: 0 });
    expect(page).toMatchObject({ directoryBytes: 0, isDirty: true, isFinalized: false, freeBytes: 262_080 });
    expect([...page.problems()]).toEqual([]);
    expect(page.bytes.length).toBe(262_144);
    expect([...page.nodes()]).toEqual([]);
  });

  test.each(PAGE_SIZES)('of %i bytes takes a node of all its room, and no longer one', (pageBytes) => {
    const most = maxNodeBytes(format, pageBytes);
    const page = newPage(format, pageBytes);
    expect([page.pageBytes, page.bytes.length]).toEqual([pageBytes, pageBytes]);
    expect([page.canAllocate(most + 1), page.canAllocate(most)]).toEqual([false, true]);
    expect(page.allocate(new Uint8Array(most + 1))).toBeUndefined();
    expect(page.isDirty && page.nodeCount === 0).toBe(true);
    expect(page.allocate(new Uint8Array(most).fill(9))).toBe(0);
    page.finalize();
    expect(hexes(ByteNodeArena.from(page.bytes).nodes())).toEqual(['09'.repeat(most)]);
  });

  test.each([0, -4096, 256, 2048, 4095, 4097, 5000, 524_288, 4096.5, NaN, '4096', null])(
    'of %s bytes is refused by name',
    (pageBytes) => {
      const message = `ByteNodeArena${format.toUpperCase()}: pageBytes must be a power of two from 4096 to 262144, not ${pageBytes}`;
      expect(() => newPage(format, pageBytes as number)).toThrow(new RangeError(message));
    },
  );
});

describe.each(FORMATS)('a %s page', (format) => {
  const Page = CLASSES[format];

  test('numbers its nodes from 0 and returns each of them, whatever is added later', () => {
    const page = newPage(format, 4096);
    const nodes = ['radix', '', 'trie', 'ä\0\r\n', 'x'.repeat(300)].map(text);
    const views = nodes.map((node, slot) => {
      expect(page.allocate(node)).toBe(slot);
      expect(page.nodeCount).toBe(slot + 1);
      return page.read(slot);
    });
    page.finalize();
    // The views were taken before the other nodes, the directory and the checksum were there.
    expect(hexes(views)).toEqual(hexes(nodes));
    expect(hexes(page.nodes())).toEqual(hexes(nodes));
    expect(page.nodeBytes).toBe(nodes.reduce((sum, { length }) => sum + length, 0));
  });

  test('is valid and complete after each node, without being finalized', () => {
    const page = newPage(format, 4096);
    const nodes = makeNodes(60, 0, 70);
    for (const [index, node] of nodes.entries()) {
      if (page.allocate(node) === undefined) break;
      expect(specHexes(page)).toEqual(hexes(nodes.slice(0, index + 1)));
      expect([...page.problems()]).toEqual([]);
    }
    expect(page.nodeCount).toBeGreaterThan(40);
  });

  test('is read back from its bytes, finalized or not, and is clean then', () => {
    const nodes = makeNodes(100, 0, 90);
    for (const isFinal of [false, true]) {
      const page = filled(format, 8192, nodes);
      if (isFinal) page.finalize();
      const again = Page.from(page.bytes);
      expect(hexes(again.nodes())).toEqual(hexes(nodes));
      expect(again).toMatchObject({ nodeCount: 100, isDirty: false, isFinalized: isFinal, pageBytes: 8192 });
      expect(again.freeBytes).toBe(page.freeBytes);
      expectSameBytes(again.bytes, page.bytes);
      expect(ByteNodeArena.from(page.bytes)).toBeInstanceOf(Page);
    }
  });

  test('that is read back takes more nodes until it is as full as one that was never stored', () => {
    const nodes = makeNodes(400, 5, 20);
    const whole = newPage(format, 4096);
    let page: ByteNodeArena = newPage(format, 4096);
    for (const node of nodes) {
      expect(page.canAllocate(node.length)).toBe(whole.canAllocate(node.length));
      expect(page.allocate(node)).toBe(whole.allocate(node));
      page = Page.from(page.bytes);
    }
    expect(page.nodeCount).toBeGreaterThan(150);
    expectSameBytes(page.bytes, whole.bytes);
  });

  test('does not share memory with the bytes it was made from', () => {
    const bytes = filled(format, 4096, [text('radix')]).bytes.slice();
    const page = Page.from(bytes);
    bytes.fill(0);
    expect(hexes(page.nodes())).toEqual([hexOf(text('radix'))]);
    page.allocate(text('trie'));
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  test('is full when it says so, and refuses a node without a change', () => {
    const page = newPage(format, 4096);
    let count = 0;
    while (page.canAllocate(10)) {
      expect(page.allocate(new Uint8Array(10).fill(count))).toBe(count);
      count++;
    }
    const before = page.bytes.slice();
    page.markClean();
    expect(page.allocate(new Uint8Array(10))).toBeUndefined();
    expect([page.isDirty, page.nodeCount]).toEqual([false, count]);
    expectSameBytes(page.bytes, before);
    // The format: 64 bytes of header; V1 has 8 bytes a slot and 64 free; V2 has 2 bytes a slot for the first 19 nodes,
    // of which the last is at 244, one of 3 for the node at 254, and 4 for each after it.
    expect(count).toBe(
      format === 'v1' ? Math.floor((4096 - 128) / 18) : 19 + 1 + Math.floor((4096 - 64 - 19 * 12 - 13) / 14),
    );
  });

  test('replaces a node by one of the same length, also when it is finalized, and has a valid checksum then', () => {
    const page = filled(format, 4096, ['radix', 'trie', ''].map(text));
    page.markClean();
    void page.bytes;
    page.update(0, text('RADIX'));
    expect(page.isDirty).toBe(true);
    page.finalize();
    page.update(1, text('TRIE'));
    page.update(2, text(''));
    expect([...page.nodes()].map((node) => Buffer.from(node).toString())).toEqual(['RADIX', 'TRIE', '']);
    expect([...Page.from(page.bytes).problems()]).toEqual([]);
    expect(specHexes(page)).toEqual(hexes(['RADIX', 'TRIE', ''].map(text)));
  });

  test('refuses a replacement of another length, and changes nothing', () => {
    const page = filled(format, 4096, [text('radix')]);
    page.markClean();
    for (const node of ['radi', 'radix!', '']) {
      expect(() => page.update(0, text(node))).toThrow(expect.objectContaining({ code: 'NODE_LENGTH' }));
    }
    expect([page.isDirty, Buffer.from(page.read(0)).toString()]).toEqual([false, 'radix']);
  });

  test('has no slot but those of its nodes', () => {
    const calls: ((page: ByteNodeArena, slot: number) => unknown)[] = [
      (page, slot) => page.read(slot),
      (page, slot) => page.update(slot, text('')),
      (page, slot) => page.slotRange(slot),
      (page, slot) => page.entryRange(slot),
    ];
    for (const call of calls) {
      expect(() => call(newPage(format, 4096), 0)).toThrow(expect.objectContaining({ code: 'SLOT_RANGE' }));
      const page = filled(format, 4096, [text(''), text('')]);
      expect(() => call(page, 2)).toThrow('there is no slot 2 in the page: it has slots 0 to 1');
      for (const slot of [-1, 0.5, NaN, '0', null, undefined]) {
        expect(() => call(page, slot as number)).toThrow(/: slot must be a whole number of at least 0/);
      }
    }
  });

  test('takes a node from the middle of other bytes, and no range outside of them', () => {
    const page = newPage(format, 4096);
    const source = text('the radix trie');
    page.allocate(source, 4, 9);
    page.allocate(source, 10);
    expect([...page.nodes()].map((node) => Buffer.from(node).toString())).toEqual(['radix', 'trie']);
    for (const [start, end] of [
      [0, 15],
      [5, 4],
      [-1, 3],
      [0.5, 3],
      [0, NaN],
    ] as const) {
      expect(() => page.allocate(source, start, end)).toThrow(/^start and end must be a range within the 14 bytes/);
    }
    for (const source of ['text', 5, null, undefined, [1], new ArrayBuffer(4)]) {
      expect(() => page.allocate(source as unknown as Uint8Array)).toThrow(/^source must be a Uint8Array/);
      expect(() => page.update(0, source as unknown as Uint8Array)).toThrow(/^update: bytes must be a Uint8Array/);
    }
    for (const length of [-1, 1.5, NaN, '1', null]) {
      expect(() => page.canAllocate(length as number)).toThrow(/^canAllocate: length must be a whole number/);
    }
    expect(page.nodeCount).toBe(2);
  });

  test('takes a node from itself', () => {
    const page = filled(format, 4096, [text('radix')]);
    page.allocate(page.read(0));
    page.update(0, text('RADIX'));
    expect([...page.nodes()].map((node) => Buffer.from(node).toString())).toEqual(['RADIX', 'radix']);
  });

  test('is dirty from its first change to markClean', () => {
    const page = Page.from(newPage(format, 4096).bytes);
    expect(page.isDirty).toBe(false);
    void [page.bytes, page.page, page.freeBytes, page.directoryRange, [...page.nodes()]];
    expect(page.isDirty).toBe(false);
    page.allocate(text('a'));
    expect(page.isDirty).toBe(true);
    page.markClean();
    expect(page.isDirty).toBe(false);
    page.finalize();
    expect(page.isDirty).toBe(true);
    page.markClean();
    page.finalize();
    expect(page.isDirty).toBe(false);
  });

  test('that is finalized says so in its bytes, and takes no node any more', () => {
    const page = filled(format, 4096, makeNodes(9, 3, 30));
    page.finalize();
    const { flags, freeOffset, directoryStart } = PAGE_HEADER.read(page.bytes);
    expect(flags & (PAGE_FLAG.finalized | PAGE_FLAG.hasChecksum)).toBe(PAGE_FLAG.finalized | PAGE_FLAG.hasChecksum);
    expect(directoryStart).toBe(format === 'v1' ? 4096 - 9 * 8 : freeOffset);
    for (const final of [page, Page.from(page.bytes)]) {
      const before = final.bytes.slice();
      expect([final.canAllocate(0), final.allocate(text('a')), final.nodeCount]).toEqual([false, undefined, 9]);
      expectSameBytes(final.bytes, before);
    }
  });

  test('says where its header, its directory, its nodes and their slots are', () => {
    const page = newPage(format, 4096);
    expect([page.headerRange, page.directoryRange]).toEqual([
      { start: 0, end: 64 },
      { start: 4096, end: 4096 },
    ]);
    const nodes = makeNodes(40, 0, 60);
    let end = 64;
    for (const [slot, node] of nodes.entries()) {
      page.allocate(node);
      expect(page.slotRange(slot)).toEqual({ start: end, end: end + node.length });
      end += node.length;
    }
    const { bytes } = page;
    const entries = nodes.map((node, slot) => {
      const range = page.slotRange(slot);
      expect(hexOf(bytes.subarray(range.start, range.end))).toBe(hexOf(node));
      const entry = page.entryRange(slot);
      const slotAt = { offset: range.start, length: node.length };
      if (format === 'v1')
        expect({ ...V1_SLOT.read(bytes, entry.start), end: entry.start + 8 }).toEqual({ ...slotAt, end: entry.end });
      else expect(V2_SLOT.read(bytes, entry.start)).toEqual({ ...slotAt, end: entry.end });
      return entry;
    });
    const { start, end: directoryEnd } = page.directoryRange;
    expect(directoryEnd - start).toBe(page.directoryBytes);
    const lowest = entries.toSorted((a, b) => a.start - b.start);
    expect([lowest[0]!.start, lowest.at(-1)!.end]).toEqual([start, directoryEnd]);
    expect(lowest.every((entry, index) => index === 0 || entry.start === lowest[index - 1]!.end)).toBe(true);
    expect(page.freeBytes).toBe(4096 - end - page.directoryBytes);
  });

  test('is decoded for the functions of the format, as it is now', () => {
    const page = filled(format, 4096, [text('radix')]);
    expect(hexes(nodesOf(page.page))).toEqual([hexOf(text('radix'))]);
    page.allocate(text('trie'));
    expect(hexes(nodesOf(page.page))).toEqual(['radix', 'trie'].map((node) => hexOf(text(node))));
    expect([...pageRegions(page.page, 7)].filter(({ kind }) => kind === 'node').map(({ name }) => name)).toEqual([
      'node 7:0',
      'node 7:1',
    ]);
    expect(page.page).toBe(page.page);
  });

  test('is shown by its counts', () => {
    const page = filled(format, 4096, [text('radix')]);
    page.finalize();
    const counts = `pageBytes: 4096, nodeCount: 1, freeBytes: ${format === 'v1' ? 4019 : 4025}`;
    expect(inspect(page)).toBe(`${Page.name} { ${counts}, isFinalized: true, isDirty: true }`);
  });

  test('does what an array does, for random scripts and all sizes', () => {
    fc.assert(pageProperty(format), { numRuns: 150 });
  });
});

describe('a page of 262,144 bytes filled with nodes of one byte', () => {
  // V1: 9 bytes a node, of 262,144 less header and reserve. V2: offsets take 1, 2, 3 and 4 bytes as they grow.
  test.each([
    ['v1', 29_112],
    ['v2', 52_491],
  ] as const)('keeps each of them in %s when it is finalized and read back', (format, expected) => {
    let page: ByteNodeArena = newPage(format);
    const node = new Uint8Array(1);
    let count = 0;
    for (; page.canAllocate(1); count++) {
      node[0] = count * 7;
      expect(page.allocate(node) === count).toBe(true);
      // A directory that was written in between takes no room.
      if (count % 5000 === 0) void page.bytes;
      if (count % 20_000 === 0) page = ByteNodeArena.from(page.bytes);
    }
    expect(page.allocate(node)).toBeUndefined();
    expect(count).toBe(expected);
    page.finalize();
    const again = ByteNodeArena.from(page.bytes);
    expect([again.nodeCount, specHexes(again).length]).toEqual([expected, expected]);
    expect([...again.nodes()].every((each, slot) => each.length === 1 && each[0] === ((slot * 7) & 0xff))).toBe(true);
  });
});

describe('the directory of a V2 page', () => {
  test('saves more than half of fixed slots for short nodes near the start', () => {
    const page = new ByteNodeArenaV2(4096);
    for (let index = 0; index < 50; index++) page.allocate(text(`entry${index}`));
    // Of offsets 64, 70, ... up to 247 there are 29 with one byte; the others take one more before 256, then three.
    const offsets = Array.from({ length: 50 }, (_, slot) => page.slotRange(slot).start);
    const expected = offsets.reduce((sum, offset) => sum + (offset <= 247 ? 1 : offset < 256 ? 2 : 3) + 1, 0);
    expect(page.directorySavings).toEqual({ fixedBytes: 400, varintBytes: expected });
    expect(page.directorySavings.varintBytes).toBeLessThan(200);
    expect(page.directoryBytes).toBe(expected);
  });
});

describe('the codec of a V2 slot', () => {
  test.each([
    [0, 0, [0, 0]],
    [1, 1, [1, 1]],
    [247, 247, [247, 247]],
    [248, 248, [248, 248, 248, 248]],
    [1000, 500, [249, 232, 3, 249, 244, 1]],
    [65_535, 1024, [249, 255, 255, 249, 0, 4]],
    [0xff_ffff, 0xffff, [250, 255, 255, 255, 249, 255, 255]],
    [Number.MAX_SAFE_INTEGER, 0, [254, 255, 255, 255, 255, 255, 255, 31, 0]],
  ])('writes %d and %d as the format says, and reads them back', (offset, length, bytes) => {
    const target = new Uint8Array(20).fill(0xaa);
    const end = V2_SLOT.write({ offset, length }, target, 3);
    expect([...target.subarray(3, end)]).toEqual(bytes);
    expect([target[2], target[end]]).toEqual([0xaa, 0xaa]);
    expect(V2_SLOT.bytesOf(offset, length)).toBe(bytes.length);
    expect(V2_SLOT.read(target, 3)).toEqual({ offset, length, end });
    for (let cut = 3; cut < end; cut++) expect(V2_SLOT.read(target.subarray(0, cut), 3)).toBeUndefined();
  });

  test('refuses numbers of 2^53 or more, numbers that are none, and a target without room', () => {
    expect(() => V2_SLOT.read(new Uint8Array(18).fill(255), 0)).toThrow(
      'V2_SLOT.read: the slot at 0 has a number of 2^53 or more',
    );
    for (const wrong of [2 ** 53, -1, 0.5, NaN, '1']) {
      const slots = [
        { offset: wrong as number, length: 0 },
        { offset: 0, length: wrong as number },
      ];
      for (const slot of slots) {
        expect(() => V2_SLOT.write(slot, new Uint8Array(20), 0)).toThrow(RangeError);
        expect(() => V2_SLOT.bytesOf(slot.offset, slot.length)).toThrow(RangeError);
      }
    }
    const target = new Uint8Array(4);
    expect(() => V2_SLOT.write({ offset: 300, length: 5 }, target, 1)).toThrow('V2_SLOT.write: at must be');
    expect([...target]).toEqual([0, 0, 0, 0]);
  });
});
