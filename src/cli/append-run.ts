import { jsonLine } from '../report/reporter.ts';
import type { RefRun } from '../store/page-ref.ts';
import type { PageStore } from '../store/page-store.ts';
import type { Context } from './context.ts';
import { decodeFrame, type Encoding, Framer, type Framing } from './framing.ts';
import { type Input, InputReader, InputWindow, LONGEST_WAIT_MS, MAX_FRAME_BYTES } from './input.ts';
import type { CommonOptions } from './options.ts';
import type { Progress } from './progress.ts';

const REF_BUFFER_BYTES = 32_768;

/** A block id has at most eight digits, a slot six; and there are a colon and a line end. */
const MAX_REF_LINE_BYTES = 16;

interface AppendRunOptions extends CommonOptions {
  readonly batch?: number;
}

/** One run of `append`: stages nodes, commits them in batches, and prints the refs of what is durable. */
export class AppendRun {
  readonly #context: Context;
  readonly #store: PageStore;
  readonly #options: AppendRunOptions;
  readonly #batchNodes: number;
  readonly #refs = Buffer.allocUnsafe(REF_BUFFER_BYTES);
  #usedBytes = 0;
  #nodeBytes = 0;
  #acknowledgedNodes = 0;
  /** Since when nodes may have been waiting to become durable. */
  #waitingSince: number | undefined;

  constructor(context: Context, store: PageStore, options: AppendRunOptions) {
    this.#context = context;
    this.#store = store;
    this.#options = options;
    this.#batchNodes = options.batch ?? Infinity;
  }

  get hasStaged(): boolean {
    return this.#store.stagedNodes > 0;
  }

  /**
   * Whether nodes have waited so long that they are to be committed, for input that comes steadily and slowly. To be asked
   * with each piece of input.
   * @param hasMore - whether there are nodes that have yet to be staged
   */
  isDue(hasMore: boolean): boolean {
    if (!this.hasStaged && !hasMore) this.#waitingSince = undefined;
    else this.#waitingSince ??= performance.now();
    return this.#waitingSince !== undefined && performance.now() - this.#waitingSince >= LONGEST_WAIT_MS;
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

  /**
   * Stages nodes that stand end to end in `source` from `start` on, if that takes no input or output.
   * @returns how many: the next one, where some are left, is one for {@link add}
   */
  tryAddMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number): number {
    const to = Math.min(lengths.length, from + this.#batchNodes - this.#store.stagedNodes);
    const staged = this.#store.stageMany(source, start, lengths, from, to);
    for (let index = from; index < from + staged; index++) this.#nodeBytes += lengths[index] as number; // index < to
    return staged;
  }

  /** Stages a node in the room that is made for it, and prints the refs of what has to be committed before. */
  async add(source: Uint8Array, start: number, end: number): Promise<void> {
    if (this.#store.stagedNodes >= this.#batchNodes) await this.commit();
    while (!this.tryAdd(source, start, end)) {
      await this.#acknowledge(await this.#store.makeRoom(end - start));
      this.#context.signal.throwIfAborted();
      if (this.isOver) return;
    }
  }

  /** Makes what is staged durable, and prints where it is. */
  async commit(): Promise<void> {
    if (this.hasStaged) await this.#acknowledge(await this.#store.commit());
  }

  async #acknowledge(runs: readonly RefRun[]): Promise<void> {
    if (runs.length === 0) return;
    this.#waitingSince = undefined;
    for (const run of runs) {
      this.#acknowledgedNodes += run.count;
      if (this.#options.quiet !== true || this.#options.json === true) await this.#print(run);
    }
    await this.#flushRefs();
    await this.#context.stdout.flush();
  }

  async #print({ block, slot, count }: RefRun): Promise<void> {
    if (this.#options.json === true) {
      for (let each = slot; each < slot + count; each++) {
        await this.#context.stdout.write(jsonLine('node', { ref: `${block}:${each}` }));
      }
      return;
    }
    // Digits straight into bytes: a string for each ref is garbage faster than it is collected.
    for (let each = slot; each < slot + count; each++) {
      if (this.#usedBytes + MAX_REF_LINE_BYTES > this.#refs.length) await this.#flushRefs();
      const colon = writeDecimal(block, this.#refs, this.#usedBytes);
      this.#refs[colon] = 0x3a;
      const end = writeDecimal(each, this.#refs, colon + 1);
      this.#refs[end] = 0x0a;
      this.#usedBytes = end + 1;
    }
  }

  async #flushRefs(): Promise<void> {
    const bytes = this.#refs.subarray(0, this.#usedBytes);
    this.#usedBytes = 0;
    await this.#context.stdout.write(bytes);
  }
}

/** Writes a number in decimal. @returns the offset behind it */
function writeDecimal(value: number, target: Uint8Array, offset: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  let rest = value;
  for (let at = offset + digits - 1; at >= offset; at--) {
    target[at] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return offset + digits;
}

interface FrameOptions {
  readonly framing: Framing;
  readonly encoding: Encoding;
}

/** Room for a decoded node, for as long as no frame is longer. */
const DECODED_BYTES = 4096;

/** Stages the frames of an input, and commits where it pauses. */
export async function appendFrames(
  context: Context,
  run: AppendRun,
  input: Input,
  options: FrameOptions,
  progress: Progress,
): Promise<void> {
  const window = new InputWindow();
  const framer = new Framer(options.framing, window, MAX_FRAME_BYTES);
  const reader = new InputReader(input.source, window, context.signal);
  let decoded = new Uint8Array(options.encoding === 'raw' ? 0 : DECODED_BYTES);
  let inputBytes = 0;
  for (;;) {
    const event = await reader.nextEvent(run.hasStaged);
    if (event.kind === 'pause') {
      await run.commit();
      continue;
    }
    if (event.kind === 'end') framer.finish();
    while (framer.next()) {
      const { source, start, end } = framer;
      if (options.encoding !== 'raw') {
        if (end - start > decoded.length) decoded = new Uint8Array(MAX_FRAME_BYTES);
        const bytes = decodeFrame(source, start, end, options.encoding, decoded, 0);
        if (!run.tryAdd(decoded, 0, bytes)) await run.add(decoded, 0, bytes);
      } else if (!run.tryAdd(source, start, end)) {
        await run.add(source, start, end);
      }
      if (run.isOver) return;
    }
    if (event.kind === 'end') return;
    if (run.isDue(false)) await run.commit();
    inputBytes += event.kind === 'bytes' ? event.bytes : 0;
    await progress.update(inputBytes, input.totalBytes);
  }
}
