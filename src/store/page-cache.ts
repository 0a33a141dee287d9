import type { Page } from '../format/page.ts';

/** Pages that are kept: 16 x 256 KiB. */
const MAX_PAGES = 16;

/** The pages that were read last, checked. */
export class PageCache {
  /** In the order of their last use: a Map keeps the order of insertion. */
  readonly #pages = new Map<number, Page>();
  #generation = 0;

  /** Grows with each `drop` and `clear`; what was read before one of them may be out of date after it. */
  get generation(): number {
    return this.#generation;
  }

  get(block: number): Page | undefined {
    const page = this.#pages.get(block);
    if (page) {
      this.#pages.delete(block);
      this.#pages.set(block, page);
    }
    return page;
  }

  /** Keeps a page, unless something was dropped since `generation`. */
  put(block: number, page: Page, generation: number): void {
    if (generation !== this.#generation) return;
    this.#pages.set(block, page);
    if (this.#pages.size > MAX_PAGES) {
      for (const oldest of this.#pages.keys()) {
        this.#pages.delete(oldest);
        break;
      }
    }
  }

  drop(block: number): void {
    this.#generation++;
    this.#pages.delete(block);
  }

  clear(): void {
    this.#generation++;
    this.#pages.clear();
  }
}
