import { pooledBytes } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { bytesOf, defineRecord, type RecordLayout, u32, u64 } from '../bytes/record.ts';
import { BLOCK_BYTES, FILE_HEADER_BYTES, PAGE_HEADER_BYTES, V1_SLOT_BYTES } from './layout.ts';
import { firstPageError } from './page-checks.ts';
import { checksumState } from './page-checksum.ts';
import { decodePage, type Page } from './page.ts';

/** First four bytes of a commit record: ASCII `APCR`. */
export const COMMIT_RECORD_MAGIC = 0x52435041;
export const COMMIT_RECORD_VERSION = 1;

/** What the 64 bytes of `blockHead` are. */
export const COMMIT_KIND = { pageHeader: 1, freeLink: 2 } as const;

/** What one batch changed in headers that existed before it. @see docs/format.md, "Commit records" */
export interface CommitRecord {
  magic: number;
  version: number;
  sequence: bigint;
  block: number;
  oldPageHeaderCrc: number;
  oldFileHeaderCrc: number;
  kind: number;
  blockHead: Uint8Array;
  fileHeader: Uint8Array;
  oldBlockCount: number;
  addedHeadersCrc: number;
  checksum: number;
}

export const COMMIT_RECORD: RecordLayout<CommitRecord> = defineRecord<CommitRecord>({
  magic: u32('ASCII `APCR`'),
  version: u32('1'),
  sequence: u64('one more than that of the record before'),
  block: u32('block whose first 64 bytes change, 0 for none'),
  oldPageHeaderCrc: u32('CRC-32 of the 64-byte page header that this replaces'),
  oldFileHeaderCrc: u32('CRC-32 of the 64-byte file header that this replaces'),
  kind: u32('1: the bytes below are a page header; 2: the link of a freed block, and zeros'),
  blockHead: bytesOf(PAGE_HEADER_BYTES, 'the new first 64 bytes of that block'),
  fileHeader: bytesOf(FILE_HEADER_BYTES, 'the new file header'),
  oldBlockCount: u32('blocks in the file before the batch'),
  addedHeadersCrc: u32('CRC-32 over the 64-byte headers of the blocks that the batch adds, in order; 0 for none'),
  checksum: u32('CRC-32 of the bytes above'),
});

const MAGIC_OFFSET = COMMIT_RECORD.offsetOf('magic');
const VERSION_OFFSET = COMMIT_RECORD.offsetOf('version');
const SEQUENCE_OFFSET = COMMIT_RECORD.offsetOf('sequence');
const BLOCK_OFFSET = COMMIT_RECORD.offsetOf('block');
const OLD_PAGE_HEADER_CRC_OFFSET = COMMIT_RECORD.offsetOf('oldPageHeaderCrc');
const OLD_FILE_HEADER_CRC_OFFSET = COMMIT_RECORD.offsetOf('oldFileHeaderCrc');
const KIND_OFFSET = COMMIT_RECORD.offsetOf('kind');
const BLOCK_HEAD_OFFSET = COMMIT_RECORD.offsetOf('blockHead');
const FILE_HEADER_OFFSET = COMMIT_RECORD.offsetOf('fileHeader');
const OLD_BLOCK_COUNT_OFFSET = COMMIT_RECORD.offsetOf('oldBlockCount');
const ADDED_HEADERS_CRC_OFFSET = COMMIT_RECORD.offsetOf('addedHeadersCrc');
const CHECKSUM_OFFSET = COMMIT_RECORD.offsetOf('checksum');

/** What a record says of its batch. */
export type RecordedChange = Omit<CommitRecord, 'magic' | 'version' | 'sequence' | 'checksum'>;

/** The bytes of a commit record: magic, version and checksum are set here. */
export function encodeCommitRecord(record: RecordedChange, sequence: bigint): Uint8Array {
  const bytes = pooledBytes(COMMIT_RECORD.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, COMMIT_RECORD.bytes);
  // Field by field, as planHeader: this is done for each commit.
  view.setUint32(MAGIC_OFFSET, COMMIT_RECORD_MAGIC, true);
  view.setUint32(VERSION_OFFSET, COMMIT_RECORD_VERSION, true);
  view.setBigUint64(SEQUENCE_OFFSET, sequence, true);
  view.setUint32(BLOCK_OFFSET, record.block, true);
  view.setUint32(OLD_PAGE_HEADER_CRC_OFFSET, record.oldPageHeaderCrc, true);
  view.setUint32(OLD_FILE_HEADER_CRC_OFFSET, record.oldFileHeaderCrc, true);
  view.setUint32(KIND_OFFSET, record.kind, true);
  bytes.set(record.blockHead, BLOCK_HEAD_OFFSET);
  bytes.set(record.fileHeader, FILE_HEADER_OFFSET);
  view.setUint32(OLD_BLOCK_COUNT_OFFSET, record.oldBlockCount, true);
  view.setUint32(ADDED_HEADERS_CRC_OFFSET, record.addedHeadersCrc, true);
  view.setUint32(CHECKSUM_OFFSET, crc32(bytes.subarray(0, CHECKSUM_OFFSET)), true);
  return bytes;
}

/** The commit record at `offset`, or undefined where there is none whose magic, version and checksum hold. */
export function decodeCommitRecord(bytes: Uint8Array, offset = 0): CommitRecord | undefined {
  if (bytes.length < offset + COMMIT_RECORD.bytes) return undefined;
  const record = COMMIT_RECORD.read(bytes, offset);
  if (record.magic !== COMMIT_RECORD_MAGIC || record.version !== COMMIT_RECORD_VERSION) return undefined;
  return crc32(bytes.subarray(offset, offset + CHECKSUM_OFFSET)) === record.checksum ? record : undefined;
}

/** The page in a block under another header, where it is sound with it by its checksum: then the header stays in `block`. */
export function soundPageUnder(block: Uint8Array, blockId: number, head: Uint8Array): Page | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(head);
  const page = decodePage(block);
  if (page && firstPageError(page, blockId) === undefined) {
    if (checksumState(page.format, block, page.header, page.directory) === 'match') return page;
  }
  block.set(before);
  return undefined;
}

/**
 * Whether a V1 page may have got nodes after its header was written: a slot behind the last one goes on where the nodes
 * end. Its checksum would hold all the same. A V2 page of another program is not appended to in place.
 */
export function mayHaveMoreNodes({ format, block, header }: Page): boolean {
  const { directoryStart, freeOffset } = header;
  const at = directoryStart - V1_SLOT_BYTES;
  if (format !== 'v1' || at < freeOffset) return false;
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const end = freeOffset + view.getUint32(at + 4, true);
  return view.getUint32(at, true) === freeOffset && end <= at;
}
