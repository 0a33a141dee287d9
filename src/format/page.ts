import { isZero } from '../bytes/buffer.ts';
import { varintBytes } from '../bytes/encodings.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_NODE_BYTES, V1_SLOT_BYTES } from './layout.ts';
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
} from './page-header.ts';
import type { PageWriter } from './page-writer.ts';
import type { ByteRange, SlotDirectory } from './slots.ts';
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
 * Decodes a page without validating it. It is valid until `block`, 262,144 bytes, changes.
 * @param scratch - memory for the directory, to decode one page after the other; default: new memory
 * @returns undefined if the block does not begin with a page magic
 * @throws RangeError if `block` has another size
 */
export function decodePage(block: Uint8Array, scratch: DirectoryScratch = new DirectoryScratch()): Page | undefined {
  if (!(block instanceof Uint8Array)) throw new TypeError('decodePage: block must be a Uint8Array');
  if (block.length !== BLOCK_BYTES)
    throw new RangeError(`decodePage: block must have ${BLOCK_BYTES} bytes, it has ${block.length}`);
  const format = pageFormatOf(block);
  if (format === undefined) return undefined;
  const header = PAGE_HEADER.read(block);
  const directory = format === 'v1' ? new V1Directory(block, header) : new V2Directory(block, header, scratch);
  return { format, block, header, directory };
}

/**
 * One node of a page without errors: a view, valid until the block changes.
 * @throws RangeError if `slot` is not an integer of 0 to `page.directory.count - 1`
 */
export function nodeOf({ block, directory }: Page, slot: number): Uint8Array {
  if (!(Number.isInteger(slot) && slot >= 0 && slot < directory.count))
    throw new RangeError(`nodeOf: slot ${String(slot)} is not in a page of ${directory.count} slots`);
  const offset = directory.nodeOffset(slot);
  return block.subarray(offset, offset + directory.nodeBytes(slot));
}

/** The nodes of a page without errors, in slot order, as {@link nodeOf} returns them. */
export function* nodesOf({ block, directory }: Page): Generator<Uint8Array, void> {
  const { buffer, byteOffset } = block;
  for (let slot = 0; slot < directory.count; slot++) {
    // Faster than `subarray`.
    yield new Uint8Array(buffer, byteOffset + directory.nodeOffset(slot), directory.nodeBytes(slot));
  }
}

/** The range of a slot's entry in the directory. */
export function slotEntry({ format, directory }: Page, slot: number): ByteRange {
  const start = directory.entryOffset(slot);
  if (format === 'v1') return { start, end: start + V1_SLOT_BYTES };
  return { start, end: slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end };
}

/** Longest node that fits into an empty page. @throws TypeError if `format` is neither 'v1' nor 'v2' */
export function maxNodeBytes(format: PageFormat): number {
  if (format === 'v1') return V1_MAX_NODE_BYTES;
  if (format !== 'v2') throw new TypeError(`maxNodeBytes: format must be 'v1' or 'v2', it is ${String(format)}`);
  const room = BLOCK_BYTES - NODE_AREA_OFFSET - varintBytes(NODE_AREA_OFFSET);
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
  const header = newPageHeader(format);
  const block = spare?.block ?? new Uint8Array(BLOCK_BYTES);
  block.set(encodeEmptyPageHeader(format));
  if (format === 'v1') return new V1PageWriter(block, header, v1ReserveBytes);
  return new V2PageWriter(block, header, BLOCK_BYTES, spare instanceof V2PageWriter ? spare : undefined);
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
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const end = freeOffset + view.getUint32(entry + 4, true);
  return view.getUint32(entry, true) === freeOffset && end <= entry;
}

export function recomputePageHeader({ format, block, header, directory }: Page, flags = 0): Uint8Array {
  const directoryLength = format === 'v2' ? directory.end - directory.start : 0;
  return encodeCheckedPageHeader(format, block, { ...header, flags: header.flags | flags, directoryLength });
}

/** The new header, and the range of the block to write before it. */
export interface FinalizePlan {
  readonly header: Uint8Array;
  readonly written?: ByteRange;
}

/** Finalizes a valid page in memory: a V2 directory moves to the end of the nodes unless it would overlap the old one. */
export function finalizePage(page: Page): FinalizePlan {
  const { format, block, header, directory } = page;
  const start = header.freeOffset;
  const end = start + directory.end - directory.start;
  if (format === 'v1' || end > directory.start) return { header: recomputePageHeader(page, PAGE_FLAG.finalized) };
  block.copyWithin(start, directory.start, directory.end);
  const moved = { ...page, header: { ...header, directoryStart: start } };
  return { header: recomputePageHeader(moved, PAGE_FLAG.finalized), written: { start, end } };
}
