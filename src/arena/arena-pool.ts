import type { Worker } from 'node:worker_threads';
import { PageStoreError } from '../errors.ts';
import { assertEpoch } from './block-memory.ts';
import { EpochArena, type EpochArenaDescriptor, type EpochArenaStats } from './epoch-arena.ts';
import { EpochClock, type EpochClockDescriptor, tickOf } from './epoch-clock.ts';
import { whenEnded } from './thread-slots.ts';

export interface ArenaPoolOptions {
  /** Most blocks of 2 MiB of each arena; 64 where it is left out. */
  readonly maxBlocks?: number;
  /** The first epoch, 0 to 2^53 - 1; 0 where it is left out. */
  readonly epoch?: number;
  /** Most threads that write to the pool and have not released their WorkerArena; 64 where it is left out. */
  readonly maxThreads?: number;
}

/** What another thread attaches to; it goes through `postMessage` and `workerData`. */
export interface ArenaPoolDescriptor {
  readonly arenas: readonly EpochArenaDescriptor[];
  readonly clock: EpochClockDescriptor;
  readonly firstEpoch: number;
}

/** Where bytes are in a pool, and in which epoch; it goes through `postMessage`. */
export interface EpochHandle {
  readonly epoch: number;
  /** From the start of the first block of the arena. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface ArenaPoolStats {
  readonly epoch: number;
  /** Allocations of the epochs that are valid. */
  readonly allocations: number;
  /** Bytes that were asked for in the epochs that are valid. */
  readonly usedBytes: number;
  readonly blockCount: number;
  readonly reservedBytes: number;
  /** In the order of the arenas: that of epoch e is at e mod size. */
  readonly arenas: readonly EpochArenaStats[];
}

const DEFAULT_THREADS = 64;

/** Each takes address space; far more of them would take down the process. */
const MAX_ARENAS = 1_024;

/**
 * Arenas in a ring: epoch e has the arena e mod size. Advancing the epoch recycles the oldest one, so an epoch is valid
 * while it is one of the last `size`.
 *
 * Only the object that was made with a size advances the epoch, since two threads that did so at once would each
 * recycle an arena that the other gives out. Other threads attach, and write through a {@link WorkerArena}.
 */
export class ArenaPool {
  readonly size: number;
  /** The clock and its pins, for WorkerArena. @internal */
  readonly clock: EpochClock;
  readonly #arenas: readonly EpochArena[];
  readonly #firstEpoch: number;
  readonly #attached: boolean;

  /**
   * @param size - how many epochs are valid at a time, or the descriptor of a pool to attach to
   * @throws RangeError where the size is not a whole number of at least 1, or an option out of its range
   */
  constructor(size: number | ArenaPoolDescriptor, options: ArenaPoolOptions = {}) {
    if (typeof size === 'number') {
      if (!Number.isInteger(size) || size < 1 || size > MAX_ARENAS)
        throw new RangeError(`a pool has 1 to ${MAX_ARENAS} arenas, not ${size}`);
      const { epoch = 0, maxThreads = DEFAULT_THREADS, ...arenaOptions } = options;
      assertEpoch(epoch);
      this.#arenas = Array.from({ length: size }, (_, index) => {
        // The first epoch from `epoch` on that is this arena's.
        const reached = epoch + ((index - (epoch % size) + size) % size);
        return new EpochArena({ ...arenaOptions, epoch: Math.min(reached, Number.MAX_SAFE_INTEGER) });
      });
      this.clock = EpochClock.create(epoch, maxThreads);
      this.#firstEpoch = epoch;
      this.#attached = false;
    } else {
      const { arenas, clock, firstEpoch } = size;
      if (!Array.isArray(arenas)) throw new TypeError('this is no descriptor of a pool');
      this.#arenas = arenas.map((each) => EpochArena.attach(each));
      this.clock = EpochClock.attach(clock);
      this.#firstEpoch = firstEpoch;
      this.#attached = true;
    }
    this.size = this.#arenas.length;
  }

  /** The same pool, in another thread; it cannot advance the epoch. */
  static attach(descriptor: ArenaPoolDescriptor): ArenaPool {
    return new ArenaPool(descriptor);
  }

  get descriptor(): ArenaPoolDescriptor {
    return {
      arenas: this.#arenas.map((each) => each.descriptor),
      clock: this.clock.descriptor,
      firstEpoch: this.#firstEpoch,
    };
  }

  get currentEpoch(): number {
    return this.clock.epoch;
  }

  /** The arena of the current epoch. In a thread that does not advance the epoch, a WorkerArena keeps it from being recycled. */
  current(): EpochArena {
    return this.#arenaAt(this.clock.epoch);
  }

  /** Whether the epoch is one of the last `size`: neither recycled, nor yet to come. */
  isEpochValid(epoch: number): boolean {
    const current = this.clock.epoch;
    return Number.isSafeInteger(epoch) && epoch <= current && epoch > current - this.size && epoch >= this.#firstEpoch;
  }

  /** @throws {@link PageStoreError} `STALE_EPOCH` where the epoch was recycled, or is yet to come */
  arenaOf(epoch: number): EpochArena {
    if (this.isEpochValid(epoch)) return this.#arenaAt(epoch);
    const current = this.clock.epoch;
    const oldest = Math.max(this.#firstEpoch, current - this.size + 1);
    const state = epoch > current ? 'has not come yet' : 'is no longer there';
    throw new PageStoreError('STALE_EPOCH', `epoch ${epoch} ${state}: the pool has epochs ${oldest} to ${current}`, {
      found: `epoch ${epoch}`,
      expected: `${oldest} to ${current}`,
    });
  }

  /**
   * Begins the next epoch, and recycles the oldest one where there are `size` of them: what it held is gone.
   * @returns the new epoch
   * @throws TypeError for a pool that is attached
   * @throws {@link PageStoreError} `EPOCH_PINNED` where a thread has the oldest one pinned; then nothing has changed
   */
  advanceEpoch(): number {
    if (this.#attached) throw new TypeError('only the pool that was made with a size advances its epoch');
    const epoch = this.clock.epoch + 1;
    assertEpoch(epoch);
    const recycled = epoch - this.size;
    // In the first round, an arena has its epoch from the start.
    this.clock.advance(epoch, recycled >= this.#firstEpoch ? recycled : -1, this.#arenaAt(epoch));
    return epoch;
  }

  /**
   * Copies `source[start, end)` into the current epoch. This is for convenience: it makes an object for each copy, and
   * where the pool is attached pins the epoch each time, in place of the thread's pin. Loops use `current()`, or a WorkerArena.
   * @throws TypeError or RangeError for what is no range of bytes; RangeError beyond `maxThreads`
   * @throws {@link PageStoreError} `ARENA_FULL`
   */
  allocateCopy(source: Uint8Array, start = 0, end: number = source.length): EpochHandle {
    if (!this.#attached) {
      const epoch = this.clock.epoch;
      return { epoch, offset: this.#arenaAt(epoch).allocateCopy(source, start, end), length: end - start };
    }
    const wasPinned = this.clock.hasPin();
    const epoch = this.clock.pin();
    try {
      return { epoch, offset: this.#arenaAt(epoch).allocateCopy(source, start, end), length: end - start };
    } finally {
      if (!wasPinned) this.clock.unpin();
    }
  }

  /**
   * The bytes of a handle: a view, valid until its epoch is recycled. Only the call is checked, not what is read later.
   * @throws {@link PageStoreError} `STALE_EPOCH` where the epoch was recycled, or is yet to come
   * @throws RangeError for a handle that no allocation can have given
   */
  read({ epoch, offset, length }: EpochHandle): Uint8Array {
    return this.arenaOf(epoch).view(offset, length);
  }

  /** Takes back the pin of a thread that has ended without releasing it. @returns whether it had one */
  releaseThread(thread: number): boolean {
    return this.clock.pins.free(thread);
  }

  /**
   * Releases the worker's thread once it has ended, however it did. To be called before the worker can end.
   * @throws RangeError where it has ended already
   */
  releaseWhenEnded(worker: Worker): void {
    whenEnded(worker, (thread) => this.clock.pins.free(thread));
  }

  /** Sums over the epochs that are valid, and over all arenas; exact as the stats of an EpochArena are. */
  stats(): ArenaPoolStats {
    const arenas = this.#arenas.map((each) => each.stats());
    const sum = { allocations: 0, usedBytes: 0, blockCount: 0, reservedBytes: 0 };
    for (const each of arenas) {
      sum.allocations += each.allocations;
      sum.usedBytes += each.usedBytes;
      sum.blockCount += each.blockCount;
      sum.reservedBytes += each.reservedBytes;
    }
    return { epoch: this.clock.epoch, ...sum, arenas };
  }

  #arenaAt(epoch: number): EpochArena {
    return this.#arenas[epoch % this.size] as EpochArena; // size >= 1, epoch >= 0
  }
}

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
