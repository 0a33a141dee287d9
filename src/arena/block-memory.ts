import { assertInteger, wrongType } from '../arguments.ts';
import { assertByteRange, Copier } from '../bytes/buffer.ts';
import { PageStoreError } from '../errors.ts';

/** Size of an arena block: 2 MiB. No allocation crosses a block boundary. */
export const ARENA_BLOCK_BYTES = 2_097_152;

/** Most blocks of an arena, just under 2 GiB, so that an aligned offset fits an int32. */
const MAX_BLOCKS = 1_023;

/** The default limit of an arena: 128 MiB. */
export const DEFAULT_MAX_BLOCKS = 64;

/** Bytes of a cache line: words written by two threads are at least that far apart. */
export const LINE_BYTES = 64;
export const LINE_WORDS = 16;

const SYSTEM_PAGE_BYTES = 4_096;

const CONTROL_BYTES_WORD = 0;
/** The magic number of this layout, `ARNA`. */
const MAGIC_WORD = 1;
const MAGIC = 0x41_4e_52_41;
/** The low 32 bits of the epoch; the next word has the high ones. */
export const EPOCH_WORD = 2;
/** The first one that the arena itself may use. */
export const FIRST_CONTROL_WORD = 4;

/** Memory shared by threads: a zeroed control area, then blocks of 2 MiB, added as needed and never removed. */
export class BlockMemory {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly maxBlocks: number;
  /** What has this memory, for messages. */
  readonly #owner: string;
  readonly #blocksOffset: number;
  // Arrays of fixed length: over growing memory, arrays that track the length are far slower.
  readonly #blocks: (Uint8Array | undefined)[] = [];
  readonly #views: (DataView | undefined)[] = [];
  readonly #copier = new Copier();

  private constructor(owner: string, buffer: SharedArrayBuffer, controlBytes: number) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, controlBytes / 4);
    this.maxBlocks = (buffer.maxByteLength - controlBytes) / ARENA_BLOCK_BYTES;
    this.#owner = owner;
    this.#blocksOffset = controlBytes;
  }

  /** @throws RangeError unless `maxBlocks` is 1 to 1,023, or if the system has no address space for them */
  static create(owner: string, controlWords: number, maxBlocks: number, epoch: number): BlockMemory {
    assertInteger('maxBlocks', maxBlocks, 1, MAX_BLOCKS);
    const controlBytes = Math.ceil((controlWords * 4) / SYSTEM_PAGE_BYTES) * SYSTEM_PAGE_BYTES;
    const maxByteLength = controlBytes + maxBlocks * ARENA_BLOCK_BYTES;
    const memory = new BlockMemory(owner, new SharedArrayBuffer(controlBytes, { maxByteLength }), controlBytes);
    memory.words[CONTROL_BYTES_WORD] = controlBytes;
    memory.words[MAGIC_WORD] = MAGIC;
    storeEpoch(memory.words, EPOCH_WORD, epoch);
    return memory;
  }

  /** The same memory, in another thread. @throws TypeError unless `create` made it */
  static attach(owner: string, buffer: SharedArrayBuffer): BlockMemory {
    if (buffer instanceof SharedArrayBuffer && buffer.growable && buffer.byteLength >= SYSTEM_PAGE_BYTES) {
      const words = new Int32Array(buffer, 0, FIRST_CONTROL_WORD);
      if (words[MAGIC_WORD] === MAGIC) return new BlockMemory(owner, buffer, words[CONTROL_BYTES_WORD] as number);
    }
    throw wrongType('descriptor', 'one that an arena returned, with its memory', buffer);
  }

  get epoch(): number {
    return loadEpoch(this.words, EPOCH_WORD);
  }

  get blockCount(): number {
    return this.reservedBytes / ARENA_BLOCK_BYTES;
  }

  get reservedBytes(): number {
    return this.buffer.byteLength - this.#blocksOffset;
  }

  /** Grows to at least `blockCount` (up to `maxBlocks`) blocks. @throws RangeError if no memory is available */
  grow(blockCount: number): void {
    const byteLength = this.#blocksOffset + blockCount * ARENA_BLOCK_BYTES;
    if (this.buffer.byteLength >= byteLength) return;
    try {
      this.buffer.grow(byteLength);
    } catch (error) {
      // Shrinking is an error, and another thread may have grown it further in between.
      if (this.buffer.byteLength < byteLength) throw error;
    }
  }

  /** The block that contains `offset`, counted from the start of the first block; it must exist. */
  blockOf(offset: number): Uint8Array {
    return this.#blocks[offset >>> 21] ?? this.#addBlock(offset >>> 21);
  }

  /** Copies `source[start, end)` to `offset`, within one block that exists. */
  copy(source: Uint8Array, start: number, end: number, offset: number): void {
    const block = this.blockOf(offset);
    const view = this.#views[offset >>> 21] as DataView;
    this.#copier.copy(source, start, end, block, view, offset % ARENA_BLOCK_BYTES);
  }

  release(): void {
    this.#copier.release();
  }

  /** `bytes` from `offset` on, within one block that exists. */
  view(offset: number, bytes: number): Uint8Array {
    return new Uint8Array(this.buffer, this.#blocksOffset + offset, bytes);
  }

  /** @throws RangeError unless [offset, offset + bytes) is within one block and ends at or before `end` */
  assertAllocated(offset: number, bytes: number, end: number): void {
    if (
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(bytes) &&
      offset >= 0 &&
      bytes >= 0 &&
      offset < end &&
      offset + bytes <= end &&
      (offset % ARENA_BLOCK_BYTES) + bytes <= ARENA_BLOCK_BYTES
    )
      return;
    const range = `a range allocated by ${this.#owner}, within one block`;
    throw new RangeError(`offset and bytes must be ${range}, not ${String(offset)} and ${String(bytes)}`);
  }

  full(bytes: number, usedBytes: number): PageStoreError {
    const blocks = `${this.maxBlocks} blocks of ${ARENA_BLOCK_BYTES} bytes`;
    return new PageStoreError('ARENA_FULL', `${this.#owner} has no room for ${bytes} bytes in its ${blocks}`, {
      found: `${usedBytes} bytes in use`,
      expected: `room for ${bytes} bytes in one block`,
    });
  }

  #addBlock(index: number): Uint8Array {
    const block = new Uint8Array(this.buffer, this.#blocksOffset + index * ARENA_BLOCK_BYTES, ARENA_BLOCK_BYTES);
    // An array without holes is read without a check for them.
    while (this.#blocks.length <= index) {
      this.#blocks.push(undefined);
      this.#views.push(undefined);
    }
    this.#blocks[index] = block;
    this.#views[index] = new DataView(block.buffer, block.byteOffset, block.length);
    return block;
  }
}

/** What an arena, or a part of one, contains. */
export interface MemoryStats {
  /** Number of allocations, including those of 0 bytes. */
  readonly allocations: number;
  /** Bytes that were asked for, without the losses to alignment and at the ends of blocks. */
  readonly usedBytes: number;
  /** Number of blocks; a reset keeps them. */
  readonly blockCount: number;
  readonly reservedBytes: number;
}

export function sumStats(all: readonly MemoryStats[]): MemoryStats {
  const sum = (name: keyof MemoryStats): number => all.reduce((total, each) => total + each[name], 0);
  return {
    allocations: sum('allocations'),
    usedBytes: sum('usedBytes'),
    blockCount: sum('blockCount'),
    reservedBytes: sum('reservedBytes'),
  };
}

/** Largest alignment: thread-local buffers start at multiples of it. */
const MAX_ALIGNMENT = 64;

export function assertAllocation(bytes: number, alignment: number): void {
  if (bytes >>> 0 !== bytes || bytes > ARENA_BLOCK_BYTES) assertInteger('bytes', bytes, 0, ARENA_BLOCK_BYTES);
  if (
    alignment >>> 0 !== alignment ||
    alignment < 1 ||
    alignment > MAX_ALIGNMENT ||
    (alignment & (alignment - 1)) !== 0
  )
    throw new RangeError(`alignment must be a power of two up to ${MAX_ALIGNMENT}, not ${String(alignment)}`);
}

export function assertSource(source: Uint8Array, start: number, end: number): void {
  // Compared as u32 first, which is faster for every key than the full check.
  if (
    !(source instanceof Uint8Array) ||
    start >>> 0 !== start ||
    end >>> 0 !== end ||
    start > end ||
    end > source.length
  )
    assertByteRange(source, start, end);
  if (end - start > ARENA_BLOCK_BYTES)
    throw new RangeError(`source must have at most the ${ARENA_BLOCK_BYTES} bytes of a block, not ${end - start}`);
}

export function assertDescriptor(descriptor: object): void {
  if (typeof descriptor === 'object' && descriptor !== null) return;
  throw wrongType('descriptor', "what the property 'descriptor' of the other object returned", descriptor);
}

export function assertEpoch(epoch: number): void {
  assertInteger('epoch', epoch, 0, Number.MAX_SAFE_INTEGER);
}

export function assertLaterEpoch(epoch: number, current: number): void {
  assertEpoch(epoch);
  if (epoch <= current) throw new RangeError(`epoch must be greater than the current epoch ${current}, not ${epoch}`);
}

/** Reads an epoch from two words, which only one thread writes: consistent even while it is being written. */
export function loadEpoch(words: Int32Array, at: number): number {
  for (;;) {
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at);
    // If the high word changed in between, the low one could belong to either epoch.
    if (Atomics.load(words, at + 1) === high) return (high >>> 0) * 2 ** 32 + (low >>> 0);
  }
}

export function storeEpoch(words: Int32Array, at: number, epoch: number): void {
  const high = Math.floor(epoch / 2 ** 32) | 0;
  // An atomic store costs as much as adding a few keys, and this word changes once in 2^32 epochs.
  if (Atomics.load(words, at + 1) !== high) Atomics.store(words, at + 1, high);
  Atomics.store(words, at, epoch | 0);
}
