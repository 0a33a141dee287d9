import { create, open, type PageStore } from 'artrie-pages';
import {
  BLOCK_BYTES,
  ByteNodeArena,
  ByteNodeArenaV1,
  ByteNodeArenaV2,
  FILE_HEADER,
  fileOffset,
} from 'artrie-pages/format';
import { FaultyBlockFile, MemoryBlockFile } from 'artrie-pages/testing';
import { describe, expect, test } from 'vitest';
import { encodeFileHeader } from '../../src/format/file-header.ts';
import { expectSameBytes, goldenBytes, goldenNodes } from '../support/files.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { newPage } from '../support/page-model.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

function pageOf(format: 'v1' | 'v2', nodes: readonly Uint8Array[]): ByteNodeArenaV1 | ByteNodeArenaV2 {
  const page = newPage(format);
  for (const node of nodes) expect(page.allocate(node)).toBeDefined();
  return page;
}

const goldenBlock = (name: 'arenas' | 'v2' | 'v2-unfinalized', block: number): Uint8Array =>
  goldenBytes(name).subarray(fileOffset(block), fileOffset(block + 1));

/** A page with zeros in place of its checksum, and of the block and the commit that it was written for. */
function withoutStamp(page: Uint8Array): Uint8Array {
  const copy = page.slice();
  copy.fill(0, 24, 28);
  copy.fill(0, 36, 48);
  return copy;
}

async function hexesIn(store: PageStore, block: number): Promise<string[]> {
  return [...(await store.page(block)).nodes()].map(hexOf);
}

async function expectValid(file: MemoryBlockFile): Promise<void> {
  expect((await verifyAll(file.bytes)).summary.findings).toMatchObject({ error: 0, warning: 0 });
}

const entryCountOf = (file: MemoryBlockFile): bigint => FILE_HEADER.read(file.bytes).entryCount;

describe.each(['v1', 'v2'] as const)('a %s page that was filled in memory', (format) => {
  test.each(['finalized', 'open'])('is added at the end of the file as it is, %s', async (state) => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: format });
    const nodes = makeNodes(700, 0, 300);
    const page = pageOf(format, nodes);
    if (state === 'finalized') page.finalize();
    expect(await store.addPage(page)).toBe(2);
    expect([page.isDirty, store.blockCount, entryCountOf(file)]).toEqual([false, 3, 700n]);
    // But for the stamp, and the checksum over it.
    expectSameBytes(withoutStamp(file.bytes.subarray(fileOffset(2), fileOffset(3))), withoutStamp(page.bytes));
    expect(hexOf(await store.read({ block: 2, slot: 17 }))).toBe(hexOf(nodes[17]!));
    await store.close();
    await expectValid(file);
    expect(specNodes(file.bytes).map(({ ref, bytes }) => [ref, hexOf(bytes)])).toEqual(
      nodes.map((node, slot) => [`2:${slot}`, hexOf(node)]),
    );
  });

  test('is added in the first free block, and in a new one once there is none', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: format });
    await store.appendMany(makeNodes(30, 40_000, 40_000));
    await store.readPage(3);
    await store.free(2);
    await store.free(3);
    const before = { blocks: store.blockCount, entries: entryCountOf(file) };
    const pages = [1, 2, 3].map((seed) => pageOf(format, makeNodes(seed * 10, 5, 50, seed)));
    const blocks: number[] = [];
    for (const page of pages) blocks.push(await store.addPage(page));
    expect(blocks).toEqual([3, 2, before.blocks]);
    expect(entryCountOf(file)).toBe(before.entries + 60n);
    for (const [index, block] of blocks.entries()) {
      expect(await hexesIn(store, block)).toEqual([...pages[index]!.nodes()].map(hexOf));
    }
    await store.close();
    await expectValid(file);
  });

  test('takes the nodes that are appended next, unless it is finalized', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: format });
    const open = pageOf(format, makeNodes(100, 5, 50));
    await store.addPage(open);
    expect(await store.append(text('next'))).toEqual({ block: 2, slot: 100 });
    const final = pageOf(format, makeNodes(10, 5, 50));
    final.finalize();
    await store.addPage(final);
    expect((await store.append(text('after'))).block).not.toBe(3);
    expect(open.nodeCount).toBe(100);
    expect((await hexesIn(store, 2)).length).toBeGreaterThanOrEqual(101);
    await store.close();
    await expectValid(file);
  });

  test('is copied when the call is made: a change afterwards is not stored, and stays to be stored', async () => {
    await using store = await create(new MemoryBlockFile(), { pageFormat: format });
    const page = pageOf(format, [text('radix')]);
    const adding = store.addPage(page);
    page.allocate(text('trie'));
    page.update(0, text('RADIX'));
    expect(await hexesIn(store, await adding)).toEqual([hexOf(text('radix'))]);
    expect(page.isDirty).toBe(true);
    expect(await hexesIn(store, await store.addPage(page))).toEqual(['RADIX', 'trie'].map((node) => hexOf(text(node))));
    expect(page.isDirty).toBe(false);
  });

  test('may be added again, and many at the same time, beside other writes', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: format });
    const page = pageOf(format, makeNodes(5, 5, 50));
    const [a, ref, b, , c] = await Promise.all([
      store.addPage(page),
      store.append(text('between')),
      store.addPage(page),
      store.free(1),
      store.addPage(page),
    ]);
    expect([a, b, c]).toEqual([2, 3, 1]);
    expect(ref).toEqual({ block: 2, slot: 5 });
    expect(entryCountOf(file)).toBe(16n);
    await store.close();
    await expectValid(file);
  });

  test('without nodes is added as an empty page', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: format });
    const page = newPage(format);
    page.finalize();
    for (const block of [2, 3]) expect(await store.addPage(page)).toBe(block);
    await store.free(2);
    expect(await store.addPage(newPage(format))).toBe(2);
    await store.close();
    await expectValid(file);
    expect(entryCountOf(file)).toBe(0n);
  });

  test('is not in the file, and stays to be stored, if it cannot be written', async () => {
    for (const on of ['write', 'sync'] as const) {
      for (const isReused of [false, true]) {
        const file = new FaultyBlockFile();
        const store = await create(file, { pageFormat: format });
        await store.append(text('old'));
        if (isReused) await store.free(...((await store.allocate(1)) as [number]));
        const page = pageOf(format, makeNodes(5, 5, 50));
        // A free block is first committed as an empty page, with three writes and a sync.
        const nth = isReused ? { write: 4, sync: 2 }[on] : 1;
        file.fail({ on, nth, errno: 'ENOSPC' });
        await expect(store.addPage(page)).rejects.toMatchObject({ code: 'IO', detail: { errno: 'ENOSPC' } });
        expect(page.isDirty).toBe(true);
        file.heal();
        await store.close().catch(() => undefined);
        await using again = await open(file);
        const nodes: string[] = [];
        for await (const { bytes } of again.nodes()) nodes.push(hexOf(bytes));
        expect(nodes).toEqual([hexOf(text('old'))]);
        await again.addPage(page);
        expect(page.isDirty).toBe(false);
      }
    }
  });
});

describe('a page of a file as an object', () => {
  test('has the nodes of the page, and shares nothing with it', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file, { pageFormat: 'v2' });
    await store.appendMany([text('radix'), text('trie')]);
    const page = await store.page(1);
    expect(page).toBeInstanceOf(ByteNodeArenaV2);
    expect([page.nodeCount, page.isDirty]).toEqual([2, false]);
    page.update(0, text('RADIX'));
    page.allocate(text('more'));
    expect(await store.read({ block: 1, slot: 0 })).toEqual(text('radix'));
    expect((await store.page(1)).nodeCount).toBe(2);
    await store.update({ block: 1, slot: 1 }, text('TRIE'));
    expect(Buffer.from(page.read(1)).toString()).toBe('trie');
    expect(Buffer.from((await store.page(1)).read(1)).toString()).toBe('TRIE');
    const block = await store.addPage(page);
    expect(await hexesIn(store, block)).toEqual(['RADIX', 'trie', 'more'].map((node) => hexOf(text(node))));
  });

  test('is read from every page that the Rust code wrote', async () => {
    for (const name of ['v1', 'v2', 'arenas'] as const) {
      await using store = await open(new MemoryBlockFile(goldenBytes(name)), { access: 'read' });
      const found: { ref: string; hex: string }[] = [];
      for (let block = 1; block < store.blockCount; block++) {
        const hexes = await hexesIn(store, block);
        found.push(...hexes.map((hex, slot) => ({ ref: `${block}:${slot}`, hex })));
      }
      expect(found).toEqual(goldenNodes(name));
    }
  });

  test('is an error for a block that is free, missing or damaged', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file);
    await store.allocate(1);
    await store.free(2);
    await expect(store.page(2)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
    await expect(store.page(3)).rejects.toMatchObject({ code: 'BLOCK_RANGE' });
    file.bytes[fileOffset(1, 9)]! ^= 1;
    await expect(store.page(1)).rejects.toMatchObject({ code: 'PAGE_VERSION' });
  });
});

describe('a page of another program', () => {
  test('gets a checksum when it is added, and keeps its nodes', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file);
    const sources = [goldenBlock('arenas', 1), goldenBlock('v2', 1)].map((bytes) => ByteNodeArena.from(bytes));
    for (const source of sources) {
      const block = await store.addPage(source);
      expect(await hexesIn(store, block)).toEqual([...source.nodes()].map(hexOf));
      expect(source.isDirty).toBe(false);
    }
    await store.close();
    const { summary } = await verifyAll(file.bytes);
    expect(summary.findings).toEqual({ error: 0, warning: 0, info: 0 });
  });

  test('that has no directory is refused, since its nodes would be lost', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file);
    const before = file.bytes.slice();
    for (const block of [1, 2]) {
      const page = ByteNodeArena.from(goldenBlock('v2-unfinalized', block));
      await expect(store.addPage(page)).rejects.toMatchObject({ code: 'NODES_WITHOUT_DIRECTORY' });
    }
    expectSameBytes(file.bytes, before);
  });

  test('is counted only where the header counts nodes', async () => {
    // As if its nodes were added by a program that does not count them.
    const bytes = goldenBytes('v1').slice();
    bytes.set(encodeFileHeader({ ...FILE_HEADER.read(bytes), entryCount: 0n }));
    const file = new MemoryBlockFile(bytes);
    await using store = await open(file);
    await store.addPage(pageOf('v1', makeNodes(3, 5, 50)));
    expect(entryCountOf(file)).toBe(0n);
    const counting = new MemoryBlockFile(goldenBytes('arenas').slice());
    await using other = await open(counting);
    await other.addPage(pageOf('v1', makeNodes(3, 5, 50)));
    expect(entryCountOf(counting)).toBe(15_392n);
  });
});

describe('nothing is written for', () => {
  const cases: readonly [what: string, page: () => ByteNodeArena, error: object | RegExp][] = [
    [
      'a damaged page',
      () => {
        const bytes = pageOf('v1', [text('radix')]).bytes.slice();
        bytes[65]! ^= 1;
        return ByteNodeArenaV1.from(bytes, { unchecked: true });
      },
      { code: 'PAGE_CHECKSUM' },
    ],
    [
      'a page without a magic',
      () => ByteNodeArenaV2.from(new Uint8Array(BLOCK_BYTES), { unchecked: true }),
      { code: 'PAGE_MAGIC' },
    ],
    [
      'a page of 4,096 bytes',
      () => new ByteNodeArenaV1(4096),
      /^RangeError: addPage: arena has 4096 bytes; a PART file takes pages of 262144 alone$/,
    ],
    [
      'a page of 131,072 bytes',
      () => new ByteNodeArenaV2(131_072),
      /^RangeError: addPage: arena has 131072 bytes; a PART file takes pages of 262144 alone$/,
    ],
  ];

  test.each(cases)('%s', async (_, page, error) => {
    const file = new MemoryBlockFile();
    await using store = await create(file);
    const before = file.bytes.slice();
    const adding = store.addPage(page());
    if (error instanceof RegExp) expect(String(await adding.catch((thrown: unknown) => thrown))).toMatch(error);
    else await expect(adding).rejects.toMatchObject(error);
    expectSameBytes(file.bytes, before);
  });

  test('a store that has staged nodes, or is open for reading', async () => {
    const file = new MemoryBlockFile();
    const store = await create(file);
    await store.makeRoom(4);
    store.stage(text('node'));
    const page = pageOf('v1', [text('radix')]);
    await expect(store.addPage(page)).rejects.toThrow(new TypeError('there are staged nodes: commit them first'));
    await store.commit();
    await store.close();
    const before = file.bytes.slice();
    await using reading = await open(file, { access: 'read' });
    await expect(reading.addPage(page)).rejects.toMatchObject({ code: 'FILE_READ_ONLY' });
    expect(page.isDirty).toBe(true);
    expectSameBytes(file.bytes, before);
  });
});
