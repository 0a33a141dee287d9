import type { DiskManager } from '../disk/disk-manager.ts';
import { problemError } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { sealPage } from '../format/finalize.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { Page } from '../format/page.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { pageProblems } from '../format/page-invariants.ts';
import { readSoundPage } from './page-reader.ts';

/** Pages whose headers are written between two syncs. */
const PAGES_PER_COMMIT = 256;

/** What became of a page that was to be sealed. */
export interface FinalizedPage {
  readonly block: number;
  readonly outcome: 'sealed' | 'was sealed' | 'damaged';
  readonly nodes: number;
  /** Why a damaged page was not sealed: its new checksum would cover the damage. */
  readonly error?: PageStoreError;
}

/** Seals pages; free blocks and those never written are passed over unless they are asked for by id. */
export async function finalizePages(
  disk: DiskManager,
  blocks: readonly number[] | undefined,
): Promise<FinalizedPage[]> {
  const results: FinalizedPage[] = [];
  let heads: { block: number; head: Uint8Array }[] = [];
  const target = new Uint8Array(BLOCK_BYTES);
  for (const block of blocks ? new Set(blocks) : blockIds(disk.header.blockCount)) {
    try {
      const page = await readSoundPage(disk, block, target);
      const nodes = page.directory.count;
      if ((page.header.flags & PAGE_FLAG.finalized) !== 0) {
        results.push({ block, outcome: 'was sealed', nodes });
        continue;
      }
      refuseOrphans(disk, page, block);
      const { head, written } = sealPage(page);
      if (written) await disk.write(block, target.subarray(written.start, written.end), written.start);
      heads.push({ block, head });
      results.push({ block, outcome: 'sealed', nodes });
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO' || error.code === 'BLOCK_RANGE') throw error;
      if (error.code === 'BLOCK_FREE' && blocks === undefined) continue;
      if (error.code === 'BLOCK_FREE') throw error;
      results.push({ block, outcome: 'damaged', nodes: 0, error });
    }
    if (heads.length >= PAGES_PER_COMMIT) {
      await disk.commitHeads(heads);
      heads = [];
    }
  }
  if (heads.length > 0) await disk.commitHeads(heads);
  return results;
}

/** A page with node bytes and no directory may still be mended by the program that wrote it; sealed, it never would be. */
function refuseOrphans(disk: DiskManager, page: Page, block: number): void {
  for (const problem of pageProblems(page, block)) {
    if (problem.code === 'NODES_WITHOUT_DIRECTORY') throw problemError(disk, problem);
  }
}

function* blockIds(blockCount: number): Generator<number> {
  for (let block = 1; block < blockCount; block++) yield block;
}
