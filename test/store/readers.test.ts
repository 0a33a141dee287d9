import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PageStore } from '../../src/store/page-store.ts';
import { temporaryFolder } from '../support/files.ts';
import { GROWING, readDuringWrites, REUSING } from '../support/kills/readers.ts';

const folder = temporaryFolder();

describe.each(['v1', 'v2'] as const)('readers of a %s file that another process writes to', (format) => {
  test.each([
    ['appends and updates', GROWING],
    ['frees blocks and uses them again', REUSING],
  ])('find every node whole and nothing wrong, while it %s', async (_, kinds) => {
    const { faults, ...tally } = await readDuringWrites(format, kinds, 1000, 5);
    expect(faults).toEqual([]);
    // They met each other: otherwise this shows nothing.
    expect(tally.appended).toBeGreaterThan(100);
    expect(tally.verifyRunsChanged).toBeGreaterThan(0);
    expect(Math.min(tally.reads, tally.freshReads, tally.walkedNodes)).toBeGreaterThan(0);
  });
});

describe('blocks that were freed after a reader opened the file', () => {
  async function freedBehindAReader(): Promise<PageStore> {
    const path = join(folder, `${Math.random()}.part`);
    const writer = await PageStore.create(path);
    await writer.append(new Uint8Array(100));
    await writer.allocate(3);
    const reader = await PageStore.open(path, { access: 'read' });
    await writer.free(2);
    // Its link names block 2, so its first bytes are not zero.
    await writer.free(3);
    await writer.close();
    return reader;
  }

  test('are skipped when all pages are read', async () => {
    const reader = await freedBehindAReader();
    const blocks: number[] = [];
    for await (const { block } of reader.pages()) blocks.push(block);
    expect(blocks).toEqual([1, 4]);
    await reader.close();
  });

  test('are reported as free', async () => {
    const reader = await freedBehindAReader();
    for (const block of [2, 3]) {
      await expect(reader.readPage(block)).rejects.toMatchObject({ code: 'BLOCK_FREE' });
    }
    await reader.close();
  });
});
