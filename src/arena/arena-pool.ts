import { assertInteger, checkOptions, lengthOf, showAs, wrongType, valueText } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { ARENA_MEMORY_OPTIONS, assertDescriptor, assertEpoch, type MemoryStats, sumStats } from './block-memory.ts';
import { EpochArena, type EpochArenaDescriptor, type EpochArenaOptions, type EpochArenaStats } from './epoch-arena.ts';
import { EpochClock, tickOf } from './epoch-clock.ts';
import {
  type ArenaHandle,
  arenaOf,
  epochOf,
  type HandleSource,
  newArenaNumber,
  type NodeRanges,
  notOfArena,
  PRIVATE_ARENA,
} from './handle-table.ts';
import type { EndingThread } from './thread-slots.ts';

/** The options of memory are those of each arena. */
export interface ArenaPoolOptions extends EpochArenaOptions {
  /** Most threads that write to the pool and have not released their WorkerArena, 1 to 65,536 (default: 64). */
  readonly maxThreads?: number;
}

/** What another thread attaches to; `postMessage` and `workerData` can carry it. */
export interface ArenaPoolDescriptor {
  readonly arenas: readonly EpochArenaDescriptor[];
  readonly clock: SharedArrayBuffer;
  readonly pins: SharedArrayBuffer;
  readonly firstEpoch: number;
  /** What the handles of this pool begin with. */
  readonly arenaNumber: number;
}

/** What the arenas of a pool contain. `allocations` and `usedBytes` count the valid epochs. */
export interface ArenaPoolStats extends MemoryStats {
  readonly epoch: number;
  /** In ring order: the arena of epoch e is at e mod size. */
  readonly arenas: readonly EpochArenaStats[];
}

const DEFAULT_MAX_THREADS = 64;

/** Each takes address space; far more could exhaust it. */
const MAX_ARENAS = 1_024;

/**
 * A ring of arenas: epoch e uses arena e mod size, and the last `size` epochs are valid.
 * Only the object that created the pool advances the epoch: two threads that did so could recycle an arena in use.
 */
export class ArenaPool implements HandleSource {
  static {
    showAs(this, (pool, show) => {
      const { arenas: _, ...stats } = pool.stats();
      return `ArenaPool ${show({ size: pool.size, ...stats })}`;
    });
  }

  readonly size: number;
  /** @internal */
  readonly clock: EpochClock;
  readonly #arenas: readonly EpochArena[];
  readonly #firstEpoch: number;
  readonly #arenaNumber: number;
  readonly #isAttached: boolean;

  /** @param size - valid epochs, 1 to 1,024, or the descriptor of a pool to attach to @throws TypeError; RangeError */
  constructor(size: number | ArenaPoolDescriptor, options?: ArenaPoolOptions);
  /** @internal */
  constructor(size: number, options: ArenaPoolOptions, arenaNumber: number);
  constructor(
    size: number | ArenaPoolDescriptor,
    options: ArenaPoolOptions = {},
    arenaNumber: number = typeof size === 'number' ? newArenaNumber() : PRIVATE_ARENA,
  ) {
    checkOptions('ArenaPool', options, { ...ARENA_MEMORY_OPTIONS, epoch: 'any', maxThreads: 'any' });
    if (typeof size === 'number') {
      assertInteger('size', size, 1, MAX_ARENAS);
      const { epoch = 0, maxThreads = DEFAULT_MAX_THREADS, ...arenaOptions } = options;
      assertEpoch(epoch);
      this.#arenas = Array.from({ length: size }, (_, index) => {
        // The first epoch from `epoch` on that belongs to this arena.
        const first = epoch + ((index - (epoch % size) + size) % size);
        return new EpochArena({ ...arenaOptions, epoch: Math.min(first, Number.MAX_SAFE_INTEGER) }, arenaNumber);
      });
      this.clock = EpochClock.create(epoch, maxThreads);
      this.#firstEpoch = epoch;
      this.#arenaNumber = arenaNumber;
      this.#isAttached = false;
    } else {
      const { arenas, clock, pins, firstEpoch, arenaNumber: number }: Partial<ArenaPoolDescriptor> = size ?? {};
      const hasNumbers = typeof firstEpoch === 'number' && typeof number === 'number';
      if (!Array.isArray(arenas) || arenas.length === 0 || !clock || !pins || !hasNumbers)
        throw wrongType('size', 'a number of arenas, or the descriptor of a pool', size);
      this.#arenas = arenas.map((each) => EpochArena.attach(each));
      this.clock = EpochClock.attach(clock, pins);
      this.#firstEpoch = firstEpoch;
      this.#arenaNumber = number;
      this.#isAttached = true;
    }
    this.size = this.#arenas.length;
  }

  /** The same pool, in another thread, which cannot advance the epoch. @throws TypeError for an invalid descriptor */
  static attach(descriptor: ArenaPoolDescriptor): ArenaPool {
    assertDescriptor(descriptor);
    return new ArenaPool(descriptor);
  }

  get descriptor(): ArenaPoolDescriptor {
    return {
      arenas: this.#arenas.map((each) => each.descriptor),
      clock: this.clock.memory,
      pins: this.clock.pins.memory,
      firstEpoch: this.#firstEpoch,
      arenaNumber: this.#arenaNumber,
    };
  }

  get currentEpoch(): number {
    return this.clock.epoch;
  }

  /** The arena of the current epoch, for the thread that advances it; others pin it by a {@link WorkerArena}. */
  current(): EpochArena {
    return this.#arenaAt(this.clock.epoch);
  }

  isEpochValid(epoch: number): boolean {
    const current = this.clock.epoch;
    return Number.isSafeInteger(epoch) && epoch <= current && epoch > current - this.size && epoch >= this.#firstEpoch;
  }

  /** @throws {@link PageStoreError} `STALE_EPOCH` if the epoch was recycled, is in the future, or is invalid */
  arenaOf(epoch: number): EpochArena {
    if (this.isEpochValid(epoch)) return this.#arenaAt(epoch);
    const current = this.clock.epoch;
    const oldest = Math.max(this.#firstEpoch, current - this.size + 1);
    const state = Number.isInteger(epoch) && epoch > current ? 'is in the future' : 'does not exist any more';
    const [found, expected] = [`epoch ${valueText(epoch)}`, `${oldest} to ${current}`];
    throw new PageStoreError('STALE_EPOCH', `${found} ${state}: the pool has epochs ${expected}`, { found, expected });
  }

  /**
   * Starts and returns the next epoch. If there are `size` epochs, the arena of the oldest is recycled.
   * @throws TypeError for an attached pool; PageStoreError `EPOCH_PINNED` if the oldest is pinned: nothing has changed
   */
  advanceEpoch(): number {
    if (this.#isAttached) throw new TypeError('only the pool that was created with a size can advance its epoch');
    const epoch = this.clock.epoch + 1;
    assertEpoch(epoch);
    const recycled = epoch - this.size;
    // In the first round, each arena has its epoch from the start.
    this.clock.advance(epoch, recycled >= this.#firstEpoch ? recycled : -1, this.#arenaAt(epoch));
    return epoch;
  }

  /**
   * {@link EpochArena.allocate} in the current epoch. Loops use `current()` or a WorkerArena, which are faster.
   * @throws as there; RangeError beyond `maxThreads`
   */
  allocate(bytes: number, alignment = 8): ArenaHandle {
    return this.#inCurrent((arena) => arena.allocate(bytes, alignment));
  }

  /** {@link EpochArena.allocateCopy} into the current epoch. @throws as `allocate`; TypeError */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.#inCurrent((arena) => arena.allocateCopy(source, start, end));
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.#inCurrent((arena) => arena.allocateKey(source, start, end));
  }

  /** The bytes of a handle: a view, valid until its epoch is recycled. @throws as `arenaOf`; RangeError */
  read(handle: ArenaHandle): Uint8Array {
    return this.#arenaOf(handle).read(handle);
  }

  /** Length of an allocation in bytes. @throws as `read` */
  lengthOf(handle: ArenaHandle): number {
    return this.#arenaOf(handle).lengthOf(handle);
  }

  /** The epoch of a handle. @throws as `read` */
  epochOf(handle: ArenaHandle): number {
    return this.#arenaOf(handle).epoch;
  }

  /** @see HandleSource.locate */
  locate(handles: ArrayLike<number>, from: number, to: number, ranges: NodeRanges): void {
    const arena = this.#arenaOf(handles[from] as number); // from < to
    const epoch = arena.epoch;
    let end = from + 1;
    const most = Math.min(to, from + ranges.capacity);
    while (end < most && epochOf(handles[end] as number, this.clock.epoch) === epoch) end++; // end < to
    arena.locate(handles, from, end, ranges);
  }

  /** Removes the pin of a thread that ended without releasing it. @returns whether it had one @throws RangeError */
  releaseThread(thread: number): boolean {
    return this.clock.pins.free(thread);
  }

  /** Removes a worker's pin once it has ended. @throws TypeError; RangeError if it has ended already */
  releaseWhenEnded(worker: EndingThread): void {
    this.clock.pins.freeWhenEnded(worker);
  }

  /** Exact in the same cases as the stats of an EpochArena. */
  stats(): ArenaPoolStats {
    const arenas = this.#arenas.map((each) => each.stats());
    return { epoch: this.clock.epoch, ...sumStats(arenas), arenas };
  }

  #inCurrent(allocate: (arena: EpochArena) => ArenaHandle): ArenaHandle {
    const wasPinned = !this.#isAttached || this.clock.hasPin();
    const epoch = this.#isAttached ? this.clock.pin() : this.clock.epoch;
    try {
      return allocate(this.#arenaAt(epoch));
    } finally {
      if (!wasPinned) this.clock.unpin();
    }
  }

  #arenaOf(handle: ArenaHandle): EpochArena {
    if (!Number.isSafeInteger(handle) || arenaOf(handle) !== this.#arenaNumber) throw notOfArena(handle);
    const epoch = epochOf(handle, this.clock.epoch);
    if (epoch < this.#firstEpoch) throw notOfArena(handle);
    return this.arenaOf(epoch);
  }

  #arenaAt(epoch: number): EpochArena {
    return this.#arenas[epoch % this.size] as EpochArena; // size >= 1, epoch >= 0
  }
}

/**
 * Writes to a pool's current epoch, for one thread. It pins the epoch until it allocates in a later one, or `release`.
 * A thread has one pin in a pool, so an allocation has to be written before the thread allocates in that pool again.
 */
export class WorkerArena {
  static {
    showAs(this, (arena, show) => {
      const isPinned = arena.#arena !== undefined && arena.#clock.hasPin();
      return `WorkerArena ${show({ epoch: arena.epoch, isPinned, pool: arena.#pool })}`;
    });
  }

  readonly #pool: ArenaPool;
  readonly #clock: EpochClock;
  #arena: EpochArena | undefined;
  #epoch = -1;
  #tick = -1;
  #slot = -1;

  /** @param pool - this thread's object of the pool: the one that created it, or an attached one @throws TypeError */
  constructor(pool: ArenaPool) {
    if (!(pool instanceof ArenaPool)) throw wrongType('pool', 'an ArenaPool', pool);
    this.#pool = pool;
    this.#clock = pool.clock;
  }

  /** -1 before the first allocation. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The current arena, pinned if necessary. @throws RangeError if more threads write than the pool allows */
  current(): EpochArena {
    const arena = this.#arena;
    // The pin is checked as well: another WorkerArena of this thread shares it, and may have released it.
    if (arena !== undefined && this.#clock.isPinned(this.#slot, this.#tick)) return arena;
    return this.#enterEpoch();
  }

  /** {@link EpochArena.allocate} in the current epoch, to which this sets `epoch`. @throws also as `current` */
  allocate(bytes: number, alignment = 8): ArenaHandle {
    return this.current().allocate(bytes, alignment);
  }

  /** {@link EpochArena.allocateCopy} into the current epoch, to which this sets `epoch`. @throws also as `current` */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.current().allocateCopy(source, start, end);
  }

  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.current().allocateKey(source, start, end);
  }

  /** Removes the pin of this thread, for all its WorkerArenas, so that the pool may recycle the epoch. */
  release(): void {
    this.#arena = undefined;
    this.#clock.unpin();
  }

  #enterEpoch(): EpochArena {
    const epoch = this.#clock.pin();
    const arena = this.#pool.arenaOf(epoch);
    this.#slot = this.#clock.pins.claim();
    this.#tick = tickOf(epoch);
    this.#epoch = epoch;
    this.#arena = arena;
    return arena;
  }
}
