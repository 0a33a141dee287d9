import { readBuffer } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { problemError, readAgain } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, firstU64 } from '../format/layout.ts';
import { formatOfZeroedPage, zeroedMagicProblem, examinePage, type PageFacts } from '../format/page-checks.ts';
import { nodeOf, type Page } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import { isLostEntry, type SlotDirectory } from '../format/slots.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { FullScan, isUnwritten } from './full-scan.ts';
import type { PageRef } from './page-ref.ts';

/**
 * Reads one page into `target`, 262,144 bytes of which it is a view, and checks all of it.
 * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, `BLOCK_UNKNOWN`, `IO`, or the first error in the page
 */
export async function readValidPage(
  disk: DiskManager,
  block: number,
  target: Uint8Array = readBuffer(BLOCK_BYTES),
  scratch?: DirectoryScratch,
): Promise<Page> {
  let found = await readPageOrError(disk, block, target, scratch);
  if (isUnknown(found)) {
    // A writer may have freed or reused the block since a reader read the free list.
    await readAgain(async () => {
      if (!(await disk.refresh())) return true;
      found = await readPageOrError(disk, block, target, scratch);
      return !isUnknown(found);
    });
  }
  if (found instanceof PageStoreError) throw found;
  return found;
}

const isUnknown = (found: Page | PageStoreError): boolean =>
  found instanceof PageStoreError && found.code !== 'BLOCK_FREE';

/** Returns the error for a block that is not a page, as a reader may try again; throws that of a damaged page. */
async function readPageOrError(
  disk: DiskManager,
  block: number,
  target: Uint8Array,
  scratch: DirectoryScratch | undefined,
): Promise<Page | PageStoreError> {
  const read: { facts?: PageFacts | undefined } = {};
  await disk.readStable(block, target, () => {
    read.facts = examinePage(target, block, scratch);
    return read.facts ? read.facts.error === undefined : decodeFreeLink(firstU64(target)) >= 0;
  });
  const { facts } = read;
  if (facts?.error) throw problemError(disk, facts.error);
  return facts ? facts.page : noPageError(disk, block, target);
}

/** The problem of a block that is a page except for 8 zero bytes at its beginning; undefined if it may be free. */
export async function zeroedPageProblem(
  disk: DiskManager,
  block: number,
  bytes: Uint8Array,
  scratch?: DirectoryScratch,
): Promise<Problem | undefined> {
  const format = disk.header.rootPointer === 0n ? formatOfZeroedPage(bytes, block, scratch) : undefined;
  if (format === undefined) return undefined;
  const free = await disk.freeBlocks();
  return free.error || free.has(block) ? undefined : zeroedMagicProblem(block, format);
}

async function noPageError(disk: DiskManager, block: number, bytes: Uint8Array): Promise<PageStoreError> {
  try {
    if (!isUnwritten(bytes) && !(await disk.freeBlocks()).has(block)) return unknownBlockError(disk, block, bytes);
  } catch (error) {
    if (error instanceof PageStoreError) return error;
    throw error;
  }
  const message = `block ${block} is not a page: it is free, or was never written`;
  return new PageStoreError('BLOCK_FREE', message, { file: disk.name, block, offset: fileOffset(block) });
}

export function unknownBlockError(disk: DiskManager, block: number, bytes: Uint8Array): PageStoreError {
  const found = hex(firstU64(bytes), 16);
  const message = `block ${block} is neither a page nor free: it begins with ${found}`;
  return new PageStoreError('BLOCK_UNKNOWN', message, { file: disk.name, block, offset: fileOffset(block), found });
}

/** Options of {@link PageStore.pages}. */
export interface PagesOptions {
  /** Called for each block that is skipped although it is a page, except that its first 8 bytes are zero. */
  readonly onLostPage?: ((problem: Problem) => void | Promise<void>) | undefined;
  /** Called before each block, also of those that are skipped. */
  readonly onProgress?: ((blocksDone: number, blocksTotal: number) => void | Promise<void>) | undefined;
}

/** The implementation of `PageStore.pages`: the pages share one buffer. */
export async function* readValidPages(
  disk: DiskManager,
  { onLostPage, onProgress }: PagesOptions = {},
): AsyncGenerator<{ block: number; page: Page }> {
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  const scan = new FullScan(disk);
  assertCounted(disk);
  // Ends at the first block that the file does not have: reading it throws.
  const { blockCount } = disk.header;
  for (let block = 1; block < blockCount; block++) {
    const pause = betweenBlocks(block, blockCount, disk);
    if (pause) await pause;
    disk.signal?.throwIfAborted();
    await onProgress?.(block, disk.blockCount);
    let page: Page | undefined;
    try {
      page = await readValidPage(disk, block, target, scratch);
    } catch (error) {
      if (!(error instanceof PageStoreError && error.code === 'BLOCK_FREE')) throw error;
    }
    scan.add(block, target);
    if (page) {
      yield { block, page };
    } else {
      const problem = onLostPage && (await zeroedPageProblem(disk, block, target, scratch));
      if (problem) await onLostPage?.(problem);
    }
  }
  await scan.end();
}

/** Refuses a block count of 0: then the pages are unknown, not absent. */
export function assertCounted(disk: DiskManager): void {
  if (disk.header.blockCount > 0) return;
  const message = 'blockCount is 0, so no block is known to be part of the file';
  const offset = FILE_HEADER.offsets.blockCount;
  throw new PageStoreError('BLOCK_COUNT_BEYOND_FILE', message, { file: disk.name, block: 0, offset });
}

const hasSlot = (page: Page, slot: number): boolean =>
  slot >= 0 && slot < page.directory.count && Number.isInteger(slot);

const hasNode = (page: Page, slot: number): boolean => hasSlot(page, slot) && !isLostEntry(page.directory, slot);

export function assertSlot(page: Page, { block, slot }: PageRef, file: string): void {
  if (hasSlot(page, slot)) {
    if (!isLostEntry(page.directory, slot)) return;
    const message = `the node at ${block}:${slot} is lost: the file was recovered without it, and only its number is kept`;
    throw new PageStoreError('SLOT_LOST', message, { file, block, slot });
  }
  const { count } = page.directory;
  const slots = count === 0 ? 'the page is empty' : `the page has slots 0 to ${count - 1}`;
  throw new PageStoreError('SLOT_RANGE', `there is no slot ${slot} in block ${block}: ${slots}`, { file, block, slot });
}

/** A cache of checked pages with second-chance eviction: pages that are used again stay. */
class PageCache {
  readonly #maxPages: number;
  /** In order of insertion, or of the last second chance. `isUsed`: since eviction last passed the page over. */
  readonly #entries = new Map<number, { readonly page: Page; isUsed: boolean }>();
  /** Increases with each `drop`: a page read before may be out of date. */
  generation = 0;

  constructor(bytes: number) {
    this.#maxPages = Math.max(1, Math.floor(bytes / BLOCK_BYTES));
  }

  get(block: number): Page | undefined {
    const entry = this.#entries.get(block);
    if (entry === undefined) return undefined;
    // Strict LRU order would cost more than the rest of a read.
    entry.isUsed = true;
    return entry.page;
  }

  /** Adds a page, unless any was dropped since `generation`. */
  put(block: number, page: Page, generation: number): void {
    if (generation !== this.generation) return;
    if (this.#entries.size >= this.#maxPages && !this.#entries.has(block)) this.#evict();
    this.#entries.set(block, { page, isUsed: false });
  }

  drop(block: number | undefined): void {
    this.generation++;
    if (block === undefined) this.#entries.clear();
    else this.#entries.delete(block);
  }

  #evict(): void {
    for (const [block, entry] of this.#entries) {
      this.#entries.delete(block);
      if (!entry.isUsed) return;
      entry.isUsed = false;
      this.#entries.set(block, entry);
    }
  }
}

/** 256 pages. */
const DEFAULT_CACHE_BYTES = 64 * 2 ** 20;

/** Reads nodes through a cache of pages; `PageStore` documents its methods. */
export class NodeReader {
  readonly #disk: DiskManager;
  readonly #cache: PageCache;

  constructor(disk: DiskManager, cacheBytes: number = DEFAULT_CACHE_BYTES) {
    this.#disk = disk;
    this.#cache = new PageCache(cacheBytes);
  }

  async view(ref: PageRef): Promise<Uint8Array> {
    try {
      return await this.#viewOf(ref);
    } catch (error) {
      const isOutOfRange =
        error instanceof PageStoreError && (error.code === 'BLOCK_RANGE' || error.code === 'SLOT_RANGE');
      // A writer may have added it since.
      if (!isOutOfRange || !(await this.#disk.refresh())) throw error;
      this.#cache.drop(undefined);
      return this.#viewOf(ref);
    }
  }

  tryView({ block, slot }: PageRef): Uint8Array | undefined {
    const page = this.#cache.get(block);
    if (page === undefined || !hasNode(page, slot)) return undefined;
    return nodeOf(page, slot);
  }

  /** Copies the node without a view in between. */
  tryRead({ block, slot }: PageRef): Uint8Array | undefined {
    const page = this.#cache.get(block);
    if (page === undefined || !hasNode(page, slot)) return undefined;
    const { directory } = page;
    const offset = directory.nodeOffset(slot);
    return page.block.slice(offset, offset + directory.nodeBytes(slot));
  }

  async readPage(block: number): Promise<Page> {
    const cached = this.#cache.get(block);
    if (cached) return cached;
    const generation = this.#cache.generation;
    const page = await readValidPage(this.#disk, block);
    this.#cache.put(block, page, generation);
    return page;
  }

  drop(block?: number): void {
    this.#cache.drop(block);
  }

  async #viewOf(ref: PageRef): Promise<Uint8Array> {
    const page = await this.readPage(ref.block);
    assertSlot(page, ref, this.#disk.name);
    return nodeOf(page, ref.slot);
  }
}

/**
 * Iterates over all nodes of a file, in the order of their blocks and slots, without an allocation per node:
 *
 * ```ts
 * while (await cursor.nextPage()) while (cursor.next()) use(cursor.bytes, cursor.start, cursor.end);
 * ```
 *
 * It holds one page in memory, which the next one overwrites. Await each call of `nextPage` before the next one.
 */
export class NodeCursor {
  readonly #pages: AsyncGenerator<{ block: number; page: Page }>;
  #directory: SlotDirectory | undefined;
  #count = 0;
  #block = 0;
  #slot = -1;
  #start = 0;
  #end = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(disk: DiskManager) {
    this.#pages = readValidPages(disk);
  }

  /**
   * Reads and checks the next page; the cursor is then before its first node. @returns false after the last page
   * @throws {@link PageStoreError} as `PageStore.pages`; the cursor is then at its end
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

  /** Moves to the next node of the page, past lost slots. @returns false, without moving, if there is no further node */
  next(): boolean {
    let slot = this.#slot + 1;
    const directory = this.#directory;
    if (directory === undefined) return false;
    while (slot < this.#count && isLostEntry(directory, slot)) slot++;
    if (slot >= this.#count) return false;
    this.#slot = slot;
    this.#start = directory.nodeOffset(slot);
    this.#end = this.#start + directory.nodeBytes(slot);
    return true;
  }

  get block(): number {
    return this.#block;
  }

  get slot(): number {
    return this.#slot;
  }

  /** The 262,144 bytes of the current block. Do not write to them; they are valid until `nextPage` is called. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The node is `bytes.subarray(start, end)`. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }
}
