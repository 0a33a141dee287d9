import { checkOptions, lengthOf, showAs } from '../arguments.ts';
import type { PageStoreError } from '../errors.ts';
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
  LINE_BYTES,
  LINE_WORDS,
  type MemoryStats,
  storeEpoch,
} from './block-memory.ts';

export interface EpochArenaStats extends MemoryStats {
  readonly epoch: number;
}

export interface EpochArenaOptions {
  /** The first epoch, 0 to 2^53 - 1 (default: 0). */
  readonly epoch?: number;
  /** Most blocks of 2 MiB, 1 to 1,023 (default: 64). They take address space only. */
  readonly maxBlocks?: number;
}

/** What another thread attaches to; `postMessage` and `workerData` can carry it. */
export interface EpochArenaDescriptor {
  readonly memory: SharedArrayBuffer;
}

/** Size of a thread-local allocation buffer: bytes that a thread reserves at once and then allocates from alone. */
const TLAB_BYTES = 16_384;
/** Longest allocation from a thread-local buffer; longer ones are reserved one by one. */
const TLAB_MAX_ALLOCATION_BYTES = 4_096;

const LINES_PER_BLOCK = ARENA_BLOCK_BYTES / LINE_BYTES;
const TLABS_PER_BLOCK = ARENA_BLOCK_BYTES / TLAB_BYTES;

// Control words. The epoch, which each allocation reads, is in another cache line than the cursor.
/** The end of the bytes that threads have reserved, in cache lines. */
const CURSOR_WORD: number = LINE_WORDS;
const LARGE_ALLOCATIONS_WORD: number = LINE_WORDS + 1;
const LARGE_BYTES_WORD: number = LINE_WORDS + 2;
/** From here on, a cache line for each 16 KiB of blocks: number and bytes of the allocations there. */
const COUNTS_WORD: number = 2 * LINE_WORDS;
/** The cursor during a reset. */
const CLOSED = -1;

/**
 * Bytes that live as long as an epoch, in blocks of 2 MiB, allocated by several threads at once. All state is in shared
 * memory, except the 16 KiB that each thread has reserved. While one thread resets the arena, no other may allocate or
 * write: {@link WorkerArena} ensures that.
 */
export class EpochArena {
  static {
    showAs(this, (arena, show) => `EpochArena ${show(arena.stats())}`);
  }

  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  readonly #counts: Uint32Array;
  // The buffer of this thread: [free, limit), reserved in the epoch of the two words (none yet), and counted at #countIndex.
  #epochLow = -1;
  #epochHigh = -1;
  #free = 0;
  #limit = 0;
  #countIndex = 0;
  #reservedEnd = 0;

  /** @param options - of a new arena, or the descriptor of an arena to attach to @throws TypeError; RangeError */
  constructor(options: EpochArenaOptions | EpochArenaDescriptor = {}) {
    if (options instanceof Object && 'memory' in options) {
      this.#memory = BlockMemory.attach('the arena', options.memory);
    } else {
      checkOptions('EpochArena', options, { epoch: 'any', maxBlocks: 'any' });
      const { epoch = 0, maxBlocks = DEFAULT_MAX_BLOCKS } = options;
      assertEpoch(epoch);
      const controlWords = COUNTS_WORD + maxBlocks * TLABS_PER_BLOCK * LINE_WORDS;
      this.#memory = BlockMemory.create('the arena', controlWords, maxBlocks, epoch);
    }
    const { buffer, words } = this.#memory;
    this.#words = words;
    this.#counts = new Uint32Array(buffer, COUNTS_WORD * 4, words.length - COUNTS_WORD);
  }

  /** The same arena, in this thread. @throws TypeError for an invalid descriptor */
  static attach(descriptor: EpochArenaDescriptor): EpochArena {
    assertDescriptor(descriptor);
    return new EpochArena({ memory: descriptor.memory });
  }

  get descriptor(): EpochArenaDescriptor {
    return { memory: this.#memory.buffer };
  }

  get epoch(): number {
    return this.#memory.epoch;
  }

  /**
   * Allocates `bytes`, whose content is undefined. @returns the offset from the start of the first block
   * @param alignment - power of two up to 64 that divides the offset
   * @throws RangeError for more than a block, an invalid alignment, or no memory; {@link PageStoreError} `ARENA_FULL`
   */
  allocate(bytes: number, alignment = 8): number {
    const offset = this.tryAllocate(bytes, alignment);
    if (offset < 0) throw this.#full(bytes);
    return offset;
  }

  /** As `allocate`. @returns the offset, or -1 if there is no room */
  tryAllocate(bytes: number, alignment = 8): number {
    assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /** Copies `source[start, end)`, aligned to 8 bytes. @returns as `allocate` @throws as `allocate`; TypeError */
  allocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    const offset = this.tryAllocateCopy(source, start, end);
    if (offset < 0) throw this.#full(end - start);
    return offset;
  }

  /** As `allocateCopy`. @returns the offset, or -1 if there is no room */
  tryAllocateCopy(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 7);
    if (offset >= 0) this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** As `allocateCopy`, aligned to 16 bytes. */
  allocateKey(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 15);
    if (offset < 0) throw this.#full(end - start);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** The bytes of an allocation, valid until `reset`. @throws RangeError for bytes that no thread has reserved */
  view(offset: number, bytes: number): Uint8Array {
    this.#assertAllocated(offset, bytes);
    return this.#memory.view(offset, bytes);
  }

  /**
   * The block that contains `offset`: byte i of the allocation is at `offset % ARENA_BLOCK_BYTES + i`.
   * Always the same array, valid as long as the arena. @throws RangeError if nothing was allocated there
   */
  blockOf(offset: number): Uint8Array {
    this.#assertAllocated(offset, 0);
    return this.#memory.blockOf(offset);
  }

  /** Frees all allocations, keeps the blocks. @throws RangeError unless `epoch` is later; TypeError during a reset */
  reset(epoch: number): void {
    assertLaterEpoch(epoch, this.epoch);
    // Closed before the epoch changes and reopened afterwards, so that a reservation is of a known epoch.
    const usedLines = Atomics.exchange(this.#words, CURSOR_WORD, CLOSED);
    if (usedLines === CLOSED) throw new TypeError('another thread is resetting this arena');
    storeEpoch(this.#words, EPOCH_WORD, epoch);
    const countsEnd = countWords(usedLines * LINE_BYTES);
    if (countsEnd > 0) this.#counts.fill(0, 0, countsEnd);
    this.#words[LARGE_ALLOCATIONS_WORD] = 0;
    this.#words[LARGE_BYTES_WORD] = 0;
    Atomics.store(this.#words, CURSOR_WORD, 0);
    this.#memory.release();
  }

  /** Exact for this thread, and for allocations before a message or atomic write that this thread has received. */
  stats(): EpochArenaStats {
    const countsEnd = countWords(this.#end);
    let allocations = Atomics.load(this.#words, LARGE_ALLOCATIONS_WORD);
    let usedBytes = Atomics.load(this.#words, LARGE_BYTES_WORD);
    for (let at = 0; at < countsEnd; at += LINE_WORDS) {
      allocations += Atomics.load(this.#counts, at);
      usedBytes += Atomics.load(this.#counts, at + 1);
    }
    const { blockCount, reservedBytes } = this.#memory;
    return { epoch: this.epoch, allocations, usedBytes, blockCount, reservedBytes };
  }

  get #end(): number {
    return Math.max(0, Atomics.load(this.#words, CURSOR_WORD)) * LINE_BYTES;
  }

  #take(bytes: number, mask: number): number {
    const words = this.#words;
    const at = (this.#free + mask) & ~mask;
    // The epoch is read without atomics, which take 8 ns each: a reset has to happen before this call, and is seen then.
    // An allocation of 0 bytes must be before the limit too: after it there may be no block.
    if (
      at + bytes <= this.#limit &&
      at < this.#limit &&
      words[EPOCH_WORD] === this.#epochLow &&
      words[EPOCH_WORD + 1] === this.#epochHigh
    ) {
      return this.#bump(at, bytes);
    }
    return this.#takeReserved(bytes, mask);
  }

  #bump(at: number, bytes: number): number {
    this.#free = at + bytes;
    // No other thread writes to these words, so they need no atomics.
    const counts = this.#counts;
    const index = this.#countIndex;
    counts[index] = (counts[index] as number) + 1; // each thread-local buffer has its two words
    counts[index + 1] = (counts[index + 1] as number) + bytes;
    return at;
  }

  #takeReserved(bytes: number, mask: number): number {
    const needLines = Math.ceil(Math.max(1, bytes) / LINE_BYTES);
    const isLarge = bytes > TLAB_MAX_ALLOCATION_BYTES;
    for (;;) {
      this.#enterEpoch();
      const start = this.#reserve(isLarge ? needLines : TLAB_BYTES / LINE_BYTES, needLines);
      // If the arena was reset in between, these bytes are of either epoch, so they stay unused.
      if (!this.#isInEpoch()) continue;
      if (start < 0) return -1;
      if (isLarge) {
        Atomics.add(this.#words, LARGE_ALLOCATIONS_WORD, 1);
        Atomics.add(this.#words, LARGE_BYTES_WORD, bytes);
        return start;
      }
      // A buffer that continues the previous one, in the same block, leaves no gap between them.
      if (start !== this.#limit || start % ARENA_BLOCK_BYTES === 0) this.#free = start;
      this.#limit = this.#reservedEnd;
      // No two buffers start in the same 16 KiB: only the last one of a block is shorter.
      this.#countIndex = Math.floor(start / TLAB_BYTES) * LINE_WORDS;
      return this.#bump((this.#free + mask) & ~mask, bytes);
    }
  }

  /** Reserves `wantLines`, or up to the end of the block, but at least `needLines`. @returns the offset, or -1 */
  #reserve(wantLines: number, needLines: number): number {
    for (;;) {
      const cursor = Atomics.load(this.#words, CURSOR_WORD);
      if (cursor === CLOSED) continue;
      const restLines = LINES_PER_BLOCK - (cursor % LINES_PER_BLOCK);
      const start = restLines < needLines ? cursor + restLines : cursor;
      const block = Math.floor(start / LINES_PER_BLOCK);
      if (block >= this.#memory.maxBlocks) return -1;
      const end = Math.min(start + wantLines, (block + 1) * LINES_PER_BLOCK);
      // Before the cursor advances: blocks below the cursor exist for every thread.
      this.#memory.grow(block + 1);
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

  #enterEpoch(): void {
    if (this.#isInEpoch()) return;
    this.#epochLow = Atomics.load(this.#words, EPOCH_WORD);
    this.#epochHigh = Atomics.load(this.#words, EPOCH_WORD + 1);
    this.#free = this.#limit = 0;
  }

  #assertAllocated(offset: number, bytes: number): void {
    const isUnused = this.#isInEpoch() && offset + bytes > this.#free && offset < this.#limit;
    this.#memory.assertAllocated(offset, bytes, isUnused ? 0 : this.#end);
  }

  #full(bytes: number): PageStoreError {
    return this.#memory.full(bytes, this.stats().usedBytes);
  }
}

function countWords(end: number): number {
  return Math.ceil(end / TLAB_BYTES) * LINE_WORDS;
}
