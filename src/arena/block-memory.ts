import { types } from 'node:util';
import { assertInteger, isBytes, valueText, wrongType } from '../arguments.ts';
import { assertByteRange, Copier } from '../bytes/buffer.ts';
import { PageStoreError } from '../errors.ts';
import { growTo, MAX_ALLOCATIONS } from './handle-table.ts';

/** Default size of an arena block: 2 MiB. */
export const ARENA_BLOCK_BYTES = 2_097_152;
/** A thread-local buffer of 16 KiB, and some of them, fit a block. */
const MIN_BLOCK_BYTES = 65_536;
const MAX_BLOCK_BYTES: number = 2 ** 30;

/** All blocks of an arena: less than this, so that an aligned offset fits an int32. */
const MAX_ARENA_BYTES: number = 2 ** 31;
/** The default limit of an arena: 128 MiB. */
const DEFAULT_ARENA_BYTES: number = 2 ** 27;

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
const BLOCK_BYTES_WORD = 4;
/** The first one that the arena itself may use. */
export const FIRST_CONTROL_WORD = 5;

/** What arenas have in common. */
export interface ArenaMemoryOptions {
  /** Size of a block, a power of two from 64 KiB to 1 GiB (default: 2 MiB). A longer allocation takes several blocks. */
  readonly blockBytes?: number;
  /** Most blocks; together less than 2 GiB (default: 128 MiB). They take address space only. */
  readonly maxBlocks?: number;
  /** Most allocations of an epoch, up to 33,423,360; 8 bytes for each are address space (default: one for 8 bytes of blocks). */
  readonly maxAllocations?: number;
}

export const ARENA_MEMORY_OPTIONS = { blockBytes: 'any', maxBlocks: 'any', maxAllocations: 'any' } as const;

/** The options with their defaults. @throws RangeError */
export function arenaMemoryOptions(options: ArenaMemoryOptions): Required<ArenaMemoryOptions> {
  const { blockBytes = ARENA_BLOCK_BYTES } = options;
  if (!isPowerOfTwo(blockBytes) || blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES)
    throw new RangeError(`blockBytes must be a power of two from 64 KiB to 1 GiB, not ${valueText(blockBytes)}`);
  const { maxBlocks = Math.max(1, DEFAULT_ARENA_BYTES / blockBytes) } = options;
  assertInteger('maxBlocks', maxBlocks, 1, MAX_ARENA_BYTES / blockBytes - 1);
  const { maxAllocations = Math.min(MAX_ALLOCATIONS, (maxBlocks * blockBytes) / 8) } = options;
  assertInteger('maxAllocations', maxAllocations, 1, MAX_ALLOCATIONS);
  return { blockBytes, maxBlocks, maxAllocations };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}

/** Memory shared by threads: a zeroed control area, then blocks, added as needed and never removed. */
export class BlockMemory {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly blockBytes: number;
  readonly maxBlocks: number;
  /** What has this memory, for messages. */
  readonly #owner: string;
  readonly #blocksOffset: number;
  readonly #shift: number;
  // Arrays of fixed length: over growing memory, arrays that track the length are far slower.
  readonly #blocks: (Uint8Array | undefined)[] = [];
  readonly #views: (DataView | undefined)[] = [];
  readonly #copier = new Copier();

  private constructor(owner: string, buffer: SharedArrayBuffer, controlBytes: number) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, controlBytes / 4);
    this.blockBytes = this.words[BLOCK_BYTES_WORD] as number;
    this.maxBlocks = (buffer.maxByteLength - controlBytes) / this.blockBytes;
    this.#owner = owner;
    this.#blocksOffset = controlBytes;
    this.#shift = Math.log2(this.blockBytes);
  }

  /** @throws RangeError if the system has no address space for the blocks */
  static create(
    owner: string,
    controlWords: number,
    { blockBytes, maxBlocks }: Required<ArenaMemoryOptions>,
    epoch: number,
  ): BlockMemory {
    const controlBytes = Math.ceil((controlWords * 4) / SYSTEM_PAGE_BYTES) * SYSTEM_PAGE_BYTES;
    const maxByteLength = controlBytes + maxBlocks * blockBytes;
    const buffer = new SharedArrayBuffer(controlBytes, { maxByteLength });
    const words = new Int32Array(buffer, 0, FIRST_CONTROL_WORD);
    words[CONTROL_BYTES_WORD] = controlBytes;
    words[MAGIC_WORD] = MAGIC;
    words[BLOCK_BYTES_WORD] = blockBytes;
    storeEpoch(words, EPOCH_WORD, epoch);
    return new BlockMemory(owner, buffer, controlBytes);
  }

  /** The same memory, in another thread. @throws TypeError unless `create` made it */
  static attach(owner: string, buffer: SharedArrayBuffer): BlockMemory {
    if (types.isSharedArrayBuffer(buffer) && buffer.growable && buffer.byteLength >= SYSTEM_PAGE_BYTES) {
      const words = new Int32Array(buffer, 0, FIRST_CONTROL_WORD);
      if (words[MAGIC_WORD] === MAGIC) return new BlockMemory(owner, buffer, words[CONTROL_BYTES_WORD] as number);
    }
    throw wrongType('descriptor', 'one that an arena returned, with its memory', buffer);
  }

  get epoch(): number {
    return loadEpoch(this.words, EPOCH_WORD);
  }

  get maxBytes(): number {
    return this.maxBlocks * this.blockBytes;
  }

  get blockCount(): number {
    return this.reservedBytes / this.blockBytes;
  }

  get reservedBytes(): number {
    return this.buffer.byteLength - this.#blocksOffset;
  }

  /** Grows to at least the blocks of the first `bytes`, which must be at most `maxBytes`. @throws RangeError if no memory is available */
  growTo(bytes: number): void {
    growTo(this.buffer, this.#blocksOffset + Math.ceil(bytes / this.blockBytes) * this.blockBytes);
  }

  /** The block that contains `offset`, counted from the start of the first block; it must exist. */
  blockOf(offset: number): Uint8Array {
    return this.#blocks[offset >>> this.#shift] ?? this.#addBlock(offset >>> this.#shift);
  }

  /** Offset of the start of the block that contains `offset`. */
  blockStart(offset: number): number {
    return offset - (offset & (this.blockBytes - 1));
  }

  /** Whether [offset, offset + bytes) is within one block. */
  isInBlock(offset: number, bytes: number): boolean {
    return (offset & (this.blockBytes - 1)) + bytes <= this.blockBytes;
  }

  /** Copies `source[start, end)` to `offset`, within blocks that exist. */
  copy(source: Uint8Array, start: number, end: number, offset: number): void {
    if (this.isInBlock(offset, end - start)) {
      const block = this.blockOf(offset);
      const view = this.#views[offset >>> this.#shift] as DataView; // as many as blocks
      this.#copier.copy(source, start, end, block, view, offset & (this.blockBytes - 1));
    } else {
      this.view(offset, end - start).set(source.subarray(start, end));
    }
  }

  release(): void {
    this.#copier.release();
  }

  /** `bytes` from `offset` on, within blocks that exist. */
  view(offset: number, bytes: number): Uint8Array {
    return new Uint8Array(this.buffer, this.#blocksOffset + offset, bytes);
  }

  /** @throws RangeError for an allocation of more bytes than the blocks can ever have, or an invalid alignment */
  assertAllocation(bytes: number, alignment: number): void {
    if (bytes >>> 0 !== bytes || bytes > this.maxBytes) assertInteger('bytes', bytes, 0, this.maxBytes);
    if (
      alignment >>> 0 !== alignment ||
      alignment < 1 ||
      alignment > MAX_ALIGNMENT ||
      (alignment & (alignment - 1)) !== 0
    )
      throw new RangeError(`alignment must be a power of two up to ${MAX_ALIGNMENT}, not ${valueText(alignment)}`);
  }

  /** @throws TypeError unless `source` is a Uint8Array; RangeError for a range that is invalid, or longer than the blocks */
  assertSource(source: Uint8Array, start: number, end: number): void {
    // Compared as u32 first, which is faster for every key than the full check.
    if (!isBytes(source) || start >>> 0 !== start || end >>> 0 !== end || start > end || end > source.length)
      assertByteRange(source, start, end);
    if (end - start > this.maxBytes)
      throw new RangeError(`source must have at most the ${this.maxBytes} bytes of all blocks, not ${end - start}`);
  }

  full(bytes: number, usedBytes: number): PageStoreError {
    const blocks = `${this.maxBlocks} blocks of ${this.blockBytes} bytes`;
    return new PageStoreError('ARENA_FULL', `${this.#owner} has no room for ${bytes} bytes in its ${blocks}`, {
      found: `${usedBytes} bytes in use`,
      expected: `room for ${bytes} bytes, and for their handle`,
    });
  }

  #addBlock(index: number): Uint8Array {
    const block = this.view(index * this.blockBytes, this.blockBytes);
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
  /** Bytes that were asked for. */
  readonly usedBytes: number;
  /** With the bytes that alignment took; not those at the ends of blocks that the next allocation did not fit. */
  readonly totalUsedBytes: number;
  /** Number of blocks; a reset keeps them. */
  readonly blockCount: number;
  readonly reservedBytes: number;
}

export function sumStats(all: readonly MemoryStats[]): MemoryStats {
  const sum = (name: keyof MemoryStats): number => all.reduce((total, each) => total + each[name], 0);
  return {
    allocations: sum('allocations'),
    usedBytes: sum('usedBytes'),
    totalUsedBytes: sum('totalUsedBytes'),
    blockCount: sum('blockCount'),
    reservedBytes: sum('reservedBytes'),
  };
}

/** Largest alignment: thread-local buffers start at multiples of it. */
const MAX_ALIGNMENT = 64;

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
