import { pooledBytes } from '../bytes/buffer.ts';
import { varintBytes } from '../bytes/varint.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_MAX_NODE_BYTES } from './layout.ts';
import { checksummedDirectory, combinedPageChecksum, pageChecksum } from './page-checksum.ts';
import {
  encodePageHeader,
  newPageHeader,
  PAGE_FLAG,
  PAGE_HEADER,
  type PageFormat,
  pageFormatOf,
  type PageHeader,
} from './page-header.ts';
import type { PagePlan, PageWriter } from './page-writer.ts';
import type { ByteRange, SlotDirectory } from './slots.ts';
import { V1Directory, V1PageWriter } from './v1-page.ts';
import { DirectoryScratch, V2Directory } from './v2-directory.ts';
import { V2PageWriter } from './v2-writer.ts';

/** A page as its bytes describe it: decoded, not validated. It shares the bytes that it was made from. */
export interface Page {
  readonly format: PageFormat;
  readonly block: Uint8Array;
  readonly header: PageHeader;
  readonly directory: SlotDirectory;
}

/**
 * Decodes the page in `block`. A damaged page decodes as far as it goes; `pageProblems` says what is wrong with it.
 * @param block - 262,144 bytes
 * @param scratch - room for a decoded directory, for who looks at many pages, one after the other; its own by default
 * @returns undefined for a block that does not begin with the magic of a page
 */
export function decodePage(block: Uint8Array, scratch: DirectoryScratch = new DirectoryScratch()): Page | undefined {
  const format = pageFormatOf(block);
  if (format === undefined) return undefined;
  const header = PAGE_HEADER.read(block);
  const directory = format === 'v1' ? new V1Directory(block, header) : new V2Directory(block, header, scratch);
  return { format, block, header, directory };
}

/**
 * The bytes of one node: a view of the page's block, valid as long as that holds this page.
 * @param slot - 0 <= slot < directory.count, of a page without problems
 */
export function nodeOf({ block, directory }: Page, slot: number): Uint8Array {
  const offset = directory.nodeOffset(slot);
  return block.subarray(offset, offset + directory.nodeBytes(slot));
}

/** The nodes of a page without problems, in the order of their slots: views, as {@link nodeOf} gives. */
export function* nodesOf({ block, directory }: Page): Generator<Uint8Array, void> {
  const { buffer, byteOffset } = block;
  for (let slot = 0; slot < directory.count; slot++) {
    // As `subarray` does, in less time.
    yield new Uint8Array(buffer, byteOffset + directory.nodeOffset(slot), directory.nodeBytes(slot));
  }
}

/** A writer for a page without problems. It changes `page.block`. */
export function openPageWriter(page: Page): PageWriter {
  return page.format === 'v1'
    ? new V1PageWriter(page.block, page.header)
    : new V2PageWriter(page.block, page.header, page.directory.end);
}

/**
 * A writer for a new, empty page.
 * @param spare - a writer that is no longer used, for the memory that it has: its page is overwritten
 * @param v1ReserveBytes - what a V1 page keeps free, where that is not what all writers keep
 */
export function newPage(format: PageFormat, spare?: PageWriter, v1ReserveBytes?: number): PageWriter {
  const header = newPageHeader(format);
  const block = spare?.block ?? new Uint8Array(BLOCK_BYTES);
  block.set(emptyPageHead(format));
  if (format === 'v1') return new V1PageWriter(block, header, v1ReserveBytes);
  return new V2PageWriter(block, header, BLOCK_BYTES, spare instanceof V2PageWriter ? spare : undefined);
}

/** The 64 header bytes of an empty page; the rest of its block may hold anything. */
export function emptyPageHead(format: PageFormat): Uint8Array {
  return sealPageHeader(format, new Uint8Array(0), newPageHeader(format));
}

const FLAGS_OFFSET = PAGE_HEADER.offsetOf('flags');
const NODE_COUNT_OFFSET = PAGE_HEADER.offsetOf('nodeCount');
const FREE_OFFSET_OFFSET = PAGE_HEADER.offsetOf('freeOffset');
const DIRECTORY_START_OFFSET = PAGE_HEADER.offsetOf('directoryStart');
const CHECKSUM_OFFSET = PAGE_HEADER.offsetOf('checksum');
const DIRECTORY_LENGTH_OFFSET = PAGE_HEADER.offsetOf('directoryLength');
const CHECKSUM_NODE_COUNT_OFFSET = PAGE_HEADER.offsetOf('checksumNodeCount');

/** The header bytes that commit a plan for the page in `block`: its flags and reserved bytes stay as they are. */
export function planHeader(format: PageFormat, block: Uint8Array, plan: PagePlan): Uint8Array {
  const { nodeCount, freeOffset, directoryStart, directoryLength, nodesCrc, directoryCrc } = plan;
  const head = pooledBytes(PAGE_HEADER_BYTES);
  head.set(block.subarray(0, PAGE_HEADER_BYTES));
  const view = new DataView(head.buffer, head.byteOffset, PAGE_HEADER_BYTES);
  // Field by field: each commit makes a header, and the record of all its fields costs ten times as much.
  view.setUint16(FLAGS_OFFSET, view.getUint16(FLAGS_OFFSET, true) | PAGE_FLAG.hasChecksum, true);
  view.setUint32(NODE_COUNT_OFFSET, nodeCount, true);
  view.setUint32(FREE_OFFSET_OFFSET, freeOffset, true);
  view.setUint32(DIRECTORY_START_OFFSET, directoryStart, true);
  view.setUint32(DIRECTORY_LENGTH_OFFSET, directoryLength, true);
  view.setUint32(CHECKSUM_NODE_COUNT_OFFSET, nodeCount, true);
  view.setUint32(CHECKSUM_OFFSET, 0, true);
  const nodes = { crc: nodesCrc, bytes: freeOffset - NODE_AREA_OFFSET };
  const directory = { crc: directoryCrc, bytes: format === 'v1' ? BLOCK_BYTES - directoryStart : directoryLength };
  view.setUint32(CHECKSUM_OFFSET, combinedPageChecksum(head, nodes, directory), true);
  return head;
}

/** The bytes of `header` with HAS_CHECKSUM and the checksum over what `block` holds now. */
export function sealPageHeader(format: PageFormat, block: Uint8Array, header: PageHeader): Uint8Array {
  const sealed = checksummed(header);
  const checksum = pageChecksum(block, sealed, checksummedDirectory(format, sealed));
  return encodePageHeader({ ...sealed, checksum });
}

/** The header of a page that is to have a checksum, which is 0 so far. */
function checksummed(header: PageHeader): PageHeader {
  return { ...header, flags: header.flags | PAGE_FLAG.hasChecksum, checksumNodeCount: header.nodeCount, checksum: 0 };
}

/** Zeroes what a plan leaves unused of a page: the block of a writer may hold what an earlier page had. */
export function clearUnused(block: Uint8Array, plan: PagePlan): void {
  const { nodeCount, freeOffset, directoryStart, directoryLength } = plan;
  block.fill(0, freeOffset, nodeCount === 0 ? BLOCK_BYTES : directoryStart);
  // A V1 directory has no length of its own: it goes to the end of the block.
  if (directoryLength > 0) block.fill(0, directoryStart + directoryLength);
}

/** Longest node that an empty page of this format holds. */
export function maxNodeBytes(format: PageFormat): number {
  if (format === 'v1') return V1_MAX_NODE_BYTES;
  const room = BLOCK_BYTES - NODE_AREA_OFFSET - varintBytes(NODE_AREA_OFFSET);
  return room - varintBytes(room);
}

/** Whether the page takes more nodes: it is not sealed, and what it holds is what its directory says. */
export function isOpen(page: Page): boolean {
  return (page.header.flags & PAGE_FLAG.finalized) === 0 && orphanedBytes(page) === 0;
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/**
 * Bytes in the page that look like nodes while its header knows of none, as in a V2 page of libdictenstein that
 * was never finalized: up to the free offset, or to the last byte that is not zero. A checksum rules the latter out: free
 * space of a page that has one may hold what was in the block before.
 */
export function orphanedBytes({ header, block }: Page): number {
  if (header.nodeCount > 0) return 0;
  if (header.freeOffset > NODE_AREA_OFFSET) return header.freeOffset - NODE_AREA_OFFSET;
  if ((header.flags & PAGE_FLAG.hasChecksum) !== 0) return 0;
  const rest = block.subarray(NODE_AREA_OFFSET);
  if (ZEROS.compare(rest, 0, rest.length, 0, rest.length) === 0) return 0;
  return rest.findLastIndex((byte) => byte !== 0) + 1;
}

/** What seals a page: a header, and the range of the block that has to be written before it. */
export interface PageSeal {
  readonly head: Uint8Array;
  readonly written?: ByteRange;
}

/** The header of a page with a checksum over what it holds now, and these flags as well as those it has. */
export function resealedHead({ format, block, header, directory }: Page, flags = 0): Uint8Array {
  const directoryLength = format === 'v2' ? directory.end - directory.start : 0;
  return sealPageHeader(format, block, { ...header, flags: header.flags | flags, directoryLength });
}

/**
 * Seals a page without problems, in memory. A V2 directory is put straight after the nodes where it does not
 * overlap the one that the committed header names; else it stays where it is.
 */
export function sealPage(page: Page): PageSeal {
  const { format, block, header, directory } = page;
  const bytes = directory.end - directory.start;
  const start = header.freeOffset;
  if (format === 'v1' || start + bytes > directory.start) return { head: resealedHead(page, PAGE_FLAG.finalized) };
  block.copyWithin(start, directory.start, directory.end);
  const flags = header.flags | PAGE_FLAG.finalized;
  const head = sealPageHeader(format, block, { ...header, flags, directoryStart: start, directoryLength: bytes });
  return { head, written: { start, end: start + bytes } };
}
