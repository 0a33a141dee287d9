import { Worker } from 'node:worker_threads';
import { ConcurrentArena } from '../../arena/concurrent-arena.ts';
import { USABLE_ENTRIES } from '../../arena/handle-table.ts';
import { PageStoreError } from '../../errors.ts';
import type { AppendRun } from '../append-run.ts';
import type { Progress } from '../command.ts';
import { type Input, Interrupted } from '../context.ts';
import type { TextEncoding } from '../framing.ts';
import { CHUNK_BYTES, type InputEvent, InputReader } from '../input.ts';
import {
  type DecodedNodes,
  type DecoderSetup,
  type ManyFraming,
  SEGMENT_NODES,
  type SegmentAnswer,
  SegmentCutter,
  type SegmentTask,
  SLOT_BYTES,
} from './segment.ts';

/** One segment per thread to decode, and one so that the thread need not wait. */
const ROUNDS = 2;

/** A power of two that holds the decoded text of a segment. */
const SHARD_BYTES: number = 2 ** 20;

/** What a thread may leave unused of the table of handles. */
const SPARE_HANDLES = USABLE_ENTRIES;

interface DecodingOptions {
  readonly framing: ManyFraming;
  readonly encoding: TextEncoding;
  readonly jobs: number;
}

/**
 * Decodes segments in threads, and stages their nodes in the order of the input. A round has one segment per thread;
 * rounds alternate between two sets of memory. A round starts once the last one with the same memory is staged, so
 * nothing is overwritten while in use, and memory is bounded.
 */
class DecodePipeline {
  readonly #run: AppendRun;
  readonly #options: DecodingOptions;
  readonly #jobs: number;
  readonly #signal: AbortSignal;
  readonly #arenas: readonly ConcurrentArena[];
  /** Threads and slots are created on first use: a short input needs few. */
  readonly #threads: Worker[] = [];
  /** Each resolves once its thread runs or has ended: Node may crash if a thread is terminated while it starts. */
  readonly #started: Promise<void>[] = [];
  readonly #slots: Uint8Array<SharedArrayBuffer>[] = [];
  readonly #answers: (DecodedNodes | undefined)[] = [];
  #submittedSegments = 0;
  #takenSegments = 0;
  #failure: Error | undefined;
  #isClosed = false;
  #wake: () => void = () => undefined;
  readonly #interrupt = (): void => this.#fail(this.#signal.reason as Error);

  constructor(run: AppendRun, options: DecodingOptions, signal: AbortSignal) {
    this.#run = run;
    this.#options = options;
    this.#jobs = options.jobs;
    this.#signal = signal;
    const maxAllocations = this.#jobs * (SEGMENT_NODES + SPARE_HANDLES);
    const shard = { blockBytes: SHARD_BYTES, maxBlocks: 1, maxAllocations };
    this.#arenas = Array.from({ length: ROUNDS }, () => new ConcurrentArena(this.#jobs, shard));
    if (signal.aborted) this.#interrupt();
    signal.addEventListener('abort', this.#interrupt);
  }

  /** Then nothing more is decoded or refused. */
  get isOver(): boolean {
    return this.#run.isOver;
  }

  get isBusy(): boolean {
    return this.#takenSegments < this.#submittedSegments;
  }

  /** Memory for the next segment; not used by the pipeline before {@link submit}. */
  get slot(): Uint8Array {
    return this.#slotOf(this.#submittedSegments);
  }

  /**
   * Submits the first `bytes` of {@link slot}, and waits until there is another slot.
   * @throws {@link PageStoreError} for the first invalid frame, once all nodes before it are staged
   */
  async submit(bytes: number): Promise<void> {
    const segment = this.#submittedSegments;
    this.#answers[this.#indexOf(segment)] = undefined;
    const input = this.#slotOf(segment).buffer;
    const thread = (this.#threads[segment % this.#jobs] ??= this.#startThread());
    thread.postMessage({ segment, turn: this.#turnOf(segment), input, bytes } satisfies SegmentTask);
    this.#submittedSegments++;
    if (this.#submittedSegments % this.#jobs !== 0) return this.drain(ROUNDS * this.#jobs - 1);
    await this.drain((ROUNDS - 1) * this.#jobs);
    // The threads of the last round with this arena have answered, and do not allocate in it.
    if (!this.isOver) this.#arenaOf(this.#submittedSegments).reset();
  }

  async takeDecoded(): Promise<void> {
    while (!this.isOver && this.isBusy && this.#answers[this.#indexOf(this.#takenSegments)] !== undefined) {
      await this.#takeOldest();
    }
  }

  /** Waits until at most `mostLeft` segments are not staged. @throws as {@link submit} */
  async drain(mostLeft: number = 0): Promise<void> {
    while (!this.isOver && this.#submittedSegments - this.#takenSegments > mostLeft) await this.#takeOldest();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#signal.removeEventListener('abort', this.#interrupt);
    await Promise.all(this.#started);
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  async #takeOldest(): Promise<void> {
    const segment = this.#takenSegments;
    const { shard, runs, refusal } = await this.#answerTo(segment);
    for (const claims of this.#arenaOf(segment).claimsOf(shard, runs)) {
      const added = this.#run.addRun(claims);
      if (added) await added;
      if (this.isOver) return;
    }
    if (refusal !== undefined) throw new PageStoreError(refusal.code, refusal.message, refusal.detail);
    this.#takenSegments++;
  }

  async #answerTo(segment: number): Promise<DecodedNodes> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const nodes = this.#answers[this.#indexOf(segment)];
      if (nodes !== undefined) return nodes;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #indexOf(segment: number): number {
    return segment % (ROUNDS * this.#jobs);
  }

  #turnOf(segment: number): number {
    return Math.floor(segment / this.#jobs) % ROUNDS;
  }

  #slotOf(segment: number): Uint8Array<SharedArrayBuffer> {
    return (this.#slots[this.#indexOf(segment)] ??= new Uint8Array(new SharedArrayBuffer(SLOT_BYTES)));
  }

  #arenaOf(segment: number): ConcurrentArena {
    return this.#arenas[this.#turnOf(segment)] as ConcurrentArena; // one per turn
  }

  #startThread(): Worker {
    const workerData: DecoderSetup = {
      framing: this.#options.framing,
      encoding: this.#options.encoding,
      arenas: this.#arenas.map(({ descriptor }) => descriptor),
    };
    // The bundle has both files in one folder; the options of node are for the main thread.
    const thread = new Worker(new URL('./decode-worker.js', import.meta.url), { workerData, execArgv: [] });
    thread.on('message', ({ segment, nodes }: SegmentAnswer) => {
      this.#answers[this.#indexOf(segment)] = nodes;
      this.#wake();
    });
    const started = new Promise<void>((resolve) => thread.once('online', resolve).once('exit', () => resolve()));
    this.#started.push(started);
    thread.on('error', (error) => this.#fail(error));
    thread.on('exit', (code) => {
      if (!this.#isClosed) this.#fail(new Error(`a decoding thread has ended with exit code ${code}`));
    });
    return thread;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

/** Splits a stream into segments and submits them to a pipeline. */
class SegmentFeed {
  readonly #pipeline: DecodePipeline;
  readonly #cutter: SegmentCutter;
  /** Whether input since the last flush may have completed a frame. */
  #hasNewInput = false;

  constructor(pipeline: DecodePipeline, framing: ManyFraming) {
    this.#pipeline = pipeline;
    this.#cutter = new SegmentCutter(framing, pipeline.slot);
  }

  get hasUnstaged(): boolean {
    return this.#hasNewInput || this.#pipeline.isBusy;
  }

  /** Copies a chunk; waits for space if necessary. @throws as {@link DecodePipeline.submit} */
  async push(chunk: Uint8Array): Promise<void> {
    this.#hasNewInput = true;
    for (let offset = 0; offset < chunk.length && !this.#pipeline.isOver;) {
      offset = this.#cutter.push(chunk, offset);
      if (this.#cutter.isTooLong) return this.end();
      if (this.#cutter.isFull) await this.#submit();
    }
  }

  /** Stages all complete frames. @throws as {@link DecodePipeline.submit} */
  async flush(): Promise<void> {
    this.#hasNewInput = false;
    if (this.#cutter.wholeBytes > 0) await this.#submit();
    await this.#pipeline.drain();
  }

  /** Stages everything: the stream has ended, or cannot be split further. @throws as {@link DecodePipeline.submit} */
  async end(): Promise<void> {
    if (this.#cutter.usedBytes > 0) await this.#pipeline.submit(this.#cutter.usedBytes);
    await this.#pipeline.drain();
    // The rest of the input would be split in the wrong places.
    if (this.#cutter.isTooLong && !this.#pipeline.isOver) throw new Error('a frame that is too long was not refused');
  }

  async #submit(): Promise<void> {
    const bytes = this.#cutter.wholeBytes;
    await this.#pipeline.submit(bytes);
    if (!this.#pipeline.isOver) this.#cutter.next(this.#pipeline.slot, bytes);
  }
}

/** Stages the nodes of a hex or base64 input, decoded in threads; the result is the same as without threads. */
export async function appendDecoded(
  run: AppendRun,
  input: Input,
  options: DecodingOptions,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const pipeline = new DecodePipeline(run, options, signal);
  const feed = new SegmentFeed(pipeline, options.framing);
  const chunk = new Uint8Array(CHUNK_BYTES);
  const reader = new InputReader(input.source, () => chunk, signal);
  let inputBytes = 0;
  try {
    while (!run.isOver) {
      const event = await nextEvent(reader, feed, run.hasStaged || feed.hasUnstaged);
      if (event === 'pause') {
        await feed.flush();
        await run.commit();
        continue;
      }
      if (event === 0) return await feed.end();
      await feed.push(chunk.subarray(0, event));
      inputBytes += event;
      // The chunk has been copied, so the next one can be read while nodes are staged.
      reader.startRead();
      await pipeline.takeDecoded();
      if (run.isDue(feed.hasUnstaged)) {
        await feed.flush();
        await run.commit();
      }
      await progress.update(inputBytes, input.totalBytes);
    }
  } finally {
    await pipeline.close();
  }
}

/** What came before the input failed is staged, as it is without threads. */
async function nextEvent(reader: InputReader, feed: SegmentFeed, mayPause: boolean): Promise<InputEvent> {
  try {
    return await reader.nextEvent(mayPause);
  } catch (error) {
    if (!(error instanceof Interrupted)) await feed.flush();
    throw error;
  }
}
