import { BLOCK_BYTES, PAGE_HEADER_BYTES } from './layout.ts';
import type { Page } from './page.ts';
import { PAGE_FLAG, type PageFormat } from './page-header.ts';

/** Buckets of the histogram: bucket 0 is the empty node, bucket n nodes of 2^(n-1) to 2^n - 1 bytes. */
const BUCKETS = 20;

/** Counts over all pages of a file. */
export interface PageStatistics {
  blocks: number;
  pages: Record<PageFormat, number>;
  finalizedPages: number;
  damagedPages: number;
  /** Blocks on the free list, and those never written. */
  otherBlocks: number;
  nodes: number;
  /** Bytes of the nodes, as their slots give them. */
  nodeBytes: number;
  directoryBytes: number;
  /** Headers of pages, and all of block 0. */
  headerBytes: number;
  /** Bytes in pages that are none of those. */
  freeBytes: number;
  /** Longest and shortest node; 0 where there is none. */
  longestNode: number;
  shortestNode: number;
  /** Nodes by length: index 0 for empty ones, index n for 2^(n-1) to 2^n - 1 bytes. */
  lengths: number[];
}

/** The counts of a file of so many blocks, before its pages are added. */
export function newStatistics(blocks: number): PageStatistics {
  return {
    blocks,
    pages: { v1: 0, v2: 0 },
    finalizedPages: 0,
    damagedPages: 0,
    otherBlocks: 0,
    nodes: 0,
    nodeBytes: 0,
    directoryBytes: 0,
    headerBytes: BLOCK_BYTES,
    freeBytes: 0,
    longestNode: 0,
    shortestNode: 0,
    lengths: Array.from({ length: BUCKETS }, () => 0),
  };
}

/** Adds one page without problems. */
export function addPage(statistics: PageStatistics, page: Page): void {
  const { directory, header, format } = page;
  let nodeBytes = 0;
  for (let slot = 0; slot < directory.count; slot++) {
    const bytes = directory.nodeBytes(slot);
    nodeBytes += bytes;
    const bucket = bytes === 0 ? 0 : 32 - Math.clz32(bytes);
    statistics.lengths[bucket] = (statistics.lengths[bucket] ?? 0) + 1;
    if (bytes > statistics.longestNode) statistics.longestNode = bytes;
    if (bytes < statistics.shortestNode || (statistics.nodes === 0 && slot === 0)) statistics.shortestNode = bytes;
  }
  const directoryBytes = directory.end - directory.start;
  statistics.pages[format]++;
  if ((header.flags & PAGE_FLAG.finalized) !== 0) statistics.finalizedPages++;
  statistics.nodes += directory.count;
  statistics.nodeBytes += nodeBytes;
  statistics.directoryBytes += directoryBytes;
  statistics.headerBytes += PAGE_HEADER_BYTES;
  statistics.freeBytes += BLOCK_BYTES - PAGE_HEADER_BYTES - nodeBytes - directoryBytes;
}
