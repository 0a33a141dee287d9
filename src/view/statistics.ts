import { assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import { readBuffer } from '../bytes/buffer.ts';
import { grouped } from '../bytes/encodings.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { type ErrorCode, PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { isFinalized, type PageFormat } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { isLostEntry } from '../format/slots.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { FullScan, missingPagesError } from '../store/full-scan.ts';
import { assertCounted, readValidPage } from '../store/page-reader.ts';
import { type Column, tableRow } from './tables.ts';

/** Counts over all valid pages of a file. */
export interface Statistics {
  /** As counted by the file header. */
  readonly blocks: number;
  readonly pages: Readonly<Record<PageFormat, number>>;
  readonly finalizedPages: number;
  readonly damagedPages: number;
  /** Free or never written. */
  readonly otherBlocks: number;
  readonly nodes: number;
  /** Slots whose nodes were lost before: they are not counted as nodes. */
  readonly lostSlots: number;
  readonly nodeBytes: number;
  readonly directoryBytes: number;
  /** Of pages and block 0. */
  readonly headerBytes: number;
  /** Unused in pages. */
  readonly freeBytes: number;
  /** In bytes; 0 without nodes. */
  readonly longestNode: number;
  readonly shortestNode: number;
  /** By length: index 0 for empty nodes, index n for 2^(n-1) to 2^n - 1 bytes. */
  readonly lengths: readonly number[];
  /** Why pages that are not there are missing from the counts; absent if none are, and if there are damaged pages. */
  readonly missing?: { readonly code: ErrorCode; readonly message: string };
}

export interface StatOptions {
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Counts the content of all valid pages; damaged pages are only counted, and pages that are lost are reported as `missing`.
 * @param file - a path, or a BlockFile, which stays open
 * @throws {@link PageStoreError} `BLOCK_COUNT_BEYOND_FILE` if the header counts no blocks, `IO`; the reason of `signal`
 */
export async function stat(file: string | BlockFile, options: StatOptions = {}): Promise<Statistics> {
  assertPathOrBlockFile('stat', 'file', file);
  checkOptions('stat', options, { onProgress: 'function', signal: 'signal' });
  return withPageFile(file, 'read', async (opened) =>
    countPages(await DiskManager.open(opened, 'read', { signal: options.signal }), options),
  );
}

async function countPages(disk: DiskManager, { onProgress, signal }: StatOptions): Promise<Statistics> {
  assertCounted(disk);
  // The header may count far more blocks than the file has.
  const { blockCount } = disk;
  const counts = newCounts(disk.header.blockCount);
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  const scan = new FullScan(disk);
  for (let block = 1; block < blockCount; block++) {
    const pause = betweenBlocks(block, blockCount, { signal });
    if (pause) await pause;
    signal?.throwIfAborted();
    try {
      countPage(counts, await readValidPage(disk, block, target, scratch));
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      if (error.code === 'BLOCK_FREE') counts.otherBlocks++;
      else counts.damagedPages++;
    }
    scan.add(block, target);
    await onProgress?.(block + 1, blockCount);
  }
  counts.damagedPages += disk.header.blockCount - blockCount;
  const missing = counts.damagedPages === 0 ? await missingPages(scan) : undefined;
  return { ...counts, ...(counts.nodes === 0 && { shortestNode: 0 }), ...(missing && { missing }) };
}

async function missingPages(scan: FullScan): Promise<Statistics['missing']> {
  try {
    await scan.end();
    return undefined;
  } catch (error) {
    const missing = missingPagesError(error);
    if (missing === undefined) throw error;
    return { code: missing.code, message: missing.message };
  }
}

/** Enough for the longest node. */
const BUCKETS = 20;

const newCounts = (blocks: number) => ({
  blocks,
  pages: { v1: 0, v2: 0 },
  finalizedPages: 0,
  damagedPages: 0,
  otherBlocks: 0,
  nodes: 0,
  lostSlots: 0,
  nodeBytes: 0,
  directoryBytes: 0,
  headerBytes: BLOCK_BYTES,
  freeBytes: 0,
  longestNode: 0,
  shortestNode: Infinity,
  lengths: Array.from({ length: BUCKETS }, () => 0),
});

function countPage(counts: ReturnType<typeof newCounts>, { directory, header, format }: Page): void {
  const { lengths } = counts;
  let nodeBytes = 0;
  for (let slot = 0; slot < directory.count; slot++) {
    if (isLostEntry(directory, slot)) {
      counts.lostSlots++;
      continue;
    }
    counts.nodes++;
    const bytes = directory.nodeBytes(slot);
    nodeBytes += bytes;
    const bucket = bytes === 0 ? 0 : 32 - Math.clz32(bytes);
    lengths[bucket] = (lengths[bucket] ?? 0) + 1;
    if (bytes > counts.longestNode) counts.longestNode = bytes;
    if (bytes < counts.shortestNode) counts.shortestNode = bytes;
  }
  const directoryBytes = directory.end - directory.start;
  counts.pages[format]++;
  if (isFinalized(header)) counts.finalizedPages++;
  counts.nodeBytes += nodeBytes;
  counts.directoryBytes += directoryBytes;
  counts.headerBytes += PAGE_HEADER_BYTES;
  counts.freeBytes += BLOCK_BYTES - PAGE_HEADER_BYTES - nodeBytes - directoryBytes;
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

const row = (...cells: readonly (string | number)[]): string => tableRow(COUNTS, cells);

export function* statisticsTable(statistics: Statistics): Generator<string> {
  const { blocks, pages, damagedPages, otherBlocks, nodes, headerBytes, nodeBytes, directoryBytes, freeBytes } =
    statistics;
  yield row('blocks', blocks);
  yield row('pages, V1', pages.v1);
  yield row('pages, V2', pages.v2);
  yield row('finalized pages', statistics.finalizedPages);
  if (damagedPages > 0) yield row('damaged pages', damagedPages);
  yield row('free or unwritten', otherBlocks);
  yield row('nodes', nodes);
  if (statistics.lostSlots > 0) yield row('lost nodes', statistics.lostSlots);
  if (nodes > 0) yield row('shortest node, bytes', statistics.shortestNode);
  if (nodes > 0) yield row('longest node, bytes', statistics.longestNode);
  const pageBytes = BLOCK_BYTES * (pages.v1 + pages.v2);
  if (pageBytes > 0) yield row('fill of pages', share(pageBytes - freeBytes, pageBytes));
  yield '\nspace, bytes\n';
  const unused = otherBlocks * BLOCK_BYTES;
  const total = headerBytes + nodeBytes + directoryBytes + freeBytes + unused;
  const space = { headers: headerBytes, nodes: nodeBytes, directory: directoryBytes, free: freeBytes };
  for (const [name, bytes] of Object.entries({ ...space, 'blocks not in use': unused })) {
    yield row(name, bytes, share(bytes, total));
  }
  if (nodes > 0) yield* histogram(statistics);
}

const BAR_CHARACTERS = 40;

function* histogram({ lengths, nodes }: Statistics): Generator<string> {
  yield '\n';
  yield tableRow(LENGTHS);
  const first = lengths.findIndex((count) => count > 0);
  const last = lengths.findLastIndex((count) => count > 0);
  const most = Math.max(...lengths);
  for (let bucket = first; bucket <= last; bucket++) {
    const count = lengths[bucket] ?? 0;
    const range = bucket <= 1 ? String(bucket) : `${grouped(2 ** (bucket - 1))} to ${grouped(2 ** bucket - 1)}`;
    const bar = '#'.repeat(Math.ceil((BAR_CHARACTERS * count) / most));
    yield tableRow(LENGTHS, [range, count, share(count, nodes), bar]);
  }
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
