import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { problemError } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { examinePage, type PageFacts } from '../format/page-checks.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { isUnwritten, unknownBlockError, zeroedPageProblem } from '../store/page-reader.ts';

/** What a block holds. A page has no errors. */
export type BlockContent = { readonly block: number } & (
  | { readonly kind: 'page'; readonly page: Page }
  | { readonly kind: 'free' | 'unwritten' }
  | { readonly kind: 'damaged'; readonly error: PageStoreError }
);

/** A block that is a page. */
export type PageBlock = Extract<BlockContent, { kind: 'page' }>;

/** A walk over the blocks of a file. */
export type BlockWalk = AsyncGenerator<BlockContent, undefined>;

/**
 * Reads the blocks of a file in order, each once, and one ahead: the system reads the next block while the caller uses the
 * current one. Free blocks are not read. A page is valid until the block after it is requested. After `return`, no read is
 * in progress.
 * @throws {@link PageStoreError} `IO`
 */
export async function* walkBlocks(disk: DiskManager, free: BlockSet): BlockWalk {
  // For blocks with an even and with an odd id.
  const memory = [newBlockMemory(), newBlockMemory()] as const;
  const read = (block: number): Promise<BlockContent> | undefined =>
    block < disk.blockCount ? readBlock(disk, block, free, memory[(block & 1) as 0 | 1]) : undefined;
  let ahead = read(1);
  try {
    for (let content = await ahead; content !== undefined; content = await ahead) {
      ahead = read(content.block + 1);
      // The request for this block gets its error. If there is no such request, nobody needs it.
      ahead?.catch(() => undefined);
      yield content;
    }
  } finally {
    await ahead?.catch(() => undefined);
  }
  return undefined;
}

/** Memory for one block and the directory of its page. */
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
): Promise<BlockContent> {
  if (free.has(block)) return { block, kind: 'free' };
  const read: { facts?: PageFacts | undefined } = {};
  await disk.readStable(block, bytes, () => {
    read.facts = examinePage(bytes, block, scratch);
    return read.facts ? read.facts.error === undefined : isUnwritten(bytes);
  });
  const { facts } = read;
  if (facts && !facts.error) return { block, kind: 'page', page: facts.page };
  if (!facts && !isUnwritten(bytes)) return { block, kind: 'damaged', error: unknownBlockError(disk, block, bytes) };
  const problem = facts?.error ?? (await zeroedPageProblem(disk, block, bytes, scratch));
  return problem ? { block, kind: 'damaged', error: problemError(disk, problem) } : { block, kind: 'unwritten' };
}

/** The error for a V2 page that was never finalized: without a directory its nodes cannot be separated. */
export function noDirectoryError(disk: DiskManager, { page, block }: PageBlock): PageStoreError | undefined {
  const bytes = orphanedBytes(page);
  if (bytes === 0) return undefined;
  const message = `page ${block} has ${bytes} node bytes and no directory: it was never finalized, so the bounds of its nodes are unknown`;
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  return new PageStoreError('NODES_WITHOUT_DIRECTORY', message, detail);
}
