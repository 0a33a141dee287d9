import { pooledBytes } from '../bytes/buffer.ts';
import { combineCrc32, crc32 } from '../bytes/checksum.ts';
import { NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from './layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, type PageStamp } from './page-header.ts';
import type { ByteRange } from './slots.ts';

/** The next commit of a page: header fields, and what to write before the header. */
export interface PagePlan {
  readonly nodeCount: number;
  readonly freeOffset: number;
  readonly directoryStart: number;
  readonly directoryLength: number;
  /** CRC-32 of [64, freeOffset). */
  readonly nodesCrc: number;
  readonly directoryCrc: number;
  /** Ranges outside the header that changed since the last commit; some may be empty. */
  readonly written: readonly ByteRange[];
}

/** The directory of a `full` page leaves no room for more nodes. */
export type PageOutlook = 'open' | 'full';

/** Appends nodes to a page in memory; never changes bytes that the committed header covers, so plans can be written first. */
export interface PageWriter {
  readonly format: PageFormat;
  /** The page, with the last committed header: 262,144 bytes in a file. */
  readonly block: Uint8Array;
  /** Including uncommitted slots. */
  readonly nodeCount: number;
  /** Where the last node ends, including uncommitted ones. */
  readonly freeOffset: number;
  /** Of the directory, including uncommitted slots. */
  readonly directoryBytes: number;
  fits(nodeBytes: number): boolean;
  /** Copies the node `source[start, end)` into slot `nodeCount`. @returns false, with nothing changed, if it does not fit */
  add(source: Uint8Array, start: number, end: number): boolean;
  /** Adds a slot whose node is lost. @returns false, with nothing changed, if it does not fit */
  addLost(): boolean;
  /** Adds nodes of `lengths[from, to)`, end to end in `source` from `start`, while they fit. @returns how many */
  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /**
   * Adds nodes while they fit, those that lie end to end by one copy. `words[from, to)` are pairs: where a node starts, of
   * which `source` begins at `base`, and its length. @returns the end of the pairs that were added
   */
  addRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number;
  /** Places the directory in `block`. The plan is valid until a node is added. */
  plan(outlook: PageOutlook): PagePlan;
  /** To be called when the header of the last plan is committed. */
  committed(): void;
  /** Lets the directory in `block` be overwritten: for a page that is in no file. */
  releaseDirectory(): void;
}

const OFFSETS = PAGE_HEADER.offsets;

/**
 * Flags and reserved bytes are taken from the header in `block`.
 * @param stamp - by default that of the header in `block`
 */
export function encodePlannedHeader(
  format: PageFormat,
  block: Uint8Array,
  plan: PagePlan,
  stamp?: PageStamp,
): Uint8Array {
  const { nodeCount, freeOffset, directoryStart, directoryLength, nodesCrc, directoryCrc } = plan;
  const header = pooledBytes(PAGE_HEADER_BYTES);
  header.set(block.subarray(0, PAGE_HEADER_BYTES));
  const view = new DataView(header.buffer, header.byteOffset, PAGE_HEADER_BYTES);
  // For each commit; a tenth of the time of PAGE_HEADER.write.
  view.setUint16(OFFSETS.flags, view.getUint16(OFFSETS.flags, true) | PAGE_FLAG.hasChecksum, true);
  view.setUint32(OFFSETS.nodeCount, nodeCount, true);
  view.setUint32(OFFSETS.freeOffset, freeOffset, true);
  view.setUint32(OFFSETS.directoryStart, directoryStart, true);
  view.setUint32(OFFSETS.directoryLength, directoryLength, true);
  view.setUint32(OFFSETS.checksumNodeCount, nodeCount, true);
  if (stamp) {
    view.setUint32(OFFSETS.home, stamp.home, true);
    view.setBigUint64(OFFSETS.commit, stamp.commit, true);
  }
  view.setUint32(OFFSETS.checksum, 0, true);
  // Combined from the parts, so that the page is not read again.
  const throughNodes = combineCrc32(crc32(header), nodesCrc, freeOffset - NODE_AREA_OFFSET);
  const directoryBytes = format === 'v1' ? block.length - directoryStart : directoryLength;
  view.setUint32(OFFSETS.checksum, combineCrc32(throughNodes, directoryCrc, directoryBytes), true);
  return header;
}

/** Writes the header of a new page, which it returns, and zeroes unused bytes, perhaps of an earlier page. */
export function completePage({ format, block }: PageWriter, plan: PagePlan, stamp?: PageStamp): Uint8Array {
  const { nodeCount, freeOffset, directoryLength } = plan;
  // By the format, a directory without slots begins at the end of the block.
  const directoryStart = nodeCount === 0 ? block.length : plan.directoryStart;
  block.fill(0, freeOffset, directoryStart);
  // A V1 directory, whose length is 0 here, ends with the block.
  if (directoryLength > 0) block.fill(0, directoryStart + directoryLength);
  const header = encodePlannedHeader(format, block, { ...plan, directoryStart }, stamp);
  block.set(header);
  return header;
}
