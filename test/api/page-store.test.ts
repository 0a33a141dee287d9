import { inspect } from 'node:util';
import { create, formatRef, open, PageRef, PageStoreError, parseRef } from 'artrie-pages';
import { FaultyBlockFile, MemoryBlockFile } from 'artrie-pages/testing';
import { describe, expect, test } from 'vitest';
import { hexOf, makeNodes, text } from '../support/nodes.ts';

describe('the nodes of a store', () => {
  test.each(['v1', 'v2'] as const)('are all read in order from a %s file, past free blocks', async (pageFormat) => {
    await using store = await create(new MemoryBlockFile(), { pageFormat });
    const nodes = makeNodes(60, 0, 30_000);
    const runs = await store.appendMany(nodes);
    const freed = runs[1]!.block;
    await store.free(freed);
    const kept = runs.flatMap(({ block, slot, count }) =>
      Array.from({ length: count }, (_, at) => `${block}:${slot + at}`),
    );
    const expected = kept.map((ref, index) => ({ ref, hex: hexOf(nodes[index]!) }));
    const found: { ref: string; hex: string }[] = [];
    for await (const { ref, bytes } of store.nodes()) found.push({ ref: String(ref), hex: hexOf(bytes) });
    expect(found).toEqual(expected.filter(({ ref }) => !ref.startsWith(`${freed}:`)));
  });

  test('are copies, which stay as they are when the next page is read and when they are written to', async () => {
    await using store = await create(new MemoryBlockFile());
    const nodes = makeNodes(40, 20_000, 20_000);
    await store.appendMany(nodes);
    const found: Uint8Array[] = [];
    for await (const { bytes } of store.nodes()) found.push(bytes);
    expect(found.map(hexOf)).toEqual(nodes.map(hexOf));
    found[0]!.fill(0);
    expect(hexOf(await store.read({ block: 1, slot: 0 }))).toBe(hexOf(nodes[0]!));
  });

  test('end with an error at a damaged page, after those before it', async () => {
    const file = new MemoryBlockFile();
    await using store = await create(file);
    const [first, second] = await store.appendMany(makeNodes(20, 20_000, 20_000));
    await store.finalize();
    file.bytes[second!.block * 262_144 + 100]! ^= 1;
    let count = 0;
    const reading = async (): Promise<void> => {
      for await (const _ of store.nodes()) count++;
    };
    await expect(reading()).rejects.toMatchObject({ code: 'PAGE_CHECKSUM', detail: { block: second!.block } });
    expect(count).toBe(first!.count);
  });
});

describe('a store', () => {
  test('that leaves its block is closed, with its file', async () => {
    const file = new FaultyBlockFile();
    const used = await (async () => {
      await using store = await create(file);
      await store.append(text('a'));
      expect(file.count('close')).toBe(0);
      return store;
    })();
    expect(file.count('close')).toBe(1);
    await expect(used.append(text('b'))).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  });

  test('whose file cannot be closed says so when it leaves its block', async () => {
    const file = new FaultyBlockFile();
    const leaving = async (): Promise<void> => {
      await using store = await create(file);
      expect(store.blockCount).toBe(2);
      file.fail({ on: 'close' });
    };
    await expect(leaving()).rejects.toThrow(PageStoreError);
  });

  test('is shown by its file and size', async () => {
    await using store = await create(new MemoryBlockFile(undefined, 'words.part'));
    store.stage(text('a'));
    await store.makeRoom(1);
    store.stage(text('a'));
    expect(inspect(store)).toBe("PageStore { file: 'words.part', blockCount: 2, stagedNodes: 1 }");
    await store.commit();
  });

  test('names its file, and refuses blocks that it does not have', async () => {
    await using store = await create(new MemoryBlockFile(undefined, 'words.part'));
    expect([store.name, store.blockCount]).toEqual(['words.part', 2]);
    store.assertBlock(1);
    for (const block of [0, 2]) expect(() => store.assertBlock(block)).toThrow(PageStoreError);
  });

  test('is opened again by the block file that it was made in, to read or to write', async () => {
    const file = new MemoryBlockFile();
    await (await create(file, { pageFormat: 'v2' })).close();
    for (const access of ['write', 'read'] as const) {
      await using store = await open(file, { access });
      const appending = store.append(text('a'));
      if (access === 'write') expect(await appending).toEqual({ block: 1, slot: 0 });
      else await expect(appending).rejects.toMatchObject({ code: 'FILE_READ_ONLY' });
    }
  });
});

describe('a ref', () => {
  test('is written as block:slot in text, in JSON as an object, and read back', async () => {
    await using store = await create(new MemoryBlockFile());
    const ref = await store.append(text('a'));
    expect(ref).toBeInstanceOf(PageRef);
    expect([ref.toString(), String(ref), formatRef(ref), inspect(ref), inspect([ref])]).toEqual([
      '1:0',
      '1:0',
      '1:0',
      '1:0',
      '[ 1:0 ]',
    ]);
    expect(JSON.stringify(ref)).toBe('{"block":1,"slot":0}');
    expect(parseRef(String(ref))).toEqual({ block: 1, from: 0, to: 0 });
  });

  test('may be any object with a block and a slot', async () => {
    await using store = await create(new MemoryBlockFile());
    await store.append(text('a'));
    expect(await store.read({ block: 1, slot: 0 })).toEqual(text('a'));
    expect(formatRef({ block: 3, slot: 17 })).toBe('3:17');
  });
});
