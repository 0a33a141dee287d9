import { PageStoreError } from '../errors.ts';
import {
  ARENA_BLOCK_BYTES,
  assertAllocation,
  assertEpoch,
  assertSource,
  BlockMemory,
  isRangeOfBlock,
  LINE_BYTES,
  LINE_WORDS,
  loadEpoch,
  storeEpoch,
} from './block-memory.ts';

export interface EpochArenaStats {
  readonly epoch: number;
  /** Allocations of this epoch, those of 0 bytes too. */
  readonly allocations: number;
  /** Bytes that were asked for in this epoch, without what alignment and the ends of blocks have cost. */
  readonly usedBytes: number;
  /** Blocks that there are; they stay when the arena is reset. */
  readonly blockCount: number;
  /** Bytes of these blocks. */
  readonly reservedBytes: number;
}

/** Bytes that a thread takes from the cursor at once, to allocate from them by itself: a thread-local allocation buffer. */
export const TLAB_BYTES = 16_384;

const LINES_PER_BLOCK = ARENA_BLOCK_BYTES / LINE_BYTES;
const TLABS_PER_BLOCK = ARENA_BLOCK_BYTES / TLAB_BYTES;

// Control words, in an order that keeps the epoch, which each allocation looks at, apart from the cursor.
/** The low 32 bits of the epoch; the others are in the next word. */
export const EPOCH_WORD = 2;
const CURSOR_WORD: number = LINE_WORDS;
const LARGE_ALLOCATIONS_WORD: number = LINE_WORDS + 1;
const LARGE_BYTES_WORD: number = LINE_WORDS + 2;
const COUNTS_WORD: number = 2 * LINE_WORDS;
/** The cursor while the arena is being reset. */
const CLOSED = -1;

/** What the threads of an epoch arena share: the epoch, the cursor from which they take bytes, and the counts. */
export class ArenaCursor {
  readonly memory: BlockMemory;
  readonly words: Int32Array;
  /** Two words for each 16 KiB of the blocks, in a line of their own: allocations of the TLAB that begins there, and their bytes. */
  readonly counts: Uint32Array;
  /** Offset behind what `reserve` returned last. */
  reservedEnd = 0;

  private constructor(memory: BlockMemory) {
    this.memory = memory;
    this.words = memory.controlWords();
    this.counts = new Uint32Array(memory.buffer, COUNTS_WORD * 4, this.words.length - COUNTS_WORD);
  }

  static create(epoch: number, maxBlocks: number): ArenaCursor {
    const cursor = new ArenaCursor(
      BlockMemory.create(COUNTS_WORD + maxBlocks * TLABS_PER_BLOCK * LINE_WORDS, maxBlocks),
    );
    storeEpoch(cursor.words, EPOCH_WORD, epoch);
    return cursor;
  }

  static attach(buffer: SharedArrayBuffer): ArenaCursor {
    return new ArenaCursor(BlockMemory.attach(buffer));
  }

  get epoch(): number {
    return loadEpoch(this.words, EPOCH_WORD);
  }

  /** Offset behind all that threads have taken. */
  get end(): number {
    return Math.max(0, Atomics.load(this.words, CURSOR_WORD)) * LINE_BYTES;
  }

  /**
   * Moves the cursor on, by `wantLines` or up to the end of the block, but by `needLines` at the least.
   * @returns the offset of the first byte, a multiple of 64, or -1 where there is no room
   */
  reserve(wantLines: number, needLines: number): number {
    for (;;) {
      const cursor = Atomics.load(this.words, CURSOR_WORD);
      if (cursor === CLOSED) continue;
      const restLines = LINES_PER_BLOCK - (cursor % LINES_PER_BLOCK);
      const start = restLines < needLines ? cursor + restLines : cursor;
      const block = Math.floor(start / LINES_PER_BLOCK);
      if (block >= this.memory.maxBlocks) return -1;
      const end = Math.min(start + wantLines, (block + 1) * LINES_PER_BLOCK);
      // Before the cursor moves: what lies before the cursor is there, for every thread.
      this.memory.grow(block + 1);
      if (Atomics.compareExchange(this.words, CURSOR_WORD, cursor, end) !== cursor) continue;
      this.reservedEnd = end * LINE_BYTES;
      return start * LINE_BYTES;
    }
  }

  /** Counts an allocation that is in no TLAB. */
  countLarge(bytes: number): void {
    Atomics.add(this.words, LARGE_ALLOCATIONS_WORD, 1);
    Atomics.add(this.words, LARGE_BYTES_WORD, bytes);
  }

  /** Index in `counts` for the TLAB at `offset`. No two begin in the same 16 KiB: only the last one of a block is shorter. */
  static countIndexOf(offset: number): number {
    return Math.floor(offset / TLAB_BYTES) * LINE_WORDS;
  }

  /**
   * Begins another epoch.
   * @throws RangeError where it is not greater than the one before
   * @throws TypeError where another thread is doing the same
   */
  reset(epoch: number): void {
    const before = this.epoch;
    if (epoch <= before) throw new RangeError(`epoch ${epoch} does not come after epoch ${before}`);
    // Closed before the epoch changes, and open after: who reserves bytes knows of which epoch they are.
    const usedLines = Atomics.exchange(this.words, CURSOR_WORD, CLOSED);
    if (usedLines === CLOSED) throw new TypeError('another thread is resetting this arena');
    storeEpoch(this.words, EPOCH_WORD, epoch);
    const countsEnd = countedWords(usedLines * LINE_BYTES);
    if (countsEnd > 0) this.counts.fill(0, 0, countsEnd);
    this.words[LARGE_ALLOCATIONS_WORD] = 0;
    this.words[LARGE_BYTES_WORD] = 0;
    Atomics.store(this.words, CURSOR_WORD, 0);
  }

  stats(): EpochArenaStats {
    const countsEnd = countedWords(this.end);
    let allocations = Atomics.load(this.words, LARGE_ALLOCATIONS_WORD);
    let usedBytes = Atomics.load(this.words, LARGE_BYTES_WORD);
    for (let at = 0; at < countsEnd; at += LINE_WORDS) {
      allocations += Atomics.load(this.counts, at);
      usedBytes += Atomics.load(this.counts, at + 1);
    }
    const blockCount = this.memory.blockCount;
    return { epoch: this.epoch, allocations, usedBytes, blockCount, reservedBytes: blockCount * ARENA_BLOCK_BYTES };
  }
}

/** Words of `counts` for the TLABs that begin before `end`. */
function countedWords(end: number): number {
  return Math.ceil(end / TLAB_BYTES) * LINE_WORDS;
}

/** Blocks that an arena may have where nothing is said: 128 MiB. */
export const ARENA_DEFAULT_BLOCKS = 64;

export interface EpochArenaOptions {
  /** The first epoch, 0 to 2^53 - 1; 0 where it is left out. */
  readonly epoch?: number;
  /** Most blocks of 2 MiB, 1 to 1,023; 64 where it is left out. Only address space is taken for them. */
  readonly maxBlocks?: number;
}

/** What another thread attaches to; it goes through `postMessage` and `workerData`. */
export interface EpochArenaDescriptor {
  readonly memory: SharedArrayBuffer;
}

/** Longest allocation out of them; a longer one goes to the shared cursor, and leaves them as they are. */
const TLAB_MAX_ALLOCATION_BYTES = 4_096;

/**
 * Bytes that live as long as an epoch, allocated one behind the other in blocks of 2 MiB, by several threads at once.
 * All state is in shared memory, but for 16 KiB that each thread has taken ahead.
 *
 * No thread may allocate, or write to what it allocated, while another one resets the arena: {@link WorkerArena}
 * sees to that. What was allocated before is noticed to be gone by the next call of each thread.
 */
export class EpochArena {
  readonly #cursor: ArenaCursor;
  readonly #memory: BlockMemory;
  readonly #words: Int32Array;
  readonly #counts: Uint32Array;
  // The buffer of this thread: [free, limit), taken in the epoch of the two words, and counted from #countIndex on.
  #epochLow: number;
  #epochHigh: number;
  #free = 0;
  #limit = 0;
  #countIndex = 0;

  /**
   * @param options - of a new arena, or the descriptor of one to attach to
   * @throws RangeError for options out of their ranges
   */
  constructor(options: EpochArenaOptions | EpochArenaDescriptor = {}) {
    if ('memory' in options) {
      this.#cursor = ArenaCursor.attach(options.memory);
    } else {
      const { epoch = 0, maxBlocks = ARENA_DEFAULT_BLOCKS } = options;
      assertEpoch(epoch);
      this.#cursor = ArenaCursor.create(epoch, maxBlocks);
    }
    const { memory, words, counts } = this.#cursor;
    this.#memory = memory;
    this.#words = words;
    this.#counts = counts;
    this.#epochLow = Atomics.load(words, EPOCH_WORD);
    this.#epochHigh = Atomics.load(words, EPOCH_WORD + 1);
  }

  /** The same arena, in this thread. @throws TypeError for what is no descriptor */
  static attach(descriptor: EpochArenaDescriptor): EpochArena {
    return new EpochArena({ memory: descriptor.memory });
  }

  get descriptor(): EpochArenaDescriptor {
    return { memory: this.#memory.buffer };
  }

  get epoch(): number {
    return this.#cursor.epoch;
  }

  /**
   * Allocates `bytes`, which have the content that an earlier epoch left there.
   * @param alignment - power of two up to 64, which divides the offset; the address in memory may be otherwise
   * @returns the offset from the start of the first block
   * @throws RangeError for more than a block, or another alignment, and where the system has no memory
   * @throws {@link PageStoreError} `ARENA_FULL`
   */
  allocate(bytes: number, alignment = 8): number {
    const offset = this.tryAllocate(bytes, alignment);
    return offset >= 0 ? offset : this.#refuse(bytes);
  }

  /** As `allocate`. @returns the offset, or -1 where there is no room */
  tryAllocate(bytes: number, alignment = 8): number {
    assertAllocation(bytes, alignment);
    return this.#take(bytes, alignment - 1);
  }

  /**
   * Copies `source[start, end)` into the arena, to a multiple of 8.
   * @returns the offset from the start of the first block
   * @throws TypeError or RangeError for what is no range of bytes
   * @throws {@link PageStoreError} `ARENA_FULL`
   */
  allocateCopy(source: Uint8Array, start = 0, end: number = source.length): number {
    const offset = this.tryAllocateCopy(source, start, end);
    return offset >= 0 ? offset : this.#refuse(end - start);
  }

  /** As `allocateCopy`. @returns the offset, or -1 where there is no room */
  tryAllocateCopy(source: Uint8Array, start = 0, end: number = source.length): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 7);
    if (offset >= 0) this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /** As `allocateCopy`, but to a multiple of 16. */
  allocateKey(source: Uint8Array, start: number, end: number): number {
    assertSource(source, start, end);
    const offset = this.#take(end - start, 15);
    if (offset < 0) return this.#refuse(end - start);
    this.#memory.copy(source, start, end, offset);
    return offset;
  }

  /**
   * The bytes of an allocation, valid until the arena is reset.
   * @throws RangeError where they are not within one block of what has been allocated. What another thread has taken
   * ahead passes for allocated.
   */
  view(offset: number, bytes: number): Uint8Array {
    this.#assertAllocated(offset, bytes);
    return this.#memory.view(offset, bytes);
  }

  /**
   * The whole block that `offset` is in: byte i of the allocation is at `offset % ARENA_BLOCK_BYTES + i`. The same
   * array every time, valid for as long as the arena.
   * @throws RangeError where nothing has been allocated
   */
  blockOf(offset: number): Uint8Array {
    this.#assertAllocated(offset, 0);
    return this.#memory.blockOf(offset);
  }

  /**
   * Begins another epoch: what was allocated is gone, and all blocks are used again.
   * @throws RangeError where `epoch` is not greater than the one before
   * @throws TypeError where another thread is doing the same
   */
  reset(epoch: number): void {
    assertEpoch(epoch);
    this.#cursor.reset(epoch);
    this.#memory.release();
  }

  /** Exact for this thread, and for what other threads allocated before a message or an atomic of theirs that was seen here. */
  stats(): EpochArenaStats {
    return this.#cursor.stats();
  }

  /** @returns the offset, or -1 where there is no room */
  #take(bytes: number, mask: number): number {
    const words = this.#words;
    const at = (this.#free + mask) & ~mask;
    // The epoch is read without atomics, which take 8 ns each: a reset has to come before this call, and then it is seen.
    // An allocation of 0 bytes has to be before the limit too: behind it there may be no block.
    if (
      at + bytes <= this.#limit &&
      at < this.#limit &&
      words[EPOCH_WORD] === this.#epochLow &&
      words[EPOCH_WORD + 1] === this.#epochHigh
    ) {
      return this.#bump(at, bytes);
    }
    return this.#takeAhead(bytes, mask);
  }

  #bump(at: number, bytes: number): number {
    this.#free = at + bytes;
    // No other thread writes to these words, so they need no atomic.
    const counts = this.#counts;
    const index = this.#countIndex;
    counts[index] = (counts[index] as number) + 1; // each TLAB has its two words
    counts[index + 1] = (counts[index + 1] as number) + bytes;
    return at;
  }

  #takeAhead(bytes: number, mask: number): number {
    const needLines = Math.ceil(Math.max(1, bytes) / LINE_BYTES);
    const large = bytes > TLAB_MAX_ALLOCATION_BYTES;
    for (;;) {
      this.#notice();
      const start = this.#cursor.reserve(large ? needLines : TLAB_BYTES / LINE_BYTES, needLines);
      // Reset meanwhile: the bytes may be of the epoch before, or of this one; in both cases nobody misses them.
      if (!this.#isOfThisEpoch()) continue;
      if (start < 0) return -1;
      if (large) {
        this.#cursor.countLarge(bytes);
        return start;
      }
      // Where it goes on from the one before, in the same block, nothing is left unused between them.
      if (start !== this.#limit || start % ARENA_BLOCK_BYTES === 0) this.#free = start;
      this.#limit = this.#cursor.reservedEnd;
      this.#countIndex = ArenaCursor.countIndexOf(start);
      return this.#bump((this.#free + mask) & ~mask, bytes);
    }
  }

  #isOfThisEpoch(): boolean {
    return (
      Atomics.load(this.#words, EPOCH_WORD) === this.#epochLow &&
      Atomics.load(this.#words, EPOCH_WORD + 1) === this.#epochHigh
    );
  }

  /** Forgets the bytes that were taken ahead in an epoch that is over. */
  #notice(): void {
    if (this.#isOfThisEpoch()) return;
    this.#epochLow = Atomics.load(this.#words, EPOCH_WORD);
    this.#epochHigh = Atomics.load(this.#words, EPOCH_WORD + 1);
    this.#free = this.#limit = 0;
  }

  #assertAllocated(offset: number, bytes: number): void {
    const unused = this.#isOfThisEpoch() && offset + bytes > this.#free && offset < this.#limit;
    if (isRangeOfBlock(offset, bytes, this.#cursor.end) && !unused) return;
    throw new RangeError(`${bytes} bytes at ${offset} are not within a block of what has been allocated`);
  }

  #refuse(bytes: number): never {
    const { usedBytes } = this.stats();
    const blocks = `${this.#memory.maxBlocks} blocks of ${ARENA_BLOCK_BYTES} bytes`;
    throw new PageStoreError('ARENA_FULL', `the arena has no room for ${bytes} bytes in its ${blocks}`, {
      found: `${usedBytes} bytes in use`,
      expected: `room for ${bytes} bytes in one block`,
    });
  }
}
