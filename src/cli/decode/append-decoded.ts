import { Worker } from 'node:worker_threads';
import { ConcurrentArena } from '../../arena/concurrent-arena.ts';
import { PageStoreError } from '../../errors.ts';
import type { AppendRun } from '../append-run.ts';
import { type Context, Interrupted } from '../context.ts';
import type { TextEncoding } from '../framing.ts';
import { type Input, type InputEvent, InputReader, type InputTarget, PAUSE_MS } from '../input.ts';
import type { Progress } from '../progress.ts';
import {
  type DecodedNodes,
  type DecoderSetup,
  lengthsOf,
  type ManyFraming,
  type SegmentAnswer,
  SegmentCutter,
  type SegmentTask,
  SLOT_BYTES,
} from './segment.ts';

/** Segments that a thread may have: one to decode, and one so that it need not wait for the next. */
const TURNS = 2;

/** What a segment needs at most is in one block: its text at length, and four bytes a node. */
const SHARD_BLOCKS = 1;

/**
 * Takes the nodes of a segment, whose bytes stand one behind the other. Both arrays are valid until it resolves.
 * @returns whether it takes more
 */
export type NodeSink = (bytes: Uint8Array, lengths: Uint32Array) => Promise<boolean>;

/**
 * Decodes segments in threads, and gives their nodes to a sink in the order of the input.
 *
 * Segments come in rounds, of one for each thread. Rounds have their memory in turn: slots for the input, and an arena
 * of a shard for each thread. A round begins only once the sink has taken all of the round but one before, which had
 * the same memory. So nothing is overwritten that somebody still reads, and memory is bounded.
 */
export class DecodePipeline {
  readonly #jobs: number;
  readonly #framing: ManyFraming;
  readonly #encoding: TextEncoding;
  readonly #sink: NodeSink;
  readonly #signal: AbortSignal;
  readonly #arenas: readonly ConcurrentArena[];
  /** Made when they are first needed: little input needs few of them. */
  readonly #threads: Worker[] = [];
  readonly #slots: Uint8Array<SharedArrayBuffer>[] = [];
  readonly #answers: (DecodedNodes | undefined)[] = [];
  /** Segments that were handed over, and of these the ones that the sink has taken. */
  #handed = 0;
  #taken = 0;
  #failure: Error | undefined;
  #isOver = false;
  #closed = false;
  #wake: () => void = nobodyWaits;
  readonly #interrupt = (): void => this.#fail(this.#signal.reason as Error);

  /** @param signal - ends all waiting, with its reason */
  constructor(jobs: number, framing: ManyFraming, encoding: TextEncoding, sink: NodeSink, signal: AbortSignal) {
    this.#jobs = jobs;
    this.#framing = framing;
    this.#encoding = encoding;
    this.#sink = sink;
    this.#signal = signal;
    this.#arenas = Array.from({ length: TURNS }, () => new ConcurrentArena(jobs, { maxBlocks: SHARD_BLOCKS }));
    if (signal.aborted) this.#interrupt();
    signal.addEventListener('abort', this.#interrupt);
  }

  /** Whether there are segments that the sink has not taken. */
  get isBusy(): boolean {
    return this.#taken < this.#handed;
  }

  /** Whether the sink takes no more: then nothing is decoded any more, and nothing refused. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Where the next segment is to be put: {@link SLOT_BYTES}, which nobody else looks at before `submit`. */
  get slot(): Uint8Array {
    return this.#slotOf(this.#handed);
  }

  /**
   * Hands the first `bytes` of {@link slot} over, and waits until there is another slot.
   * @throws {@link PageStoreError} of the first frame that is refused, once the sink has taken all nodes before it;
   * what the sink throws; the reason of the signal; an error where a thread has ended
   */
  async submit(bytes: number): Promise<void> {
    const segment = this.#handed;
    this.#answers[this.#placeOf(segment)] = undefined;
    const input = this.#slotOf(segment).buffer;
    this.#threadOf(segment).postMessage({ segment, turn: this.#turnOf(segment), input, bytes } satisfies SegmentTask);
    this.#handed++;
    await (this.#handed % this.#jobs === 0 ? this.#beginRound() : this.#takeUntil(TURNS * this.#jobs - 1));
  }

  /** Gives the sink what is decoded by now. @throws as {@link submit} */
  async takeDecoded(): Promise<void> {
    while (!this.#isOver && this.isBusy && this.#answers[this.#placeOf(this.#taken)] !== undefined) {
      await this.#takeOldest();
    }
  }

  /** Waits until the sink has taken everything. @throws as {@link submit} */
  async drain(): Promise<void> {
    await this.#takeUntil(0);
  }

  /** Ends the threads, whatever they are at. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#interrupt);
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  async #beginRound(): Promise<void> {
    await this.#takeUntil((TURNS - 1) * this.#jobs);
    // Its last round has been taken, so every thread has answered, and none allocates in it.
    if (!this.#isOver) this.#arenaOf(this.#handed).reset();
  }

  /** Waits until the sink has taken all segments but so many. */
  async #takeUntil(segments: number): Promise<void> {
    while (!this.#isOver && this.#handed - this.#taken > segments) await this.#takeOldest();
  }

  async #takeOldest(): Promise<void> {
    const nodes = await this.#answerTo(this.#taken);
    const { shard, bytesOffset, bytes, nodeCount, refusal } = nodes;
    if (nodeCount > 0) {
      const arena = this.#arenaOf(this.#taken);
      const lengths = lengthsOf(arena.view(shard, nodes.lengthsOffset, 4 * nodeCount));
      this.#isOver = !(await this.#sink(arena.view(shard, bytesOffset, bytes), lengths));
      if (this.#isOver) return;
    }
    if (refusal !== undefined) throw new PageStoreError(refusal.code, refusal.message, refusal.detail);
    this.#taken++;
  }

  async #answerTo(segment: number): Promise<DecodedNodes> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const nodes = this.#answers[this.#placeOf(segment)];
      if (nodes !== undefined) return nodes;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #placeOf(segment: number): number {
    return segment % (TURNS * this.#jobs);
  }

  #turnOf(segment: number): number {
    return Math.floor(segment / this.#jobs) % TURNS;
  }

  #slotOf(segment: number): Uint8Array<SharedArrayBuffer> {
    return (this.#slots[this.#placeOf(segment)] ??= new Uint8Array(new SharedArrayBuffer(SLOT_BYTES)));
  }

  #arenaOf(segment: number): ConcurrentArena {
    return this.#arenas[this.#turnOf(segment)] as ConcurrentArena; // one for each turn
  }

  #threadOf(segment: number): Worker {
    return (this.#threads[segment % this.#jobs] ??= this.#start());
  }

  #start(): Worker {
    const workerData: DecoderSetup = {
      framing: this.#framing,
      encoding: this.#encoding,
      arenas: this.#arenas.map(({ descriptor }) => descriptor),
    };
    // The bundle of the command line has both files in one folder; arguments of node are for the main thread.
    const thread = new Worker(new URL('./decode-worker.js', import.meta.url), { workerData, execArgv: [] });
    thread.on('message', ({ segment, nodes }: SegmentAnswer) => {
      this.#answers[this.#placeOf(segment)] = nodes;
      this.#wake();
    });
    thread.on('error', (error) => this.#fail(error));
    thread.on('exit', (code) => {
      if (!this.#closed) this.#fail(new Error(`a thread that decodes has ended with exit code ${code}`));
    });
    return thread;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

const nobodyWaits = (): void => undefined;

/** Brings a stream to the threads that decode it. */
export class SegmentFeed {
  readonly #pipeline: DecodePipeline;
  readonly #cutter: SegmentCutter;
  /** Whether anything has come that may have made a frame whole. */
  #hasNew = false;

  constructor(pipeline: DecodePipeline, framing: ManyFraming) {
    this.#pipeline = pipeline;
    this.#cutter = new SegmentCutter(framing, pipeline.slot);
  }

  /** Whether something has come that {@link flush} would stage. */
  get hasUnstaged(): boolean {
    return this.#hasNew || this.#pipeline.isBusy;
  }

  /** Copies all of a chunk, which may take until there is room for it. @throws as {@link DecodePipeline.submit} */
  async push(chunk: Uint8Array): Promise<void> {
    this.#hasNew = true;
    for (let at = 0; at < chunk.length && !this.#pipeline.isOver;) {
      at = this.#cutter.push(chunk, at);
      if (this.#cutter.isTooLong) return this.end();
      if (this.#cutter.isFull) await this.#handOver();
    }
  }

  /** Stages what has been decoded by now. @throws as {@link DecodePipeline.submit} */
  async takeDecoded(): Promise<void> {
    await this.#pipeline.takeDecoded();
  }

  /** Stages all frames that are whole. @throws as {@link DecodePipeline.submit} */
  async flush(): Promise<void> {
    this.#hasNew = false;
    if (this.#cutter.wholeBytes > 0) await this.#handOver();
    await this.#pipeline.drain();
  }

  /** Stages everything: the stream has ended, or cannot go on. @throws as {@link DecodePipeline.submit} */
  async end(): Promise<void> {
    if (this.#cutter.usedBytes > 0) await this.#pipeline.submit(this.#cutter.usedBytes);
    await this.#pipeline.drain();
    // Never silently: what comes behind it would be cut in the wrong places.
    if (this.#cutter.isTooLong && !this.#pipeline.isOver) throw new Error('a frame that is too long was not refused');
  }

  async #handOver(): Promise<void> {
    const bytes = this.#cutter.wholeBytes;
    await this.#pipeline.submit(bytes);
    if (!this.#pipeline.isOver) this.#cutter.next(this.#pipeline.slot, bytes);
  }
}

/** Read at once: as a pipe holds. */
const CHUNK_BYTES = 65_536;

export interface DecodingOptions {
  readonly framing: ManyFraming;
  readonly encoding: TextEncoding;
  /** Threads that decode. */
  readonly jobs: number;
}

/** Stages the nodes of an input of hex or base64, which threads decode. But for the time it takes, it is as if there were none. */
export async function appendDecoded(
  context: Context,
  run: AppendRun,
  input: Input,
  { framing, encoding, jobs }: DecodingOptions,
  progress: Progress,
): Promise<void> {
  const sink = (bytes: Uint8Array, lengths: Uint32Array): Promise<boolean> => stageAll(run, bytes, lengths);
  const pipeline = new DecodePipeline(jobs, framing, encoding, sink, context.signal);
  try {
    await feedAll(context, run, input, new SegmentFeed(pipeline, framing), progress);
  } finally {
    await pipeline.close();
  }
}

async function feedAll(
  context: Context,
  run: AppendRun,
  input: Input,
  feed: SegmentFeed,
  progress: Progress,
): Promise<void> {
  const chunk = new InputChunk();
  const reader = new InputReader(input.source, chunk, context.signal);
  let inputBytes = 0;
  let next = readAhead(reader);
  while (!run.isOver) {
    const event = await eventOf(next, feed, run.hasStaged || feed.hasUnstaged);
    if (event === 'pause') {
      await feed.flush();
      await run.commit();
      continue;
    }
    if (event.kind !== 'bytes') return feed.end();
    await feed.push(chunk.bytes);
    inputBytes += event.bytes;
    // The chunk has been copied, so the next one may be read while nodes are staged.
    next = readAhead(reader);
    await feed.takeDecoded();
    if (run.isDue(feed.hasUnstaged)) {
      await feed.flush();
      await run.commit();
    }
    await progress.update(inputBytes, input.totalBytes);
  }
}

/** Begins to read. What comes may be an error that nobody waits for yet, or ever. */
function readAhead(reader: InputReader): Promise<InputEvent> {
  const next = reader.nextEvent(false);
  next.catch(() => undefined);
  return next;
}

/** Waits for what is read. @param mayPause - whether the answer is a pause after so long without input */
async function eventOf(next: Promise<InputEvent>, feed: SegmentFeed, mayPause: boolean): Promise<InputEvent | 'pause'> {
  let timer: NodeJS.Timeout | undefined;
  try {
    if (!mayPause) return await next;
    // Once it has paused there is nothing more to stage: a chunk that is long in coming is waited for twice at most.
    const pause = new Promise<'pause'>((resolve) => (timer = setTimeout(resolve, PAUSE_MS, 'pause')));
    return await Promise.race([next, pause]);
  } catch (error) {
    // What came before the input failed is staged, as it is without threads.
    if (!(error instanceof Interrupted)) await feed.flush();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @returns whether the run takes more */
async function stageAll(run: AppendRun, bytes: Uint8Array, lengths: Uint32Array): Promise<boolean> {
  let start = 0;
  for (let next = 0; next < lengths.length && !run.isOver;) {
    const staged = run.tryAddMany(bytes, start, lengths, next);
    for (const end = next + staged; next < end; next++) start += lengths[next] as number; // next < end <= lengths.length
    if (next === lengths.length) break;
    const end = start + (lengths[next++] as number); // next < lengths.length
    await run.add(bytes, start, end);
    start = end;
  }
  return !run.isOver;
}

/** What was read last, until it is in a segment. */
class InputChunk implements InputTarget {
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #bytes = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#bytes);
  }

  target(): Uint8Array {
    return this.#buffer;
  }

  filled(bytes: number): void {
    this.#bytes = bytes;
  }
}
