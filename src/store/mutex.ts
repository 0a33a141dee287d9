/** Runs asynchronous work one piece after the other, in the order in which it was asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  #pieces = 0;

  /** Whether some work is under way, or waits for its turn. */
  get isBusy(): boolean {
    return this.#pieces > 0;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#pieces++;
    const result = this.#last.then(work).finally(() => this.#pieces--);
    // The next piece of work waits for this one and does not care how it ended; its caller does.
    this.#last = result.catch(() => undefined);
    return result;
  }
}
