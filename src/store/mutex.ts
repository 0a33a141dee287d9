/** Runs asynchronous work one piece after the other, in the order in which it was asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  #pieces = 0;

  /** Whether some work is under way, or waits for its turn. */
  get isBusy(): boolean {
    return this.#pieces > 0;
  }

  /** Begins the work in a later turn, never at once. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#pieces++;
    const before = this.#last;
    // The next piece of work waits for this one and does not care how it ended; its caller does.
    let end: (() => void) | undefined;
    this.#last = new Promise<void>((resolve) => (end = resolve));
    await before;
    try {
      return await work();
    } finally {
      this.#pieces--;
      end?.();
    }
  }
}
