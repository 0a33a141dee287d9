import { readBuffer } from '../bytes/read-buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { DirectoryScratch } from '../format/page-v2.ts';
import { addPage, newStatistics, type PageStatistics } from '../format/statistics.ts';
import { assertCounted, readSoundPage } from './page-reader.ts';

/**
 * Reads all pages and counts. A damaged page is counted as such, and what is in it is not.
 * @throws {@link PageStoreError} `BLOCK_COUNT_BEYOND_FILE`, `IO`; the reason of `signal`
 */
export async function collectStatistics(
  disk: DiskManager,
  signal?: AbortSignal,
  onBlock?: (done: number, total: number) => Promise<void>,
): Promise<PageStatistics> {
  assertCounted(disk);
  const statistics = newStatistics(disk.header.blockCount);
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  for (let block = 1; block < disk.header.blockCount; block++) {
    signal?.throwIfAborted();
    try {
      addPage(statistics, await readSoundPage(disk, block, target, scratch));
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      if (error.code === 'BLOCK_FREE') statistics.otherBlocks++;
      else statistics.damagedPages++;
    }
    await onBlock?.(block + 1, disk.header.blockCount);
  }
  return statistics;
}
