import type { RefRun } from './page-ref.ts';

/** Refs in an order of their own, as runs of slots that follow each other; without an object for each until they are taken. */
export class RunList {
  readonly #blocks: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #counts: Uint32Array;
  #length = 0;
  #nodeCount = 0;

  constructor(maxRuns: number) {
    this.#blocks = new Uint32Array(maxRuns);
    this.#slots = new Uint32Array(maxRuns);
    this.#counts = new Uint32Array(maxRuns);
  }

  /** Refs that were added and not taken. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Whether the next ref may have no place. */
  get isFull(): boolean {
    return this.#length === this.#blocks.length;
  }

  /** Adds a ref behind the others. The list must not be full. */
  add(block: number, slot: number): void {
    const last = this.#length - 1;
    const next = (this.#slots[last] as number) + (this.#counts[last] as number); // without a last one, no number
    if (last >= 0 && this.#blocks[last] === block && next === slot) {
      this.#counts[last] = (this.#counts[last] as number) + 1; // last < length
    } else {
      this.#blocks[this.#length] = block;
      this.#slots[this.#length] = slot;
      this.#counts[this.#length] = 1;
      this.#length++;
    }
    this.#nodeCount++;
  }

  /** Takes all runs out. */
  take(): RefRun[] {
    const runs = Array.from({ length: this.#length }, (_, run) => ({
      block: this.#blocks[run] as number, // run < length, here and below
      slot: this.#slots[run] as number,
      count: this.#counts[run] as number,
    }));
    this.#length = this.#nodeCount = 0;
    return runs;
  }
}
