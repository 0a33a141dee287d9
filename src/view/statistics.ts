import { assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import { readBuffer } from '../bytes/buffer.ts';
import { grouped } from '../bytes/encodings.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { isFinalized, type PageFormat } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { assertCounted, readValidPage } from '../store/page-reader.ts';
import { type Column, tableRow } from './tables.ts';

/** Buckets of the histogram: bucket 0 is for empty nodes, bucket n for nodes of 2^(n-1) to 2^n - 1 bytes. */
const BUCKETS = 20;

/** The result of {@link stat}: counts over all valid pages of a file. */
export interface Statistics {
  /** As counted by the file header. */
  readonly blocks: number;
  readonly pages: Readonly<Record<PageFormat, number>>;
  readonly finalizedPages: number;
  readonly damagedPages: number;
  /** Blocks that are free or were never written. */
  readonly otherBlocks: number;
  readonly nodes: number;
  readonly nodeBytes: number;
  readonly directoryBytes: number;
  /** Page headers and block 0. */
  readonly headerBytes: number;
  /** Unused bytes in pages. */
  readonly freeBytes: number;
  /** In bytes; 0 without nodes. */
  readonly longestNode: number;
  readonly shortestNode: number;
  /** Nodes by length: index 0 for empty ones, index n for 2^(n-1) to 2^n - 1 bytes. */
  readonly lengths: readonly number[];
}

export interface StatOptions {
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Reads all pages of a file and counts what they contain. Damaged pages are counted, but not their content.
 * @param file - a path, or a BlockFile, which stays open
 * @throws {@link PageStoreError} `BLOCK_COUNT_BEYOND_FILE` if the header counts no blocks, `IO`; the reason of `signal`
 */
export async function stat(file: string | BlockFile, options: StatOptions = {}): Promise<Statistics> {
  assertPathOrBlockFile('stat', 'file', file);
  checkOptions('stat', options, { onProgress: 'function', signal: 'signal' });
  return withPageFile(file, 'read', async (opened) => countPages(await DiskManager.open(opened, 'read'), options));
}

async function countPages(disk: DiskManager, { onProgress, signal }: StatOptions): Promise<Statistics> {
  assertCounted(disk);
  const { blockCount } = disk.header;
  const counter = new PageCounter();
  const target = readBuffer(BLOCK_BYTES);
  const scratch = new DirectoryScratch();
  for (let block = 1; block < blockCount; block++) {
    signal?.throwIfAborted();
    try {
      counter.add(await readValidPage(disk, block, target, scratch));
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      if (error.code === 'BLOCK_FREE') counter.otherBlocks++;
      else counter.damagedPages++;
    }
    await onProgress?.(block + 1, blockCount);
  }
  return counter.statistics(blockCount);
}

class PageCounter {
  damagedPages = 0;
  otherBlocks = 0;
  readonly #pages = { v1: 0, v2: 0 };
  readonly #lengths = Array.from({ length: BUCKETS }, () => 0);
  #finalizedPages = 0;
  #nodes = 0;
  #nodeBytes = 0;
  #directoryBytes = 0;
  #longestNode = 0;
  #shortestNode = Infinity;

  add({ directory, header, format }: Page): void {
    for (let slot = 0; slot < directory.count; slot++) {
      const bytes = directory.nodeBytes(slot);
      this.#nodeBytes += bytes;
      const bucket = bytes === 0 ? 0 : 32 - Math.clz32(bytes);
      this.#lengths[bucket] = (this.#lengths[bucket] ?? 0) + 1;
      if (bytes > this.#longestNode) this.#longestNode = bytes;
      if (bytes < this.#shortestNode) this.#shortestNode = bytes;
    }
    this.#pages[format]++;
    if (isFinalized(header)) this.#finalizedPages++;
    this.#nodes += directory.count;
    this.#directoryBytes += directory.end - directory.start;
  }

  statistics(blocks: number): Statistics {
    const pages = this.#pages.v1 + this.#pages.v2;
    return {
      blocks,
      pages: this.#pages,
      finalizedPages: this.#finalizedPages,
      damagedPages: this.damagedPages,
      otherBlocks: this.otherBlocks,
      nodes: this.#nodes,
      nodeBytes: this.#nodeBytes,
      directoryBytes: this.#directoryBytes,
      headerBytes: BLOCK_BYTES + pages * PAGE_HEADER_BYTES,
      freeBytes: pages * (BLOCK_BYTES - PAGE_HEADER_BYTES) - this.#nodeBytes - this.#directoryBytes,
      longestNode: this.#longestNode,
      shortestNode: this.#nodes === 0 ? 0 : this.#shortestNode,
      lengths: this.#lengths,
    };
  }
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

/** The statistics as a table of counts, of space by kind, and a histogram of node lengths. */
export function* statisticsTable(statistics: Statistics): Generator<string> {
  yield tableRow(COUNTS, ['blocks', statistics.blocks]);
  yield tableRow(COUNTS, ['pages, V1', statistics.pages.v1]);
  yield tableRow(COUNTS, ['pages, V2', statistics.pages.v2]);
  yield tableRow(COUNTS, ['finalized pages', statistics.finalizedPages]);
  if (statistics.damagedPages > 0) yield tableRow(COUNTS, ['damaged pages', statistics.damagedPages]);
  yield tableRow(COUNTS, ['free or unwritten', statistics.otherBlocks]);
  yield tableRow(COUNTS, ['nodes', statistics.nodes]);
  if (statistics.nodes > 0) {
    yield tableRow(COUNTS, ['shortest node, bytes', statistics.shortestNode]);
    yield tableRow(COUNTS, ['longest node, bytes', statistics.longestNode]);
  }
  const { headerBytes, nodeBytes, directoryBytes, freeBytes } = statistics;
  const pageBytes = BLOCK_BYTES * (statistics.pages.v1 + statistics.pages.v2);
  if (pageBytes > 0) yield tableRow(COUNTS, ['fill of pages', share(pageBytes - freeBytes, pageBytes)]);
  yield '\nspace, bytes\n';
  const unused = statistics.otherBlocks * BLOCK_BYTES;
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
  if (statistics.nodes > 0) yield* histogram(statistics);
}

function* histogram({ lengths, nodes }: Statistics): Generator<string> {
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
