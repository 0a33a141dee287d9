import { BLOCK_BYTES } from '../format/layout.ts';
import type { Page } from '../format/page.ts';

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
