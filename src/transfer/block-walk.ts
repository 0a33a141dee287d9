import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { examinePage, type PageFacts } from '../format/page-checks.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { type FullScan, isUnwritten } from '../store/full-scan.ts';
import { unknownBlockError, zeroedPageProblem } from '../store/page-reader.ts';

/** A page in it has no errors. */
export type BlockContent = { readonly block: number } & (
  | { readonly kind: 'page'; readonly page: Page }
  | { readonly kind: 'free' | 'unwritten' }
  | { readonly kind: 'damaged'; readonly error: PageStoreError }
);

export type PageBlock = Extract<BlockContent, { kind: 'page' }>;

export type BlockWalk = AsyncGenerator<BlockContent, undefined>;

/**
 * Reads each block once, in order, and one ahead while the caller uses the current one. Of free blocks at most the
 * beginning is read. A page is valid until the block after it is requested. After `return`, no read is in progress.
 * @param scan - gets each block that is read
 */
export async function* walkBlocks(disk: DiskManager, free: BlockSet, scan?: FullScan): BlockWalk {
  // For even and odd block ids.
  const memory = [newBlockMemory(), newBlockMemory()] as const;
  const read = (block: number): Promise<BlockContent> | undefined =>
    block < disk.blockCount ? readBlock(disk, block, free, memory[(block & 1) as 0 | 1], scan) : undefined;
  let ahead = read(1);
  try {
    for (let content = await ahead; content !== undefined; content = await ahead) {
      ahead = read(content.block + 1);
      // The request for this block gets its error; without one, no caller needs it.
      ahead?.catch(() => undefined);
      yield content;
      const pause = betweenBlocks(content.block, disk.blockCount, disk);
      if (pause) await pause;
    }
  } finally {
    await ahead?.catch(() => undefined);
  }
  return undefined;
}

interface BlockMemory {
  readonly bytes: Uint8Array;
  readonly scratch: DirectoryScratch;
}

const newBlockMemory = (): BlockMemory => ({ bytes: readBuffer(BLOCK_BYTES), scratch: new DirectoryScratch() });

async function readBlock(
  disk: DiskManager,
  block: number,
  free: BlockSet,
  { bytes, scratch }: BlockMemory,
  scan: FullScan | undefined,
): Promise<BlockContent> {
  if (free.has(block)) {
    const head = bytes.subarray(0, PAGE_HEADER_BYTES);
    if (scan) await disk.read(block, head);
    scan?.addFree(block, head);
    return { block, kind: 'free' };
  }
  const read: { facts?: PageFacts | undefined } = {};
  await disk.readStable(block, bytes, () => {
    read.facts = examinePage(bytes, block, scratch);
    return read.facts ? read.facts.error === undefined : isUnwritten(bytes);
  });
  scan?.add(block, bytes);
  const { facts } = read;
  if (facts && !facts.error) return { block, kind: 'page', page: facts.page };
  if (!facts && !isUnwritten(bytes)) return { block, kind: 'damaged', error: unknownBlockError(disk, block, bytes) };
  const problem = facts?.error ?? (await zeroedPageProblem(disk, block, bytes, scratch));
  return problem ? { block, kind: 'damaged', error: problemError(disk, problem) } : { block, kind: 'unwritten' };
}

/** Without a directory, the nodes of a V2 page that was never finalized cannot be separated. */
export function noDirectoryError(disk: DiskManager, { page, block }: PageBlock): PageStoreError | undefined {
  const bytes = orphanedBytes(page);
  if (bytes === 0) return undefined;
  const message = `page ${block} has ${bytes} node bytes and no directory: it was never finalized, so the bounds of its nodes are unknown`;
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  return new PageStoreError('NODES_WITHOUT_DIRECTORY', message, detail);
}
