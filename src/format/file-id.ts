import { isZero } from '../bytes/buffer.ts';
import { fnv1a64 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u32, u64 } from '../bytes/record.ts';
import { FILE_ID_OFFSET } from './layout.ts';

/** What tells a file from all others; copies of the file have the same. @see docs/format.md#file-id */
export interface FileId {
  magic: number;
  version: number;
  id: bigint;
  checksum: bigint;
}

export const FILE_ID: RecordLayout<FileId> = defineRecord<FileId>({
  magic: u32('ASCII `APID`'),
  version: u32('1'),
  id: u64('random, not 0'),
  checksum: u64('FNV-1a, 64 bit, of the bytes above'),
});

const [MAGIC, VERSION] = [0x44495041, 1];

/** @returns the record, of 24 bytes */
export function encodeFileId(id: bigint): Uint8Array {
  const bytes = new Uint8Array(FILE_ID.bytes);
  FILE_ID.write({ magic: MAGIC, version: VERSION, id, checksum: 0n }, bytes);
  FILE_ID.set('checksum', checksumOf(bytes), bytes);
  return bytes;
}

/** Undefined unless the record is valid. */
export function decodeFileId(record: Uint8Array): bigint | undefined {
  if (record.length < FILE_ID.bytes) return undefined;
  const { magic, version, id, checksum } = FILE_ID.read(record);
  const isKnown = magic === MAGIC && version === VERSION && id !== 0n;
  return isKnown && checksum === checksumOf(record) ? id : undefined;
}

/**
 * Not a CRC-32: bytes that end with their own CRC-32 all have the same effect on the CRC-32 of a longer range, so that of
 * an undo file would not depend on the id.
 */
const checksumOf = (record: Uint8Array): bigint => fnv1a64(record.subarray(0, FILE_ID.offsets.checksum));

/** `absent`: all zero, as in files of other programs and of older versions. */
export type FileIdState = 'absent' | 'valid' | 'damaged';

/** @param record - the bytes of the record */
export function fileIdState(record: Uint8Array): FileIdState {
  if (isZero(record)) return 'absent';
  return decodeFileId(record) === undefined ? 'damaged' : 'valid';
}

/** The id as messages show it: 16 digits. Undefined unless the record is valid. */
export function fileIdText(record: Uint8Array): string | undefined {
  return decodeFileId(record)?.toString(16).padStart(16, '0');
}

/** The bytes of the record, a view. @param head - the first 12,800 bytes of block 0 at least */
export function fileIdIn(head: Uint8Array): Uint8Array {
  return head.subarray(FILE_ID_OFFSET, FILE_ID_OFFSET + FILE_ID.bytes);
}
