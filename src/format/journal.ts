import { crc32 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u32 } from '../bytes/record.ts';
import type { ByteRange } from './directory.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES, SECTOR_BYTES } from './layout.ts';
import { decodePage, type Page } from './page.ts';
import { firstPageError } from './page-invariants.ts';

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
