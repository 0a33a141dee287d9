import { Copier } from '../bytes/buffer.ts';

/** Size of a block of an arena: 2 MiB. No allocation crosses from one block into the next. */
export const ARENA_BLOCK_BYTES = 2_097_152;

/** Most blocks of an arena, a little under 2 GiB: so an offset, and what alignment adds to it, is an int32. */
export const ARENA_MAX_BLOCKS = 1_023;

/** Bytes of a cache line: what two threads write to must be that far apart. */
export const LINE_BYTES = 64;
/** Control words in a cache line. */
export const LINE_WORDS = 16;

const SYSTEM_PAGE_BYTES = 4_096;
/** Control word that says how long the control area is, which no other memory has in that place. */
const CONTROL_BYTES_WORD = 0;
/** Control word with the sign of this layout: `ARNA`. */
const SIGN_WORD = 1;
const SIGN = 0x41_4e_52_41;
/** First control word that is free for the arena. */
export const FIRST_CONTROL_WORD = 2;

/**
 * Memory that threads share: a control area, zeroed, and behind it blocks of 2 MiB, which come as they are needed and
 * stay. Blocks that were never written to take address space and no memory.
 */
export class BlockMemory {
  readonly buffer: SharedArrayBuffer;
  /** Offset in `buffer` of the first block: the bytes of the control area. */
  readonly blocksOffset: number;
  readonly maxBlocks: number;
  // Views have a fixed length: over memory that grows, these are as fast as any, and those that follow it far slower.
  readonly #blocks: (Uint8Array | undefined)[] = [];
  readonly #views: (DataView | undefined)[] = [];
  readonly #copier = new Copier();

  private constructor(buffer: SharedArrayBuffer, controlBytes: number) {
    this.buffer = buffer;
    this.blocksOffset = controlBytes;
    this.maxBlocks = (buffer.maxByteLength - controlBytes) / ARENA_BLOCK_BYTES;
  }

  /** @throws RangeError where `maxBlocks` is not a whole number of 1 to 1,023, or the system has no address space for it */
  static create(controlWords: number, maxBlocks: number): BlockMemory {
    if (!Number.isInteger(maxBlocks) || maxBlocks < 1 || maxBlocks > ARENA_MAX_BLOCKS)
      throw new RangeError(`an arena has 1 to ${ARENA_MAX_BLOCKS} blocks, not ${maxBlocks}`);
    const controlBytes = Math.ceil((controlWords * 4) / SYSTEM_PAGE_BYTES) * SYSTEM_PAGE_BYTES;
    const maxByteLength = controlBytes + maxBlocks * ARENA_BLOCK_BYTES;
    const memory = new BlockMemory(new SharedArrayBuffer(controlBytes, { maxByteLength }), controlBytes);
    const words = memory.controlWords();
    words[CONTROL_BYTES_WORD] = controlBytes;
    words[SIGN_WORD] = SIGN;
    return memory;
  }

  /** The same memory, in another thread. @throws TypeError for what no `create` has made */
  static attach(buffer: SharedArrayBuffer): BlockMemory {
    if (!(buffer instanceof SharedArrayBuffer) || !buffer.growable || buffer.byteLength < SYSTEM_PAGE_BYTES)
      throw new TypeError('this is no memory of an arena: pass the descriptor of one');
    const words = new Int32Array(buffer, 0, FIRST_CONTROL_WORD);
    if (words[SIGN_WORD] !== SIGN) throw new TypeError('this is no memory of an arena: pass the descriptor of one');
    return new BlockMemory(buffer, words[CONTROL_BYTES_WORD] as number); // the view has both words
  }

  /** All words of the control area; the first two are taken. */
  controlWords(): Int32Array {
    return new Int32Array(this.buffer, 0, this.blocksOffset / 4);
  }

  /** Blocks that there are by now. */
  get blockCount(): number {
    return (this.buffer.byteLength - this.blocksOffset) / ARENA_BLOCK_BYTES;
  }

  /** Grows to at least `blockCount` blocks, which is at most `maxBlocks`. @throws RangeError where the system has no memory */
  grow(blockCount: number): void {
    const byteLength = this.blocksOffset + blockCount * ARENA_BLOCK_BYTES;
    if (this.buffer.byteLength >= byteLength) return;
    try {
      this.buffer.grow(byteLength);
    } catch (error) {
      // To shrink is an error, and another thread may have made it longer meanwhile.
      if (this.buffer.byteLength < byteLength) throw error;
    }
  }

  /** The 2 MiB block that holds `offset`, counted from the start of the first block; it has to be there. */
  blockOf(offset: number): Uint8Array {
    return this.#blocks[offset >>> 21] ?? this.#addBlock(offset >>> 21);
  }

  /** Copies `source[start, end)` to `offset`; all of its bytes have to be in one block that is there. */
  copy(source: Uint8Array, start: number, end: number, offset: number): void {
    const block = this.blockOf(offset);
    const view = this.#views[offset >>> 21] as DataView; // made with the block
    this.#copier.copy(source, start, end, block, view, offset % ARENA_BLOCK_BYTES);
  }

  /** Lets go of the bytes that were copied from last. */
  release(): void {
    this.#copier.release();
  }

  /** `bytes` from `offset` on, within one block that is there. */
  view(offset: number, bytes: number): Uint8Array {
    return new Uint8Array(this.buffer, this.blocksOffset + offset, bytes);
  }

  #addBlock(index: number): Uint8Array {
    const block = new Uint8Array(this.buffer, this.blocksOffset + index * ARENA_BLOCK_BYTES, ARENA_BLOCK_BYTES);
    // Without holes, an array of blocks is read without a look at whether there is an element.
    while (this.#blocks.length <= index) {
      this.#blocks.push(undefined);
      this.#views.push(undefined);
    }
    this.#blocks[index] = block;
    this.#views[index] = new DataView(block.buffer, block.byteOffset, block.length);
    return block;
  }
}

/** Largest alignment: TLABs begin at multiples of it. */
const MAX_ALIGNMENT = 64;

/** @throws RangeError where `bytes` is not a whole number of 0 to 2 MiB, or `alignment` no power of two up to 64 */
export function assertAllocation(bytes: number, alignment: number): void {
  if (bytes >>> 0 !== bytes || bytes > ARENA_BLOCK_BYTES)
    throw new RangeError(`an allocation has 0 to ${ARENA_BLOCK_BYTES} bytes, not ${bytes}`);
  if (
    alignment >>> 0 !== alignment ||
    alignment < 1 ||
    alignment > MAX_ALIGNMENT ||
    (alignment & (alignment - 1)) !== 0
  )
    throw new RangeError(`an alignment is a power of two up to ${MAX_ALIGNMENT}, not ${alignment}`);
}

/** @throws TypeError, or RangeError where [start, end) is not within `source`, or longer than a block */
export function assertSource(source: Uint8Array, start: number, end: number): void {
  if (!(source instanceof Uint8Array)) throw new TypeError('what is copied into an arena is a Uint8Array');
  if (start >>> 0 !== start || end >>> 0 !== end || start > end || end > source.length)
    throw new RangeError(`[${start}, ${end}) is not a range within ${source.length} bytes`);
  if (end - start > ARENA_BLOCK_BYTES)
    throw new RangeError(`an allocation has 0 to ${ARENA_BLOCK_BYTES} bytes, not ${end - start}`);
}

/** @throws RangeError for what is not a whole number of 0 to 2^53 - 1 */
export function assertEpoch(epoch: number): void {
  if (!Number.isSafeInteger(epoch) || epoch < 0) throw new RangeError(`${epoch} is not an epoch`);
}

/** Whether [offset, offset + bytes) is within one block, and ends at or before `end`. */
export function isRangeOfBlock(offset: number, bytes: number, end: number): boolean {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(bytes) || offset < 0 || bytes < 0) return false;
  return offset < end && offset + bytes <= end && (offset % ARENA_BLOCK_BYTES) + bytes <= ARENA_BLOCK_BYTES;
}

/**
 * An epoch in two words of shared memory, the low 32 bits at `at` and the others behind. Whoever writes it is alone in
 * doing so.
 * @returns the epoch, whole even while it is being written
 */
export function loadEpoch(words: Int32Array, at: number): number {
  for (;;) {
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at);
    // Were the high word to change in between, the low one could be of either epoch.
    if (Atomics.load(words, at + 1) === high) return (high >>> 0) * 2 ** 32 + (low >>> 0);
  }
}

/** Writes an epoch of 0 to 2^53 - 1. */
export function storeEpoch(words: Int32Array, at: number, epoch: number): void {
  const high = Math.floor(epoch / 2 ** 32) | 0;
  // A store in order costs as much as a few keys, and this word changes once in 2^32 epochs.
  if (Atomics.load(words, at + 1) !== high) Atomics.store(words, at + 1, high);
  Atomics.store(words, at, epoch | 0);
}
