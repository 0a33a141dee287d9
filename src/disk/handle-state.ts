import { PageStoreError } from '../errors.ts';

/** Whether a handle may be used: not after it was closed, nor after a failure that leaves the file's state unknown. */
export class HandleState {
  readonly #file: string;
  /** Why it may not. */
  #over: PageStoreError | undefined;
  /** A failure behind an acknowledgement, not told yet. */
  #untold: PageStoreError | undefined;

  /** @param file - what messages call it */
  constructor(file: string) {
    this.#file = file;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  get isClosed(): boolean {
    return this.#over?.code === 'FILE_CLOSED';
  }

  /** @throws {@link PageStoreError} `FILE_CLOSED`, or `IO` after a failure */
  assertUsable(): void {
    if (this.#over === undefined) return;
    this.#untold = undefined;
    throw this.#over;
  }

  close(): void {
    this.#over = new PageStoreError('FILE_CLOSED', 'the file has been closed', { file: this.#file });
  }

  /** Does writes or syncs, after a failure of which nobody knows what the file holds. */
  async orFail(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** As {@link orFail}, where what was to be done has been acknowledged: the next one to come is told. */
  async orFailUntold(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#fail(error);
      this.#untold = this.#over;
    }
  }

  #fail(error: unknown): void {
    const message =
      'an earlier write or sync failed, and nothing more is done through this handle; open the file again';
    this.#over ??= new PageStoreError('IO', message, { file: this.#file }, error);
  }

  /** @throws {@link PageStoreError} `IO` for a failure that nobody has been told of */
  tell(): void {
    if (this.#untold !== undefined) throw this.#untold;
  }
}
