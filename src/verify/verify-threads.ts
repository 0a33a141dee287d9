import { Worker } from 'node:worker_threads';
import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { errnoOf, identityOf } from '../disk/node-fs.ts';
import { type ErrorCode, type ErrorDetail, PageStoreError } from '../errors.ts';
import { BlockReader } from '../salvage/block-kind.ts';
import { type BlockRange, type ScanBatch, scanRange, type ScanSettings } from './scan.ts';

/** Next to this module, in the library and in the bundle. Tests run the bundle: a worker cannot load TypeScript. */
const WORKER_SCRIPT = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/bin/verify-worker.js' : './verify-worker.js',
  import.meta.url,
);

/** 16 MiB, which a thread checks before it takes the next range. */
const RANGE_BLOCKS = 64;

/** In MiB, for the objects of a thread; buffers are extra. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 };

export interface SharedFile {
  readonly path: string;
  /** Device and inode: another file may be at the path when a thread opens it. */
  readonly identity: string;
  readonly view: CommittedView;
}

/** The threads of a verifier, for one file after another. They start when there is work. */
export class VerifyThreads {
  readonly #maxThreads: number;
  readonly #script: URL;
  #threads: VerifyThread[] = [];

  /** @param maxThreads - besides the calling thread, which checks blocks too */
  constructor(maxThreads: number, script: URL = WORKER_SCRIPT) {
    this.#maxThreads = maxThreads;
    this.#script = script;
  }

  /** Yields findings in the order of the blocks. */
  async *scan(
    { path, identity, view }: SharedFile,
    range: BlockRange,
    options: Omit<ScanSettings, 'batchBlocks'>,
  ): AsyncGenerator<ScanBatch> {
    const settings = { ...options, batchBlocks: RANGE_BLOCKS };
    const ranges = Math.ceil((range.end - range.first) / RANGE_BLOCKS);
    const threads = Math.min(this.#maxThreads, ranges - 1);
    this.#startThreads(threads);
    for (const thread of this.#threads) thread.open({ kind: 'open', path, identity, settings });
    // The others take as long to start as checking 100 blocks takes, so this thread does not wait.
    const reader = new BlockReader();
    const here = { scan: (part: BlockRange) => scanRange(view, part, settings, reader) };
    const others = this.#threads.map((thread) => scannerOf(thread, view, settings));
    yield* scanInOrder([here, ...others], range, RANGE_BLOCKS);
  }

  /** Starts as many as the system allows: the calling thread can do all the work. */
  #startThreads(threads: number): void {
    try {
      while (this.#threads.length < threads) this.#threads.push(new VerifyThread(this.#script));
    } catch (error) {
      if (!isNotStarted(error)) throw error;
    }
  }

  /** Closes the file in every thread. Ends threads that are still busy after an abandoned scan. */
  async release(): Promise<void> {
    const busy = this.#threads.filter((thread) => !thread.isIdle);
    this.#threads = this.#threads.filter((thread) => thread.isIdle);
    await Promise.all(busy.map((thread) => thread.end()));
    await Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'close' })));
  }

  async close(): Promise<void> {
    const threads = this.#threads;
    this.#threads = [];
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** Of Node, for a limit of threads, open files or memory. It is thrown, or comes as an event of the thread. */
const isNotStarted = (error: unknown): boolean => errnoOf(error) === 'ERR_WORKER_INIT_FAILED';

/** The calling thread does the work of a thread that could not start. */
function scannerOf(thread: VerifyThread, view: CommittedView, settings: ScanSettings): RangeScanner {
  return {
    async *scan(range) {
      if (await thread.isUsable()) yield* thread.scan(range);
      else yield* scanRange(view, range, settings, new BlockReader());
    },
  };
}

/** Another file is at the path than when verify opened it. */
export function replacedError(path: string): PageStoreError {
  const message = 'the file was replaced by another one while it was verified; verify it again';
  return new PageStoreError('IO', message, { file: path });
}

export interface RangeScanner {
  /** A batch is computed only when it is requested. */
  scan(range: BlockRange): AsyncIterator<ScanBatch>;
}

/** Per scanner, running or waiting. */
const RANGES_AHEAD = 2;

/**
 * Scans with several scanners, and yields batches in the order of the blocks. Of every later range at most one batch is
 * kept, to bound memory.
 * @throws what a scanner throws, when its range is due; an Error if a scanner ends before its range
 */
export async function* scanInOrder(
  scanners: readonly RangeScanner[],
  { first, end }: BlockRange,
  rangeBlocks: number,
): AsyncGenerator<ScanBatch> {
  const idle = [...scanners];
  const running: RunningRange[] = [];
  let next = first;
  const startRanges = (): void => {
    while (next < end && running.length < RANGES_AHEAD * scanners.length) {
      const scanner = idle.shift();
      if (scanner === undefined) return;
      const range = { first: next, end: Math.min(next + rangeBlocks, end) };
      next = range.end;
      const onFinish = (): void => {
        idle.push(scanner);
        startRanges();
      };
      running.push(new RunningRange(scanner.scan(range), range, onFinish));
    }
  };
  startRanges();
  for (let range = running[0]; range !== undefined; range = running[0]) {
    const batch = await range.batch;
    if (!range.advance()) running.shift();
    startRanges();
    yield batch;
  }
}

/** A range that a scanner scans or has finished. */
class RunningRange {
  /** The last one requested. */
  batch: Promise<ScanBatch>;
  readonly #batches: AsyncIterator<ScanBatch>;
  readonly #onFinish: () => void;
  #blocksLeft: number;

  constructor(batches: AsyncIterator<ScanBatch>, { first, end }: BlockRange, onFinish: () => void) {
    this.#batches = batches;
    this.#blocksLeft = end - first;
    this.#onFinish = onFinish;
    this.batch = this.#request();
  }

  /** Requests the next batch; the last one must have arrived. @returns false if there is none */
  advance(): boolean {
    if (this.#blocksLeft === 0) return false;
    this.batch = this.#request();
    return true;
  }

  #request(): Promise<ScanBatch> {
    const batch = this.#next();
    // A failure is reported when the range is due; nothing awaits it before.
    batch.catch(() => undefined);
    return batch;
  }

  async #next(): Promise<ScanBatch> {
    const { value, done } = await this.#batches.next();
    if (done === true) throw new Error(`a range of blocks ended ${this.#blocksLeft} blocks before its end`);
    this.#blocksLeft -= value.blocks;
    if (this.#blocksLeft === 0) this.#onFinish();
    return value;
  }
}

interface OpenRequest {
  readonly kind: 'open';
  readonly path: string;
  readonly identity: string;
  readonly settings: ScanSettings;
}

/** Each gets one answer; `next` requests the next batch of the range. */
export type VerifyRequest =
  OpenRequest | { readonly kind: 'scan'; readonly range: BlockRange } | { readonly kind: 'next' | 'close' };

/** `batch` answers `scan` and `next`, `done` answers `open` and `close`, `failed` any. */
export type VerifyAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'batch'; readonly batch: ScanBatch }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error that threads can send. */
interface Failure {
  readonly code?: ErrorCode;
  readonly detail?: ErrorDetail;
  readonly message: string;
}

interface Waiting {
  readonly resolve: (answer: VerifyAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** The main thread's end of one thread. Unusable after a failure. */
class VerifyThread implements RangeScanner {
  readonly #worker: Worker;
  #opening: Promise<unknown> | undefined;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;
  #isNotStarted = false;

  /** @throws an error of Node if the thread cannot start; it may come later too, see {@link isUsable} */
  constructor(script: URL) {
    // The arguments of node are for the main thread.
    this.#worker = new Worker(script, { execArgv: [], resourceLimits: HEAP_LIMITS });
    this.#worker.on('message', (answer: VerifyAnswer) => this.#stopWaiting()?.resolve(answer));
    this.#worker.on('error', (error) => {
      this.#isNotStarted = isNotStarted(error);
      this.#fail(error.message);
    });
    this.#worker.on('messageerror', (error) => this.#fail(error.message));
    this.#worker.on('exit', (code) => this.#fail(`it ended with exit code ${code}`));
  }

  /** Whether the thread works and has answered all requests. */
  get isIdle(): boolean {
    return this.#failure === undefined && this.#waiting === undefined;
  }

  /**
   * The answer to the previous request must have arrived. @throws {@link PageStoreError} what the thread failed with;
   * `IO` if the thread itself failed
   */
  async ask(request: VerifyRequest): Promise<ScanBatch | undefined> {
    if (this.#failure) throw this.#failure;
    const answer = await new Promise<VerifyAnswer>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.postMessage(request);
    });
    if (answer.kind !== 'failed') return answer.kind === 'batch' ? answer.batch : undefined;
    const { code, message, detail } = answer.failure;
    throw code === undefined ? new Error(message) : new PageStoreError(code, message, detail);
  }

  /** Does not wait. A failure is reported when the first range of the thread is due. */
  open(request: OpenRequest): void {
    this.#opening = this.ask(request);
    this.#opening.catch(() => undefined);
  }

  /** Whether the thread could start. Waits until it has opened the file, or failed to; {@link scan} throws why. */
  async isUsable(): Promise<boolean> {
    await this.#opening?.catch(() => undefined);
    return !this.#isNotStarted;
  }

  async *scan(range: BlockRange): AsyncGenerator<ScanBatch> {
    await this.#opening;
    for (let request: VerifyRequest = { kind: 'scan', range }; ; request = { kind: 'next' }) {
      const batch = await this.ask(request);
      if (batch === undefined) return;
      yield batch;
    }
  }

  /** Ends the thread, even if it is busy. */
  async end(): Promise<void> {
    this.#fail('it was ended');
    await this.#worker.terminate();
  }

  #fail(why: string): void {
    this.#failure ??= new PageStoreError('IO', `a verify thread failed: ${why}; try again with one thread (--jobs 1)`);
    this.#stopWaiting()?.reject(this.#failure);
  }

  #stopWaiting(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}

/** The thread's end. Has one file open at a time. */
export class VerifyServer {
  readonly #reader = new BlockReader();
  #open: { readonly file: BlockFile; readonly view: CommittedView; readonly settings: ScanSettings } | undefined;
  #batches: AsyncGenerator<ScanBatch> | undefined;

  /** The next request must come after the answer. */
  async answer(request: VerifyRequest): Promise<VerifyAnswer> {
    try {
      const batch = await this.#carryOut(request);
      return batch ? { kind: 'batch', batch } : { kind: 'done' };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { message } = error;
      const failure =
        error instanceof PageStoreError ? { code: error.code, detail: error.detail, message } : { message };
      return { kind: 'failed', failure };
    }
  }

  async #carryOut(request: VerifyRequest): Promise<ScanBatch | undefined> {
    if (request.kind === 'close') return this.#close();
    if (request.kind === 'open') return this.#openFile(request);
    if (request.kind === 'scan') {
      if (this.#open === undefined) throw new Error('a range was requested before its file was opened');
      this.#batches = scanRange(this.#open.view, request.range, this.#open.settings, this.#reader);
    }
    return this.#nextBatch();
  }

  async #openFile({ path, identity, settings }: OpenRequest): Promise<undefined> {
    await this.#close();
    const file = await openBlockFile(path, 'read');
    try {
      if ((await identityOf(path)) !== identity) throw replacedError(path);
      this.#open = { file, view: await CommittedView.open(file), settings };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #nextBatch(): Promise<ScanBatch> {
    const result = await this.#batches?.next();
    if (result === undefined || result.done === true) throw new Error('a batch was requested after the last one');
    return result.value;
  }

  async #close(): Promise<undefined> {
    const open = this.#open;
    this.#open = this.#batches = undefined;
    await open?.file.close();
  }
}
