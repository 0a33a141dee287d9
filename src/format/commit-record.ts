import { pooledBytes } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { bytesOf, defineSealedRecord, type SealedRecordLayout, u32, u64 } from '../bytes/record.ts';
import { FILE_HEADER_BYTES, PAGE_HEADER_BYTES } from './layout.ts';

/** ASCII `APCR`. */
export const COMMIT_RECORD_MAGIC = 0x52435041;
export const COMMIT_RECORD_VERSION = 1;

/** Content of `blockHead`. */
export const COMMIT_KIND = { pageHeader: 1, freeLink: 2 } as const;

/** Makes a batch part of the file before its headers are written in place. @see docs/format.md#commit-records */
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

export const COMMIT_RECORD: SealedRecordLayout<CommitRecord> = defineSealedRecord<CommitRecord>(
  COMMIT_RECORD_MAGIC,
  COMMIT_RECORD_VERSION,
  {
    magic: u32('ASCII `APCR`'),
    version: u32('1'),
    sequence: u64('one more than that of the previous record'),
    block: u32('block whose first 64 bytes change, 0 for none'),
    oldPageHeaderCrc: u32('CRC-32 of the 64-byte page header that this replaces'),
    oldFileHeaderCrc: u32('CRC-32 of the 64-byte file header that this replaces'),
    kind: u32('1: the bytes below are a page header; 2: the link of a freed block, and zeros'),
    blockHead: bytesOf(PAGE_HEADER_BYTES, 'the new first 64 bytes of that block'),
    fileHeader: bytesOf(FILE_HEADER_BYTES, 'the new file header'),
    oldBlockCount: u32('blocks in the file before the batch'),
    addedHeadersCrc: u32('CRC-32 over the 64-byte headers of the blocks that the batch adds, in order; 0 for none'),
    checksum: u32('CRC-32 of the bytes above'),
  },
);

const OFFSETS = COMMIT_RECORD.offsets;

/** Without what encoding sets. */
export type RecordedChange = Omit<CommitRecord, 'magic' | 'version' | 'sequence' | 'checksum'>;

export function encodeCommitRecord(record: RecordedChange, sequence: bigint): Uint8Array {
  const bytes = pooledBytes(COMMIT_RECORD.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, COMMIT_RECORD.bytes);
  // For each commit; a tenth of the time of COMMIT_RECORD.encode.
  view.setUint32(OFFSETS.magic, COMMIT_RECORD_MAGIC, true);
  view.setUint32(OFFSETS.version, COMMIT_RECORD_VERSION, true);
  view.setBigUint64(OFFSETS.sequence, sequence, true);
  view.setUint32(OFFSETS.block, record.block, true);
  view.setUint32(OFFSETS.oldPageHeaderCrc, record.oldPageHeaderCrc, true);
  view.setUint32(OFFSETS.oldFileHeaderCrc, record.oldFileHeaderCrc, true);
  view.setUint32(OFFSETS.kind, record.kind, true);
  bytes.set(record.blockHead, OFFSETS.blockHead);
  bytes.set(record.fileHeader, OFFSETS.fileHeader);
  view.setUint32(OFFSETS.oldBlockCount, record.oldBlockCount, true);
  view.setUint32(OFFSETS.addedHeadersCrc, record.addedHeadersCrc, true);
  view.setUint32(OFFSETS.checksum, crc32(bytes.subarray(0, OFFSETS.checksum)), true);
  return bytes;
}

/** Undefined if magic, version or checksum do not match. */
export function decodeCommitRecord(bytes: Uint8Array, offset = 0): CommitRecord | undefined {
  return COMMIT_RECORD.decode(bytes, offset);
}
