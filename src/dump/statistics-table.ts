import { grouped } from '../bytes/decimal.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { PageStatistics } from '../format/statistics.ts';
import { type Column, tableRow } from './table.ts';

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
