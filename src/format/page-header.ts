import { assertBytes } from '../arguments.ts';
import { crc32 } from '../bytes/checksum.ts';
import { bytesOf, defineRecord, type RecordLayout, u16, u32, u64 } from '../bytes/record.ts';
import {
  BLOCK_BYTES,
  decodeFreeLink,
  firstU64,
  NODE_AREA_OFFSET,
  PAGE_HEADER_BYTES,
  V1_SLOT_BYTES,
  V2_MAX_SLOTS,
} from './layout.ts';
import type { ByteRange, SlotDirectory } from './slots.ts';

/** `v1`: fixed-size slots that grow down from the end of the block. `v2`: a directory of varints. */
export type PageFormat = 'v1' | 'v2';

/** ASCII `BYTARANA` and `BYTARAV2`. */
export const PAGE_MAGIC: Readonly<Record<PageFormat, bigint>> = {
  v1: 0x414e4152_41545942n,
  v2: 0x32564152_41545942n,
};

export const PAGE_VERSION: Readonly<Record<PageFormat, number>> = { v1: 1, v2: 2 };

export const PAGE_FLAG = { varintDirectory: 0x0001, hasChecksum: 0x0002, finalized: 0x0004 } as const;

export const PAGE_FORMAT_FLAGS: Readonly<Record<PageFormat, number>> = { v1: 0, v2: PAGE_FLAG.varintDirectory };

/** First 64 bytes of a page. @see docs/format.md#2-pages */
export interface PageHeader {
  magic: bigint;
  version: number;
  flags: number;
  nodeCount: number;
  freeOffset: number;
  directoryStart: number;
  checksum: number;
  directoryLength: number;
  checksumNodeCount: number;
  home: number;
  commit: bigint;
  reserved: Uint8Array;
  unused: bigint;
}

export const PAGE_HEADER: RecordLayout<PageHeader> = defineRecord<PageHeader>({
  magic: u64('ASCII `BYTARANA` (V1) or `BYTARAV2` (V2)'),
  version: u16('1 or 2, as the magic'),
  flags: u16('0x0001 varint directory (V2); 0x0002 HAS_CHECKSUM; 0x0004 FINALIZED'),
  nodeCount: u32('slots in the directory'),
  freeOffset: u32('offset of the next node; 64 in an empty page'),
  directoryStart: u32('lowest byte of the directory; 262,144 in an empty page'),
  checksum: u32('CRC-32 of the page if HAS_CHECKSUM is set'),
  directoryLength: u32('V2: bytes of the directory if HAS_CHECKSUM is set; 0 in V1'),
  checksumNodeCount: u32('nodeCount when the checksum was computed'),
  home: u32('the block that the page was written to, or 0'),
  commit: u64('number of the commit that wrote this header, or 0'),
  reserved: bytesOf(8, '0; preserved by writers'),
  unused: u64('0; preserved by writers'),
});

/** Where a page belongs, and when its header was written; zeros for a page that is in no file. */
export type PageStamp = Pick<PageHeader, 'home' | 'commit'>;

export const NO_STAMP: PageStamp = { home: 0, commit: 0n };

/** Undefined if `bytes` do not begin with a page magic. */
export function pageFormatOf(block: Uint8Array): PageFormat | undefined {
  assertBytes('pageFormatOf', 'block', block);
  if (block.length < 8) return undefined;
  const magic = firstU64(block);
  if (magic === PAGE_MAGIC.v1) return 'v1';
  return magic === PAGE_MAGIC.v2 ? 'v2' : undefined;
}

export function newPageHeader(format: PageFormat, pageBytes: number = BLOCK_BYTES): PageHeader {
  return {
    magic: PAGE_MAGIC[format],
    version: PAGE_VERSION[format],
    flags: PAGE_FORMAT_FLAGS[format],
    nodeCount: 0,
    freeOffset: NODE_AREA_OFFSET,
    directoryStart: pageBytes,
    checksum: 0,
    directoryLength: 0,
    checksumNodeCount: 0,
    home: 0,
    commit: 0n,
    reserved: new Uint8Array(8),
    unused: 0n,
  };
}

export function encodePageHeader(header: PageHeader): Uint8Array {
  const bytes = new Uint8Array(PAGE_HEADER_BYTES);
  PAGE_HEADER.write(header, bytes);
  return bytes;
}

/**
 * The nodes of a page that another program has freed: it overwrites the magic with a link, and leaves the rest. 0 for any
 * other block. @param head - the first 64 bytes of a block, or more
 */
export function freedNodes(head: Uint8Array): number {
  if (pageFormatOf(head) !== undefined || decodeFreeLink(firstU64(head)) < 0) return 0;
  const { version, flags, nodeCount, freeOffset } = PAGE_HEADER.read(head);
  const isHeader = (version === 1 || version === 2) && (flags & ~KNOWN_FLAGS) === 0;
  const isBounded = nodeCount <= V2_MAX_SLOTS && freeOffset >= NODE_AREA_OFFSET && freeOffset <= BLOCK_BYTES;
  return isHeader && isBounded ? nodeCount : 0;
}

const KNOWN_FLAGS = PAGE_FLAG.varintDirectory | PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized;

/** The commit number in the header of a page; 0 if there is none, and for one that no writer makes. */
export function commitOf(block: Uint8Array): number {
  if (pageFormatOf(block) === undefined) return 0;
  const view = new DataView(block.buffer, block.byteOffset, PAGE_HEADER_BYTES);
  const commit = view.getBigUint64(PAGE_HEADER.offsets.commit, true);
  return commit < MAX_COMMIT ? Number(commit) : 0;
}

export const isFinalized = ({ flags }: Pick<PageHeader, 'flags'>): boolean => (flags & PAGE_FLAG.finalized) !== 0;

/** Sets HAS_CHECKSUM and computes the checksum from `block`. */
export function encodeCheckedPageHeader(format: PageFormat, block: Uint8Array, header: PageHeader): Uint8Array {
  const flags = header.flags | PAGE_FLAG.hasChecksum;
  const checked = { ...header, flags, checksumNodeCount: header.nodeCount };
  const checksum = pageChecksum(block, checked, checksummedDirectory(format, checked, block.length));
  return encodePageHeader({ ...checked, checksum });
}

/** The rest of the block may have any content. */
export function encodeEmptyPageHeader(
  format: PageFormat,
  pageBytes: number = BLOCK_BYTES,
  stamp: PageStamp = NO_STAMP,
): Uint8Array {
  return encodeCheckedPageHeader(format, new Uint8Array(0), { ...newPageHeader(format, pageBytes), ...stamp });
}

/** `stale`: it matches the first nodes of a V1 page; a program that does not know the checksum has appended since. */
export type ChecksumState = 'absent' | 'match' | 'stale' | 'mismatch';

/** Higher numbers would not be exact, and no file lives that long. */
export const MAX_COMMIT: bigint = 2n ** 53n;

const scratch = new Uint8Array(PAGE_HEADER_BYTES);

/** CRC-32 of header (checksum field 0), node area and directory. @see docs/format.md#page-checksum */
export function pageChecksum(block: Uint8Array, header: PageHeader, directory: ByteRange): number {
  PAGE_HEADER.write(header, scratch);
  PAGE_HEADER.set('checksum', 0, scratch);
  let crc = crc32(scratch);
  crc = crc32(block.subarray(NODE_AREA_OFFSET, header.freeOffset), crc);
  return crc32(block.subarray(directory.start, directory.end), crc);
}

/** The directory bytes that the checksum covers according to the header. */
export function checksummedDirectory(
  format: PageFormat,
  header: PageHeader,
  pageBytes: number = BLOCK_BYTES,
): ByteRange {
  const end = format === 'v1' ? pageBytes : header.directoryStart + header.directoryLength;
  return { start: header.directoryStart, end };
}

/** Safe for any bytes. */
export function checksumState(
  format: PageFormat,
  block: Uint8Array,
  header: PageHeader,
  directory: SlotDirectory,
): ChecksumState {
  if ((header.flags & PAGE_FLAG.hasChecksum) === 0) return 'absent';
  if (matches(format, block, header)) return 'match';
  const earlier = format === 'v1' ? headerAtChecksum(header, directory) : undefined;
  return earlier && matches(format, block, earlier) ? 'stale' : 'mismatch';
}

function matches(format: PageFormat, block: Uint8Array, header: PageHeader): boolean {
  const pageBytes = block.length;
  const directory = checksummedDirectory(format, header, pageBytes);
  const bounded = header.freeOffset <= pageBytes && directory.start <= directory.end && directory.end <= pageBytes;
  return bounded && pageChecksum(block, header, directory) === header.checksum;
}

/** The header of a V1 page when its checksum was computed; undefined if no node was added since. */
export function headerAtChecksum(header: PageHeader, directory: SlotDirectory): PageHeader | undefined {
  const nodeCount = header.checksumNodeCount;
  if (nodeCount >= header.nodeCount || nodeCount > directory.count) return undefined;
  const last = nodeCount - 1;
  const freeOffset = last < 0 ? NODE_AREA_OFFSET : directory.nodeOffset(last) + directory.nodeBytes(last);
  const directoryStart = directory.end - V1_SLOT_BYTES * nodeCount;
  return { ...header, nodeCount, freeOffset, directoryStart };
}
