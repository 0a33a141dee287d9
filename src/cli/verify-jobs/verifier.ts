import type { CommittedView } from '../../disk/committed-view.ts';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { identityOf } from '../../disk/node-same-file.ts';
import type { FindingSink, VerifyOptions, VerifySummary } from '../../verify/finding.ts';
import { ScanMemory, scanRange } from '../../verify/range-scan.ts';
import type { BlockRange, ScanBatch, ScanSettings } from '../../verify/scan-batch.ts';
import { scanInOrder } from '../../verify/scan-in-order.ts';
import { verifyBlocks, verifyFile } from '../../verify/verify-file.ts';
import { replacedError } from './replaced-file.ts';
import { VerifyThread } from './verify-thread.ts';

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
