import { jsonLine } from '../report/json.ts';
import type { RefRun } from '../store/page-ref.ts';
import type { PageStore } from '../store/page-store.ts';
import type { Context } from './context.ts';
import type { CommonOptions } from './options.ts';

/** Refs are gathered to texts of about this many characters. */
const TEXT_CHARACTERS = 32_768;

interface AppendRunOptions extends CommonOptions {
  readonly batch?: number;
}

/** One run of `append`: stages nodes, commits them in batches, and prints the refs of what is durable. */
export class AppendRun {
  readonly #context: Context;
  readonly #store: PageStore;
  readonly #options: AppendRunOptions;
  readonly #batchNodes: number;
  #nodeBytes = 0;
  #acknowledgedNodes = 0;

  constructor(context: Context, store: PageStore, options: AppendRunOptions) {
    this.#context = context;
    this.#store = store;
    this.#options = options;
    this.#batchNodes = options.batch ?? Infinity;
  }

  get hasStaged(): boolean {
    return this.#store.stagedNodes > 0;
  }

  /** Nodes that are durable. */
  get acknowledgedNodes(): number {
    return this.#acknowledgedNodes;
  }

  /** Bytes of the nodes that were taken. */
  get nodeBytes(): number {
    return this.#nodeBytes;
  }

  /** Whether nobody reads the refs any more: then there is no telling what is durable, and the run ends. */
  get isOver(): boolean {
    return this.#context.stdout.closed;
  }

  /** Stages a node, if that takes no input or output. @returns false where it does: then {@link add} is to be called */
  tryAdd(source: Uint8Array, start: number, end: number): boolean {
    if (this.#store.stagedNodes >= this.#batchNodes || !this.#store.stage(source, start, end)) return false;
    this.#nodeBytes += end - start;
    return true;
  }

  /** Commits what is staged, and stages a node in the room that it then has. */
  async add(source: Uint8Array, start: number, end: number): Promise<void> {
    await this.commit();
    this.#context.signal.throwIfAborted();
    if (this.isOver) return;
    if (!this.tryAdd(source, start, end)) {
      await this.#store.makeRoom(end - start);
      if (!this.tryAdd(source, start, end)) throw new Error('there was room made for a node, and it did not fit');
    }
  }

  /** Makes what is staged durable, and prints where it is. */
  async commit(): Promise<void> {
    if (!this.hasStaged) return;
    const runs = await this.#store.commit();
    for (const run of runs) {
      this.#acknowledgedNodes += run.count;
      if (this.#options.quiet !== true || this.#options.json === true) await this.#print(run);
    }
    await this.#context.stdout.flush();
  }

  async #print({ block, slot, count }: RefRun): Promise<void> {
    let text = '';
    for (let each = slot; each < slot + count; each++) {
      text += this.#options.json === true ? jsonLine('node', { ref: `${block}:${each}` }) : `${block}:${each}\n`;
      if (text.length >= TEXT_CHARACTERS) {
        await this.#context.stdout.write(text);
        text = '';
      }
    }
    await this.#context.stdout.write(text);
  }
}
