import { Copier } from '../bytes/copier.ts';

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
