import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { stat, statisticsTable } from '../../src/view/statistics.ts';
import { damaged, fileWithFreeList, smallFile } from '../support/damage.ts';
import { text } from '../support/nodes.ts';

const statOf = (bytes: Uint8Array): ReturnType<typeof stat> => stat(new MemoryBlockFile(bytes));

describe('the statistics of a file', () => {
  test('count its nodes by length, and all its bytes by kind', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: 'v2' });
    await store.appendMany(['', 'a', 'abc', 'abcd'].map(text));
    await store.finalize();
    await store.close();
    const statistics = await statOf(file.bytes.slice());
    expect(statistics).toMatchObject({ blocks: 2, pages: { v1: 0, v2: 1 }, finalizedPages: 1, nodes: 4, nodeBytes: 8 });
    expect(statistics).toMatchObject({ shortestNode: 0, longestNode: 4, damagedPages: 0, otherBlocks: 0 });
    expect(statistics.lengths.slice(0, 5)).toEqual([1, 1, 1, 1, 0]);
    const { headerBytes, nodeBytes, directoryBytes, freeBytes } = statistics;
    expect(headerBytes + nodeBytes + directoryBytes + freeBytes).toBe(2 * BLOCK_BYTES);
  });

  test('count free blocks and damaged pages, but not what a damaged page contains', async () => {
    expect(await statOf(await fileWithFreeList())).toMatchObject({ blocks: 7, otherBlocks: 3, nodes: 0 });
    const file = damaged(await smallFile('v1'), (copy) => (copy[fileOffset(1, 70)]! ^= 1));
    const statistics = await statOf(file);
    expect(statistics).toMatchObject({ damagedPages: 1, pages: { v1: 0, v2: 0 }, nodes: 0, shortestNode: 0 });
    expect([...statisticsTable(statistics)].join('')).toMatch(/^damaged pages +1$/m);
  });

  test('are reported block by block, and stop at the signal', async () => {
    const bytes = await fileWithFreeList();
    const done: string[] = [];
    const onProgress = (blocks: number, total: number): void => void done.push(`${blocks}/${total}`);
    await stat(new MemoryBlockFile(bytes), { onProgress });
    expect(done).toEqual(['2/7', '3/7', '4/7', '5/7', '6/7', '7/7']);
    const stop = new AbortController();
    const aborted = stat(new MemoryBlockFile(bytes), { signal: stop.signal, onProgress: () => stop.abort('enough') });
    await expect(aborted).rejects.toBe('enough');
  });

  test('leave a BlockFile open', async () => {
    const file = new MemoryBlockFile(await smallFile('v1'));
    await stat(file);
    expect(await file.size()).toBe(2 * BLOCK_BYTES);
  });

  test('need a path or a BlockFile, and options that exist', async () => {
    await expect(stat(undefined as never)).rejects.toThrow('stat: file');
    await expect(stat(new MemoryBlockFile(), { onBlock: () => {} } as never)).rejects.toThrow("'onBlock'");
  });
});
