/** Runs asynchronous work one piece after the other, in the order in which it was asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  async run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    // The next piece of work waits for this one and does not care how it ended; its caller does.
    this.#last = result.catch(() => undefined);
    return result;
  }
}
