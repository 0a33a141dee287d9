import { types } from 'node:util';
import { threadId } from 'node:worker_threads';
import { assertInteger, wrongType } from '../arguments.ts';
import { LINE_BYTES, LINE_WORDS } from './block-memory.ts';

const NO_VALUE = -1;

const MAX_SLOTS = 65_536;

// Words of a slot, which has a cache line of its own.
/** Id of the thread that owns the slot, plus 1; 0 for a free slot. */
const OWNER_WORD = 0;
const VALUE_WORD = 1;
/** In the first slot: number of slots that were ever claimed, all of which come before the others. */
const CLAIMED_WORD = 2;

/** A shared table with a slot for each thread: its owner, and an int32 that the owner sets and all threads read. */
export class ThreadSlots {
  readonly slotCount: number;
  readonly #words: Int32Array;

  private constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.slotCount = this.#words.length / LINE_WORDS;
  }

  /** @param parameter - name of the option, for messages @throws RangeError unless `slotCount` is 1 to 65,536 */
  static create(slotCount: number, parameter: string): ThreadSlots {
    assertInteger(parameter, slotCount, 1, MAX_SLOTS);
    const slots = new ThreadSlots(new SharedArrayBuffer(slotCount * LINE_BYTES));
    for (let slot = 0; slot < slotCount; slot++) slots.setValue(slot, NO_VALUE);
    return slots;
  }

  /** The same table, in another thread. @throws TypeError unless `create` made the memory */
  static attach(memory: SharedArrayBuffer): ThreadSlots {
    if (!types.isSharedArrayBuffer(memory) || memory.byteLength < LINE_BYTES)
      throw wrongType('descriptor', 'one that an arena or pool returned, with its threads', memory);
    return new ThreadSlots(memory);
  }

  get memory(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  /** Claims a slot for this thread, or returns the one that it has. @returns its index, or -1 if all are taken */
  claim(): number {
    const own = this.slotOf(threadId);
    if (own >= 0) return own;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (Atomics.compareExchange(this.#words, slot * LINE_WORDS + OWNER_WORD, 0, threadId + 1) !== 0) continue;
      for (let count = this.claimedCount; count <= slot; count = this.claimedCount)
        Atomics.compareExchange(this.#words, CLAIMED_WORD, count, slot + 1);
      return slot;
    }
    return -1;
  }

  /** Number of slots that were ever claimed; a slot counts before its owner can set a value. */
  get claimedCount(): number {
    return Atomics.load(this.#words, CLAIMED_WORD);
  }

  /** @returns the slot of a thread, or -1 */
  slotOf(thread: number): number {
    const count = this.claimedCount;
    for (let slot = 0; slot < count; slot++) if (this.ownerOf(slot) === thread) return slot;
    return -1;
  }

  ownerOf(slot: number): number {
    return Atomics.load(this.#words, slot * LINE_WORDS + OWNER_WORD) - 1;
  }

  /** Whether this thread owns the slot. A plain read is enough: only this thread and {@link free} change that. */
  isOwn(slot: number): boolean {
    return this.#words[slot * LINE_WORDS + OWNER_WORD] === threadId + 1;
  }

  /** Frees the slot of a thread that has ended or no longer uses it. @returns whether it had one @throws RangeError */
  free(thread: number): boolean {
    assertInteger('thread', thread, 0, Number.MAX_SAFE_INTEGER);
    const slot = this.slotOf(thread);
    if (slot < 0) return false;
    // The value first, so that the next owner finds a slot without one.
    this.setValue(slot, NO_VALUE);
    Atomics.store(this.#words, slot * LINE_WORDS + OWNER_WORD, 0);
    return true;
  }

  /** Frees the slot of a worker once it has ended. @throws TypeError; RangeError if it has ended already */
  freeWhenEnded(worker: EndingThread): void {
    // Read now: at the event, the id of the worker is -1.
    const thread = (worker as EndingThread | null | undefined)?.threadId;
    if (!Number.isInteger(thread) || thread === undefined || typeof worker.once !== 'function')
      throw wrongType('worker', 'a Worker of node:worker_threads', worker);
    if (thread < 0) throw new RangeError('worker has ended already: call this before it can end');
    worker.once('exit', () => this.free(thread));
  }

  valueOf(slot: number): number {
    return Atomics.load(this.#words, slot * LINE_WORDS + VALUE_WORD);
  }

  /** As `valueOf`, for the slot of this thread: a plain read returns what the thread itself has set. */
  ownValueOf(slot: number): number {
    return this.#words[slot * LINE_WORDS + VALUE_WORD] as number; // the caller's slot is in the table
  }

  /** Sets the value of this thread's slot. A thread that reads it sees all that this thread did before. */
  setValue(slot: number, value: number): void {
    Atomics.store(this.#words, slot * LINE_WORDS + VALUE_WORD, value);
  }
}

/** The part of a Worker of node:worker_threads that is used. */
export interface EndingThread {
  /** -1 once the thread has ended. */
  readonly threadId: number;
  once(event: 'exit', listener: () => void): unknown;
}
