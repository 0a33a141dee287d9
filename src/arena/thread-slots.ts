import { threadId, type Worker } from 'node:worker_threads';
import { LINE_BYTES, LINE_WORDS } from './block-memory.ts';

/** What another thread attaches to; it goes through `postMessage` and `workerData`. */
export interface ThreadSlotsDescriptor {
  readonly memory: SharedArrayBuffer;
}

/** The value of a slot for which its thread has set none. */
export const NO_VALUE = -1;

// Words of a slot, which has a cache line to itself.
/** Id of the thread that owns the slot, plus 1; 0 where nobody does. */
const OWNER_WORD = 0;
const VALUE_WORD = 1;
/** In the first slot: slots that have ever been claimed, counted from the first one; none behind them has a value. */
const CLAIMED_WORD = 2;

/** A table in shared memory with a slot for a thread: who owns it, and one int32 that the owner sets and all may read. */
export class ThreadSlots {
  readonly slotCount: number;
  readonly #words: Int32Array;
  readonly #buffer: SharedArrayBuffer;

  /** @throws RangeError for less than one slot, or more than 65,536 */
  constructor(slots: number | ThreadSlotsDescriptor) {
    if (typeof slots !== 'number') {
      if (!(slots?.memory instanceof SharedArrayBuffer)) throw new TypeError('this is no descriptor of thread slots');
      this.#buffer = slots.memory;
      this.#words = new Int32Array(this.#buffer);
    } else {
      if (!Number.isInteger(slots) || slots < 1 || slots > 65_536)
        throw new RangeError(`a table has 1 to 65,536 slots for threads, not ${slots}`);
      this.#buffer = new SharedArrayBuffer(slots * LINE_BYTES);
      this.#words = new Int32Array(this.#buffer);
      for (let slot = 0; slot < slots; slot++) this.#words[slot * LINE_WORDS + VALUE_WORD] = NO_VALUE;
    }
    this.slotCount = this.#words.length / LINE_WORDS;
  }

  /** The same table, in another thread. @throws TypeError for what is no descriptor */
  static attach(descriptor: ThreadSlotsDescriptor): ThreadSlots {
    return new ThreadSlots({ memory: descriptor.memory });
  }

  get descriptor(): ThreadSlotsDescriptor {
    return { memory: this.#buffer };
  }

  /** Claims a slot for this thread. A thread that has one gets the same again. @returns its index, or -1 where all are taken */
  claim(): number {
    const own = this.slotOf(threadId);
    if (own >= 0) return own;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (Atomics.compareExchange(this.#words, slot * LINE_WORDS + OWNER_WORD, 0, threadId + 1) !== 0) continue;
      this.#countClaimed(slot + 1);
      return slot;
    }
    return -1;
  }

  /** Slots that have ever been claimed; counted before the owner of the last one can set a value. */
  get claimedCount(): number {
    return Atomics.load(this.#words, CLAIMED_WORD);
  }

  #countClaimed(count: number): void {
    for (;;) {
      const before = this.claimedCount;
      if (before >= count || Atomics.compareExchange(this.#words, CLAIMED_WORD, before, count) === before) return;
    }
  }

  /** @returns the slot of a thread, or -1 */
  slotOf(thread: number): number {
    const count = this.claimedCount;
    for (let slot = 0; slot < count; slot++) if (this.ownerOf(slot) === thread) return slot;
    return -1;
  }

  /** @returns the id of the thread that owns the slot, or -1 */
  ownerOf(slot: number): number {
    return Atomics.load(this.#words, slot * LINE_WORDS + OWNER_WORD) - 1;
  }

  /** Whether this thread owns the slot; by a plain read, since only the thread itself and {@link free} change that. */
  isOwn(slot: number): boolean {
    return this.#words[slot * LINE_WORDS + OWNER_WORD] === threadId + 1;
  }

  /** Frees the slot of a thread, which no longer uses it, or has ended. @returns whether it had one */
  free(thread: number): boolean {
    const slot = this.slotOf(thread);
    if (slot < 0) return false;
    // The value first: the next owner finds a slot without one.
    Atomics.store(this.#words, slot * LINE_WORDS + VALUE_WORD, NO_VALUE);
    Atomics.store(this.#words, slot * LINE_WORDS + OWNER_WORD, 0);
    return true;
  }

  /** The value that the owner set last, or -1. */
  valueOf(slot: number): number {
    return Atomics.load(this.#words, slot * LINE_WORDS + VALUE_WORD);
  }

  /** As `valueOf`, for the slot of this thread itself: a plain read sees what the thread has set. */
  ownValueOf(slot: number): number {
    return this.#words[slot * LINE_WORDS + VALUE_WORD] as number; // the caller's slot is in the table
  }

  /** Sets the value of the slot of this thread; whoever reads it later sees all that this thread did before. */
  setValue(slot: number, value: number): void {
    Atomics.store(this.#words, slot * LINE_WORDS + VALUE_WORD, value);
  }
}

/**
 * Calls `ended` with the id of the thread once the worker has ended, however it did: nothing of it runs any more.
 * @throws RangeError where it has ended already: then its id is not known any more
 */
export function whenEnded(worker: Worker, ended: (thread: number) => void): void {
  // Taken now: when the event comes, the worker's id is -1.
  const thread = worker.threadId;
  if (thread < 0) throw new RangeError('the worker has ended already: say it before it is given work');
  worker.once('exit', () => ended(thread));
}
