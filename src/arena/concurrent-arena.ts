import { threadId } from 'node:worker_threads';
import { assertInteger, checkOptions, lengthOf, showAs, wrongType } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import {
  ARENA_BLOCK_BYTES,
  assertAllocation,
  assertDescriptor,
  assertEpoch,
  assertLaterEpoch,
  assertSource,
  BlockMemory,
  DEFAULT_MAX_BLOCKS,
  EPOCH_WORD,
  FIRST_CONTROL_WORD,
  LINE_WORDS,
  type MemoryStats,
  storeEpoch,
  sumStats,
} from './block-memory.ts';
import type { EpochArenaOptions } from './epoch-arena.ts';
import { type EndingThread, ThreadSlots } from './thread-slots.ts';

export interface ShardStats extends MemoryStats {
  /** Id of the thread that owns the shard, or -1. */
  readonly owner: number;
}

// Control words. Only the owner of the shard writes them, and the thread that resets it.
const FREE_WORD: number = FIRST_CONTROL_WORD;
const ALLOCATIONS_WORD: number = FIRST_CONTROL_WORD + 1;
const USED_BYTES_WORD: number = FIRST_CONTROL_WORD + 2;

/** A part of a {@link ConcurrentArena}: one thread at a time allocates in it, and all threads read it. */
export class ArenaShard {
  static {
    showAs(this, (shard, show) => `ArenaShard ${show({ index: shard.index, ...shard.stats() })}`);
  }

  readonly index: number;
  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  readonly #owners: ThreadSlots;

  /** @internal */
  constructor(index: number, memory: BlockMemory, owners: ThreadSlots) {
    this.index = index;
    this.#memory = memory;
    this.#words = memory.words;
    this.#owners = owners;
  }

  get epoch(): number {
    return this.#memory.epoch;
  }

  /** As `EpochArena.allocate`. @throws also PageStoreError `SHARDS_TAKEN` if this thread has released the shard */
  allocate(bytes: number, alignment = 8): number {
    assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /** Copies `source[start, end)`, aligned to 8 bytes. @returns as `allocate` @throws as `allocate`; TypeError */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 7);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 15);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** The bytes of an allocation, in any thread; valid until `reset`. @throws RangeError unless allocated */
  view(offset: number, bytes: number): Uint8Array {
    this.#assertAllocated(offset, bytes);
    return this.#memory.view(offset, bytes);
  }

  /** The block that contains `offset`, as `EpochArena.blockOf`. @throws RangeError if nothing was allocated there */
  blockOf(offset: number): Uint8Array {
    this.#assertAllocated(offset, 0);
    return this.#memory.blockOf(offset);
  }

  /** Starts another epoch, for ConcurrentArena. @internal */
  reset(epoch: number): void {
    this.#words.fill(0, FREE_WORD, USED_BYTES_WORD + 1);
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    this.#memory.release();
  }

  stats(): ShardStats {
    const { blockCount, reservedBytes } = this.#memory;
    return {
      owner: this.#owners.ownerOf(this.index),
      allocations: Atomics.load(this.#words, ALLOCATIONS_WORD) >>> 0,
      usedBytes: Atomics.load(this.#words, USED_BYTES_WORD),
      blockCount,
      reservedBytes,
    };
  }

  #take(bytes: number, mask: number): number {
    // Plain reads and writes: no other thread changes these words while this one owns the shard.
    if (!this.#owners.isOwn(this.index)) throw this.#notOwn();
    const words = this.#words;
    let offset = ((words[FREE_WORD] as number) + mask) & ~mask;
    // An allocation of 0 bytes must be before the end of the block too: after it there may be no block.
    if ((offset % ARENA_BLOCK_BYTES) + bytes > ARENA_BLOCK_BYTES || offset % ARENA_BLOCK_BYTES === 0)
      offset = this.#enterBlock(offset, bytes);
    words[FREE_WORD] = offset + bytes;
    words[ALLOCATIONS_WORD] = (words[ALLOCATIONS_WORD] as number) + 1;
    words[USED_BYTES_WORD] = (words[USED_BYTES_WORD] as number) + bytes;
    return offset;
  }

  #enterBlock(offset: number, bytes: number): number {
    const block = Math.ceil(offset / ARENA_BLOCK_BYTES);
    if (block >= this.#memory.maxBlocks) throw this.#memory.full(bytes, this.stats().usedBytes);
    this.#memory.grow(block + 1);
    return block * ARENA_BLOCK_BYTES;
  }

  #assertAllocated(offset: number, bytes: number): void {
    const end = Atomics.load(this.#words, FREE_WORD);
    // An allocation of 0 bytes may be the last one, at the end of what was allocated.
    if (bytes === 0 && offset === end && Math.floor(offset / ARENA_BLOCK_BYTES) < this.#memory.blockCount) return;
    this.#memory.assertAllocated(offset, bytes, end);
  }

  #notOwn(): PageStoreError {
    const owner = this.#owners.ownerOf(this.index);
    const found = owner < 0 ? 'no thread' : `thread ${owner}`;
    const message = `this thread has released shard ${this.index}, which ${found} owns now`;
    return new PageStoreError('SHARDS_TAKEN', message, { found, expected: 'this thread' });
  }
}

/** `maxBlocks` is that of each shard. */
export type ConcurrentArenaOptions = EpochArenaOptions;

/** What another thread attaches to; `postMessage` and `workerData` can carry it. */
export interface ConcurrentArenaDescriptor {
  readonly shards: readonly SharedArrayBuffer[];
  readonly owners: SharedArrayBuffer;
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
export class ConcurrentArena {
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
  readonly #isAttached: boolean;
  #own: ArenaShard | undefined;

  /** @param shards - most owners at once, 1 to 1,024, or the descriptor of an arena @throws TypeError; RangeError */
  constructor(shards: number | ConcurrentArenaDescriptor, options: ConcurrentArenaOptions = {}) {
    checkOptions('ConcurrentArena', options, { maxBlocks: 'any', epoch: 'any' });
    let memories: BlockMemory[];
    if (typeof shards === 'number') {
      const { maxBlocks = DEFAULT_MAX_BLOCKS, epoch = 0 } = options;
      assertInteger('shards', shards, 1, MAX_SHARDS);
      assertEpoch(epoch);
      this.#owners = ThreadSlots.create(shards, 'shards');
      memories = Array.from({ length: shards }, (_, index) =>
        BlockMemory.create(`shard ${index}`, LINE_WORDS, maxBlocks, epoch),
      );
      this.#isAttached = false;
    } else {
      const { shards: buffers, owners }: Partial<ConcurrentArenaDescriptor> = shards ?? {};
      if (!Array.isArray(buffers) || buffers.length === 0 || !owners)
        throw wrongType('shards', 'a number of shards, or the descriptor of a ConcurrentArena', shards);
      this.#owners = ThreadSlots.attach(owners);
      memories = buffers.map((buffer: SharedArrayBuffer, index) => BlockMemory.attach(`shard ${index}`, buffer));
      this.#isAttached = true;
    }
    this.#shards = memories.map((memory, index) => new ArenaShard(index, memory, this.#owners));
    this.shardCount = memories.length;
    this.descriptor = { shards: memories.map(({ buffer }) => buffer), owners: this.#owners.memory };
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

  /** {@link ArenaShard.allocate} in the shard of this thread. @returns the offset in it */
  allocate(bytes: number, alignment = 8): number {
    return this.shard().allocate(bytes, alignment);
  }

  /** {@link ArenaShard.allocateCopy} into the shard of this thread. @returns the offset in it */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    return this.shard().allocateCopy(source, start, end);
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    return this.shard().allocateKey(source, start, end);
  }

  /** The bytes of an allocation of any thread, valid until `reset`. @throws RangeError unless allocated */
  view(shard: number, offset: number, bytes: number): Uint8Array {
    return this.#shardAt(shard).view(offset, bytes);
  }

  /** The block of a shard that contains `offset`. @throws RangeError if nothing was allocated there */
  blockOf(shard: number, offset: number): Uint8Array {
    return this.#shardAt(shard).blockOf(offset);
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
    for (const shard of this.#shards) shard.reset(epoch);
  }

  /** Exact in the same cases as the stats of an EpochArena. */
  stats(): ConcurrentArenaStats {
    const shards = this.#shards.map((each) => each.stats());
    return { epoch: this.epoch, ...sumStats(shards), shards };
  }

  #shardAt(index: number): ArenaShard {
    const shard = this.#shards[index];
    if (shard === undefined)
      throw new RangeError(`shard must be a whole number from 0 to ${this.shardCount - 1}, not ${String(index)}`);
    return shard;
  }
}
