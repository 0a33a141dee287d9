import { checkOptions, lengthOf, showAs, valueText } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import {
  ARENA_MEMORY_OPTIONS,
  type ArenaMemoryOptions,
  arenaMemoryOptions,
  assertDescriptor,
  assertEpoch,
  assertLaterEpoch,
  BlockMemory,
  EPOCH_WORD,
  LINE_BYTES,
  LINE_WORDS,
  type MemoryStats,
  storeEpoch,
} from './block-memory.ts';
import {
  type ArenaHandle,
  type ClaimRun,
  type HandleSource,
  HandleTable,
  newArenaNumber,
  type NodeRanges,
} from './handle-table.ts';

export interface EpochArenaStats extends MemoryStats {
  readonly epoch: number;
}

export interface EpochArenaOptions extends ArenaMemoryOptions {
  /** The first epoch, 0 to 2^53 - 1 (default: 0). */
  readonly epoch?: number;
}

/** What another thread attaches to; `postMessage` and `workerData` can carry it. */
export interface EpochArenaDescriptor {
  readonly memory: SharedArrayBuffer;
  readonly handles: SharedArrayBuffer;
}

/** Size of a thread-local allocation buffer: bytes that a thread reserves at once and then allocates from alone. */
const TLAB_BYTES = 16_384;
/** Longest allocation from a thread-local buffer; longer ones are reserved one by one. */
const TLAB_MAX_ALLOCATION_BYTES = 4_096;

// Control words. The epoch, which each allocation reads, is in another cache line than the cursor.
/** The end of the bytes that threads have reserved, in cache lines. */
const CURSOR_WORD: number = LINE_WORDS;
const CONTROL_WORDS: number = 2 * LINE_WORDS;
/** The cursor during a reset. */
const CLOSED = -1;

/**
 * Bytes that live as long as an epoch, in blocks of shared memory, allocated by several threads at once. Each allocation
 * has a handle: a number that is refused after the next reset, and by every other arena. While one thread resets the
 * arena, no other may allocate or write: {@link WorkerArena} ensures that.
 */
export class EpochArena implements HandleSource {
  static {
    showAs(this, (arena, show) => `EpochArena ${show(arena.stats())}`);
  }

  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  readonly #table: HandleTable;
  readonly #linesPerBlock: number;
  // The buffer of this thread: [free, limit), reserved in the epoch of the two words (none yet).
  #epochLow = -1;
  #epochHigh = -1;
  #free = 0;
  #limit = 0;
  #reservedEnd = 0;
  /** Offset of the last allocation of this thread. */
  #offset = 0;
  /** What {@link reserve} reserved last: [start, end), of which the bytes before `#claimed` have handles. */
  #roomStart = 0;
  #roomEnd = -1;
  #claimed = 0;
  #isRoomStale = false;

  /** @param options - of a new arena, or the descriptor of an arena to attach to @throws TypeError; RangeError */
  constructor(options?: EpochArenaOptions | EpochArenaDescriptor);
  /** @internal */
  constructor(options: EpochArenaOptions, arenaNumber: number);
  constructor(options: EpochArenaOptions | EpochArenaDescriptor = {}, arenaNumber?: number) {
    if (typeof options === 'object' && options !== null && 'memory' in options) {
      this.#memory = BlockMemory.attach('the arena', options.memory);
      this.#table = HandleTable.attach(options.handles);
    } else {
      checkOptions('EpochArena', options, { epoch: 'any', ...ARENA_MEMORY_OPTIONS });
      const { epoch = 0 } = options;
      assertEpoch(epoch);
      const memory = arenaMemoryOptions(options);
      this.#memory = BlockMemory.create('the arena', CONTROL_WORDS, memory, epoch);
      // The epochs of a pool follow each other, and it finds the arena of a handle by them.
      this.#table =
        arenaNumber === undefined
          ? HandleTable.create(newArenaNumber(), memory.maxAllocations)
          : HandleTable.create(arenaNumber, memory.maxAllocations, epoch);
    }
    this.#words = this.#memory.words;
    this.#linesPerBlock = this.#memory.blockBytes / LINE_BYTES;
  }

  /** The same arena, in this thread. @throws TypeError for an invalid descriptor */
  static attach(descriptor: EpochArenaDescriptor): EpochArena {
    assertDescriptor(descriptor);
    return new EpochArena({ memory: descriptor.memory, handles: descriptor.handles });
  }

  get descriptor(): EpochArenaDescriptor {
    return { memory: this.#memory.buffer, handles: this.#table.buffer };
  }

  get epoch(): number {
    return this.#memory.epoch;
  }

  get blockBytes(): number {
    return this.#memory.blockBytes;
  }

  /**
   * Allocates `bytes`, whose content is undefined: {@link read} returns them, to be written. More bytes than a block has
   * take several blocks, which follow each other. @returns the handle
   * @param alignment - power of two up to 64 that divides the offset
   * @throws RangeError for more than all blocks, an invalid alignment, or no memory; {@link PageStoreError} `ARENA_FULL`
   */
  allocate(bytes: number, alignment = 8): ArenaHandle {
    const handle = this.tryAllocate(bytes, alignment);
    if (handle < 0) throw this.#full(bytes);
    return handle;
  }

  /** As `allocate`. @returns the handle, or -1 if there is no room */
  tryAllocate(bytes: number, alignment = 8): ArenaHandle {
    this.#memory.assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /** Copies `source[start, end)`, aligned to 8 bytes. @returns as `allocate` @throws as `allocate`; TypeError */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    const handle = this.tryAllocateCopy(source, start, end);
    if (handle < 0) throw this.#full(end - start);
    return handle;
  }

  /** As `allocateCopy`. @returns the handle, or -1 if there is no room */
  tryAllocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    this.#memory.assertSource(source, start, end);
    const handle = this.#take(end - start, 7);
    if (handle >= 0) this.#memory.copy(source, start, end, this.#offset);
    return handle;
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    this.#memory.assertSource(source, start, end);
    const handle = this.#take(end - start, 15);
    if (handle < 0) throw this.#full(end - start);
    this.#memory.copy(source, start, end, this.#offset);
    return handle;
  }

  /**
   * Reserves `bytes` to be filled before it is known what they are, as by a read of a file: {@link claim} makes
   * allocations of parts of them. Only the last reservation of this object can be claimed.
   * @returns the bytes, to be written until the arena is reset @throws as `allocate`
   */
  reserve(bytes: number): Uint8Array {
    this.#memory.assertAllocation(bytes, 1);
    const lines = Math.ceil(Math.max(1, bytes) / LINE_BYTES);
    // Claims of one run are of one reservation.
    this.#table.endRun();
    for (;;) {
      this.#enterEpoch();
      const start = this.#reserve(lines, lines);
      if (!this.#isInEpoch()) continue;
      if (start < 0) throw this.#full(bytes);
      this.#roomStart = this.#claimed = start;
      this.#roomEnd = start + bytes;
      this.#isRoomStale = false;
      return this.#memory.view(start, bytes);
    }
  }

  /**
   * Makes `[start, end)` of the last reservation an allocation. Claims must not overlap, and be in ascending order.
   * @returns the handle
   * @throws RangeError for another range; {@link PageStoreError} `STALE_EPOCH` if the arena was reset, `ARENA_FULL`
   */
  claim(start: number, end: number): ArenaHandle {
    if (!Number.isInteger(start) || !Number.isInteger(end)) throw this.#notReserved(start, end);
    const bytes = end - start;
    return this.#table.add(this.#takeRoom(start, end), bytes, bytes);
  }

  /** As {@link claim}, for {@link takeClaims}: it allocates nothing. @internal */
  claimNext(start: number, end: number): void {
    this.#table.addClaim(this.#takeRoom(start, end), end - start);
  }

  /** The bytes of an allocation: a view, valid until `reset`. @throws as `locate` of a {@link HandleSource} */
  read(handle: ArenaHandle): Uint8Array {
    const table = this.#find(handle);
    return this.#memory.view(table.foundOffset, table.foundBytes);
  }

  /** Length of an allocation in bytes. @throws as `read` */
  lengthOf(handle: ArenaHandle): number {
    return this.#find(handle).foundBytes;
  }

  /** Offset of an allocation from the start of the first block: the alignment divides it. @throws as `read` */
  offsetOf(handle: ArenaHandle): number {
    return this.#find(handle).foundOffset;
  }

  /** @see HandleSource.locate */
  locate(handles: ArrayLike<number>, from: number, to: number, ranges: NodeRanges): void {
    ranges.clear();
    const end = Math.min(to, from + ranges.capacity);
    for (let next = from; next < end; next++) {
      const table = this.#find(handles[next] as number); // next < to
      const offset = table.foundOffset;
      if (!ranges.add(this.#memory, offset, table.foundBytes)) return;
    }
  }

  /** The claims since the last call, in order. @internal */
  takeClaims(): Iterable<ClaimRun> {
    return this.#table.claimsOf(this.#table.takeRuns(), this.#memory);
  }

  /** Frees all allocations, keeps the blocks. @throws RangeError unless `epoch` is later; TypeError during a reset */
  reset(epoch: number): void {
    assertLaterEpoch(epoch, this.epoch);
    // Both cursors are closed before the epoch changes and opened afterwards, so that a reservation is of a known epoch.
    if (Atomics.exchange(this.#words, CURSOR_WORD, CLOSED) === CLOSED)
      throw new TypeError('another thread is resetting this arena');
    const chunks = this.#table.close();
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    this.#table.reset(chunks, epoch);
    Atomics.store(this.#words, CURSOR_WORD, 0);
    this.#memory.release();
  }

  /** Exact for this thread, and for allocations before a message or atomic write that this thread has received. */
  stats(): EpochArenaStats {
    const { blockCount, reservedBytes } = this.#memory;
    return { epoch: this.epoch, ...this.#table.totals(), blockCount, reservedBytes };
  }

  #take(bytes: number, mask: number): ArenaHandle {
    const words = this.#words;
    const table = this.#table;
    const at = (this.#free + mask) & ~mask;
    // The epoch is read without atomics, which take 8 ns each: a reset has to happen before this call, and is seen then.
    // An allocation of 0 bytes must be before the limit too: after it there may be no block.
    if (
      at + bytes <= this.#limit &&
      at < this.#limit &&
      table.hasRoom &&
      words[EPOCH_WORD] === this.#epochLow &&
      words[EPOCH_WORD + 1] === this.#epochHigh
    ) {
      return this.#bump(at, bytes);
    }
    return this.#takeReserved(bytes, mask);
  }

  #bump(at: number, bytes: number): ArenaHandle {
    const end = at + bytes;
    const paddedBytes = end - this.#free;
    this.#free = end;
    this.#offset = at;
    return this.#table.add(at, bytes, paddedBytes);
  }

  #takeReserved(bytes: number, mask: number): ArenaHandle {
    const needLines = Math.ceil(Math.max(1, bytes) / LINE_BYTES);
    const isLarge = bytes > TLAB_MAX_ALLOCATION_BYTES;
    for (;;) {
      this.#enterEpoch();
      if (!this.#table.hasRoom && !this.#table.reserveChunk(0)) return -1;
      // If the arena was reset in between, what was reserved is of either epoch, so it stays unused.
      if (!this.#isInEpoch()) continue;
      const at = (this.#free + mask) & ~mask;
      if (at + bytes <= this.#limit && at < this.#limit) return this.#bump(at, bytes);
      const start = this.#reserve(isLarge ? needLines : TLAB_BYTES / LINE_BYTES, needLines);
      if (!this.#isInEpoch()) continue;
      if (start < 0) return -1;
      if (isLarge) {
        this.#offset = start;
        return this.#table.add(start, bytes, bytes);
      }
      // A buffer that continues the previous one, in the same block, leaves no gap between them.
      if (start !== this.#limit || this.#memory.blockStart(start) === start) this.#free = start;
      this.#limit = this.#reservedEnd;
      return this.#bump((this.#free + mask) & ~mask, bytes);
    }
  }

  /**
   * Reserves `wantLines`, or up to the end of the block, but at least `needLines`; more than a block has begin with a block.
   * @returns the offset, or -1
   */
  #reserve(wantLines: number, needLines: number): number {
    const perBlock = this.#linesPerBlock;
    for (;;) {
      const cursor = Atomics.load(this.#words, CURSOR_WORD);
      if (cursor === CLOSED) continue;
      const restLines = perBlock - (cursor % perBlock);
      const start = restLines < needLines && restLines < perBlock ? cursor + restLines : cursor;
      const blockEnd = (Math.floor(start / perBlock) + 1) * perBlock;
      const end = Math.max(start + needLines, Math.min(start + wantLines, blockEnd));
      if (end * LINE_BYTES > this.#memory.maxBytes) return -1;
      // Before the cursor advances: blocks below the cursor exist for every thread.
      this.#memory.growTo(end * LINE_BYTES);
      if (Atomics.compareExchange(this.#words, CURSOR_WORD, cursor, end) !== cursor) continue;
      this.#reservedEnd = end * LINE_BYTES;
      return start * LINE_BYTES;
    }
  }

  #isInEpoch(): boolean {
    return (
      Atomics.load(this.#words, EPOCH_WORD) === this.#epochLow &&
      Atomics.load(this.#words, EPOCH_WORD + 1) === this.#epochHigh
    );
  }

  /** Forgets what this thread has reserved in an earlier epoch. */
  #enterEpoch(): void {
    if (this.#isInEpoch()) return;
    this.#epochLow = Atomics.load(this.#words, EPOCH_WORD);
    this.#epochHigh = Atomics.load(this.#words, EPOCH_WORD + 1);
    this.#free = this.#limit = 0;
    this.#isRoomStale ||= this.#roomEnd >= 0;
    this.#roomEnd = -1;
    this.#table.drop();
  }

  #find(handle: ArenaHandle): HandleTable {
    this.#table.find(handle, this.#memory);
    return this.#table;
  }

  /** Checks a claim, and makes room for its handle. @returns its offset */
  #takeRoom(start: number, end: number): number {
    const from = this.#roomStart + start;
    const to = this.#roomStart + end;
    if (from < this.#claimed || to < from || to > this.#roomEnd) throw this.#notReserved(start, end);
    const words = this.#words;
    if (!this.#table.hasRoom || words[EPOCH_WORD] !== this.#epochLow || words[EPOCH_WORD + 1] !== this.#epochHigh)
      this.#makeClaimable(start, end);
    this.#claimed = to;
    return from;
  }

  #makeClaimable(start: number, end: number): void {
    if (!this.#isInEpoch()) throw this.#notReserved(start, end);
    if (!this.#table.reserveChunk(0)) throw this.#full(end - start);
  }

  #notReserved(start: number, end: number): Error {
    const isStale = this.#isRoomStale || (this.#roomEnd >= 0 && !this.#isInEpoch());
    return isStale ? staleReservation(this.epoch) : notReserved(start, end);
  }

  #full(bytes: number): PageStoreError {
    return this.#memory.full(bytes, this.stats().usedBytes);
  }
}

export function staleReservation(epoch: number): PageStoreError {
  const found = 'a reservation of an earlier epoch';
  return new PageStoreError('STALE_EPOCH', `${found}: the arena has been reset to epoch ${epoch}`, {
    found,
    expected: `one of epoch ${epoch}`,
  });
}

export function notReserved(start: number, end: number): RangeError {
  const range = 'a range of the last reservation, after the claims before it';
  return new RangeError(`start and end must be ${range}, not ${valueText(start)} and ${valueText(end)}`);
}
