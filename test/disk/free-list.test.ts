import { describe, expect, test } from 'vitest';
import type { BlockFile } from '../../src/disk/block-file.ts';
import { BlockSet } from '../../src/disk/free-list.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { stat } from '../../src/view/statistics.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';

/** A file of empty pages, opened for writing. */
async function fileOf(pages: number): Promise<{ file: RecordingBlockFile; store: PageStore }> {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  if (pages > 1) await store.allocate(pages - 1, 'v1');
  return { file, store };
}

/** Number of reads of `work`. */
async function readsOf(file: RecordingBlockFile, work: () => Promise<unknown>): Promise<number> {
  const before = file.count('read');
  await work();
  return file.count('read') - before;
}

async function freeFrom(store: PageStore, first: number, count: number): Promise<void> {
  for (let block = first; block < first + count; block++) await store.free(block);
}

describe('the reads', () => {
  test('of freeing a block do not depend on the number of free blocks', async () => {
    const { file, store } = await fileOf(61);
    await freeFrom(store, 1, 20);
    const few = await readsOf(file, () => freeFrom(store, 21, 20));
    const many = await readsOf(file, () => freeFrom(store, 41, 20));
    expect(few).toBeGreaterThan(0);
    expect(many).toBe(few);
  });

  test.each([
    ['counting the content of a file', async (file: BlockFile) => void (await stat(file))],
    [
      'reading all pages',
      async (file: BlockFile): Promise<void> => {
        const reader = await PageStore.open(file, { access: 'read' });
        for await (const { page } of reader.pages()) expect(page.directory.count).toBe(0);
      },
    ],
  ])('of %s are proportional to its blocks, not to the square of the free ones', async (_, work) => {
    const { file, store } = await fileOf(61);
    await freeFrom(store, 1, 60);
    await store.close();
    const opening = await readsOf(file, () => PageStore.open(file, { access: 'read' }));
    const reads = (await readsOf(file, () => work(file))) - opening;
    // Each block, the link of each free one, and block 0 to compare the digest.
    expect(reads).toBe(61 + 60 + 1);
  });
});

test('a writer knows which blocks are free after freeing, allocating and adding some', async () => {
  const { store } = await fileOf(4);
  await store.free(3);
  await store.free(2);
  expect(await store.allocate(2, 'v1')).toEqual([2, 3]);
  await store.free(3);
  await expect(store.free(3)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
  await store.free(2);
  expect(await store.allocate(40, 'v1')).toHaveLength(40);
  await store.free(42);
  await expect(store.free(42)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
  const { blocks, error } = await store.disk.freeBlocks();
  expect({ error, size: blocks.size, isFree: blocks.has(42) }).toEqual({ error: undefined, size: 1, isFree: true });
});

test('a reader that has read the list sees what a writer frees and allocates later', async () => {
  const { file, store } = await fileOf(6);
  await store.appendMany(makeNodes(3, 5, 9));
  await store.free(2);
  await store.free(3);
  const reader = await PageStore.open(file, { access: 'read' });
  await expect(reader.readPage(3)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
  await store.free(5);
  await store.free(4);
  await expect(reader.readPage(4)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
  await expect(reader.readPage(5)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
  await store.allocate(3, 'v1');
  await store.append(text('again'));
  for (const block of [3, 4, 5]) expect((await reader.readPage(block)).format).toBe('v1');
  await expect(reader.readPage(2)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
});

test('a set of blocks grows with its ids, and forgets those that are deleted', () => {
  const set = new BlockSet(3);
  expect([set.add(100), set.add(100), set.add(0)]).toEqual([true, false, true]);
  set.delete(100);
  set.delete(100);
  set.delete(5000);
  expect([set.has(100), set.has(0), set.size]).toEqual([false, true, 1]);
});
