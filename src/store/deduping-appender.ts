import { KeyMap } from '../arena/key-map.ts';
import { maxNodeBytes } from '../format/page.ts';
import type { Appender } from './appender.ts';
import type { NodeAppender } from './appender.ts';
import type { RefRun } from './page-ref.ts';
import { RunList } from './page-ref.ts';

/** More slots than any page has: a ref is kept as one number, block times this plus slot. */
const SLOTS_PER_BLOCK = 262_144;

/** No page of either format holds a longer node. */
const MAX_KEPT_BYTES = maxNodeBytes('v2');

/** Refs that may wait for a commit, in runs: what repeats itself fills no page, and its refs are to be told all the same. */
const MAX_WAITING_RUNS = 4_096;

/**
 * Stores equal nodes once: one that it has appended before is not packed again, and its ref is that of the first. It keeps
 * the bytes of each node that is new until `reset`, since then pages may change under the refs that it knows.
 */
export class DedupingAppender implements NodeAppender {
  readonly #appender: Appender;
  readonly #refs = new KeyMap<number>();
  /** The refs of what was staged, in its order. */
  readonly #waiting = new RunList(MAX_WAITING_RUNS);
  #duplicateNodes = 0;

  constructor(appender: Appender) {
    this.#appender = appender;
  }

  get stagedNodes(): number {
    return this.#waiting.nodeCount;
  }

  /** Nodes so far that were equal to one before; `reset` does not set it back. */
  get duplicateNodes(): number {
    return this.#duplicateNodes;
  }

  stage(source: Uint8Array, start: number, end: number): boolean {
    if (this.#waiting.isFull) return false;
    // What no page holds is refused, and not kept.
    if (end - start > MAX_KEPT_BYTES) return this.#appender.stage(source, start, end);
    const entry = this.#refs.entryOf(source, start, end);
    if (this.#isKnown(entry)) return true;
    return this.#appender.stage(source, start, end) && this.#remember(entry);
  }

  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    let at = start;
    for (let next = from; next < to; next++) {
      if (this.#waiting.isFull) return next - from;
      const end = at + (lengths[next] as number); // next < to
      if (end - at > MAX_KEPT_BYTES) return next - from;
      const entry = this.#refs.entryOf(source, at, end);
      if (!this.#isKnown(entry)) {
        if (this.#appender.stageMany(source, at, lengths, next, next + 1) === 0) return next - from;
        this.#remember(entry);
      }
      at = end;
    }
    return to - from;
  }

  /** Gives a node that was appended before the ref that it has. */
  #isKnown(entry: number): boolean {
    const known = this.#refs.valueAt(entry);
    if (known === undefined) return false;
    this.#duplicateNodes++;
    this.#waiting.add(Math.floor(known / SLOTS_PER_BLOCK), known % SLOTS_PER_BLOCK);
    return true;
  }

  #remember(entry: number): true {
    const { lastBlock, lastSlot } = this.#appender;
    this.#refs.setValueAt(entry, lastBlock * SLOTS_PER_BLOCK + lastSlot);
    this.#waiting.add(lastBlock, lastSlot);
    return true;
  }

  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    if (this.#waiting.isFull) return this.commit();
    const committed = await this.#forgetOnFailure(() => this.#appender.makeRoom(nodeBytes));
    return committed.length === 0 ? [] : this.#waiting.take();
  }

  async commit(): Promise<RefRun[]> {
    // With duplicates alone there is nothing to write: what they are equal to is durable.
    if (this.#appender.stagedNodes > 0) await this.#forgetOnFailure(() => this.#appender.commit());
    return this.#waiting.take();
  }

  reset(): void {
    this.#appender.reset();
    this.#refs.clear();
    this.#waiting.take();
  }

  /** Refs of staged nodes that a failed commit has dropped are void; any other failure leaves what is staged. */
  async #forgetOnFailure(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    const staged = this.#appender.stagedNodes;
    try {
      return await work();
    } catch (error) {
      if (staged > 0 && this.#appender.stagedNodes === 0) this.reset();
      throw error;
    }
  }
}
