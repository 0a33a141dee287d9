import { ARENA_BLOCK_BYTES, BlockMemory, LINE_BYTES, LINE_WORDS } from './block-memory.ts';
import { loadEpoch, storeEpoch } from './epoch-words.ts';

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
