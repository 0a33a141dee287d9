import { assertPathOrBlockFile, checkOptions, type OptionKind } from '../arguments.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { identityOf } from '../disk/node-fs.ts';
import { verifyFile, type VerifyOptions, type VerifyReport } from './verify-file.ts';
import { replacedError, VerifyThreads } from './verify-threads.ts';

export type { Finding, VerifyOptions, VerifyReport } from './verify-file.ts';

const FILE_OPTIONS = {
  requireChecksums: 'boolean',
  requireFinalized: 'boolean',
  onFinding: 'function',
  onProgress: 'function',
  signal: 'signal',
} as const satisfies Readonly<Record<keyof Omit<VerifyOptions, 'threads'>, OptionKind>>;

/**
 * Checks everything that can be checked in a page file, and reads each block once. Accepts any input, and other
 * processes that write to the file.
 * @throws TypeError for wrong options, and for more than one thread on a BlockFile
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`; `IO`, also when a thread fails
 */
export async function verify(file: string | BlockFile, options: VerifyOptions = {}): Promise<VerifyReport> {
  assertPathOrBlockFile('verify', 'file', file);
  checkOptions('verify', options, { ...FILE_OPTIONS, threads: 'count' });
  const { threads = 1, ...fileOptions } = options;
  if (typeof file !== 'string') {
    if (threads > 1)
      throw new TypeError('verify: options.threads above 1 needs a path, since every thread opens the file itself');
    return verifyFile(file, fileOptions);
  }
  const verifier = new Verifier({ threads });
  try {
    return await verifier.verify(file, fileOptions);
  } finally {
    await verifier.close();
  }
}

/** Verifies many files with the same threads. */
export class Verifier {
  readonly #threads: VerifyThreads | undefined;
  /** Settles when the last call so far has ended. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * @param options - `threads`: threads that check blocks, the calling one included; default 1. @throws TypeError for
   * wrong options
   */
  constructor(options: { readonly threads?: number } = {}, /** @internal */ workerScript?: URL) {
    checkOptions('Verifier', options, { threads: 'count' });
    const { threads = 1 } = options;
    this.#threads = threads === 1 ? undefined : new VerifyThreads(threads - 1, workerScript);
  }

  /**
   * Checks one file, as {@link verify}. Concurrent calls run one after the other.
   * @throws TypeError for wrong options, and after {@link close}
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`; `IO`, also when a thread fails
   */
  async verify(path: string, options: Omit<VerifyOptions, 'threads'> = {}): Promise<VerifyReport> {
    if (typeof path !== 'string' || path === '')
      throw new TypeError('Verifier.verify: path must be a file name, not empty');
    checkOptions('Verifier.verify', options, FILE_OPTIONS);
    if (this.#isClosed) throw new TypeError('Verifier.verify: the verifier is closed');
    const report = this.#last.then(() => this.#verifyNow(path, options));
    this.#last = report.catch(() => undefined); // the caller gets the error
    return report;
  }

  async #verifyNow(path: string, options: VerifyOptions): Promise<VerifyReport> {
    const threads = this.#threads;
    if (threads === undefined) return withPageFile(path, 'read', (file) => verifyFile(file, options));
    const identity = await identityOf(path);
    return withPageFile(path, 'read', async (file) => {
      if ((await identityOf(path)) !== identity) throw replacedError(path);
      try {
        return await verifyFile(file, options, (view, range, settings) =>
          threads.scan({ path, identity, view }, range, settings),
        );
      } finally {
        await threads.release();
      }
    });
  }

  /** Waits for the calls so far, and ends the threads. To stop earlier, abort the calls. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    await this.#threads?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
