import { Worker } from 'node:worker_threads';
import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { openBlockFile } from '../disk/node-block-file.ts';
import { identityOf } from '../disk/node-fs.ts';
import { type ErrorCode, type ErrorDetail, PageStoreError } from '../errors.ts';
import type { FindingSink, VerifyOptions, VerifySummary } from './rule.ts';
import {
  type BlockRange,
  type RangeScanner,
  type ScanBatch,
  scanInOrder,
  ScanMemory,
  scanRange,
  type ScanSettings,
} from './scan.ts';
import { verifyBlocks, verifyFile } from './verify-file.ts';

/** What a thread that verifies is asked; it gives one answer to each. */
export type VerifyRequest =
  | {
      readonly kind: 'open';
      readonly path: string;
      /** Device and inode: the path may lead to another file by now. */
      readonly identity: string;
      readonly settings: ScanSettings;
    }
  | { readonly kind: 'scan'; readonly range: BlockRange }
  /** For the next batch of the range. */
  | { readonly kind: 'next' }
  | { readonly kind: 'close' };

/** What it answers: a batch to `scan` and `next`, nothing to `open` and `close`. */
export type VerifyAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'batch'; readonly batch: ScanBatch }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error, as a message carries it. */
export interface Failure {
  /** Of a PageStoreError. */
  readonly code?: ErrorCode;
  readonly detail?: ErrorDetail;
  readonly message: string;
}

/** The error for a path that leads to another file than it did when verifying began. */
export function replacedError(path: string): PageStoreError {
  const message = 'another file has taken the place of this one while it was verified; verify it again';
  return new PageStoreError('IO', message, { file: path });
}

/** What a thread may take of memory for its objects, in MiB; buffers are beside them. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 };

interface Waiting {
  readonly resolve: (answer: VerifyAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** A thread that verifies, seen from the main one. After a failure it is of no more use. */
export class VerifyThread implements RangeScanner {
  readonly #worker: Worker;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  /** @param script - the thread's program; another one in tests */
  constructor(script: URL) {
    // Arguments of node are for the main thread.
    this.#worker = new Worker(script, { execArgv: [], resourceLimits: HEAP_LIMITS });
    this.#worker.on('message', (answer: VerifyAnswer) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.resolve(answer);
    });
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('messageerror', (error) => this.#fail(error.message));
    this.#worker.on('exit', (code) => this.#fail(`it ended with exit code ${code}`));
  }

  /** Whether it can be asked: it is there, and has answered all that it was asked. */
  get isIdle(): boolean {
    return this.#failure === undefined && this.#waiting === undefined;
  }

  /**
   * Asks for something; the answer to what was asked before has come.
   * @throws {@link PageStoreError} what the thread failed with; `IO` where the thread itself has failed
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

  async *scan(range: BlockRange): AsyncGenerator<ScanBatch> {
    for (let request: VerifyRequest = { kind: 'scan', range }; ; request = { kind: 'next' }) {
      const batch = await this.ask(request);
      if (batch === undefined) return;
      yield batch;
    }
  }

  /** Ends the thread, whatever it is at. */
  async end(): Promise<void> {
    this.#fail('it was ended');
    await this.#worker.terminate();
  }

  #fail(why: string): void {
    const message = `a thread that verifies has failed: ${why}; try again with --jobs 1`;
    this.#failure ??= new PageStoreError('IO', message);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#failure);
  }
}

/** Blocks that a thread looks at before it takes others: 16 MiB. */
const RANGE_BLOCKS = 64;

/** Most problems that a thread hands over at once. */
const BATCH_PROBLEMS = 256;

// The bundle of the command line has both files in one folder.
const SCRIPT = new URL('./verify-worker.js', import.meta.url);

/** Verifies one file after the other, with threads that it keeps. */
export class Verifier {
  readonly #jobs: number;
  readonly #script: URL;
  #threads: VerifyThread[] = [];

  /** @param jobs - threads that look at blocks; with 1 the main one does */
  constructor(jobs: number, script: URL = SCRIPT) {
    this.#jobs = jobs;
    this.#script = script;
  }

  /**
   * As `verifyFile`: same findings, same order.
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`; `IO`, also where a thread has failed
   */
  async verifyPath(path: string, report: FindingSink, options: VerifyOptions = {}): Promise<VerifySummary> {
    if (this.#jobs === 1) return this.#verifyHere(path, report, options);
    const before = await identityOf(path);
    const file = await openBlockFile(path, 'read');
    try {
      const identity = await identityOf(path);
      if (identity !== before) throw replacedError(path);
      return await verifyBlocks(file, report, options, (view, range, settings) =>
        this.#scan(path, identity, view, range, settings),
      );
    } finally {
      await Promise.all([file.close(), this.#settle()]);
    }
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    const threads = this.#threads;
    this.#threads = [];
    await Promise.all(threads.map((thread) => thread.end()));
  }

  async #verifyHere(path: string, report: FindingSink, options: VerifyOptions): Promise<VerifySummary> {
    const file = await openBlockFile(path, 'read');
    try {
      return await verifyFile(file, report, options);
    } finally {
      await file.close();
    }
  }

  async *#scan(
    path: string,
    identity: string,
    view: CommittedView,
    range: BlockRange,
    looked: Pick<ScanSettings, 'demands' | 'rootBlock'>,
  ): AsyncGenerator<ScanBatch> {
    const settings = { ...looked, batchBlocks: RANGE_BLOCKS, batchProblems: BATCH_PROBLEMS };
    const ranges = Math.ceil((range.end - range.first) / RANGE_BLOCKS);
    // This thread is one of them: another one would take some 9 MiB, to save this one from waiting.
    const threads = Math.min(this.#jobs, ranges) - 1;
    while (this.#threads.length < threads) this.#threads.push(new VerifyThread(this.#script));
    const memory = new ScanMemory();
    const here = { scan: (part: BlockRange) => scanRange(view, part, settings, memory) };
    // This one does not wait for the others, which take as long to start as it does for a hundred blocks and more.
    const others = this.#threads.map((thread) => {
      const opening = thread.ask({ kind: 'open', path, identity, settings });
      // A failure is told when the first range of the thread has its turn.
      opening.catch(() => undefined);
      return { scan: (part: BlockRange) => scanOnceOpen(thread, opening, part) };
    });
    yield* scanInOrder([here, ...others], range, RANGE_BLOCKS);
  }

  /** Lets threads go on to the next file that are ready for it, and ends the others: they may be at work for a caller who has left. */
  async #settle(): Promise<void> {
    const busy = this.#threads.filter((thread) => !thread.isIdle);
    this.#threads = this.#threads.filter((thread) => thread.isIdle);
    await Promise.all(busy.map((thread) => thread.end()));
    await Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'close' })));
  }
}

async function* scanOnceOpen(
  thread: VerifyThread,
  opening: Promise<unknown>,
  range: BlockRange,
): AsyncGenerator<ScanBatch> {
  await opening;
  yield* thread.scan(range);
}

interface OpenFile {
  readonly file: BlockFile;
  readonly view: CommittedView;
  readonly settings: ScanSettings;
}

/** What a thread that verifies does, without the thread: it has one file open at a time, and looks at ranges of it. */
export class VerifyServer {
  readonly #memory = new ScanMemory();
  #open: OpenFile | undefined;
  #batches: AsyncGenerator<ScanBatch> | undefined;

  /** Answers a request; the next one comes after the answer. */
  async answer(request: VerifyRequest): Promise<VerifyAnswer> {
    try {
      const batch = await this.#carryOut(request);
      return batch ? { kind: 'batch', batch } : { kind: 'done' };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { message } = error;
      if (!(error instanceof PageStoreError)) return { kind: 'failed', failure: { message } };
      return { kind: 'failed', failure: { code: error.code, detail: error.detail, message } };
    }
  }

  async #carryOut(request: VerifyRequest): Promise<ScanBatch | undefined> {
    if (request.kind === 'close') return this.#close();
    if (request.kind === 'open') return this.#openFile(request.path, request.identity, request.settings);
    if (request.kind === 'scan') {
      if (this.#open === undefined) throw new Error('a range was to be verified before its file was opened');
      this.#batches = scanRange(this.#open.view, request.range, this.#open.settings, this.#memory);
    }
    return this.#nextBatch();
  }

  async #openFile(path: string, identity: string, settings: ScanSettings): Promise<undefined> {
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
    if (result === undefined || result.done === true) throw new Error('there is no range, or no more of it, to verify');
    return result.value;
  }

  async #close(): Promise<undefined> {
    const open = this.#open;
    this.#open = this.#batches = undefined;
    await open?.file.close();
  }
}
