import { threadId } from 'node:worker_threads';
import { PageStoreError } from '../errors.ts';
import type { EpochArena } from './epoch-arena.ts';
import { LINE_BYTES } from './block-memory.ts';
import { loadEpoch, storeEpoch } from './block-memory.ts';
import { NO_VALUE, ThreadSlots, type ThreadSlotsDescriptor } from './thread-slots.ts';

/** What another thread attaches to; it goes through `postMessage` and `workerData`. */
export interface EpochClockDescriptor {
  readonly memory: SharedArrayBuffer;
  readonly pins: ThreadSlotsDescriptor;
}

const TICK_WORD = 0;
const EPOCH_WORD = 1;
/** The tick while the epoch is about to advance. */
const ADVANCING = -1;

/** The low 31 bits of an epoch: what fits in a word beside -1. */
export function tickOf(epoch: number): number {
  return epoch & 0x7fff_ffff;
}

/**
 * The current epoch of a pool, and the epochs that threads have pinned, in shared memory.
 *
 * A pin is a tick. It cannot be taken for one of another epoch: a pool does not advance as far as 2^31 epochs beyond
 * one that is pinned.
 */
export class EpochClock {
  readonly #words: Int32Array;
  readonly #pins: ThreadSlots;

  private constructor(words: Int32Array, pins: ThreadSlots) {
    this.#words = words;
    this.#pins = pins;
  }

  static create(epoch: number, maxThreads: number): EpochClock {
    const clock = new EpochClock(new Int32Array(new SharedArrayBuffer(LINE_BYTES)), new ThreadSlots(maxThreads));
    storeEpoch(clock.#words, EPOCH_WORD, epoch);
    Atomics.store(clock.#words, TICK_WORD, tickOf(epoch));
    return clock;
  }

  static attach({ memory, pins }: EpochClockDescriptor): EpochClock {
    return new EpochClock(new Int32Array(memory), ThreadSlots.attach(pins));
  }

  get descriptor(): EpochClockDescriptor {
    return { memory: this.#words.buffer as SharedArrayBuffer, pins: this.#pins.descriptor };
  }

  get epoch(): number {
    for (;;) {
      const tick = this.#settledTick();
      const epoch = loadEpoch(this.#words, EPOCH_WORD);
      if (Atomics.load(this.#words, TICK_WORD) === tick) return epoch;
    }
  }

  /** Threads that have pins. */
  get pins(): ThreadSlots {
    return this.#pins;
  }

  /**
   * Whether `slot` of this thread pins the current epoch, by plain reads: an older answer does no harm, since what is
   * pinned is not recycled.
   */
  isPinned(slot: number, tick: number): boolean {
    return this.#words[TICK_WORD] === tick && this.#pins.isOwn(slot) && this.#pins.ownValueOf(slot) === tick;
  }

  /**
   * Pins the current epoch for this thread, in place of what it had pinned.
   *
   * The pin is set first, and then the tick is read again. The one who advances sets the tick to -1 first, and then
   * reads the pins. All four are in one order for all threads, so either the pin is seen, and the epoch is not
   * recycled, or the tick has changed, and the pin is moved on. A pin that comes too late thus holds an epoch in which
   * nobody writes.
   * @returns the epoch
   * @throws RangeError where more threads pin than the pool was made for
   */
  pin(): number {
    const slot = this.#pins.claim();
    if (slot < 0)
      throw new RangeError(`no more than ${this.#pins.slotCount} threads write to this pool at a time: see maxThreads`);
    for (;;) {
      const tick = this.#settledTick();
      const epoch = loadEpoch(this.#words, EPOCH_WORD);
      this.#pins.setValue(slot, tick);
      // The same tick again: then the two words of the epoch belong together too.
      if (Atomics.load(this.#words, TICK_WORD) === tick) return epoch;
    }
  }

  /** Whether this thread pins an epoch. */
  hasPin(): boolean {
    const slot = this.#pins.slotOf(threadId);
    return slot >= 0 && this.#pins.ownValueOf(slot) !== NO_VALUE;
  }

  /** Takes back the pin of this thread, if it has one, and its place among the pins. */
  unpin(): void {
    this.#pins.free(threadId);
  }

  /**
   * Advances to `epoch`; only one thread ever does.
   * @param recycled - the epoch whose arena becomes that of `epoch`; negative where there is none
   * @param arena - that of `recycled`, reset while nobody can pin an epoch
   * @throws {@link PageStoreError} `EPOCH_PINNED`, and nothing has changed
   */
  advance(epoch: number, recycled: number, arena: EpochArena): void {
    const before = Atomics.exchange(this.#words, TICK_WORD, ADVANCING);
    try {
      if (recycled >= 0) {
        this.#refusePinned(recycled);
        arena.reset(epoch);
      }
    } catch (error) {
      Atomics.store(this.#words, TICK_WORD, before);
      throw error;
    }
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    Atomics.store(this.#words, TICK_WORD, tickOf(epoch));
  }

  #refusePinned(epoch: number): void {
    const tick = tickOf(epoch);
    const count = this.#pins.claimedCount;
    for (let slot = 0; slot < count; slot++) {
      if (this.#pins.valueOf(slot) !== tick) continue;
      const thread = this.#pins.ownerOf(slot);
      const message = `epoch ${epoch} cannot be recycled: thread ${thread} has it pinned; release its WorkerArena first, or the thread where it has died`;
      throw new PageStoreError('EPOCH_PINNED', message, { found: `thread ${thread}`, expected: 'no thread' });
    }
  }

  #settledTick(): number {
    for (;;) {
      const tick = Atomics.load(this.#words, TICK_WORD);
      if (tick !== ADVANCING) return tick;
    }
  }
}
