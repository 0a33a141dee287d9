import { crc32 } from '../bytes/checksum.ts';
import { pooledBytes } from '../bytes/pooled.ts';
import { bytesOf, defineRecord, type RecordLayout, u32, u64 } from '../bytes/record.ts';
import { FILE_HEADER_BYTES, PAGE_HEADER_BYTES } from './layout.ts';

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

const CHECKSUM_OFFSET = COMMIT_RECORD.offsetOf('checksum');

/** The bytes of a commit record: magic, version and checksum are set here. */
export function encodeCommitRecord(record: Omit<CommitRecord, 'magic' | 'version' | 'checksum'>): Uint8Array {
  const bytes = pooledBytes(COMMIT_RECORD.bytes);
  const { sequence, block, oldPageHeaderCrc, oldFileHeaderCrc, kind } = record;
  const { blockHead, fileHeader, oldBlockCount, addedHeadersCrc } = record;
  COMMIT_RECORD.write(
    {
      magic: COMMIT_RECORD_MAGIC,
      version: COMMIT_RECORD_VERSION,
      sequence,
      block,
      oldPageHeaderCrc,
      oldFileHeaderCrc,
      kind,
      blockHead,
      fileHeader,
      oldBlockCount,
      addedHeadersCrc,
      checksum: 0,
    },
    bytes,
  );
  COMMIT_RECORD.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET)), bytes);
  return bytes;
}

/** The commit record at `offset`, or undefined where there is none whose magic, version and checksum hold. */
export function decodeCommitRecord(bytes: Uint8Array, offset = 0): CommitRecord | undefined {
  if (bytes.length < offset + COMMIT_RECORD.bytes) return undefined;
  const record = COMMIT_RECORD.read(bytes, offset);
  if (record.magic !== COMMIT_RECORD_MAGIC || record.version !== COMMIT_RECORD_VERSION) return undefined;
  return crc32(bytes.subarray(offset, offset + CHECKSUM_OFFSET)) === record.checksum ? record : undefined;
}
