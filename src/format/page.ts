import { isBytes, valueText } from '../arguments.ts';
import { isZero } from '../bytes/buffer.ts';
import { varintBytes } from '../bytes/encodings.ts';
import {
  BLOCK_BYTES,
  isPageSize,
  MIN_PAGE_BYTES,
  NODE_AREA_OFFSET,
  V1_RESERVE_BYTES,
  V1_SLOT_BYTES,
} from './layout.ts';
import {
  encodeCheckedPageHeader,
  encodeEmptyPageHeader,
  isFinalized,
  newPageHeader,
  PAGE_FLAG,
  PAGE_HEADER,
  type PageFormat,
  pageFormatOf,
  type PageHeader,
  type PageStamp,
} from './page-header.ts';
import type { PageWriter } from './page-writer.ts';
import { type ByteRange, isLostEntry, type SlotDirectory } from './slots.ts';
import { V1Directory, V1PageWriter } from './v1-page.ts';
import { DirectoryScratch, V2Directory } from './v2-directory.ts';
import { V2PageWriter } from './v2-writer.ts';

/** A decoded page: a view of a block. Nothing is validated. */
export interface Page {
  readonly format: PageFormat;
  readonly block: Uint8Array;
  readonly header: PageHeader;
  readonly directory: SlotDirectory;
}

/**
 * Decodes a page without validating it. It is valid until `block` changes.
 * @param block - a page of a file, 262,144 bytes, or one in memory: a power of two from 4,096
 * @param scratch - memory for the directory, to decode one page after the other; default: new memory
 * @returns undefined if the block does not begin with a page magic
 * @throws RangeError if `block` has another size
 */
export function decodePage(block: Uint8Array, scratch: DirectoryScratch = new DirectoryScratch()): Page | undefined {
  if (!isBytes(block)) throw new TypeError('decodePage: block must be a Uint8Array');
  if (!(scratch instanceof DirectoryScratch)) throw new TypeError('decodePage: scratch must be a DirectoryScratch');
  assertPageSize('decodePage: block.length', block.length);
  const format = pageFormatOf(block);
  return format && decodePageAs(format, block, scratch);
}

/** As {@link decodePage}, whatever the magic is. */
export function decodePageAs(
  format: PageFormat,
  block: Uint8Array,
  scratch: DirectoryScratch = new DirectoryScratch(),
): Page {
  const header = PAGE_HEADER.read(block);
  const directory = format === 'v1' ? new V1Directory(block, header) : new V2Directory(block, header, scratch);
  return { format, block, header, directory };
}

/**
 * One node of a page without errors: a view, valid until the block changes; empty for a lost slot, as {@link isLostEntry}
 * tells.
 * @throws RangeError if `slot` is not an integer of 0 to `page.directory.count - 1`
 */
export function nodeOf(page: Page, slot: number): Uint8Array {
  assertPage('nodeOf', page);
  const { block, directory } = page;
  if (!(Number.isInteger(slot) && slot >= 0 && slot < directory.count))
    throw new RangeError(`nodeOf: slot ${valueText(slot)} is not in a page of ${directory.count} slots`);
  const offset = directory.nodeOffset(slot);
  return block.subarray(offset, offset + directory.nodeBytes(slot));
}

/** The nodes of a page without errors, in slot order, as {@link nodeOf} returns them, without lost slots. */
export function* nodesOf(page: Page): Generator<Uint8Array, void> {
  assertPage('nodesOf', page);
  const { block, directory } = page;
  const { buffer, byteOffset } = block;
  for (let slot = 0; slot < directory.count; slot++) {
    if (isLostEntry(directory, slot)) continue;
    // Faster than `subarray`.
    yield new Uint8Array(buffer, byteOffset + directory.nodeOffset(slot), directory.nodeBytes(slot));
  }
}

/**
 * Whether a slot of a page without errors is kept for its number alone, as its node was lost: offset and length are 0.
 * @throws RangeError if `slot` is not an integer of 0 to `page.directory.count - 1`
 * @see docs/format.md#lost-slots
 */
export function isLostSlot(page: Page, slot: number): boolean {
  assertPage('isLostSlot', page);
  const { directory } = page;
  if (!(Number.isInteger(slot) && slot >= 0 && slot < directory.count))
    throw new RangeError(`isLostSlot: slot ${valueText(slot)} is not in a page of ${directory.count} slots`);
  return isLostEntry(directory, slot);
}

export function assertPage(call: string, page: Partial<Page> | null | undefined): void {
  if (typeof page?.directory?.nodeOffset !== 'function')
    throw new TypeError(`${call}: page must be a page, as of decodePage`);
}

/** The range of a slot's entry in the directory. */
export function slotEntry({ format, directory }: Page, slot: number): ByteRange {
  const start = directory.entryOffset(slot);
  if (format === 'v1') return { start, end: start + V1_SLOT_BYTES };
  return { start, end: slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end };
}

/** @throws RangeError unless `bytes` is the size of a page @param parameter - of a function, for the message */
export function assertPageSize(parameter: string, bytes: number): void {
  if (isPageSize(bytes)) return;
  const range = `from ${MIN_PAGE_BYTES} to ${BLOCK_BYTES}`;
  throw new RangeError(`${parameter} must be a power of two ${range}, not ${valueText(bytes)}`);
}

/**
 * Longest node that fits into an empty page.
 * @param pageBytes - size of the page; default: 262,144, that of each page of a file
 * @throws TypeError if `format` is neither 'v1' nor 'v2'; RangeError unless `pageBytes` is a power of two from 4,096 to 262,144
 */
export function maxNodeBytes(format: PageFormat, pageBytes: number = BLOCK_BYTES): number {
  assertPageSize('maxNodeBytes: pageBytes', pageBytes);
  if (format === 'v1') return pageBytes - NODE_AREA_OFFSET - V1_SLOT_BYTES - V1_RESERVE_BYTES;
  if (format !== 'v2') throw new TypeError(`maxNodeBytes: format must be 'v1' or 'v2', it is ${valueText(format)}`);
  const room = pageBytes - NODE_AREA_OFFSET - varintBytes(NODE_AREA_OFFSET);
  return room - varintBytes(room);
}

/** For a page without errors. Changes `page.block`. */
export function openPageWriter(page: Page): PageWriter {
  return page.format === 'v1'
    ? new V1PageWriter(page.block, page.header)
    : new V2PageWriter(page.block, page.header, page.directory.end);
}

/**
 * @param spare - a writer whose memory is reused; its page is overwritten
 * @param v1ReserveBytes - bytes to keep free in a V1 page; default: as the format requires
 */
export function newPageWriter(format: PageFormat, spare?: PageWriter, v1ReserveBytes?: number): PageWriter {
  const block = spare?.block ?? new Uint8Array(BLOCK_BYTES);
  const header = newPageHeader(format, block.length);
  block.set(encodeEmptyPageHeader(format, block.length));
  if (format === 'v1') return new V1PageWriter(block, header, v1ReserveBytes);
  return new V2PageWriter(block, header, block.length, spare instanceof V2PageWriter ? spare : undefined);
}

/** Whether the page is not finalized and has no node bytes without slots. */
export function acceptsNodes(page: Page): boolean {
  return !isFinalized(page.header) && orphanedBytes(page) === 0;
}

/**
 * Node bytes of a page that counts no node, as in a V2 page of libdictenstein never finalized: up to the free offset or
 * the last nonzero byte. With a checksum, bytes after the free offset may be of an earlier page and do not count.
 */
export function orphanedBytes({ header, block }: Page): number {
  if (header.nodeCount > 0) return 0;
  if (header.freeOffset > NODE_AREA_OFFSET) return header.freeOffset - NODE_AREA_OFFSET;
  if ((header.flags & PAGE_FLAG.hasChecksum) !== 0) return 0;
  const rest = block.subarray(NODE_AREA_OFFSET);
  return isZero(rest) ? 0 : rest.findLastIndex((byte) => byte !== 0) + 1;
}

/**
 * Whether a V1 page may have nodes that its header does not count yet: the next slot continues where the nodes end.
 * The checksum does not show this. Other programs do not append to V2 pages in place.
 */
export function mayHaveUncountedNodes({ format, block, header }: Page): boolean {
  const { directoryStart, freeOffset } = header;
  const entry = directoryStart - V1_SLOT_BYTES;
  if (format !== 'v1' || entry < freeOffset) return false;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const end = freeOffset + view.getUint32(entry + 4, true);
  return view.getUint32(entry, true) === freeOffset && end <= entry;
}

/** @param stamp - by default that of the page */
export function recomputePageHeader(
  { format, block, header, directory }: Page,
  flags = 0,
  stamp: PageStamp = header,
): Uint8Array {
  const { home, commit } = stamp;
  const directoryLength = format === 'v2' ? directory.end - directory.start : 0;
  const changes = { flags: header.flags | flags, directoryLength, home, commit };
  return encodeCheckedPageHeader(format, block, { ...header, ...changes });
}

/** The new header, and the range of the block to write before it. */
export interface FinalizePlan {
  readonly header: Uint8Array;
  readonly written?: ByteRange;
}

/** Finalizes a valid page in memory: a V2 directory moves to the end of the nodes unless it would overlap the old one. */
export function finalizePage(page: Page, stamp: PageStamp = page.header): FinalizePlan {
  const { format, block, header, directory } = page;
  const start = header.freeOffset;
  const end = start + directory.end - directory.start;
  if (format === 'v1' || end > directory.start)
    return { header: recomputePageHeader(page, PAGE_FLAG.finalized, stamp) };
  block.copyWithin(start, directory.start, directory.end);
  const moved = { ...page, header: { ...header, directoryStart: start } };
  return { header: recomputePageHeader(moved, PAGE_FLAG.finalized, stamp), written: { start, end } };
}
