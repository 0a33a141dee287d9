import { jsonLine } from '../report/reporter.ts';
import type { RefRun } from '../store/page-ref.ts';
import type { PageStore } from '../store/page-store.ts';
import type { CommandRun, Progress } from './command.ts';
import { decodeFrame, type Encoding, Framer, type Framing, MAX_FRAME_BYTES } from './framing.ts';
import type { Input } from './context.ts';
import { InputReader, InputWindow, LONGEST_WAIT_MS } from './input.ts';

const LINE_FEED = 0x0a;

/** One run of `append`: stages nodes, commits them in batches, and prints the refs of the durable ones. */
export class AppendRun {
  readonly #run: CommandRun;
  readonly #store: PageStore;
  readonly #batchNodes: number;
  nodeBytes = 0;
  durableNodes = 0;
  /** When the oldest node that is not durable may have arrived. */
  #waitingSince: number | undefined;

  constructor(run: CommandRun, store: PageStore, batchNodes: number = Infinity) {
    this.#run = run;
    this.#store = store;
    this.#batchNodes = batchNodes;
  }

  get hasStaged(): boolean {
    return this.#store.stagedNodes > 0;
  }

  /** Whether nodes have waited so long that they should be committed, although the input has not paused. */
  isDue(hasMore: boolean): boolean {
    if (!this.hasStaged && !hasMore) this.#waitingSince = undefined;
    else this.#waitingSince ??= performance.now();
    return this.#waitingSince !== undefined && performance.now() - this.#waitingSince >= LONGEST_WAIT_MS;
  }

  /** Whether the reader of the refs has gone: it would not learn what is durable, so the run ends. */
  get isOver(): boolean {
    return this.#run.stdout.closed;
  }

  /** Stages a node if that needs no input or output; otherwise returns false, and {@link add} has to be called. */
  tryAdd(source: Uint8Array, start: number, end: number): boolean {
    if (this.#store.stagedNodes >= this.#batchNodes || !this.#store.stage(source, start, end)) return false;
    this.nodeBytes += end - start;
    return true;
  }

  /** As {@link tryAdd}, for contiguous nodes. @returns how many were staged; {@link add} is next if not all */
  tryAddMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number): number {
    const to = Math.min(lengths.length, from + this.#batchNodes - this.#store.stagedNodes);
    const staged = this.#store.stageMany(source, start, lengths, from, to);
    for (let index = from; index < from + staged; index++) this.nodeBytes += lengths[index] as number; // index < to
    return staged;
  }

  /** Makes room for a node and stages it; prints the refs of nodes that are committed for that. */
  async add(source: Uint8Array, start: number, end: number): Promise<void> {
    if (this.#store.stagedNodes >= this.#batchNodes) await this.commit();
    while (!this.tryAdd(source, start, end)) {
      await this.#printDurable(await this.#store.makeRoom(end - start));
      this.#run.signal.throwIfAborted();
      if (this.isOver) return;
    }
  }

  async commit(): Promise<void> {
    if (this.hasStaged) await this.#printDurable(await this.#store.commit());
  }

  async #printDurable(runs: readonly RefRun[]): Promise<void> {
    if (runs.length === 0) return;
    const { stdout, isJson, isQuiet } = this.#run;
    this.#waitingSince = undefined;
    for (const { block, slot, count } of runs) {
      this.durableNodes += count;
      for (let each = slot; each < slot + count; each++) {
        if (isJson) await stdout.write(jsonLine('node', { ref: `${block}:${each}` }));
        else if (!isQuiet) while (!stdout.tryWriteRef(block, each, LINE_FEED)) await stdout.flush();
      }
    }
    await stdout.flush();
  }
}

const DECODED_BYTES = 4096;

/** Stages the frames of an input, and commits when the input pauses. */
export async function appendFrames(
  run: AppendRun,
  input: Input,
  { framing, encoding }: { readonly framing: Framing; readonly encoding: Encoding },
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const window = new InputWindow();
  const framer = new Framer(framing, window, MAX_FRAME_BYTES);
  const reader = new InputReader(input.source, () => window.target(), signal);
  let decoded = new Uint8Array(encoding === 'raw' ? 0 : DECODED_BYTES);
  let inputBytes = 0;
  for (;;) {
    const event = await reader.nextEvent(run.hasStaged);
    if (event === 'pause') {
      await run.commit();
      continue;
    }
    window.filled(event);
    if (event === 0) framer.finish();
    while (framer.next()) {
      const { source, start, end } = framer;
      if (encoding !== 'raw') {
        if (end - start > decoded.length) decoded = new Uint8Array(MAX_FRAME_BYTES);
        const bytes = decodeFrame(source, start, end, encoding, decoded, 0);
        if (!run.tryAdd(decoded, 0, bytes)) await run.add(decoded, 0, bytes);
      } else if (!run.tryAdd(source, start, end)) {
        await run.add(source, start, end);
      }
      if (run.isOver) return;
    }
    if (event === 0) return;
    if (run.isDue(false)) await run.commit();
    inputBytes += event;
    await progress.update(inputBytes, input.totalBytes);
  }
}
