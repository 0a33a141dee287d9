import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { ReplacedHead } from '../disk/commit-log.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { finalizePage } from '../format/page.ts';
import { isFinalized } from '../format/page-header.ts';
import { pageProblems } from '../format/page-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { readValidPage } from './page-reader.ts';

/** Pages whose headers are written between two syncs. */
const PAGES_PER_COMMIT = 256;

export interface FinalizedPage {
  readonly block: number;
  readonly outcome: 'sealed' | 'was sealed' | 'damaged';
  /** Nodes in the page; 0 if it is damaged. */
  readonly nodes: number;
  /** Why a damaged page was not finalized: a new checksum would cover the damage. */
  readonly error?: PageStoreError;
}

export interface FinalizeOptions {
  /** Block ids of the pages; by default all pages, and damaged ones are left as they are. */
  readonly blocks?: readonly number[];
  /** Called with the result for each page, in order, once it is durable. */
  readonly onPage?: (page: FinalizedPage) => void | Promise<void>;
  /** Called before each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two pages; the call rejects with the signal's reason. Pages before are durable and reported. */
  readonly signal?: AbortSignal;
}

export async function finalizePages(
  disk: DiskManager,
  { blocks, onPage, onProgress, signal }: FinalizeOptions,
): Promise<void> {
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  const heads: ReplacedHead[] = [];
  const pages: FinalizedPage[] = [];

  const finalize = async (block: number): Promise<void> => {
    try {
      const page = await readValidPage(disk, block, target, scratch);
      const nodes = page.directory.count;
      if (isFinalized(page.header)) return void pages.push({ block, outcome: 'was sealed', nodes });
      // The program that wrote it can still complete a page without a directory; once finalized, it cannot.
      for (const problem of pageProblems(page, block)) {
        if (problem.code === 'NODES_WITHOUT_DIRECTORY') throw problemError(disk, problem);
      }
      const { header: head, written } = finalizePage(page, disk.stampOf(block));
      if (written) await disk.writeUncopied(block, target.subarray(written.start, written.end), written.start);
      heads.push({ block, head, oldHead: target.slice(0, PAGE_HEADER_BYTES) });
      pages.push({ block, outcome: 'sealed', nodes });
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO' || error.code === 'BLOCK_RANGE') throw error;
      if (error.code !== 'BLOCK_FREE') pages.push({ block, outcome: 'damaged', nodes: 0, error });
      else if (blocks !== undefined) throw error;
    }
  };

  const commit = async (): Promise<void> => {
    const [committed, reported] = [heads.splice(0), pages.splice(0)];
    if (committed.length > 0) await disk.commitHeads(committed);
    for (const page of reported) await onPage?.(page);
  };

  await disk.takeUpDigest({ signal, onProgress });
  // A directory may be written where an older one was, which a header on the device may still refer to.
  await disk.sync();
  try {
    for (const block of blocks ? new Set(blocks) : blockIds(disk.blockCount)) {
      const pause = betweenBlocks(block, disk.blockCount, { signal });
      if (pause) await pause;
      signal?.throwIfAborted();
      await onProgress?.(block, disk.blockCount);
      await finalize(block);
      if (pages.length >= PAGES_PER_COMMIT) await commit();
    }
  } catch (error) {
    // A block that cannot be finalized does not prevent those before it from being finalized.
    if (!(error instanceof PageStoreError && error.code === 'IO')) await commit();
    throw error;
  }
  await commit();
}

function* blockIds(blockCount: number): Generator<number> {
  for (let block = 1; block < blockCount; block++) yield block;
}
