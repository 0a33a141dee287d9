import { assertBytes, assertWholeNumber } from '../arguments.ts';
import { isZero, pooledBytes } from '../bytes/buffer.ts';
import { crc32, type Hash64 } from '../bytes/checksum.ts';
import {
  bytesOf,
  defineRecord,
  defineSealedRecord,
  type RecordLayout,
  type SealedRecordLayout,
  u32,
  u64,
} from '../bytes/record.ts';
import { digestIn, hashOf, isCommitNumber, writeDigest, writeSum } from './digest.ts';
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
  /** The digest after the commit; undefined in records of older versions, and if it is damaged. */
  digest?: RecordDigest;
}

export const COMMIT_RECORD: SealedRecordLayout<Omit<CommitRecord, 'digest'>> = defineSealedRecord<
  Omit<CommitRecord, 'digest'>
>(COMMIT_RECORD_MAGIC, COMMIT_RECORD_VERSION, {
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
});

const OFFSETS = COMMIT_RECORD.offsets;

/** Of all blocks, as block 0 gets it. */
export interface RecordDigest {
  readonly sum: Readonly<Hash64>;
  /** Number of the commit. */
  readonly commit: number;
}

/** Follows the record directly; apart from it, since older versions write and read records without it. */
export interface RecordDigestFields {
  sum: bigint;
  commit: bigint;
  checksum: number;
}

export const RECORD_DIGEST: RecordLayout<RecordDigestFields> = defineRecord<RecordDigestFields>({
  sum: u64('sum of the digest after the commit'),
  commit: u64('number of the commit'),
  checksum: u32('CRC-32 of the checksum of the record and of the bytes above'),
});

/** Of a record and its digest. */
export const COMMIT_SLOT_BYTES: number = COMMIT_RECORD.bytes + RECORD_DIGEST.bytes;
const DIGEST_CHECKSUM_OFFSET = COMMIT_RECORD.bytes + RECORD_DIGEST.offsets.checksum;

/** Without what encoding sets. */
export type RecordedChange = Omit<CommitRecord, 'magic' | 'version' | 'sequence' | 'checksum'>;

export function encodeCommitRecord(record: RecordedChange, sequence: bigint): Uint8Array {
  const bytes = pooledBytes(COMMIT_SLOT_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, COMMIT_SLOT_BYTES);
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
  const { digest } = record;
  if (digest === undefined) {
    bytes.fill(0, COMMIT_RECORD.bytes);
  } else {
    writeSum(view, COMMIT_RECORD.bytes, digest.sum, digest.commit);
    view.setUint32(DIGEST_CHECKSUM_OFFSET, digestChecksum(bytes, 0), true);
  }
  return bytes;
}

/** Undefined if magic, version or checksum do not match. */
export function decodeCommitRecord(bytes: Uint8Array, offset = 0): CommitRecord | undefined {
  assertBytes('decodeCommitRecord', 'bytes', bytes);
  assertWholeNumber('decodeCommitRecord', 'offset', offset);
  const record: CommitRecord | undefined = COMMIT_RECORD.decode(bytes, offset);
  const digest = record && digestOfRecord(bytes, offset);
  if (digest) record.digest = digest;
  return record;
}

/** Of the end of a record and its digest, so that an older version's record over a newer one has none. */
function digestChecksum(bytes: Uint8Array, offset: number): number {
  return crc32(bytes.subarray(offset + OFFSETS.checksum, offset + DIGEST_CHECKSUM_OFFSET));
}

function digestOfRecord(bytes: Uint8Array, offset: number): RecordDigest | undefined {
  if (bytes.length < offset + COMMIT_SLOT_BYTES) return undefined;
  const { sum, commit, checksum } = RECORD_DIGEST.read(bytes, offset + COMMIT_RECORD.bytes);
  if (checksum !== digestChecksum(bytes, offset) || !isCommitNumber(commit)) return undefined;
  return { sum: hashOf(sum), commit: Number(commit) };
}

/** Whether a record is followed by other bytes than its digest or zeros. @param offset - of the record, a valid one */
export function hasDamagedDigest(bytes: Uint8Array, offset: number): boolean {
  const stored = bytes.subarray(offset + COMMIT_RECORD.bytes, offset + COMMIT_SLOT_BYTES);
  return !isZero(stored) && digestOfRecord(bytes, offset) === undefined;
}

/**
 * The first 128 bytes of a file with the file header and the digest of a change. A digest that is newer stays.
 * @param start - those in the file
 */
export function startAfter(
  start: Uint8Array,
  { fileHeader, digest }: Pick<CommitRecord, 'fileHeader' | 'digest'>,
): Uint8Array {
  const changed = start.slice();
  changed.set(fileHeader);
  if (digest === undefined) return changed;
  const found = digestIn(changed);
  if (found.kind === 'valid' && found.state !== undefined && found.state.commit >= digest.commit) return changed;
  writeDigest({ ...digest, openFrom: 0, openEnd: 0 }, changed);
  return changed;
}

/**
 * Which of two records is older: negative if `a` is. Sequence numbers begin again after a recovery, and a failed sync may have
 * left a record on the disk that was to be overwritten with zeros; commit numbers only grow.
 */
export function compareRecords(a: CommitRecord, b: CommitRecord): number {
  if (a.digest && b.digest && a.digest.commit !== b.digest.commit) return a.digest.commit - b.digest.commit;
  return a.sequence < b.sequence ? -1 : 1;
}
