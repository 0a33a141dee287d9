import { crc32 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u32, u64 } from '../bytes/record.ts';

/** First four bytes of an undo file: ASCII `APUN`. */
export const UNDO_MAGIC = 0x4e555041;
export const UNDO_VERSION = 1;

/** First bytes of an undo file; its patches follow straight behind it, in the order in which they are made. */
export interface UndoHeader {
  magic: number;
  version: number;
  fileBytes: bigint;
  stateCrc: number;
  patchCount: number;
  bytesCrc: number;
  checksum: number;
}

export const UNDO_HEADER: RecordLayout<UndoHeader> = defineRecord<UndoHeader>({
  magic: u32('ASCII `APUN`'),
  version: u32('1'),
  fileBytes: u64('size of the page file'),
  stateCrc: u32(
    'CRC-32 of the headers of the patched blocks, and then of the first 12,800 bytes of the page file, once it is repaired',
  ),
  patchCount: u32('how many patches follow'),
  bytesCrc: u32('CRC-32 of them'),
  checksum: u32('CRC-32 of the bytes above'),
});

const CHECKSUM_OFFSET = UNDO_HEADER.offsetOf('checksum');

/** The first bytes of an undo file. */
export function encodeUndoHeader(header: Omit<UndoHeader, 'magic' | 'version' | 'checksum'>): Uint8Array {
  const bytes = new Uint8Array(UNDO_HEADER.bytes);
  UNDO_HEADER.write({ magic: UNDO_MAGIC, version: UNDO_VERSION, ...header, checksum: 0 }, bytes);
  UNDO_HEADER.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET)), bytes);
  return bytes;
}

/** The header that `bytes` begin with, or undefined where magic, version and checksum do not hold. */
export function decodeUndoHeader(bytes: Uint8Array): UndoHeader | undefined {
  if (bytes.length < UNDO_HEADER.bytes) return undefined;
  const header = UNDO_HEADER.read(bytes);
  if (header.magic !== UNDO_MAGIC || header.version !== UNDO_VERSION) return undefined;
  return crc32(bytes.subarray(0, CHECKSUM_OFFSET)) === header.checksum ? header : undefined;
}
