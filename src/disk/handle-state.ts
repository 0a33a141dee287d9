import { PageStoreError } from '../errors.ts';

/** Refuses the use of a handle after it was closed, and after a failure that leaves the content of the file unknown. */
export class HandleState {
  readonly #file: string;
  #error: PageStoreError | undefined;
  /** A failure after a commit that no call has reported yet. */
  #deferred: PageStoreError | undefined;

  /** @param file - its name in messages */
  constructor(file: string) {
    this.#file = file;
  }

  get isUnusable(): boolean {
    return this.#error !== undefined;
  }

  get isClosed(): boolean {
    return this.#error?.code === 'FILE_CLOSED';
  }

  /** @throws {@link PageStoreError} `FILE_CLOSED`, or `IO` after a failure */
  assertUsable(): void {
    if (this.#error === undefined) return;
    this.#deferred = undefined;
    throw this.#error;
  }

  close(): void {
    this.#error = new PageStoreError('FILE_CLOSED', 'the file has been closed', { file: this.#file });
  }

  /** Runs writes or syncs; after a failure the handle cannot be used, since the content of the file is unknown. */
  async run(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      const message = 'an earlier write or sync failed, so this handle cannot be used any more; open the file again';
      this.#error ??= new PageStoreError('IO', message, { file: this.#file }, error);
      throw error;
    }
  }

  /** As {@link run}, for steps after a commit, which cannot fail any more: the next call reports their error. */
  async runDeferred(step: () => Promise<void>): Promise<void> {
    await this.run(step).catch(() => {
      this.#deferred = this.#error;
    });
  }

  /** @throws {@link PageStoreError} `IO` for a failure that no call has reported */
  throwDeferred(): void {
    if (this.#deferred !== undefined) throw this.#deferred;
  }
}
