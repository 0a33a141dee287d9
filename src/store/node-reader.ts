import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { nodeOf, type Page } from '../format/page.ts';
import { PageCache } from './page-cache.ts';
import { assertSlot, readSoundPage } from './page-reader.ts';
import type { PageRef } from './page-ref.ts';

/** Reads nodes through pages that are kept for a while. */
export class NodeReader {
  readonly #disk: DiskManager;
  readonly #cache = new PageCache();

  constructor(disk: DiskManager) {
    this.#disk = disk;
  }

  /** A copy of a node; in a file opened for reading, one that a writer has committed since is found as well. */
  async read(ref: PageRef): Promise<Uint8Array> {
    try {
      return await this.#nodeAt(ref);
    } catch (error) {
      if (!isOutOfRange(error) || !(await this.#disk.refresh())) throw error;
      this.#cache.clear();
      return this.#nodeAt(ref);
    }
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

  async #nodeAt(ref: PageRef): Promise<Uint8Array> {
    const page = await this.readPage(ref.block);
    assertSlot(this.#disk, page, ref);
    return nodeOf(page, ref.slot).slice();
  }
}

const isOutOfRange = (error: unknown): boolean =>
  error instanceof PageStoreError && (error.code === 'BLOCK_RANGE' || error.code === 'SLOT_RANGE');
