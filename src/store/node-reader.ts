import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { nodeOf, type Page } from '../format/page.ts';
import { PageCache } from './page-cache.ts';
import { assertSlot, readSoundPage } from './page-reader.ts';
import type { PageRef } from './page-ref.ts';

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
