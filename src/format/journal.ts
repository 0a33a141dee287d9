import { crc32 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u16, u32, u64 } from '../bytes/record.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES, SECTOR_BYTES } from './layout.ts';
import { firstPageError } from './page-checks.ts';
import { decodePage, type Page } from './page.ts';
import type { ByteRange } from './slots.ts';

/** First four bytes of a journal: ASCII `APJL`. */
export const JOURNAL_MAGIC = 0x4c4a5041;
const JOURNAL_VERSION = 1;
/** First four bytes of a journal that holds patches: ASCII `APJP`. Programs that know only the other kind refuse it as none. */
export const PATCH_JOURNAL_MAGIC = 0x504a5041;
export const PATCH_JOURNAL_VERSION = 1;

/** Where the image of the block begins in a journal. */
export const JOURNAL_IMAGE_OFFSET: number = SECTOR_BYTES;
/** Size of a journal: its header, and the image of one block. */
export const JOURNAL_BYTES: number = JOURNAL_IMAGE_OFFSET + BLOCK_BYTES;

/** First bytes of a journal; the image of the block follows in the next sector. */
export interface JournalHeader {
  magic: number;
  version: number;
  block: number;
  changedStart: number;
  changedEnd: number;
  newPageHeaderCrc: number;
  imageCrc: number;
  checksum: number;
}

export const JOURNAL_HEADER: RecordLayout<JournalHeader> = defineRecord<JournalHeader>({
  magic: u32('ASCII `APJL`'),
  version: u32('1'),
  block: u32('block that is overwritten'),
  changedStart: u32('first byte that changes behind the page header, from the start of the block'),
  changedEnd: u32('end of the bytes that change'),
  newPageHeaderCrc: u32('CRC-32 of the 64-byte page header that the block gets'),
  imageCrc: u32('CRC-32 of the block as it was'),
  checksum: u32('CRC-32 of the bytes above'),
});

const CHECKSUM_OFFSET = JOURNAL_HEADER.offsetOf('checksum');

/** A block as it was before bytes of it were overwritten. */
export interface BeforeImage {
  readonly block: number;
  /** The 262,144 bytes that it had. */
  readonly image: Uint8Array;
  /** What is overwritten besides the page header. */
  readonly changed: ByteRange;
  /** CRC-32 of the page header that the block gets. */
  readonly newPageHeaderCrc: number;
}

/** The bytes of a journal. */
export function encodeJournal({ block, image, changed, newPageHeaderCrc }: BeforeImage): Uint8Array {
  const bytes = new Uint8Array(JOURNAL_BYTES);
  const header = {
    magic: JOURNAL_MAGIC,
    version: JOURNAL_VERSION,
    block,
    changedStart: changed.start,
    changedEnd: changed.end,
    newPageHeaderCrc,
    imageCrc: crc32(image),
    checksum: 0,
  };
  JOURNAL_HEADER.write(header, bytes);
  JOURNAL_HEADER.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET)), bytes);
  bytes.set(image, JOURNAL_IMAGE_OFFSET);
  return bytes;
}

/** What a journal holds: a view of its bytes; undefined where it is not whole. */
export function decodeJournal(bytes: Uint8Array): BeforeImage | undefined {
  if (bytes.length !== JOURNAL_BYTES) return undefined;
  const header = JOURNAL_HEADER.read(bytes);
  if (header.magic !== JOURNAL_MAGIC || header.version !== JOURNAL_VERSION) return undefined;
  if (crc32(bytes.subarray(0, CHECKSUM_OFFSET)) !== header.checksum) return undefined;
  const image = bytes.subarray(JOURNAL_IMAGE_OFFSET);
  if (crc32(image) !== header.imageCrc) return undefined;
  const { block, changedStart, changedEnd, newPageHeaderCrc } = header;
  return { block, image, changed: { start: changedStart, end: changedEnd }, newPageHeaderCrc };
}

/** What the first bytes under the journal's name say: `none` of a journal, or of one of a version that is not known. */
export type JournalKind = 'known' | 'newer' | 'none';

/** The first bytes of each journal: magic and version. */
const BEGINNINGS = [beginning(JOURNAL_MAGIC, JOURNAL_VERSION), beginning(PATCH_JOURNAL_MAGIC, PATCH_JOURNAL_VERSION)];
const MAGIC_BYTES = 4;

/** What bytes could be that were left of a journal, written to its end or not: nothing, zeros, or its beginning. */
export function journalKind(bytes: Uint8Array): JournalKind {
  if (bytes.subarray(0, JOURNAL_IMAGE_OFFSET).every((byte) => byte === 0)) return 'known';
  const start = bytes.subarray(0, JOURNAL_HEADER.offsetOf('block'));
  if (BEGINNINGS.some((known) => equal(known, start, 0, start.length))) return 'known';
  const isNewer = start.length > MAGIC_BYTES && BEGINNINGS.some((known) => equal(known, start, 0, MAGIC_BYTES));
  return isNewer ? 'newer' : 'none';
}

function beginning(magic: number, version: number): Uint8Array {
  const bytes = new Uint8Array(JOURNAL_HEADER.bytes);
  JOURNAL_HEADER.set('magic', magic, bytes);
  JOURNAL_HEADER.set('version', version, bytes);
  return bytes.subarray(0, JOURNAL_HEADER.offsetOf('block'));
}

/** How a block stands to a journal of it: `other` where somebody else has changed the block since. */
export type JournalState = 'before' | 'cut off' | 'complete' | 'other';

/** @param bytes - the 262,144 bytes that the block has now */
export function journalState(before: BeforeImage, bytes: Uint8Array): JournalState {
  const { image, changed, newPageHeaderCrc } = before;
  const page = decodePage(image);
  if (page === undefined || !coveredBytesAreEqual(page, bytes, changed)) return 'other';
  if (equal(image, bytes, 0, PAGE_HEADER_BYTES)) {
    return equal(image, bytes, changed.start, changed.end) ? 'before' : 'cut off';
  }
  if (crc32(bytes.subarray(0, PAGE_HEADER_BYTES)) !== newPageHeaderCrc) return 'other';
  const now = decodePage(bytes);
  return now !== undefined && firstPageError(now, before.block) === undefined ? 'complete' : 'cut off';
}

/** Whether the nodes and the directory, but for the range that changes, are what they were. Free space may hold anything. */
function coveredBytesAreEqual({ header, directory, block }: Page, bytes: Uint8Array, changed: ByteRange): boolean {
  const covered = [
    { start: PAGE_HEADER_BYTES, end: Math.min(header.freeOffset, BLOCK_BYTES) },
    { start: directory.start, end: directory.end },
  ];
  return covered.every(
    ({ start, end }) =>
      equal(block, bytes, start, Math.min(end, Math.max(start, changed.start))) &&
      equal(block, bytes, Math.max(start, changed.end), end),
  );
}

function equal(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  return end <= start || Buffer.compare(a.subarray(start, end), b.subarray(start, end)) === 0;
}

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

const CHECKSUM_OFFSET_PATCH = PATCH_JOURNAL_HEADER.offsetOf('checksum');

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
  PATCH_JOURNAL_HEADER.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET_PATCH)), bytes);
  return bytes;
}

/** The patches of a journal: views of its bytes; undefined where it is not whole, or holds none. */
export function decodePatchJournal(bytes: Uint8Array): readonly Patch[] | undefined {
  if (bytes.length < PATCH_JOURNAL_HEADER.bytes || bytes.length > JOURNAL_BYTES) return undefined;
  const header = PATCH_JOURNAL_HEADER.read(bytes);
  if (header.magic !== PATCH_JOURNAL_MAGIC || header.version !== PATCH_JOURNAL_VERSION) return undefined;
  if (crc32(bytes.subarray(0, CHECKSUM_OFFSET_PATCH)) !== header.checksum) return undefined;
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

const CHECKSUM_OFFSET_UNDO = UNDO_HEADER.offsetOf('checksum');

/** The first bytes of an undo file. */
export function encodeUndoHeader(header: Omit<UndoHeader, 'magic' | 'version' | 'checksum'>): Uint8Array {
  const bytes = new Uint8Array(UNDO_HEADER.bytes);
  UNDO_HEADER.write({ magic: UNDO_MAGIC, version: UNDO_VERSION, ...header, checksum: 0 }, bytes);
  UNDO_HEADER.set('checksum', crc32(bytes.subarray(0, CHECKSUM_OFFSET_UNDO)), bytes);
  return bytes;
}

/** The header that `bytes` begin with, or undefined where magic, version and checksum do not hold. */
export function decodeUndoHeader(bytes: Uint8Array): UndoHeader | undefined {
  if (bytes.length < UNDO_HEADER.bytes) return undefined;
  const header = UNDO_HEADER.read(bytes);
  if (header.magic !== UNDO_MAGIC || header.version !== UNDO_VERSION) return undefined;
  return crc32(bytes.subarray(0, CHECKSUM_OFFSET_UNDO)) === header.checksum ? header : undefined;
}
