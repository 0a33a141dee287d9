import { PageStoreError } from '../errors.ts';

/** Refuses the use of a handle after it was closed, and after a failure that leaves the content of the file unknown. */
export class HandleState {
  readonly #file: string;
  #error: PageStoreError | undefined;
  /** An error after a commit that no call has reported yet. */
  #deferred: PageStoreError | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  get isUnusable(): boolean {
    return this.#error !== undefined;
  }

  get isClosed(): boolean {
    return this.#error?.code === 'FILE_CLOSED';
  }

  assertUsable(): void {
    if (this.#error === undefined) return;
    this.#deferred = undefined;
    throw this.#error;
  }

  close(): void {
    this.#error = new PageStoreError('FILE_CLOSED', 'the file has been closed', { file: this.#file });
  }

  /** Runs writes or syncs. After a failure the content of the file is unknown, so the handle becomes unusable. */
  async run<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      const message = 'an earlier write or sync failed, so this handle cannot be used any more; open the file again';
      this.#error ??= new PageStoreError('IO', message, { file: this.#file }, error);
      throw error;
    }
  }

  /** As {@link run}, for steps after a durable commit: the next call reports their error. */
  async runDeferred(step: () => Promise<void>): Promise<void> {
    await this.run(step).catch(() => {
      this.#deferred = this.#error;
    });
  }

  throwDeferred(): void {
    if (this.#deferred !== undefined) throw this.#deferred;
  }
}
