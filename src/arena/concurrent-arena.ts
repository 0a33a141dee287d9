import { threadId, type Worker } from 'node:worker_threads';
import { PageStoreError } from '../errors.ts';
import {
  ARENA_BLOCK_BYTES,
  assertAllocation,
  assertEpoch,
  assertSource,
  BlockMemory,
  isRangeOfBlock,
  LINE_WORDS,
  loadEpoch,
  storeEpoch,
} from './block-memory.ts';
import { ARENA_DEFAULT_BLOCKS } from './epoch-arena.ts';
import { ThreadSlots, type ThreadSlotsDescriptor, whenEnded } from './thread-slots.ts';

export interface ShardStats {
  /** Id of the thread that owns the shard, or -1. */
  readonly owner: number;
  readonly allocations: number;
  /** Bytes that were asked for, without what alignment and the ends of blocks have cost. */
  readonly usedBytes: number;
  /** Blocks that there are; they stay when the arena is reset. */
  readonly blockCount: number;
  /** Bytes of these blocks. */
  readonly reservedBytes: number;
}

// Control words; only the owner of the shard writes to them, and who resets it.
const EPOCH_WORD = 2;
const FREE_WORD = 4;
const ALLOCATIONS_WORD = 5;
const USED_BYTES_WORD = 6;

/** A part of a {@link ConcurrentArena} in which one thread allocates at a time, and which all threads read. */
export class ArenaShard {
  readonly index: number;
  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  readonly #owners: ThreadSlots;

  /** @internal */
  constructor(index: number, memory: BlockMemory, owners: ThreadSlots) {
    this.index = index;
    this.#memory = memory;
    this.#words = memory.controlWords();
    this.#owners = owners;
  }

  /** @internal */
  static createMemory(epoch: number, maxBlocks: number): BlockMemory {
    const memory = BlockMemory.create(LINE_WORDS, maxBlocks);
    storeEpoch(memory.controlWords(), EPOCH_WORD, epoch);
    return memory;
  }

  /** @internal */
  get memory(): SharedArrayBuffer {
    return this.#memory.buffer;
  }

  get epoch(): number {
    return loadEpoch(this.#words, EPOCH_WORD);
  }

  /**
   * Allocates `bytes` behind what was allocated before, by this thread or an earlier owner.
   * @param alignment - power of two up to 64, which divides the offset; the address in memory may be otherwise
   * @returns the offset from the start of the first block
   * @throws RangeError for more than a block, or another alignment, and where the system has no memory
   * @throws {@link PageStoreError} `SHARDS_TAKEN` where this thread has released the shard, `ARENA_FULL`
   */
  allocate(bytes: number, alignment = 8): number {
    assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /**
   * Copies `source[start, end)` into the shard, to a multiple of 8.
   * @returns the offset from the start of the first block
   * @throws TypeError or RangeError for what is no range of bytes
   * @throws {@link PageStoreError} `SHARDS_TAKEN` where this thread has released the shard, `ARENA_FULL`
   */
  allocateCopy(source: Uint8Array, start = 0, end: number = source.length): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 7);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** As `allocateCopy`, but to a multiple of 16. */
  allocateKey(source: Uint8Array, start: number, end: number): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 15);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /**
   * The bytes of an allocation, in any thread; valid until the arena is reset.
   * @throws RangeError where they are not within one block of what has been allocated
   */
  view(offset: number, bytes: number): Uint8Array {
    this.#assertAllocated(offset, bytes);
    return this.#memory.view(offset, bytes);
  }

  /**
   * The whole block that `offset` is in: byte i of the allocation is at `offset % ARENA_BLOCK_BYTES + i`.
   * @throws RangeError where nothing has been allocated
   */
  blockOf(offset: number): Uint8Array {
    this.#assertAllocated(offset, 0);
    return this.#memory.blockOf(offset);
  }

  /** Begins another epoch, for ConcurrentArena. @internal */
  reset(epoch: number): void {
    this.#words.fill(0, FREE_WORD, USED_BYTES_WORD + 1);
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    this.#memory.release();
  }

  stats(): ShardStats {
    const blockCount = this.#memory.blockCount;
    return {
      owner: this.#owners.ownerOf(this.index),
      allocations: Atomics.load(this.#words, ALLOCATIONS_WORD) >>> 0,
      usedBytes: Atomics.load(this.#words, USED_BYTES_WORD),
      blockCount,
      reservedBytes: blockCount * ARENA_BLOCK_BYTES,
    };
  }

  #take(bytes: number, mask: number): number {
    // Plain reads and writes: the thread that owns the shard is alone, and finds here what its other objects did.
    if (!this.#owners.isOwn(this.index)) this.#refuseThread();
    const words = this.#words;
    let offset = ((words[FREE_WORD] as number) + mask) & ~mask; // the view has all control words
    // An allocation of 0 bytes has to be before the end of the block too: behind it there may be none.
    if ((offset % ARENA_BLOCK_BYTES) + bytes > ARENA_BLOCK_BYTES || offset % ARENA_BLOCK_BYTES === 0)
      offset = this.#enterBlock(offset, bytes);
    words[FREE_WORD] = offset + bytes;
    words[ALLOCATIONS_WORD] = (words[ALLOCATIONS_WORD] as number) + 1;
    words[USED_BYTES_WORD] = (words[USED_BYTES_WORD] as number) + bytes;
    return offset;
  }

  #enterBlock(offset: number, bytes: number): number {
    const block = Math.ceil(offset / ARENA_BLOCK_BYTES);
    if (block >= this.#memory.maxBlocks) {
      const { usedBytes } = this.stats();
      const blocks = `${this.#memory.maxBlocks} blocks of ${ARENA_BLOCK_BYTES} bytes`;
      throw new PageStoreError('ARENA_FULL', `shard ${this.index} has no room for ${bytes} bytes in its ${blocks}`, {
        found: `${usedBytes} bytes in use`,
        expected: `room for ${bytes} bytes in one block`,
      });
    }
    this.#memory.grow(block + 1);
    return block * ARENA_BLOCK_BYTES;
  }

  #assertAllocated(offset: number, bytes: number): void {
    if (bytes === 0 && offset === Atomics.load(this.#words, FREE_WORD) && this.#hasBlockOf(offset)) return;
    if (isRangeOfBlock(offset, bytes, Atomics.load(this.#words, FREE_WORD))) return;
    throw new RangeError(
      `${bytes} bytes at ${offset} are not within a block of what shard ${this.index} has allocated`,
    );
  }

  /** An allocation of 0 bytes may be the last one, right behind what was allocated. */
  #hasBlockOf(offset: number): boolean {
    return Math.floor(offset / ARENA_BLOCK_BYTES) < this.#memory.blockCount;
  }

  #refuseThread(): never {
    const owner = this.#owners.ownerOf(this.index);
    const found = owner < 0 ? 'no thread' : `thread ${owner}`;
    const message = `this thread has no part in shard ${this.index} any more, which ${found} owns`;
    throw new PageStoreError('SHARDS_TAKEN', message, { found, expected: 'this thread' });
  }
}

export interface ConcurrentArenaOptions {
  /** Most blocks of 2 MiB of each shard, 1 to 1,023; 64 where it is left out. Only address space is taken for them. */
  readonly maxBlocks?: number;
  /** The first epoch, 0 to 2^53 - 1; 0 where it is left out. */
  readonly epoch?: number;
}

/** What another thread attaches to; it goes through `postMessage` and `workerData`. */
export interface ConcurrentArenaDescriptor {
  readonly shards: readonly SharedArrayBuffer[];
  readonly owners: ThreadSlotsDescriptor;
}

export interface ConcurrentArenaStats {
  readonly epoch: number;
  readonly allocations: number;
  /** Bytes that were asked for, without what alignment and the ends of blocks have cost. */
  readonly usedBytes: number;
  readonly blockCount: number;
  readonly reservedBytes: number;
  readonly shards: readonly ShardStats[];
}

/** Each takes address space; far more of them would take down the process. */
const MAX_SHARDS = 1_024;

/**
 * Shards, each of which one thread owns at a time and allocates in without waiting for others. A thread owns one shard
 * at most, whatever number of objects it has attached. Which thread owns a shard, and how full it is, is in shared
 * memory: a shard that is given back keeps its bytes, and its next owner allocates behind them.
 */
export class ConcurrentArena {
  readonly shardCount: number;
  readonly #shards: readonly ArenaShard[];
  readonly #owners: ThreadSlots;
  readonly #attached: boolean;
  #own: ArenaShard | undefined;

  /**
   * @param shards - how many threads own a shard at a time, or the descriptor of an arena to attach to
   * @throws RangeError for a count or option out of its range
   */
  constructor(shards: number | ConcurrentArenaDescriptor, options: ConcurrentArenaOptions = {}) {
    if (typeof shards === 'number') {
      const { maxBlocks = ARENA_DEFAULT_BLOCKS, epoch = 0 } = options;
      if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS)
        throw new RangeError(`an arena has 1 to ${MAX_SHARDS} shards, not ${shards}`);
      assertEpoch(epoch);
      const owners = new ThreadSlots(shards);
      this.#owners = owners;
      this.#shards = Array.from(
        { length: shards },
        (_, index) => new ArenaShard(index, ArenaShard.createMemory(epoch, maxBlocks), owners),
      );
      this.#attached = false;
    } else {
      if (!Array.isArray(shards.shards)) throw new TypeError('this is no descriptor of a concurrent arena');
      const owners = ThreadSlots.attach(shards.owners);
      this.#owners = owners;
      this.#shards = shards.shards.map((memory, index) => new ArenaShard(index, BlockMemory.attach(memory), owners));
      this.#attached = true;
    }
    this.shardCount = this.#shards.length;
  }

  /** The same arena, in this thread. @throws TypeError for what is no descriptor */
  static attach(descriptor: ConcurrentArenaDescriptor): ConcurrentArena {
    return new ConcurrentArena(descriptor);
  }

  get descriptor(): ConcurrentArenaDescriptor {
    return { shards: this.#shards.map((each) => each.memory), owners: this.#owners.descriptor };
  }

  get epoch(): number {
    return this.#shardAt(0).epoch;
  }

  /**
   * The shard of this thread: claimed by the first call, and the same one until it is released.
   * @throws {@link PageStoreError} `SHARDS_TAKEN` where other threads own all of them
   */
  shard(): ArenaShard {
    const own = this.#own;
    if (own !== undefined && this.#owners.isOwn(own.index)) return own;
    const index = this.#owners.claim();
    if (index < 0) this.#refuse();
    return (this.#own = this.#shardAt(index));
  }

  /** Allocates in the shard of this thread: see {@link ArenaShard.allocate}. @returns the offset in it */
  allocate(bytes: number, alignment = 8): number {
    return this.shard().allocate(bytes, alignment);
  }

  /** Copies into the shard of this thread: see {@link ArenaShard.allocateCopy}. @returns the offset in it */
  allocateCopy(source: Uint8Array, start = 0, end: number = source.length): number {
    return this.shard().allocateCopy(source, start, end);
  }

  /** As `allocateCopy`, but to a multiple of 16. */
  allocateKey(source: Uint8Array, start: number, end: number): number {
    return this.shard().allocateKey(source, start, end);
  }

  /**
   * The bytes of an allocation of any thread, valid until the arena is reset.
   * @throws RangeError where there is no such shard, or they are not within one block of what has been allocated
   */
  view(shard: number, offset: number, bytes: number): Uint8Array {
    return this.#shardAt(shard).view(offset, bytes);
  }

  /** The whole block of a shard that `offset` is in. @throws RangeError where nothing has been allocated */
  blockOf(shard: number, offset: number): Uint8Array {
    return this.#shardAt(shard).blockOf(offset);
  }

  /** Gives the shard of this thread back, with its bytes in it. @returns whether there was one */
  release(): boolean {
    return this.#owners.free(threadId);
  }

  /**
   * Gives the worker's shard back once it has ended, however it did. To be called before the worker can end.
   * @throws RangeError where it has ended already
   */
  releaseWhenEnded(worker: Worker): void {
    whenEnded(worker, (thread) => this.#owners.free(thread));
  }

  /**
   * Begins another epoch in all shards: what was allocated is gone, all blocks are used again, and owners stay. No other
   * thread may be allocating meanwhile.
   * @throws RangeError where `epoch` is not greater than the one before
   * @throws TypeError for an arena that is attached
   */
  reset(epoch: number = this.epoch + 1): void {
    if (this.#attached) throw new TypeError('only the arena that was made with a number of shards is reset');
    assertEpoch(epoch);
    if (epoch <= this.epoch) throw new RangeError(`epoch ${epoch} does not come after epoch ${this.epoch}`);
    for (const shard of this.#shards) shard.reset(epoch);
  }

  /** Exact for this thread, and for what other threads allocated before a message or an atomic of theirs that was seen here. */
  stats(): ConcurrentArenaStats {
    const shards = this.#shards.map((each) => each.stats());
    const sum = { allocations: 0, usedBytes: 0, blockCount: 0, reservedBytes: 0 };
    for (const each of shards) {
      sum.allocations += each.allocations;
      sum.usedBytes += each.usedBytes;
      sum.blockCount += each.blockCount;
      sum.reservedBytes += each.reservedBytes;
    }
    return { epoch: this.epoch, ...sum, shards };
  }

  #shardAt(index: number): ArenaShard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there are shards 0 to ${this.shardCount - 1}, and no ${index}`);
    return shard;
  }

  #refuse(): never {
    const message = `all ${this.shardCount} shards are taken by other threads; make the arena with one for each thread, or have one released`;
    throw new PageStoreError('SHARDS_TAKEN', message, {
      found: `${this.shardCount} shards taken`,
      expected: 'a free shard',
    });
  }
}
