import type { ArenaPool, EpochHandle } from './arena-pool.ts';
import type { EpochArena } from './epoch-arena.ts';
import { type EpochClock, tickOf } from './epoch-clock.ts';

/**
 * A thread's way to write to the current epoch of a pool. It keeps the arena of that epoch, and pins the epoch while it
 * does: the pool cannot recycle bytes that are being copied. Each call looks whether the epoch has advanced, and if so
 * moves the pin on to the new one.
 *
 * A thread has one pin in a pool, whichever of its objects moves it on: what it has to write to an allocation is
 * written before it allocates in that pool again. A thread that has nothing to write for a while calls `release`; it
 * holds up the pool otherwise.
 */
export class WorkerArena {
  readonly #pool: ArenaPool;
  readonly #clock: EpochClock;
  #arena: EpochArena | undefined;
  #epoch = -1;
  #tick = -1;
  #slot = -1;

  /** @param pool - this thread's own object: the creator's, or one that is attached */
  constructor(pool: ArenaPool) {
    this.#pool = pool;
    this.#clock = pool.clock;
  }

  /** The epoch of the last allocation, to which its offset belongs; -1 before the first one. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * The current arena, pinned: by this call, where it was not.
   * @throws RangeError where more threads write than the pool was made for
   */
  current(): EpochArena {
    const arena = this.#arena;
    // The pin is looked at as well: another WorkerArena of this thread has the same one, and may have released it.
    if (arena !== undefined && this.#clock.isPinned(this.#slot, this.#tick)) return arena;
    return this.#moveOn();
  }

  /**
   * Allocates `bytes` in the current epoch, which `epoch` names from now on. The thread may write to them until it
   * allocates in the pool again.
   * @param alignment - power of two up to 64, which divides the offset
   * @returns the offset from the start of the arena's first block
   * @throws RangeError for more than a block, or another alignment, and as {@link current}
   * @throws {@link PageStoreError} `ARENA_FULL`
   */
  allocate(bytes: number, alignment = 8): number {
    return this.current().allocate(bytes, alignment);
  }

  /**
   * Copies `source[start, end)` into the current epoch, which `epoch` names from now on, to a multiple of 8.
   * @returns the offset from the start of the arena's first block
   * @throws TypeError or RangeError for what is no range of bytes, and as {@link current}
   * @throws {@link PageStoreError} `ARENA_FULL`
   */
  allocateCopy(source: Uint8Array, start = 0, end: number = source.length): number {
    return this.current().allocateCopy(source, start, end);
  }

  /** As `allocateCopy`, but to a multiple of 16. */
  allocateKey(source: Uint8Array, start: number, end: number): number {
    return this.current().allocateKey(source, start, end);
  }

  /** The handle of what was allocated last, for the pool's `read` in any thread. */
  handleOf(offset: number, length: number): EpochHandle {
    return { epoch: this.#epoch, offset, length };
  }

  /**
   * Takes the pin back, of all WorkerArenas of this thread; the next allocation sets it again. What was allocated may
   * from now on be recycled.
   */
  release(): void {
    this.#arena = undefined;
    this.#clock.unpin();
  }

  #moveOn(): EpochArena {
    const epoch = this.#clock.pin();
    const arena = this.#pool.arenaOf(epoch);
    this.#slot = this.#clock.pins.claim();
    this.#tick = tickOf(epoch);
    this.#epoch = epoch;
    this.#arena = arena;
    return arena;
  }
}
