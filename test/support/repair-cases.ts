import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { makeNodes } from './nodes.ts';

/**
 * A file of V1 and V2 pages and free blocks whose last commits are in its records: blocks 1, 5 and so on are pages, 3
 * and 4 are free. It was never closed, so its header copy is older than its header.
 */
export async function busyFile(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat: 'v1' });
  await store.appendMany(makeNodes(50, 0, 100));
  await store.allocate(3, 'v2');
  for (const block of [3, 4]) await store.free(block);
  await store.appendMany(makeNodes(60, 0, 100, 7));
  return file.bytes.slice();
}

/** As {@link busyFile}, cut off before the headers of its last commit were written to their places: only the record has them. */
export async function fileWithPendingCommit(): Promise<{ bytes: Uint8Array; complete: Uint8Array }> {
  const file = new MemoryBlockFile(await busyFile());
  const store = await PageStore.open(file);
  await store.appendMany(makeNodes(5, 10, 20, 3));
  const before = file.bytes.slice();
  await store.appendMany(makeNodes(5, 10, 20, 4));
  const complete = file.bytes.slice();
  const bytes = complete.slice();
  for (let block = 0; block < bytes.length / BLOCK_BYTES; block++) {
    const head = [block * BLOCK_BYTES, block * BLOCK_BYTES + 64] as const;
    bytes.set(before.subarray(...head), head[0]);
  }
  return { bytes, complete };
}
