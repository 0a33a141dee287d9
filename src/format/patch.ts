import { crc32 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u16, u32, u64 } from '../bytes/record.ts';
import { SECTOR_BYTES } from './layout.ts';
import { JOURNAL_BYTES, PATCH_JOURNAL_MAGIC, PATCH_JOURNAL_VERSION } from './journal.ts';

/** Bytes that take the place of others of the same length. */
export interface Patch {
  /** Byte offset from the start of the file. */
  readonly position: number;
  /** What it is for: a number that whoever makes patches gives, below 65,536. */
  readonly kind: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Longest patch. */
export const MAX_PATCH_BYTES: number = SECTOR_BYTES;

/** What stands before the old and the new bytes of a patch, in a journal and in an undo file. */
export interface PatchHeader {
  position: bigint;
  length: number;
  kind: number;
}

export const PATCH_HEADER: RecordLayout<PatchHeader> = defineRecord<PatchHeader>({
  position: u64('first byte that changes, from the start of the page file'),
  length: u16('how many bytes change, 1 to 512; the old ones follow, and then the new ones'),
  kind: u16('what is mended: its number in the list of repairs'),
});

/** How many bytes a patch takes where it is kept. */
export function patchBytes({ before }: Patch): number {
  return PATCH_HEADER.bytes + 2 * before.length;
}

/** Writes a patch at `offset`. @returns the offset behind it */
export function writePatch({ position, kind, before, after }: Patch, target: Uint8Array, offset: number): number {
  PATCH_HEADER.write({ position: BigInt(position), length: before.length, kind }, target, offset);
  target.set(before, offset + PATCH_HEADER.bytes);
  target.set(after, offset + PATCH_HEADER.bytes + before.length);
  return offset + PATCH_HEADER.bytes + 2 * before.length;
}

/** The patch at `offset`: views of the bytes; undefined where no whole patch stands there. */
export function readPatch(bytes: Uint8Array, offset: number): Patch | undefined {
  const start = offset + PATCH_HEADER.bytes;
  if (start > bytes.length) return undefined;
  const { position, length, kind } = PATCH_HEADER.read(bytes, offset);
  if (length === 0 || length > MAX_PATCH_BYTES || position > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  if (start + 2 * length > bytes.length) return undefined;
  const [before, after] = [bytes.subarray(start, start + length), bytes.subarray(start + length, start + 2 * length)];
  return { position: Number(position), kind, before, after };
}

/** First bytes of a journal of patches; they follow straight behind it. */
export interface PatchJournalHeader {
  magic: number;
  version: number;
  patchCount: number;
  bytesCrc: number;
  checksum: number;
}

export const PATCH_JOURNAL_HEADER: RecordLayout<PatchJournalHeader> = defineRecord<PatchJournalHeader>({
  magic: u32('ASCII `APJP`'),
  version: u32('1'),
  patchCount: u32('how many patches follow'),
  bytesCrc: u32('CRC-32 of them'),
  checksum: u32('CRC-32 of the bytes above'),
});

const CHECKSUM_OFFSET = PATCH_JOURNAL_HEADER.offsetOf('checksum');

/** Most bytes that the patches of one journal take. */
export const MAX_JOURNAL_PATCH_BYTES: number = JOURNAL_BYTES - PATCH_JOURNAL_HEADER.bytes;

/** The bytes of a journal. @param patches - at least one, of at most MAX_JOURNAL_PATCH_BYTES together */
export function encodePatchJournal(patches: readonly Patch[]): Uint8Array {
  const bytes = new Uint8Array(patches.reduce((sum, patch) => sum + patchBytes(patch), PATCH_JOURNAL_HEADER.bytes));
  if (bytes.length > JOURNAL_BYTES) throw new RangeError(`a journal of ${bytes.length} bytes is too long`);
  let offset = PATCH_JOURNAL_HEADER.bytes;
  for (const patch of patches) offset = writePatch(patch, bytes, offset);
  const header = {
    magic: PATCH_JOURNAL_MAGIC,
    version: PATCH_JOURNAL_VERSION,
    patchCount: patches.length,
    bytesCrc: crc32(bytes.subarray(PATCH_JOURNAL_HEADER.bytes)),
    checksum: 0,
  };
  PATCH_JOURNAL_HEADER.write(header, bytes);
  PATCH_JOURNAL_HEADER.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET)), bytes);
  return bytes;
}

/** The patches of a journal: views of its bytes; undefined where it is not whole, or holds none. */
export function decodePatchJournal(bytes: Uint8Array): readonly Patch[] | undefined {
  if (bytes.length < PATCH_JOURNAL_HEADER.bytes || bytes.length > JOURNAL_BYTES) return undefined;
  const header = PATCH_JOURNAL_HEADER.read(bytes);
  if (header.magic !== PATCH_JOURNAL_MAGIC || header.version !== PATCH_JOURNAL_VERSION) return undefined;
  if (crc32(bytes.subarray(0, CHECKSUM_OFFSET)) !== header.checksum) return undefined;
  if (crc32(bytes.subarray(PATCH_JOURNAL_HEADER.bytes)) !== header.bytesCrc) return undefined;
  const patches: Patch[] = [];
  let offset = PATCH_JOURNAL_HEADER.bytes;
  while (offset < bytes.length) {
    const patch = readPatch(bytes, offset);
    if (patch === undefined) return undefined;
    patches.push(patch);
    offset += patchBytes(patch);
  }
  return patches.length === header.patchCount ? patches : undefined;
}

/** Whether each byte is the old or the new one: so a patch looks that was not begun, was cut off, or was completed. */
export function isBeforeOrAfter({ before, after }: Pick<Patch, 'before' | 'after'>, now: Uint8Array): boolean {
  return now.length === before.length && now.every((byte, at) => byte === before[at] || byte === after[at]);
}
