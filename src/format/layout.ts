// Sizes and offsets of the page file; see docs/format.md.

import { assertWholeNumber, valueText, wrongType } from '../arguments.ts';

/** 256 KiB. */
export const BLOCK_BYTES = 262_144;

/** 2^24: a free-list link has 24 bits for a block id. */
export const MAX_BLOCKS = 16_777_216;

/** A write of one sector is assumed to be atomic; what must not be torn together is in different sectors. */
export const SECTOR_BYTES = 512;

export const FILE_HEADER_BYTES = 64;
export const ROOT_DESCRIPTOR_OFFSET: number = FILE_HEADER_BYTES;
export const ROOT_DESCRIPTOR_BYTES = 18;

/** In block 0, each in a sector of its own. */
export const COMMIT_RECORD_OFFSETS: readonly [number, number] = [8 * SECTOR_BYTES, 16 * SECTOR_BYTES];
/** In block 0, in a sector of its own. */
export const FILE_ID_OFFSET: number = 20 * SECTOR_BYTES;
/** In block 0. */
export const HEADER_COPY_OFFSET: number = 24 * SECTOR_BYTES;
/** Used part of block 0: up to the end of the header copy's sector. */
export const FILE_HEAD_BYTES: number = HEADER_COPY_OFFSET + SECTOR_BYTES;

export const PAGE_HEADER_BYTES = 64;
export const NODE_AREA_OFFSET: number = PAGE_HEADER_BYTES;

export const V1_SLOT_BYTES = 8;
/** Kept free in a V1 page, so that all writers agree on when it is full. */
export const V1_RESERVE_BYTES = 64;

/** Smallest page in memory; each size is a power of two. Every page of a file has {@link BLOCK_BYTES}. */
export const MIN_PAGE_BYTES = 4096;

export function isPageSize(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= MIN_PAGE_BYTES && bytes <= BLOCK_BYTES && (bytes & (bytes - 1)) === 0;
}

export function v1MaxSlots(pageBytes: number): number {
  return (pageBytes - NODE_AREA_OFFSET) / V1_SLOT_BYTES;
}

/** Offset and length take at least one byte each. */
export function v2MaxSlots(pageBytes: number): number {
  return (pageBytes - NODE_AREA_OFFSET) / 2;
}

/** Most slots in a page of a file. */
export const V1_MAX_SLOTS: number = v1MaxSlots(BLOCK_BYTES);
/** Most slots in a page of a file. */
export const V2_MAX_SLOTS: number = v2MaxSlots(BLOCK_BYTES);

/** 262,008 bytes. */
export const V1_MAX_NODE_BYTES: number = BLOCK_BYTES - NODE_AREA_OFFSET - V1_SLOT_BYTES - V1_RESERVE_BYTES;

/** @throws RangeError unless both are whole numbers of at least 0 */
export function fileOffset(block: number, offset = 0): number {
  assertWholeNumber('fileOffset', 'block', block);
  assertWholeNumber('fileOffset', 'offset', offset);
  return block * BLOCK_BYTES + offset;
}

/** ART nodes by their size (0 is Node256), and 1 for a bucket. */
export const NODE_TYPES: readonly number[] = [0, 1, 4, 16, 48];

export interface Pointer {
  /** Bit 63, which a running program sets; invalid in a file. */
  readonly inMemory: boolean;
  readonly block: number;
  /** For the root descriptor, its offset in block 0. */
  readonly slot: number;
  readonly nodeType: number;
}

/** Decodes a pointer of the trie. @throws RangeError if it is not a u64 @see docs/format.md#3-pointers */
export function decodePointer(pointer: bigint): Pointer {
  if (typeof pointer !== 'bigint' || BigInt.asUintN(64, pointer) !== pointer)
    throw new RangeError(`decodePointer: pointer must be a bigint of 0 to 2^64 - 1, it is ${valueText(pointer)}`);
  return {
    inMemory: pointer >> 63n !== 0n,
    block: Number((pointer >> 40n) & 0x7f_ffffn),
    slot: Number((pointer >> 18n) & 0x3f_ffffn),
    nodeType: Number(pointer & 0x3_ffffn),
  };
}

/** @throws RangeError if a part does not fit: 23 bits of block, 22 of slot, 18 of node type */
export function encodePointer(block: number, slot: number, nodeType: number): bigint {
  assertBits('encodePointer: block', block, 23);
  assertBits('encodePointer: slot', slot, 22);
  assertBits('encodePointer: nodeType', nodeType, 18);
  return (BigInt(block) << 40n) | (BigInt(slot) << 18n) | BigInt(nodeType);
}

function assertBits(parameter: string, value: number, bits: number): void {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return;
  throw new RangeError(`${parameter} must be an integer of 0 to 2^${bits} - 1, it is ${valueText(value)}`);
}

/** @param block - the next free block, 0 at the end of the list @throws RangeError if it is not a block id */
export function encodeFreeLink(block: number): bigint {
  assertBits('encodeFreeLink: block', block, 24);
  return BigInt(block) << 40n;
}

/** The next free block: 0 at the end of the list, -1 if `link` is not a link. @throws TypeError unless it is a bigint */
export function decodeFreeLink(link: bigint): number {
  if (typeof link !== 'bigint') throw wrongType('decodeFreeLink: link', 'a bigint', link);
  return (link & 0xff_ffff_ffffn) === 0n ? Number(link >> 40n) : -1;
}

/** The magic of a page, or the link of a free block. */
export function firstU64(block: Uint8Array): bigint {
  return new DataView(block.buffer, block.byteOffset, 8).getBigUint64(0, true);
}
