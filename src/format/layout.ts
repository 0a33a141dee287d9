// Where things are in a page file. Every offset is derived from the one before it; docs/format.md says it in prose.

/** Size of a block, of which a file is made: 256 KiB. */
export const BLOCK_BYTES = 262_144;

/** Most blocks in a file: 2^24, since a link of the free list has 24 bits for a block id. */
export const MAX_BLOCKS = 16_777_216;

/** Unit of a write that is assumed to be done or not done, and so the distance between what must not be torn together. */
export const SECTOR_BYTES = 512;

export const FILE_HEADER_BYTES = 64;
export const ROOT_DESCRIPTOR_OFFSET: number = FILE_HEADER_BYTES;
export const ROOT_DESCRIPTOR_BYTES = 18;

/** Offsets in block 0 of the two commit records, each in a sector of its own. */
export const COMMIT_RECORD_OFFSETS: readonly [number, number] = [8 * SECTOR_BYTES, 16 * SECTOR_BYTES];
/** Offset in block 0 of the copy of the file header and root descriptor. */
export const HEADER_COPY_OFFSET: number = 24 * SECTOR_BYTES;
/** How much of block 0 has a meaning: everything up to the end of the header copy's sector. */
export const FILE_HEAD_BYTES: number = HEADER_COPY_OFFSET + SECTOR_BYTES;

export const PAGE_HEADER_BYTES = 64;
/** Where the first node of a page goes. */
export const NODE_AREA_OFFSET: number = PAGE_HEADER_BYTES;

/** Size of a slot in the directory of a V1 page. */
export const V1_SLOT_BYTES = 8;
/** Bytes of a V1 page that are kept free, so that its writers agree on when it is full. */
export const V1_RESERVE_BYTES = 64;

/** Most slots that fit in a V1 page, by its size alone. */
export const V1_MAX_SLOTS: number = (BLOCK_BYTES - NODE_AREA_OFFSET) / V1_SLOT_BYTES;
/** Most slots that fit in a V2 page, by its size alone: an offset and a length take a byte each at the least. */
export const V2_MAX_SLOTS: number = (BLOCK_BYTES - NODE_AREA_OFFSET) / 2;

/** Longest node that an empty V1 page holds: 262,008 bytes. */
export const V1_MAX_NODE_BYTES: number = BLOCK_BYTES - NODE_AREA_OFFSET - V1_SLOT_BYTES - V1_RESERVE_BYTES;

/** Offset in the file of a byte of a block. */
export function fileOffset(block: number, offset = 0): number {
  return block * BLOCK_BYTES + offset;
}

/** Node types that a pointer of a byte trie can carry: ART nodes by their size (0 is Node256), and the bucket. */
export const NODE_TYPES: readonly number[] = [0, 1, 4, 16, 48];

/** A pointer, taken apart. */
export interface Pointer {
  /** Set only in memory, by a program that runs: never valid in a file. */
  readonly inMemory: boolean;
  readonly block: number;
  /** Slot of a node; the byte offset of the root descriptor in block 0. */
  readonly slot: number;
  readonly nodeType: number;
}

/** @see docs/format.md, "Pointers" */
export function decodePointer(pointer: bigint): Pointer {
  return {
    inMemory: pointer >> 63n !== 0n,
    block: Number((pointer >> 40n) & 0x7f_ffffn),
    slot: Number((pointer >> 18n) & 0x3f_ffffn),
    nodeType: Number(pointer & 0x3_ffffn),
  };
}

/** @throws RangeError where a part does not fit: 23 bits of block, 22 of slot, 18 of node type */
export function encodePointer(block: number, slot: number, nodeType: number): bigint {
  if (block >= 2 ** 23 || slot >= 2 ** 22 || nodeType >= 2 ** 18) {
    throw new RangeError(`no pointer reaches block ${block}, slot ${slot}, node type ${nodeType}`);
  }
  return (BigInt(block) << 40n) | (BigInt(slot) << 18n) | BigInt(nodeType);
}

/** A link of the free list: the next block's id, or 0 at the end. */
export function encodeFreeLink(block: number): bigint {
  return BigInt(block) << 40n;
}

/** The block id that a link of the free list holds, 0 at the end, or -1 for a number that is no link. */
export function decodeFreeLink(link: bigint): number {
  return (link & 0xff_ffff_ffffn) === 0n ? Number(link >> 40n) : -1;
}
