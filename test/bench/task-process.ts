import { type ChildProcess, fork } from 'node:child_process';
import type { TaskAnswer } from './task-child.ts';
import type { Sample, TaskSettings } from './tasks.ts';

/** The process of one task, seen from the parent. */
export class TaskProcess {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;
  readonly #ready: Promise<TaskAnswer>;

  constructor(child: string, settings: TaskSettings) {
    this.#process = fork(child, [JSON.stringify(settings)], { execArgv: ['--expose-gc'] });
    this.#ended = new Promise((_, reject) => {
      this.#process.once('exit', (code, signal) => reject(new Error(`its process ended with ${code ?? signal}`)));
      this.#process.once('error', reject);
    });
    // Who waits for an answer hears of it; after the last one nobody does.
    this.#ended.catch(() => undefined);
    this.#ready = this.#answer();
    this.#ready.catch(() => undefined);
  }

  /** Does one round, numbers count from 0. @throws Error with what the process said, where it failed */
  async round(number: number): Promise<Sample> {
    await this.#ready;
    this.#process.send(number);
    const { sample } = await this.#answer();
    if (sample === undefined) throw new Error('its process told nothing of the round');
    return sample;
  }

  end(): void {
    this.#process.kill();
  }

  async #answer(): Promise<TaskAnswer> {
    const answer = new Promise<TaskAnswer>((resolve) =>
      this.#process.once('message', (told) => resolve(told as TaskAnswer)),
    );
    const told = await Promise.race([answer, this.#ended]);
    if (told.failed !== undefined) throw new Error(told.failed);
    return told;
  }
}
