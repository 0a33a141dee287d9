import { type ChildProcess, fork } from 'node:child_process';
import type { Answer, Order } from './run-child.ts';

/** A contender's process, seen from the parent. */
export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;

  /** @param script - the bundle of run-child.ts */
  constructor(script: string, args: readonly string[]) {
    this.#process = fork(script, args, { execArgv: [] });
    this.#ended = new Promise((_, reject) => {
      this.#process.once('exit', (code) => reject(new Error(`the process of contender ${args[0]} ended with ${code}`)));
      this.#process.once('error', reject);
    });
    // Who waits for an answer hears of it; after the last one nobody does.
    this.#ended.catch(() => undefined);
  }

  /** Waits for the next answer; with an order, for the answer to that. */
  async ask(order?: Order): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#process.once('message', (told) => resolve(told as Answer)));
    if (order !== undefined) this.#process.send(order);
    return Promise.race([answer, this.#ended]);
  }

  end(): void {
    this.#process.kill();
  }
}
