import { pooledBytes } from '../bytes/buffer.ts';
import { combineCrc32, crc32 } from '../bytes/checksum.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from './layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat } from './page-header.ts';
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
  /** 262,144 bytes, with the last committed header. */
  readonly block: Uint8Array;
  /** Including uncommitted slots. */
  readonly nodeCount: number;
  fits(nodeBytes: number): boolean;
  /** Copies the node `source[start, end)` into slot `nodeCount`. @returns false, with nothing changed, if it does not fit */
  add(source: Uint8Array, start: number, end: number): boolean;
  /** Adds nodes of `lengths[from, to)`, end to end in `source` from `start`, while they fit. @returns how many */
  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /** Places the directory in `block`. The plan is valid until a node is added. */
  plan(outlook: PageOutlook): PagePlan;
  /** To be called when the header of the last plan is committed. */
  committed(): void;
}

const OFFSETS = PAGE_HEADER.offsets;

/** Flags and reserved bytes are taken from the header in `block`. */
export function encodePlannedHeader(format: PageFormat, block: Uint8Array, plan: PagePlan): Uint8Array {
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
  view.setUint32(OFFSETS.checksum, 0, true);
  // Combined from the parts, so that the page is not read again.
  const throughNodes = combineCrc32(crc32(header), nodesCrc, freeOffset - NODE_AREA_OFFSET);
  const directoryBytes = format === 'v1' ? BLOCK_BYTES - directoryStart : directoryLength;
  view.setUint32(OFFSETS.checksum, combineCrc32(throughNodes, directoryCrc, directoryBytes), true);
  return header;
}

/** Writes the header of a new page, which it returns, and zeroes unused bytes, perhaps of an earlier page. */
export function completePage({ format, block }: PageWriter, plan: PagePlan): Uint8Array {
  const { nodeCount, freeOffset, directoryStart, directoryLength } = plan;
  block.fill(0, freeOffset, nodeCount === 0 ? BLOCK_BYTES : directoryStart);
  // A V1 directory, whose length is 0 here, ends with the block.
  if (directoryLength > 0) block.fill(0, directoryStart + directoryLength);
  const header = encodePlannedHeader(format, block, plan);
  block.set(header);
  return header;
}
