import { threadId } from 'node:worker_threads';
import { assertInteger, checkOptions, lengthOf, showAs, wrongType, valueText } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import {
  ARENA_MEMORY_OPTIONS,
  arenaMemoryOptions,
  assertDescriptor,
  assertEpoch,
  assertLaterEpoch,
  BlockMemory,
  EPOCH_WORD,
  FIRST_CONTROL_WORD,
  LINE_WORDS,
  type MemoryStats,
  storeEpoch,
  sumStats,
} from './block-memory.ts';
import { type EpochArenaOptions, notReserved, staleReservation } from './epoch-arena.ts';
import {
  type ArenaHandle,
  type ClaimRun,
  type HandleSource,
  HandleTable,
  MAX_ALLOCATIONS,
  newArenaNumber,
  type NodeRanges,
} from './handle-table.ts';
import { type EndingThread, ThreadSlots } from './thread-slots.ts';

export interface ShardStats extends MemoryStats {
  /** Id of the thread that owns the shard, or -1. */
  readonly owner: number;
}

// Control words. Only the owner of the shard writes them, and the thread that resets it.
const FREE_WORD: number = FIRST_CONTROL_WORD;
/** The chunk of the table of handles that is being filled, plus 1, so that another object continues it. 0 for none. */
const CHUNK_WORD: number = FIRST_CONTROL_WORD + 1;

/** A part of a {@link ConcurrentArena}: one thread at a time allocates in it, and all threads read it. */
export class ArenaShard {
  static {
    showAs(this, (shard, show) => `ArenaShard ${show({ index: shard.index, ...shard.stats() })}`);
  }

  readonly index: number;
  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  /** The table of the arena, with entries that this object adds. */
  readonly #table: HandleTable;
  readonly #owners: ThreadSlots;
  // The epoch of the chunk of the table that this object fills (none yet).
  #epochLow = -1;
  #epochHigh = -1;
  /** Offset of the last allocation. */
  #offset = 0;
  /** What {@link reserve} reserved last: [start, end), of which the bytes before `#claimed` have handles. */
  #roomStart = 0;
  #roomEnd = -1;
  #claimed = 0;
  #isRoomStale = false;

  /** @internal */
  constructor(index: number, memory: BlockMemory, handles: SharedArrayBuffer, owners: ThreadSlots) {
    this.index = index;
    this.#memory = memory;
    this.#words = memory.words;
    this.#table = HandleTable.attach(handles);
    this.#owners = owners;
  }

  get epoch(): number {
    return this.#memory.epoch;
  }

  /** @internal */
  get memory(): BlockMemory {
    return this.#memory;
  }

  /** As `EpochArena.allocate`. @throws also PageStoreError `SHARDS_TAKEN` if this thread has released the shard */
  allocate(bytes: number, alignment = 8): ArenaHandle {
    this.#memory.assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /** Copies `source[start, end)`, aligned to 8 bytes. @returns as `allocate` @throws as `allocate`; TypeError */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    this.#memory.assertSource(source, start, end);
    const handle = this.#take(end - start, 7);
    this.#memory.copy(source, start, end, this.#offset);
    return handle;
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    this.#memory.assertSource(source, start, end);
    const handle = this.#take(end - start, 15);
    this.#memory.copy(source, start, end, this.#offset);
    return handle;
  }

  /** As `EpochArena.reserve`. @throws as `allocate` */
  reserve(bytes: number): Uint8Array {
    this.#memory.assertAllocation(bytes, 1);
    this.#enterEpoch(); // also ends the run: claims of one run are of one reservation
    const start = this.#place(bytes, 0);
    this.#words[FREE_WORD] = start + bytes;
    this.#roomStart = this.#claimed = start;
    this.#roomEnd = start + bytes;
    this.#isRoomStale = false;
    return this.#memory.view(start, bytes);
  }

  /** As `EpochArena.claim`. @throws as there; PageStoreError `SHARDS_TAKEN` if this thread has released the shard */
  claim(start: number, end: number): ArenaHandle {
    if (!Number.isInteger(start) || !Number.isInteger(end)) throw notReserved(start, end);
    this.#enterEpoch();
    const bytes = end - start;
    return this.#table.add(this.#takeRoom(start, end), bytes, bytes);
  }

  /**
   * As {@link claim}, for {@link takeClaims}: it allocates nothing. No other object of the shard may be used before that.
   * @internal
   */
  claimNext(start: number, end: number): void {
    const table = this.#table;
    if (!table.hasRun || !table.hasRoom || !this.#isInEpoch()) this.#enterEpoch();
    table.addClaim(this.#takeRoom(start, end), end - start);
  }

  /** Checks a claim. @returns its offset */
  #takeRoom(start: number, end: number): number {
    const from = this.#roomStart + start;
    const to = this.#roomStart + end;
    if (from < this.#claimed || to < from || to > this.#roomEnd)
      throw this.#isRoomStale ? staleReservation(this.epoch) : notReserved(start, end);
    this.#claimed = to;
    return from;
  }

  /** The bytes of an allocation of this shard, in any thread: a view, valid until `reset`. @throws as `EpochArena.read` */
  read(handle: ArenaHandle): Uint8Array {
    const table = this.#table;
    table.find(handle, this.#memory);
    if (table.foundShard !== this.index)
      throw new RangeError(`handle must be one of shard ${this.index}, and this one is of shard ${table.foundShard}`);
    return this.#memory.view(table.foundOffset, table.foundBytes);
  }

  /** As `EpochArena.takeClaims`. @internal */
  takeClaims(): number[] {
    return this.#table.takeRuns();
  }

  /** Starts another epoch, for ConcurrentArena. @internal */
  reset(epoch: number): void {
    this.#words[FREE_WORD] = this.#words[CHUNK_WORD] = 0;
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    this.#memory.release();
  }

  stats(): ShardStats {
    const { blockCount, reservedBytes } = this.#memory;
    const owner = this.#owners.ownerOf(this.index);
    return { owner, ...this.#table.totals(this.index), blockCount, reservedBytes };
  }

  #take(bytes: number, mask: number): ArenaHandle {
    this.#enterEpoch();
    const before = this.#words[FREE_WORD] as number;
    const offset = this.#place(bytes, mask);
    this.#words[FREE_WORD] = offset + bytes;
    this.#offset = offset;
    // The end of a block that was left is no padding.
    const start = this.#memory.blockStart(offset) > before ? offset : before;
    return this.#table.add(offset, bytes, offset + bytes - start);
  }

  /** @returns the offset of the next `bytes`, in blocks that exist */
  #place(bytes: number, mask: number): number {
    const memory = this.#memory;
    const offset = ((this.#words[FREE_WORD] as number) + mask) & ~mask;
    const inBlock = offset - memory.blockStart(offset);
    // An allocation of 0 bytes must be before the end of the block too: after it there may be no block.
    if (inBlock !== 0 && inBlock + bytes <= memory.blockBytes) return offset;
    const start = inBlock === 0 ? offset : memory.blockStart(offset) + memory.blockBytes;
    const end = start + Math.max(1, bytes);
    if (end > memory.maxBytes) throw memory.full(bytes, this.stats().usedBytes);
    memory.growTo(end);
    return start;
  }

  /** Plain reads and writes are enough: no other thread changes the words while this one owns the shard. */
  #enterEpoch(): void {
    if (!this.#owners.isOwn(this.index)) throw this.#notOwn();
    const words = this.#words;
    const table = this.#table;
    if (!this.#isInEpoch()) {
      this.#epochLow = words[EPOCH_WORD] as number;
      this.#epochHigh = words[EPOCH_WORD + 1] as number;
      this.#isRoomStale ||= this.#roomEnd >= 0;
      this.#roomEnd = -1;
      table.drop();
    }
    // Other objects may have added to the chunk of the shard, or reserved another one.
    const chunk = (words[CHUNK_WORD] as number) - 1;
    if (chunk >= 0) table.continueChunk(chunk);
    if (table.hasRoom) return;
    if (!table.reserveChunk(this.index)) throw this.#memory.full(0, this.stats().usedBytes);
    words[CHUNK_WORD] = table.chunk + 1;
  }

  #isInEpoch(): boolean {
    return this.#words[EPOCH_WORD] === this.#epochLow && this.#words[EPOCH_WORD + 1] === this.#epochHigh;
  }

  #notOwn(): PageStoreError {
    const owner = this.#owners.ownerOf(this.index);
    const found = owner < 0 ? 'no thread' : `thread ${owner}`;
    const message = `this thread has released shard ${this.index}, which ${found} owns now`;
    return new PageStoreError('SHARDS_TAKEN', message, { found, expected: 'this thread' });
  }
}

/** The options of blocks are those of each shard, `maxAllocations` that of all. */
export type ConcurrentArenaOptions = EpochArenaOptions;

/** What another thread attaches to; `postMessage` and `workerData` can carry it. */
export interface ConcurrentArenaDescriptor {
  readonly shards: readonly SharedArrayBuffer[];
  readonly owners: SharedArrayBuffer;
  readonly handles: SharedArrayBuffer;
}

export interface ConcurrentArenaStats extends MemoryStats {
  readonly epoch: number;
  readonly shards: readonly ShardStats[];
}

/** Each takes address space; far more could exhaust it. */
const MAX_SHARDS = 1_024;

/**
 * Shards that threads own one at a time, so that they allocate without waiting. A thread owns at most one shard.
 * A released shard keeps its bytes, and the next owner allocates after them.
 */
export class ConcurrentArena implements HandleSource {
  static {
    showAs(this, (arena, show) => {
      const { shards: _, ...stats } = arena.stats();
      return `ConcurrentArena ${show({ shardCount: arena.shardCount, ...stats })}`;
    });
  }

  readonly shardCount: number;
  readonly descriptor: ConcurrentArenaDescriptor;
  readonly #shards: readonly ArenaShard[];
  readonly #owners: ThreadSlots;
  readonly #table: HandleTable;
  readonly #isAttached: boolean;
  #own: ArenaShard | undefined;

  /** @param shards - most owners at once, 1 to 1,024, or the descriptor of an arena @throws TypeError; RangeError */
  constructor(shards: number | ConcurrentArenaDescriptor, options: ConcurrentArenaOptions = {}) {
    checkOptions('ConcurrentArena', options, { ...ARENA_MEMORY_OPTIONS, epoch: 'any' });
    let memories: BlockMemory[];
    if (typeof shards === 'number') {
      const { epoch = 0 } = options;
      assertInteger('shards', shards, 1, MAX_SHARDS);
      assertEpoch(epoch);
      const memory = arenaMemoryOptions(options);
      const maxAllocations = options.maxAllocations ?? Math.min(shards * memory.maxAllocations, MAX_ALLOCATIONS);
      this.#owners = ThreadSlots.create(shards, 'shards');
      this.#table = HandleTable.create(newArenaNumber(), maxAllocations);
      memories = Array.from({ length: shards }, (_, index) =>
        BlockMemory.create(`shard ${index}`, LINE_WORDS, memory, epoch),
      );
      this.#isAttached = false;
    } else {
      const { shards: buffers, owners, handles }: Partial<ConcurrentArenaDescriptor> = shards ?? {};
      if (!Array.isArray(buffers) || buffers.length === 0 || !owners || !handles)
        throw wrongType('shards', 'a number of shards, or the descriptor of a ConcurrentArena', shards);
      this.#owners = ThreadSlots.attach(owners);
      this.#table = HandleTable.attach(handles);
      memories = buffers.map((buffer: SharedArrayBuffer, index) => BlockMemory.attach(`shard ${index}`, buffer));
      this.#isAttached = true;
    }
    const handles = this.#table.buffer;
    this.#shards = memories.map((memory, index) => new ArenaShard(index, memory, handles, this.#owners));
    this.shardCount = memories.length;
    this.descriptor = { shards: memories.map(({ buffer }) => buffer), owners: this.#owners.memory, handles };
  }

  /** The same arena, in this thread. @throws TypeError for an invalid descriptor */
  static attach(descriptor: ConcurrentArenaDescriptor): ConcurrentArena {
    assertDescriptor(descriptor);
    return new ConcurrentArena(descriptor);
  }

  get epoch(): number {
    return this.#shardAt(0).epoch;
  }

  /** The shard of this thread, until released. @throws {@link PageStoreError} `SHARDS_TAKEN` if all are owned */
  shard(): ArenaShard {
    const own = this.#own;
    if (own !== undefined && this.#owners.isOwn(own.index)) return own;
    const index = this.#owners.claim();
    if (index < 0) {
      const message = `other threads own all ${this.shardCount} shards; create the arena with one for each thread, or release one`;
      const found = `${this.shardCount} shards taken`;
      throw new PageStoreError('SHARDS_TAKEN', message, { found, expected: 'a free shard' });
    }
    return (this.#own = this.#shardAt(index));
  }

  /** {@link ArenaShard.allocate} in the shard of this thread. */
  allocate(bytes: number, alignment = 8): ArenaHandle {
    return this.shard().allocate(bytes, alignment);
  }

  /** {@link ArenaShard.allocateCopy} into the shard of this thread. */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.shard().allocateCopy(source, start, end);
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): ArenaHandle {
    return this.shard().allocateKey(source, start, end);
  }

  /** The bytes of an allocation of any thread: a view, valid until `reset`. @throws as `EpochArena.read` */
  read(handle: ArenaHandle): Uint8Array {
    const table = this.#find(handle);
    return this.#shardAt(table.foundShard).memory.view(table.foundOffset, table.foundBytes);
  }

  /** Length of an allocation in bytes. @throws as `read` */
  lengthOf(handle: ArenaHandle): number {
    return this.#find(handle).foundBytes;
  }

  /** Offset of an allocation from the start of the first block of its shard. @throws as `read` */
  offsetOf(handle: ArenaHandle): number {
    return this.#find(handle).foundOffset;
  }

  /** The index of the shard that an allocation is in. @throws as `read` */
  shardOf(handle: ArenaHandle): number {
    return this.#find(handle).foundShard;
  }

  /** @see HandleSource.locate */
  locate(handles: ArrayLike<number>, from: number, to: number, ranges: NodeRanges): void {
    ranges.clear();
    const end = Math.min(to, from + ranges.capacity);
    for (let next = from; next < end; next++) {
      const table = this.#find(handles[next] as number); // next < to
      const offset = table.foundOffset;
      const { memory } = this.#shardAt(table.foundShard);
      if (!ranges.add(memory, offset, table.foundBytes)) return;
    }
  }

  /** The claims that a shard has returned, in any thread. @internal */
  claimsOf(shard: number, runs: readonly number[]): Iterable<ClaimRun> {
    return this.#table.claimsOf(runs, this.#shardAt(shard).memory);
  }

  /** Releases the shard of this thread, which keeps its bytes. @returns whether it had one */
  release(): boolean {
    return this.#owners.free(threadId);
  }

  /** Releases a worker's shard once it has ended. @throws TypeError; RangeError if it has ended already */
  releaseWhenEnded(worker: EndingThread): void {
    this.#owners.freeWhenEnded(worker);
  }

  /**
   * Frees the allocations of all shards, and keeps blocks and owners. No other thread may allocate at that time.
   * @throws RangeError unless `epoch` is greater than the current one; TypeError for an attached arena
   */
  reset(epoch: number = this.epoch + 1): void {
    if (this.#isAttached) throw new TypeError('only the arena that was created with a number of shards can be reset');
    assertLaterEpoch(epoch, this.epoch);
    this.#table.reset(this.#table.close(), epoch);
    for (const shard of this.#shards) shard.reset(epoch);
  }

  /** Exact in the same cases as the stats of an EpochArena. */
  stats(): ConcurrentArenaStats {
    const shards = this.#shards.map((each) => each.stats());
    return { epoch: this.epoch, ...sumStats(shards), shards };
  }

  #find(handle: ArenaHandle): HandleTable {
    this.#table.find(handle, this.#shardAt(0));
    return this.#table;
  }

  #shardAt(index: number): ArenaShard {
    const shard = this.#shards[index];
    if (shard === undefined)
      throw new RangeError(`shard must be a whole number from 0 to ${this.shardCount - 1}, not ${valueText(index)}`);
    return shard;
  }
}
