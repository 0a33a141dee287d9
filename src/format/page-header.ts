import { crc32 } from '../bytes/checksum.ts';
import { bytesOf, defineRecord, type RecordLayout, u16, u32, u64 } from '../bytes/record.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_SLOT_BYTES, firstU64 } from './layout.ts';
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
  reserved: bytesOf(20, '0; preserved by writers'),
  unused: u64('0; preserved by writers'),
});

/** Undefined if `bytes` do not begin with a page magic. */
export function pageFormatOf(bytes: Uint8Array): PageFormat | undefined {
  if (bytes.length < 8) return undefined;
  const magic = firstU64(bytes);
  if (magic === PAGE_MAGIC.v1) return 'v1';
  return magic === PAGE_MAGIC.v2 ? 'v2' : undefined;
}

export function newPageHeader(format: PageFormat): PageHeader {
  return {
    magic: PAGE_MAGIC[format],
    version: PAGE_VERSION[format],
    flags: PAGE_FORMAT_FLAGS[format],
    nodeCount: 0,
    freeOffset: NODE_AREA_OFFSET,
    directoryStart: BLOCK_BYTES,
    checksum: 0,
    directoryLength: 0,
    checksumNodeCount: 0,
    reserved: new Uint8Array(20),
    unused: 0n,
  };
}

export function encodePageHeader(header: PageHeader): Uint8Array {
  const bytes = new Uint8Array(PAGE_HEADER_BYTES);
  PAGE_HEADER.write(header, bytes);
  return bytes;
}

export const isFinalized = ({ flags }: Pick<PageHeader, 'flags'>): boolean => (flags & PAGE_FLAG.finalized) !== 0;

/** Sets HAS_CHECKSUM and computes the checksum from `block`. */
export function encodeCheckedPageHeader(format: PageFormat, block: Uint8Array, header: PageHeader): Uint8Array {
  const flags = header.flags | PAGE_FLAG.hasChecksum;
  const checked = { ...header, flags, checksumNodeCount: header.nodeCount };
  const checksum = pageChecksum(block, checked, checksummedDirectory(format, checked));
  return encodePageHeader({ ...checked, checksum });
}

/** The rest of the block may have any content. */
export function encodeEmptyPageHeader(format: PageFormat): Uint8Array {
  return encodeCheckedPageHeader(format, new Uint8Array(0), newPageHeader(format));
}

/** `stale`: it matches the first nodes of a V1 page; a program that does not know the checksum has appended since. */
export type ChecksumState = 'absent' | 'match' | 'stale' | 'mismatch';

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
export function checksummedDirectory(format: PageFormat, header: PageHeader): ByteRange {
  const end = format === 'v1' ? BLOCK_BYTES : header.directoryStart + header.directoryLength;
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
  const directory = checksummedDirectory(format, header);
  const bounded = header.freeOffset <= BLOCK_BYTES && directory.start <= directory.end && directory.end <= BLOCK_BYTES;
  return bounded && pageChecksum(block, header, directory) === header.checksum;
}

/** The header of a V1 page when its checksum was computed; undefined if no node was added since. */
export function headerAtChecksum(header: PageHeader, directory: SlotDirectory): PageHeader | undefined {
  const nodeCount = header.checksumNodeCount;
  if (nodeCount >= header.nodeCount || nodeCount > directory.count) return undefined;
  const last = nodeCount - 1;
  const freeOffset = last < 0 ? NODE_AREA_OFFSET : directory.nodeOffset(last) + directory.nodeBytes(last);
  const directoryStart = BLOCK_BYTES - V1_SLOT_BYTES * nodeCount;
  return { ...header, nodeCount, freeOffset, directoryStart };
}
