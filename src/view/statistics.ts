import { readBuffer } from '../bytes/buffer.ts';
import { grouped } from '../bytes/encodings.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, type PageFormat } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { assertCounted, readSoundPage } from '../store/page-reader.ts';
import { type Column, tableRow } from './tables.ts';

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

/**
 * Reads all pages and counts. A damaged page is counted as such, and what is in it is not.
 * @throws {@link PageStoreError} `BLOCK_COUNT_BEYOND_FILE`, `IO`; the reason of `signal`
 */
export async function collectStatistics(
  disk: DiskManager,
  signal?: AbortSignal,
  onBlock?: (done: number, total: number) => Promise<void>,
): Promise<PageStatistics> {
  assertCounted(disk);
  const statistics = newStatistics(disk.header.blockCount);
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  for (let block = 1; block < disk.header.blockCount; block++) {
    signal?.throwIfAborted();
    try {
      addPage(statistics, await readSoundPage(disk, block, target, scratch));
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      if (error.code === 'BLOCK_FREE') statistics.otherBlocks++;
      else statistics.damagedPages++;
    }
    await onBlock?.(block + 1, disk.header.blockCount);
  }
  return statistics;
}

const COUNTS: readonly Column[] = [
  { heading: '', width: 22, align: 'left' },
  { heading: '', width: 16 },
  { heading: '', width: 7 },
];

const LENGTHS: readonly Column[] = [
  { heading: 'node length', width: 22, align: 'left' },
  { heading: 'nodes', width: 16 },
  { heading: 'share', width: 7 },
  { heading: '', width: 0, align: 'left' },
];

const BAR_CHARACTERS = 40;

/** Counts, space by kind, and a histogram of node lengths. */
export function* statisticsTable(model: PageStatistics): Generator<string> {
  yield tableRow(COUNTS, ['blocks', model.blocks]);
  yield tableRow(COUNTS, ['pages, V1', model.pages.v1]);
  yield tableRow(COUNTS, ['pages, V2', model.pages.v2]);
  yield tableRow(COUNTS, ['finalized pages', model.finalizedPages]);
  if (model.damagedPages > 0) yield tableRow(COUNTS, ['damaged pages', model.damagedPages]);
  yield tableRow(COUNTS, ['free or unwritten', model.otherBlocks]);
  yield tableRow(COUNTS, ['nodes', model.nodes]);
  if (model.nodes > 0) {
    yield tableRow(COUNTS, ['shortest node, bytes', model.shortestNode]);
    yield tableRow(COUNTS, ['longest node, bytes', model.longestNode]);
  }
  const { headerBytes, nodeBytes, directoryBytes, freeBytes } = model;
  const pageBytes = BLOCK_BYTES * (model.pages.v1 + model.pages.v2);
  if (pageBytes > 0) yield tableRow(COUNTS, ['fill of pages', share(pageBytes - freeBytes, pageBytes)]);
  yield '\nspace, bytes\n';
  const unused = model.otherBlocks * BLOCK_BYTES;
  const total = headerBytes + nodeBytes + directoryBytes + freeBytes + unused;
  for (const [name, bytes] of Object.entries({
    headers: headerBytes,
    nodes: nodeBytes,
    directory: directoryBytes,
    free: freeBytes,
    'blocks not in use': unused,
  })) {
    yield tableRow(COUNTS, [name, bytes, share(bytes, total)]);
  }
  if (model.nodes > 0) yield* histogram(model);
}

function* histogram({ lengths, nodes }: PageStatistics): Generator<string> {
  yield '\n';
  yield tableRow(LENGTHS);
  const first = lengths.findIndex((count) => count > 0);
  const last = lengths.findLastIndex((count) => count > 0);
  const most = Math.max(...lengths);
  for (let bucket = first; bucket <= last; bucket++) {
    const count = lengths[bucket] ?? 0;
    const bar = '#'.repeat(Math.ceil((BAR_CHARACTERS * count) / most));
    yield tableRow(LENGTHS, [bucketName(bucket), count, share(count, nodes), bar]);
  }
}

function bucketName(bucket: number): string {
  if (bucket <= 1) return String(bucket);
  return `${grouped(2 ** (bucket - 1))} to ${grouped(2 ** bucket - 1)}`;
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
