import { setImmediate } from 'node:timers/promises';

/** A call of the system that takes longer than this is left to another thread the next time. */
const LONGEST_HELD_MS = 1;

/** After so long the other work of the process has a turn. */
const TURN_MS = 4;

/** One kind of call: whether the last one of it took long. */
export interface CallKind {
  isLong: boolean;
}

/**
 * Decides whether calls of the system are made by this thread, which they hold up, or by another. To hand a call to a
 * thread and to be told of its end takes about 0.1 ms, several times what the call takes where the system answers from its
 * memory; and a device that takes longer than that is to hold up nobody.
 */
export class CallPace {
  readonly #clock: () => number;
  #turnBegan: number;

  /** @param clock - milliseconds from any moment on */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#turnBegan = clock();
  }

  /** Makes a call one way or the other, by how long the last one of its kind took. */
  async make<T>(kind: CallKind, here: () => T, elsewhere: () => Promise<T>): Promise<T> {
    const began = this.#clock();
    const isHere = !kind.isLong;
    const result = isHere ? here() : await elsewhere();
    const ended = this.#clock();
    kind.isLong = ended - began > LONGEST_HELD_MS;
    if (!isHere) {
      this.#turnBegan = ended;
    } else if (ended - this.#turnBegan > TURN_MS) {
      // Promises alone give no turn to timers, signals and other input.
      await setImmediate();
      this.#turnBegan = this.#clock();
    }
    return result;
  }
}
