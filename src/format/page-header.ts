import { bytesOf, defineRecord, type RecordLayout, u16, u32, u64 } from '../bytes/record.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from './layout.ts';

/** `v1`: fixed-width slot directory from the end of the block down. `v2`: one stream of varints. */
export type PageFormat = 'v1' | 'v2';

/** First eight bytes of a page: ASCII `BYTARANA` and `BYTARAV2`. */
export const PAGE_MAGIC: Readonly<Record<PageFormat, bigint>> = {
  v1: 0x414e4152_41545942n,
  v2: 0x32564152_41545942n,
};

export const PAGE_VERSION: Readonly<Record<PageFormat, number>> = { v1: 1, v2: 2 };

export const PAGE_FLAG = { varintDirectory: 0x0001, hasChecksum: 0x0002, finalized: 0x0004 } as const;

/** The flags that each format needs, whatever else is set. */
export const PAGE_FORMAT_FLAGS: Readonly<Record<PageFormat, number>> = { v1: 0, v2: PAGE_FLAG.varintDirectory };

/** First 64 bytes of a page. */
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
  freeOffset: u32("where the next node's bytes go; 64 in an empty page"),
  directoryStart: u32('lowest byte of the directory; 262,144 in an empty page'),
  checksum: u32('CRC-32 of the page, where HAS_CHECKSUM is set'),
  directoryLength: u32('V2: bytes of the directory, where HAS_CHECKSUM is set; 0 in V1'),
  checksumNodeCount: u32('nodeCount when the checksum was taken'),
  reserved: bytesOf(20, '0; kept as it is'),
  unused: u64('0; kept as it is'),
});

/** The format of the page that begins with `bytes`, by its magic; undefined for what is no page. */
export function pageFormatOf(bytes: Uint8Array): PageFormat | undefined {
  const magic = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (magic === PAGE_MAGIC.v1) return 'v1';
  return magic === PAGE_MAGIC.v2 ? 'v2' : undefined;
}

/** The header of an empty page, before its checksum is set. */
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
