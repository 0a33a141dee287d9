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
