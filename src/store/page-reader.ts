import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { problemError } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset } from '../format/layout.ts';
import { firstPageError, formatUnderZeros, zeroedMagicProblem } from '../format/page-checks.ts';
import { decodePage, nodeOf, type Page } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import type { SlotDirectory } from '../format/slots.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
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

interface Entry {
  readonly page: Page;
  /** Whether it was asked for since it was last spared. */
  isUsed: boolean;
}

/** Pages that were read, checked, and kept: those that are asked for again stay longest. */
export class PageCache {
  readonly #maxPages: number;
  /** In the order in which they came, or were last spared: a Map keeps the order of insertion. */
  readonly #entries = new Map<number, Entry>();
  #generation = 0;

  /** @param bytes - of blocks; there is room for one page at the least */
  constructor(bytes: number) {
    this.#maxPages = Math.max(1, Math.floor(bytes / BLOCK_BYTES));
  }

  /** Grows with each `drop` and `clear`; what was read before one of them may be out of date after it. */
  get generation(): number {
    return this.#generation;
  }

  get(block: number): Page | undefined {
    const entry = this.#entries.get(block);
    if (entry === undefined) return undefined;
    // To note it costs nothing; to keep the pages in the order of their last use would cost more than all else that a read does.
    entry.isUsed = true;
    return entry.page;
  }

  /** Keeps a page, unless something was dropped since `generation`. */
  put(block: number, page: Page, generation: number): void {
    if (generation !== this.#generation) return;
    if (this.#entries.size >= this.#maxPages && !this.#entries.has(block)) this.#evict();
    this.#entries.set(block, { page, isUsed: false });
  }

  drop(block: number): void {
    this.#generation++;
    this.#entries.delete(block);
  }

  clear(): void {
    this.#generation++;
    this.#entries.clear();
  }

  /** Lets go of the oldest page that was not asked for since its last chance, and gives those before it another one. */
  #evict(): void {
    for (const [block, entry] of this.#entries) {
      this.#entries.delete(block);
      if (!entry.isUsed) return;
      entry.isUsed = false;
      this.#entries.set(block, entry);
    }
  }
}

/** Bytes of blocks that are kept unless told: 256 pages. */
const CACHE_BYTES = 64 * 2 ** 20;

/** Reads nodes through pages that are kept for a while. */
export class NodeReader {
  readonly #disk: DiskManager;
  readonly #cache: PageCache;

  constructor(disk: DiskManager, cacheBytes: number = CACHE_BYTES) {
    this.#disk = disk;
    this.#cache = new PageCache(cacheBytes);
  }

  /** A view of a node; in a file opened for reading, one that a writer has committed since is found as well. */
  async view(ref: PageRef): Promise<Uint8Array> {
    try {
      return await this.#viewOf(ref);
    } catch (error) {
      if (!isOutOfRange(error) || !(await this.#disk.refresh())) throw error;
      this.#cache.clear();
      return this.#viewOf(ref);
    }
  }

  /** A view of a node whose page is kept; else nothing. */
  tryView({ block, slot }: PageRef): Uint8Array | undefined {
    const page = this.#cache.get(block);
    if (page === undefined || !hasSlot(page, slot)) return undefined;
    return nodeOf(page, slot);
  }

  /** A copy of a node whose page is kept; else nothing. */
  tryRead({ block, slot }: PageRef): Uint8Array | undefined {
    const page = this.#cache.get(block);
    if (page === undefined || !hasSlot(page, slot)) return undefined;
    const { directory } = page;
    const offset = directory.nodeOffset(slot);
    return page.block.slice(offset, offset + directory.nodeBytes(slot));
  }

  /** A page that does not change any more, even when its block does. */
  async readPage(block: number): Promise<Page> {
    const cached = this.#cache.get(block);
    if (cached) return cached;
    const generation = this.#cache.generation;
    const page = await readSoundPage(this.#disk, block);
    this.#cache.put(block, page, generation);
    return page;
  }

  /** Forgets a block that has changed. */
  drop(block: number): void {
    this.#cache.drop(block);
  }

  /** Forgets all blocks. */
  clear(): void {
    this.#cache.clear();
  }

  async #viewOf(ref: PageRef): Promise<Uint8Array> {
    const page = await this.readPage(ref.block);
    assertSlot(this.#disk, page, ref);
    return nodeOf(page, ref.slot);
  }
}

const hasSlot = (page: Page, slot: number): boolean =>
  slot >= 0 && slot < page.directory.count && Number.isInteger(slot);

const isOutOfRange = (error: unknown): boolean =>
  error instanceof PageStoreError && (error.code === 'BLOCK_RANGE' || error.code === 'SLOT_RANGE');

const NO_BYTES = new Uint8Array(0);

/**
 * Goes over all nodes of a file, in the order of their blocks and slots, without an object for each:
 *
 * ```ts
 * while (await cursor.nextPage()) while (cursor.next()) use(cursor.bytes, cursor.start, cursor.end);
 * ```
 *
 * It keeps one page in memory, which the next one takes the place of: a call of `nextPage` is awaited before the next.
 */
export class NodeCursor {
  readonly #pages: AsyncGenerator<{ block: number; page: Page }>;
  #directory: SlotDirectory | undefined;
  #count = 0;
  #block = 0;
  #slot = -1;
  #start = 0;
  #end = 0;
  #bytes: Uint8Array = NO_BYTES;

  /** Of a store: see `PageStore.cursor`. */
  constructor(disk: DiskManager) {
    this.#pages = soundPages(disk);
  }

  /**
   * Reads the next page and checks all of it. The cursor is before the first node of the page then; that may have none.
   * @returns false, where there is no further page
   * @throws {@link PageStoreError} as `PageStore.pages`; then it is at its end
   */
  async nextPage(): Promise<boolean> {
    this.#count = 0;
    const { value, done } = await this.#pages.next();
    if (done === true) return false;
    const { block, page } = value;
    this.#block = block;
    this.#bytes = page.block;
    this.#directory = page.directory;
    this.#count = page.directory.count;
    this.#slot = -1;
    return true;
  }

  /** Goes to the next node of the page. @returns false, where the page has no further node: the cursor stays where it is */
  next(): boolean {
    const slot = this.#slot + 1;
    const directory = this.#directory;
    if (slot >= this.#count || directory === undefined) return false;
    this.#slot = slot;
    this.#start = directory.nodeOffset(slot);
    this.#end = this.#start + directory.nodeBytes(slot);
    return true;
  }

  /** The block that the cursor is in. */
  get block(): number {
    return this.#block;
  }

  /** The slot of the node that the cursor is at. */
  get slot(): number {
    return this.#slot;
  }

  /** The 262,144 bytes of the block; not to be changed, and valid until `nextPage` is called. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the node begins in {@link bytes}. */
  get start(): number {
    return this.#start;
  }

  /** Where the node ends in {@link bytes}. */
  get end(): number {
    return this.#end;
  }
}
