import { equalRange, isZero } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import {
  defineRecord,
  defineSealedRecord,
  type RecordLayout,
  type SealedRecordLayout,
  u16,
  u32,
  u64,
} from '../bytes/record.ts';
import { FILE_ID, fileIdState } from './file-id.ts';
import { BLOCK_BYTES, FILE_ID_OFFSET, MAX_BLOCKS, PAGE_HEADER_BYTES, SECTOR_BYTES } from './layout.ts';
import { validPage } from './page-checks.ts';
import { decodePage, type Page } from './page.ts';
import type { ByteRange } from './slots.ts';

// The journal of an update holds the old image of a block; that of a repair, and its undo file, patches. See
// docs/format.md#journal.

const JOURNAL_IMAGE_OFFSET: number = SECTOR_BYTES;
/** Journal of an update: a header in one sector, and the image of one block. */
export const JOURNAL_BYTES: number = JOURNAL_IMAGE_OFFSET + BLOCK_BYTES;

/** The journal of an update; the image of the block begins at the next sector. */
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

export const JOURNAL_HEADER: SealedRecordLayout<JournalHeader> = defineSealedRecord<JournalHeader>(0x4c4a5041, 1, {
  magic: u32('ASCII `APJL`'),
  version: u32('1'),
  block: u32('block that is overwritten'),
  changedStart: u32('first byte that changes after the page header, from the start of the block'),
  changedEnd: u32('end of the bytes that change'),
  newPageHeaderCrc: u32('CRC-32 of the new 64-byte page header'),
  imageCrc: u32('CRC-32 of the old block'),
  checksum: u32('CRC-32 of the bytes above'),
});

/** Of the journal of an update; in one from an older version there are zeros. */
const JOURNAL_FILE_ID_OFFSET: number = JOURNAL_HEADER.bytes;

export interface BeforeImage {
  readonly block: number;
  /** The 262,144 bytes before the update. */
  readonly image: Uint8Array;
  /** Overwritten in addition to the page header. */
  readonly changed: ByteRange;
  /** CRC-32 of the page header after the update. */
  readonly newPageHeaderCrc: number;
}

/** @param fileId - the record of the file's id, 24 bytes */
export function encodeJournal(
  { block, image, changed, newPageHeaderCrc }: BeforeImage,
  fileId?: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(JOURNAL_BYTES);
  if (fileId) setJournalFileId(bytes, fileId);
  const [changedStart, changedEnd] = [changed.start, changed.end];
  bytes.set(image, JOURNAL_IMAGE_OFFSET);
  // Of the copy: another thread may change shared memory meanwhile.
  const imageCrc = crc32(bytes.subarray(JOURNAL_IMAGE_OFFSET));
  return JOURNAL_HEADER.encode({ block, changedStart, changedEnd, newPageHeaderCrc, imageCrc }, bytes);
}

/** For the journal of an update: no checksum of the journal covers the record, which has its own. */
export function setJournalFileId(bytes: Uint8Array, fileId: Uint8Array): void {
  bytes.set(fileId, JOURNAL_FILE_ID_OFFSET);
}

/** The image is a view of `bytes`. Undefined if the journal was not written completely. */
export function decodeJournal(bytes: Uint8Array): BeforeImage | undefined {
  const header = bytes.length === JOURNAL_BYTES ? JOURNAL_HEADER.decode(bytes) : undefined;
  if (header === undefined) return undefined;
  const image = bytes.subarray(JOURNAL_IMAGE_OFFSET);
  if (crc32(image) !== header.imageCrc) return undefined;
  const { block, changedStart, changedEnd, newPageHeaderCrc } = header;
  return { block, image, changed: { start: changedStart, end: changedEnd }, newPageHeaderCrc };
}

/**
 * The record of the id of the file that a whole journal belongs to: a view. Undefined if the journal does not say, as one
 * of an older version. It may be all zero for a repair of a file without an id.
 */
export function journalFileId(bytes: Uint8Array): Uint8Array | undefined {
  const first = decodePatchJournal(bytes)?.[0];
  if (first) return isFileIdPatch(first) ? first.before : undefined;
  const record = updateFileId(bytes);
  return fileIdState(record) === 'valid' ? record : undefined;
}

function updateFileId(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(JOURNAL_FILE_ID_OFFSET, JOURNAL_FILE_ID_OFFSET + FILE_ID.bytes);
}

/** Why no writer can have made a complete journal with this file id; undefined if one can. */
export function fileIdFault(bytes: Uint8Array, patches: readonly Patch[] | undefined): string | undefined {
  if (patches === undefined)
    return fileIdState(updateFileId(bytes)) === 'damaged' ? 'the file id in it is damaged' : undefined;
  const isWrong = (patch: Patch, index: number): boolean =>
    patch.kind === FILE_ID_PATCH_KIND && (index > 0 || !isFileIdPatch(patch));
  return patches.some(isWrong) ? 'it has a file id in the wrong place' : undefined;
}

/** Why a complete journal cannot be one of this file; undefined if it can. @param fileBytes - size of the page file */
export function imageFault({ block, changed }: BeforeImage, fileBytes: number): string | undefined {
  if (block < 1 || block >= MAX_BLOCKS || (block + 1) * BLOCK_BYTES > fileBytes)
    return `it is of block ${block}, and the file has ${Math.floor(fileBytes / BLOCK_BYTES)} blocks`;
  if (changed.start >= PAGE_HEADER_BYTES && changed.start <= changed.end && changed.end <= BLOCK_BYTES)
    return undefined;
  return `it says that bytes ${changed.start} to ${changed.end} of a block change, which are not in a node area`;
}

/** As {@link imageFault}, for the journal of a repair. */
export function patchFault(patches: readonly Patch[], fileBytes: number): string | undefined {
  for (const { position, before } of patches) {
    const end = position + before.length;
    if (end > fileBytes) return `it changes bytes ${position} to ${end}, and the file has ${fileBytes} bytes`;
    if (Math.floor(position / BLOCK_BYTES) !== Math.floor((end - 1) / BLOCK_BYTES))
      return `it changes bytes ${position} to ${end}, which are in two blocks`;
  }
  return undefined;
}

/** `newer`: a journal of an unsupported version. `none`: something else. */
export type JournalKind = 'known' | 'newer' | 'none';

const KNOWN_STARTS = ['APJL\x01\0\0\0', 'APJP\x01\0\0\0'];

/** Whether magic and version are those of a journal of this version. */
export function isKnownStart(bytes: Uint8Array): boolean {
  return KNOWN_STARTS.includes(Buffer.from(bytes.subarray(0, 8)).toString('latin1'));
}

/** An interrupted write leaves nothing, zeros, or the start of a journal: each is `known`. */
export function journalKind(bytes: Uint8Array): JournalKind {
  if (isZero(bytes.subarray(0, JOURNAL_IMAGE_OFFSET))) return 'known';
  const start = Buffer.from(bytes.subarray(0, 8)).toString('latin1');
  if (KNOWN_STARTS.some((known) => known.startsWith(start))) return 'known';
  return KNOWN_STARTS.some((known) => start.startsWith(known.slice(0, 4))) ? 'newer' : 'none';
}

/** `other`: another program has changed the block since. */
export type JournalState = 'before' | 'cut off' | 'complete' | 'other';

/** @param bytes - the 262,144 bytes of the block in the file */
export function journalState(before: BeforeImage, bytes: Uint8Array): JournalState {
  const { image, changed, newPageHeaderCrc } = before;
  const page = decodePage(image);
  if (page === undefined || !isUnchangedOutside(page, bytes, changed)) return 'other';
  if (isEqual(image, bytes, 0, PAGE_HEADER_BYTES)) {
    return isEqual(image, bytes, changed.start, changed.end) ? 'before' : 'cut off';
  }
  if (crc32(bytes.subarray(0, PAGE_HEADER_BYTES)) !== newPageHeaderCrc) return 'other';
  return validPage(bytes, before.block) ? 'complete' : 'cut off';
}

/** Compares nodes and directory, not free space. */
function isUnchangedOutside({ header, directory, block }: Page, bytes: Uint8Array, changed: ByteRange): boolean {
  const nodes = { start: PAGE_HEADER_BYTES, end: Math.min(header.freeOffset, BLOCK_BYTES) };
  return [nodes, directory].every(
    ({ start, end }) =>
      isEqual(block, bytes, start, Math.min(end, changed.start)) &&
      isEqual(block, bytes, Math.max(start, changed.end), end),
  );
}

function isEqual(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  return equalRange(a, start, b, start, end - start);
}

/** Replaces bytes by others of the same length. */
export interface Patch {
  /** Byte offset from the start of the file. */
  readonly position: number;
  /** The repair it belongs to, below 65,536. */
  readonly kind: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export const MAX_PATCH_BYTES: number = SECTOR_BYTES;

/** Precedes the old and the new bytes of a patch. */
export interface PatchHeader {
  position: bigint;
  length: number;
  kind: number;
}

export const PATCH_HEADER: RecordLayout<PatchHeader> = defineRecord<PatchHeader>({
  position: u64('first byte that changes, from the start of the page file'),
  length: u16('number of bytes that change, 1 to 512; the old bytes follow, then the new ones'),
  kind: u16('the repair that the patch belongs to, by its number in the list of repairs'),
});

export function patchBytes({ before }: Patch): number {
  return PATCH_HEADER.bytes + 2 * before.length;
}

/** @returns the offset after the patch */
export function writePatch({ position, kind, before, after }: Patch, target: Uint8Array, offset: number): number {
  PATCH_HEADER.write({ position: BigInt(position), length: before.length, kind }, target, offset);
  target.set(before, offset + PATCH_HEADER.bytes);
  target.set(after, offset + PATCH_HEADER.bytes + before.length);
  return offset + PATCH_HEADER.bytes + 2 * before.length;
}

/** Views of `bytes`; undefined if there is no complete patch. */
export function readPatch(bytes: Uint8Array, offset: number): Patch | undefined {
  const start = offset + PATCH_HEADER.bytes;
  if (start > bytes.length) return undefined;
  const { position, length, kind } = PATCH_HEADER.read(bytes, offset);
  if (length === 0 || length > MAX_PATCH_BYTES || position > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  if (start + 2 * length > bytes.length) return undefined;
  const [before, after] = [bytes.subarray(start, start + length), bytes.subarray(start + length, start + 2 * length)];
  return { position: Number(position), kind, before, after };
}

/** Of the patch that changes nothing, but says which file a journal belongs to. */
const FILE_ID_PATCH_KIND = 0xffff;

/** The first patch of a journal. @param record - that of the file's id, or zeros */
export function fileIdPatch(record: Uint8Array): Patch {
  return { position: FILE_ID_OFFSET, kind: FILE_ID_PATCH_KIND, before: record, after: record };
}

export const FILE_ID_PATCH_BYTES: number = PATCH_HEADER.bytes + 2 * FILE_ID.bytes;

export function isFileIdPatch({ position, kind, before, after }: Patch): boolean {
  const isAlike = before.length === FILE_ID.bytes && Buffer.compare(before, after) === 0;
  return isAlike && kind === FILE_ID_PATCH_KIND && position === FILE_ID_OFFSET;
}

/** Whether each byte is the old or the new one: the patch was not begun, interrupted or completed. */
export function isBeforeOrAfter({ before, after }: Pick<Patch, 'before' | 'after'>, now: Uint8Array): boolean {
  return now.length === before.length && now.every((byte, at) => byte === before[at] || byte === after[at]);
}

/** Has a magic of its own, so that a program that knows only the other kind refuses it. Patches follow. */
export interface PatchJournalHeader {
  magic: number;
  version: number;
  patchCount: number;
  bytesCrc: number;
  checksum: number;
}

export const PATCH_JOURNAL_HEADER: SealedRecordLayout<PatchJournalHeader> = defineSealedRecord<PatchJournalHeader>(
  0x504a5041,
  1,
  {
    magic: u32('ASCII `APJP`'),
    version: u32('1'),
    patchCount: u32('number of patches that follow'),
    bytesCrc: u32('CRC-32 of the patches'),
    checksum: u32('CRC-32 of the bytes above'),
  },
);

/** For patches besides that of the file's id. */
export const MAX_JOURNAL_PATCH_BYTES: number = JOURNAL_BYTES - PATCH_JOURNAL_HEADER.bytes - FILE_ID_PATCH_BYTES;

/** @param patches - at least one, first that of the file's id, and then MAX_JOURNAL_PATCH_BYTES at most */
export function encodePatchJournal(patches: readonly Patch[]): Uint8Array {
  const bytes = new Uint8Array(patches.reduce((sum, patch) => sum + patchBytes(patch), PATCH_JOURNAL_HEADER.bytes));
  if (bytes.length > JOURNAL_BYTES)
    throw new RangeError(`a journal of ${bytes.length} bytes exceeds ${JOURNAL_BYTES} bytes`);
  let offset = PATCH_JOURNAL_HEADER.bytes;
  for (const patch of patches) offset = writePatch(patch, bytes, offset);
  const bytesCrc = crc32(bytes.subarray(PATCH_JOURNAL_HEADER.bytes));
  return PATCH_JOURNAL_HEADER.encode({ patchCount: patches.length, bytesCrc }, bytes);
}

/** Views of `bytes`; undefined if the journal is incomplete or of another kind. */
export function decodePatchJournal(bytes: Uint8Array): readonly Patch[] | undefined {
  const header = bytes.length > JOURNAL_BYTES ? undefined : PATCH_JOURNAL_HEADER.decode(bytes);
  if (header === undefined || crc32(bytes.subarray(PATCH_JOURNAL_HEADER.bytes)) !== header.bytesCrc) return undefined;
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

/** Whether both checksums match although the journal was not decoded: no interrupted write leaves this. */
export function isSealedPatchJournal(bytes: Uint8Array): boolean {
  const header = PATCH_JOURNAL_HEADER.decode(bytes);
  return header !== undefined && crc32(bytes.subarray(PATCH_JOURNAL_HEADER.bytes)) === header.bytesCrc;
}

/** The patches follow in the order in which they are applied. */
export interface UndoHeader {
  magic: number;
  version: number;
  fileBytes: bigint;
  stateCrc: number;
  patchCount: number;
  bytesCrc: number;
  checksum: number;
}

export const UNDO_HEADER: SealedRecordLayout<UndoHeader> = defineSealedRecord<UndoHeader>(0x4e555041, 1, {
  magic: u32('ASCII `APUN`'),
  version: u32('1'),
  fileBytes: u64('size of the page file'),
  stateCrc: u32(
    'CRC-32 of the headers of the patched blocks, then of the first 12,800 bytes of the page file, all after the repair',
  ),
  patchCount: u32('number of patches that follow'),
  bytesCrc: u32('CRC-32 of the patches'),
  checksum: u32('CRC-32 of the bytes above'),
});
