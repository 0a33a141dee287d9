import { KeyMap } from '../arena/key-map.ts';
import { maxNodeBytes } from '../format/page.ts';
import type { Appender, NodeAppender } from './appender.ts';
import { type RefRun, RunList } from './page-ref.ts';

/** More slots than any page has: a ref is kept as one number, block times this plus slot. */
const SLOTS_PER_BLOCK = 262_144;

/** Neither page format holds a longer node. */
const MAX_KEPT_BYTES = maxNodeBytes('v2');

/** Most uncommitted refs, in runs: repeated nodes fill no page, so nothing else would make them wait for a commit. */
const MAX_WAITING_RUNS = 4_096;

/** Different nodes, numbered 0, 1, 2, ..., and the ref of each as one number. It keeps a copy of their bytes. */
export class DistinctNodes extends KeyMap<number> {
  setRef(entry: number, block: number, slot: number): void {
    this.setValueAt(entry, block * SLOTS_PER_BLOCK + slot);
  }

  blockOf(ref: number): number {
    return Math.floor(ref / SLOTS_PER_BLOCK);
  }

  slotOf(ref: number): number {
    return ref % SLOTS_PER_BLOCK;
  }
}

/** Stores equal nodes once, under the first one's ref. `reset` forgets all, since pages may change then. */
export class DedupingAppender implements NodeAppender {
  readonly #appender: Appender;
  readonly #known = new DistinctNodes();
  readonly #waiting = new RunList();
  /** Nodes so far that were equal to an earlier one; `reset` does not change it. */
  duplicateNodes = 0;

  constructor(appender: Appender) {
    this.#appender = appender;
  }

  get stagedNodes(): number {
    return this.#waiting.nodeCount;
  }

  stage(source: Uint8Array, start: number, end: number): boolean {
    if (this.#waiting.runCount >= MAX_WAITING_RUNS) return false;
    // A node that is too large for every page is refused, not kept.
    if (end - start > MAX_KEPT_BYTES) return this.#appender.stage(source, start, end);
    const entry = this.#known.entryOf(source, start, end);
    const ref = this.#known.valueAt(entry);
    if (ref !== undefined) {
      this.duplicateNodes++;
      this.#waiting.add(this.#known.blockOf(ref), this.#known.slotOf(ref));
      return true;
    }
    if (!this.#appender.stage(source, start, end)) return false;
    const { lastBlock, lastSlot } = this.#appender;
    this.#known.setRef(entry, lastBlock, lastSlot);
    this.#waiting.add(lastBlock, lastSlot);
    return true;
  }

  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    let offset = start;
    for (let next = from; next < to; next++) {
      const end = offset + (lengths[next] as number);
      if (!this.stage(source, offset, end)) return next - from;
      offset = end;
    }
    return to - from;
  }

  stageRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    for (let at = from; at < to; at += 2) {
      const start = (words[at] as number) - base; // from <= at < to <= words.length
      if (!this.stage(source, start, start + (words[at + 1] as number))) return at;
    }
    return to;
  }

  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    if (this.#waiting.runCount >= MAX_WAITING_RUNS) return this.commit();
    const committed = await this.#resetIfDropped(() => this.#appender.makeRoom(nodeBytes));
    return committed.length === 0 ? [] : this.#waiting.take();
  }

  async commit(): Promise<RefRun[]> {
    // If all staged nodes are duplicates there is nothing to write: the nodes that they are equal to are durable.
    if (this.#appender.stagedNodes > 0) await this.#resetIfDropped(() => this.#appender.commit());
    return this.#waiting.take();
  }

  reset(): void {
    this.#appender.reset();
    this.#known.clear();
    this.#waiting.take();
  }

  /** Resets if a failure has dropped the staged nodes: their refs are void. After other failures they stay staged. */
  async #resetIfDropped(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    const staged = this.#appender.stagedNodes;
    try {
      return await work();
    } catch (error) {
      if (staged > 0 && this.#appender.stagedNodes === 0) this.reset();
      throw error;
    }
  }
}
