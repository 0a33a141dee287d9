import { Worker } from 'node:worker_threads';
import { PageStoreError } from '../../errors.ts';
import type { BlockRange, ScanBatch } from '../../verify/scan-batch.ts';
import type { RangeScanner } from '../../verify/scan-in-order.ts';
import type { VerifyAnswer, VerifyRequest } from './messages.ts';

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
