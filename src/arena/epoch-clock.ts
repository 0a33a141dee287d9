import { types } from 'node:util';
import { threadId } from 'node:worker_threads';
import { wrongType } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { LINE_BYTES, loadEpoch, storeEpoch } from './block-memory.ts';
import type { EpochArena } from './epoch-arena.ts';
import { ThreadSlots } from './thread-slots.ts';

const TICK_WORD = 0;
const EPOCH_WORD = 1;
/** The tick while the epoch is being advanced. */
const ADVANCING = -1;

/** The low 31 bits of an epoch, so never -1 in an int32. */
export function tickOf(epoch: number): number {
  return epoch & 0x7fff_ffff;
}

/**
 * The current epoch of a pool, and the ticks of the epochs that threads have pinned, in shared memory.
 * Ticks of two epochs cannot be confused: a pool never advances 2^31 epochs past a pinned one.
 */
export class EpochClock {
  readonly pins: ThreadSlots;
  readonly #words: Int32Array;

  private constructor(memory: SharedArrayBuffer, pins: ThreadSlots) {
    this.#words = new Int32Array(memory);
    this.pins = pins;
  }

  static create(epoch: number, maxThreads: number): EpochClock {
    const clock = new EpochClock(new SharedArrayBuffer(LINE_BYTES), ThreadSlots.create(maxThreads, 'maxThreads'));
    clock.#set(epoch);
    return clock;
  }

  /** The same clock, in another thread. @throws TypeError unless `create` made both memories */
  static attach(memory: SharedArrayBuffer, pins: SharedArrayBuffer): EpochClock {
    if (!types.isSharedArrayBuffer(memory) || memory.byteLength !== LINE_BYTES)
      throw wrongType('descriptor', 'one that a pool returned, with its clock', memory);
    return new EpochClock(memory, ThreadSlots.attach(pins));
  }

  get memory(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  get epoch(): number {
    for (;;) {
      const tick = this.#loadTick();
      const epoch = loadEpoch(this.#words, EPOCH_WORD);
      if (Atomics.load(this.#words, TICK_WORD) === tick) return epoch;
    }
  }

  /** By plain reads: an outdated answer is harmless, since a pinned epoch is not recycled. */
  isPinned(slot: number, tick: number): boolean {
    return this.#words[TICK_WORD] === tick && this.pins.isOwn(slot) && this.pins.ownValueOf(slot) === tick;
  }

  /**
   * Pins the current epoch in place of this thread's earlier pin. This stores the pin and then reads the tick again;
   * `advance` sets the tick to -1 and then reads the pins. All threads see these operations in one order, so either
   * `advance` sees the pin and does not recycle the epoch, or this sees that the tick has changed and pins again.
   * @throws RangeError if more threads pin than the pool allows
   */
  pin(): number {
    const slot = this.pins.claim();
    if (slot < 0)
      throw new RangeError(`at most ${this.pins.slotCount} threads may write to this pool at once; raise maxThreads`);
    for (;;) {
      const tick = this.#loadTick();
      const epoch = loadEpoch(this.#words, EPOCH_WORD);
      this.pins.setValue(slot, tick);
      // The tick is unchanged, so the two words of the epoch belong together as well.
      if (Atomics.load(this.#words, TICK_WORD) === tick) return epoch;
    }
  }

  hasPin(): boolean {
    return this.pins.slotOf(threadId) >= 0;
  }

  unpin(): void {
    this.pins.free(threadId);
  }

  /**
   * Advances to `epoch`; only one thread ever calls this. Resets `arena`, that of epoch `recycled` (negative: none).
   * @throws {@link PageStoreError} `EPOCH_PINNED`; then nothing has changed
   */
  advance(epoch: number, recycled: number, arena: EpochArena): void {
    const before = Atomics.exchange(this.#words, TICK_WORD, ADVANCING);
    try {
      if (recycled >= 0) {
        this.#assertNotPinned(recycled);
        arena.reset(epoch);
      }
    } catch (error) {
      Atomics.store(this.#words, TICK_WORD, before);
      throw error;
    }
    this.#set(epoch);
  }

  /** The tick last, which threads that wait for the epoch read. */
  #set(epoch: number): void {
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    Atomics.store(this.#words, TICK_WORD, tickOf(epoch));
  }

  #assertNotPinned(epoch: number): void {
    const tick = tickOf(epoch);
    const count = this.pins.claimedCount;
    for (let slot = 0; slot < count; slot++) {
      if (this.pins.valueOf(slot) !== tick) continue;
      const thread = this.pins.ownerOf(slot);
      const message = `epoch ${epoch} cannot be recycled: thread ${thread} has it pinned; release its WorkerArena first, or call releaseThread if the thread has died`;
      throw new PageStoreError('EPOCH_PINNED', message, { found: `thread ${thread}`, expected: 'no thread' });
    }
  }

  #loadTick(): number {
    for (;;) {
      const tick = Atomics.load(this.#words, TICK_WORD);
      if (tick !== ADVANCING) return tick;
    }
  }
}
