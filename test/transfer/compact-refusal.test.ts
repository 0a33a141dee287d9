import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { maxNodeBytes } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact, type CompactOptions } from '../../src/transfer/compact.ts';
import { damaged, fileWithFreeList, smallFile, withHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { compacted, fileOfBatches, sequence } from '../support/transfer.ts';

describe('compact refuses a file', () => {
  const refused = async (source: Uint8Array, options?: CompactOptions): Promise<unknown> =>
    compacted(source, options).then(
      () => 'compacted',
      (error: unknown) => (error as { code?: string }).code ?? error,
    );

  test('with any damage', async () => {
    const source = await smallFile('v1');
    expect(await refused(damaged(source, (copy) => (copy[fileOffset(1, 70)]! ^= 1)))).toBe('PAGE_CHECKSUM');
    expect(await refused(damaged(source, (copy) => copy.fill(7, fileOffset(1), fileOffset(1, 8))))).toBe(
      'BLOCK_UNKNOWN',
    );
    const zeroed = damaged(source, (copy) => copy.fill(0, fileOffset(1), fileOffset(1, 8)));
    expect(await refused(zeroed)).toBe('PAGE_MAGIC');
    // A block on the free list with such a beginning is free, whatever else it contains.
    expect(await refused(withHeader(zeroed, { freeListHead: 1n << 40n, entryCount: 0n }))).toBe('compacted');
    expect(await refused(damaged(source, (copy) => (copy[40]! ^= 1)))).toBe('FILE_HEADER_CHECKSUM');
    expect(await refused(source.subarray(0, 400_000))).toBe('FILE_SIZE');
    expect(await refused(goldenBytes('stale-header'))).toBe('FILE_HEADER_CHECKSUM');
    const circle = damaged(await fileWithFreeList(), (_, view) => view.setBigUint64(fileOffset(3), 2n << 40n, true));
    expect(await refused(circle)).toBe('FREE_LIST_CYCLE');
  });

  test('with nodes without a directory, which would be lost', async () => {
    expect(await refused(goldenBytes('v2-unfinalized'))).toBe('NODES_WITHOUT_DIRECTORY');
  });

  test('with a trie', async () => {
    expect(await refused(withHeader(await smallFile('v1'), { rootPointer: 64n << 18n }))).toBe('FILE_HAS_TRIE');
  });

  test('with a node that is too long for the new page format', async () => {
    const longest = new Uint8Array(maxNodeBytes('v2'));
    const source = await fileOfBatches([{ nodes: [text('short'), longest], pageFormat: 'v2' }]);
    for (const dedupe of [false, true]) {
      expect(await refused(source, { pageFormat: 'v1', dedupe })).toBe('NODE_TOO_LARGE');
      expect(sequence((await compacted(source, { dedupe })).bytes)).toHaveLength(2);
    }
  });

  test('that is written to meanwhile, with or without a commit', async () => {
    const nodes = makeNodes(12, 90_000, 90_000);
    const changes: ((store: PageStore) => Promise<unknown>)[] = [
      (store) => store.append(text('new')),
      (store) => store.update({ block: 1, slot: 0 }, new Uint8Array(90_000)),
      (store) => store.free(2),
    ];
    for (const change of changes) {
      const file = new MemoryBlockFile(await fileOfBatches([{ nodes, pageFormat: 'v1' }]));
      const onProgress = async (done: number): Promise<void> => {
        if (done !== 3) return;
        const store = await PageStore.open(file);
        await change(store);
        await store.close();
      };
      const result = compact(file, new MemoryBlockFile(), { onProgress });
      await expect(result).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    }
  });

  test('that is both source and target', async () => {
    const file = new MemoryBlockFile(await smallFile('v1'));
    await expect(compact(file, file, { replace: true })).rejects.toThrow(TypeError);
  });

  test('as the target if it is not empty, except with replace', async () => {
    const source = new MemoryBlockFile(await smallFile('v1'));
    const target = new MemoryBlockFile(await smallFile('v2'));
    await expect(compact(source, target)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await compact(source, target, { replace: true });
    expect(sequence(target.bytes)).toEqual(sequence(source.bytes));
  });
});
