import { readBuffer } from '../bytes/read-buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { problemError } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { hex, type Problem } from '../format/invariants.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodePage, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/page-v2.ts';
import { formatUnderZeros, zeroedMagicProblem } from '../format/page-zeroed-magic.ts';
import { firstPageError } from '../format/page-invariants.ts';
import type { PageRef } from './page-ref.ts';

/** Whether the first eight bytes of a block are zero: it was allocated and never written, or it ends the free list. */
export function isUnwritten(block: Uint8Array): boolean {
  return block.subarray(0, 8).every((byte) => byte === 0);
}

/** How often a block that is no page is read again because something was committed meanwhile. */
const MAX_READS = 20;

/**
 * Reads one page and checks all of it.
 * @param target - 262,144 bytes, which the page then is a view of
 * @param scratch - room for its directory, if other pages are to have the same
 * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, `BLOCK_UNKNOWN`, `IO`, or the code of the first thing that is wrong with the page
 */
export async function readSoundPage(
  disk: DiskManager,
  block: number,
  target: Uint8Array = readBuffer(BLOCK_BYTES),
  scratch?: DirectoryScratch,
): Promise<Page> {
  for (let reads = 1; ; reads++) {
    const found: { page?: Page | undefined; problem?: Problem | undefined } = {};
    await disk.readSettled(block, target, () => {
      found.page = decodePage(target, scratch);
      found.problem = found.page && firstPageError(found.page, block);
      return found.page ? found.problem === undefined : beginsWithLink(target);
    });
    if (found.problem) throw problemError(disk, found.problem);
    if (found.page) return found.page;
    const error = await noPageError(disk, block, target);
    // To a reader the free list is that of a moment before: a writer may have freed the block since, or used it again.
    if (error.code === 'BLOCK_FREE' || reads >= MAX_READS || !(await disk.refresh())) throw error;
  }
}

/**
 * What is wrong with a block that begins with 8 zero bytes, where it is a page but for those; nothing where it may be a free
 * block of another program.
 */
export async function zeroedPageProblem(
  disk: DiskManager,
  block: number,
  bytes: Uint8Array,
  scratch?: DirectoryScratch,
): Promise<Problem | undefined> {
  const format = disk.header.rootPointer === 0n ? formatUnderZeros(bytes, block, scratch) : undefined;
  if (format === undefined) return undefined;
  const free = await disk.freeBlocks();
  return free.error || free.has(block) ? undefined : zeroedMagicProblem(block, format);
}

/** Whether the first eight bytes of a block could be the link of a free one. */
function beginsWithLink(block: Uint8Array): boolean {
  return decodeFreeLink(new DataView(block.buffer, block.byteOffset, 8).getBigUint64(0, true)) >= 0;
}

async function noPageError(disk: DiskManager, block: number, bytes: Uint8Array): Promise<PageStoreError> {
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  let isFree = isUnwritten(bytes);
  try {
    isFree ||= (await disk.freeBlocks()).has(block);
  } catch (error) {
    if (error instanceof PageStoreError) return error;
    throw error;
  }
  if (isFree) {
    return new PageStoreError('BLOCK_FREE', `block ${block} is no page: it is free, or was never written`, detail);
  }
  const found = hex(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true), 16);
  const message = `block ${block} is neither a page nor free: it begins with ${found}`;
  return new PageStoreError('BLOCK_UNKNOWN', message, { ...detail, found });
}

/**
 * Reads all pages, in the order of their blocks, past free blocks and those never written. A page is valid until
 * the next one is asked for: they share one buffer.
 * @param onLost - hears of a block that is past over, and is a page but for 8 zero bytes at its beginning
 * @throws {@link PageStoreError} as {@link readSoundPage}, at the first block that is damaged or missing
 */
export async function* soundPages(
  disk: DiskManager,
  onLost?: (problem: Problem) => void | Promise<void>,
): AsyncGenerator<{ block: number; page: Page }> {
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  assertCounted(disk);
  const countedBlocks = disk.header.blockCount;
  for (let block = 1; block < countedBlocks; block++) {
    try {
      yield { block, page: await readSoundPage(disk, block, target, scratch) };
    } catch (error) {
      if (!(error instanceof PageStoreError && error.code === 'BLOCK_FREE')) throw error;
      const problem = onLost && (await zeroedPageProblem(disk, block, target, scratch));
      if (problem) await onLost?.(problem);
    }
  }
}

/** @throws {@link PageStoreError} `BLOCK_COUNT_BEYOND_FILE` where the header counts no blocks: the pages of such a file are not none, but unknown */
export function assertCounted(disk: DiskManager): void {
  if (disk.header.blockCount > 0) return;
  const message = 'blockCount is 0, so no block is known to be part of the file';
  const offset = FILE_HEADER.offsetOf('blockCount');
  throw new PageStoreError('BLOCK_COUNT_BEYOND_FILE', message, { file: disk.name, block: 0, offset });
}

/** @throws {@link PageStoreError} `SLOT_RANGE` where the page has no such slot */
export function assertSlot(disk: DiskManager, page: Page, ref: PageRef): void {
  const { count } = page.directory;
  if (Number.isInteger(ref.slot) && ref.slot >= 0 && ref.slot < count) return;
  const slots = count === 0 ? 'the page is empty' : `the page has slots 0 to ${count - 1}`;
  const message = `there is no slot ${ref.slot} in block ${ref.block}: ${slots}`;
  throw new PageStoreError('SLOT_RANGE', message, { file: disk.name, ...ref });
}

/** @throws {@link PageStoreError} `BLOCK_IN_USE` in a file with a trie, which owns all its pages */
export function assertNoTrie(disk: DiskManager, block: number): void {
  if (disk.header.rootPointer === 0n) return;
  const message = `block ${block} may hold nodes of the trie in this file, whose root pointer is set: nothing was freed`;
  throw new PageStoreError('BLOCK_IN_USE', message, { file: disk.name, block, offset: fileOffset(block) });
}
