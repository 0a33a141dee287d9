import { PageStoreError } from '../errors.ts';
import { assertAllocation, assertSource, isRangeOfBlock } from './arena-arguments.ts';
import { ARENA_BLOCK_BYTES, BlockMemory, LINE_WORDS } from './block-memory.ts';
import { loadEpoch, storeEpoch } from './epoch-words.ts';
import type { ThreadSlots } from './thread-slots.ts';

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
