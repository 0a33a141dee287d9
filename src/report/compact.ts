import { grouped } from '../bytes/decimal.ts';
import type { CompactSummary, FileFigures } from '../transfer/copy-nodes.ts';
import { plural } from './text.ts';

const PAGE_BYTES = 262_144;

const ROWS: readonly (readonly [string, (figures: FileFigures) => string])[] = [
  ['bytes', ({ bytes }) => grouped(bytes)],
  ['blocks', ({ blocks }) => grouped(blocks)],
  ['pages, V1', ({ pages }) => grouped(pages.v1)],
  ['pages, V2', ({ pages }) => grouped(pages.v2)],
  ['finalized pages', ({ finalizedPages }) => grouped(finalizedPages)],
  ['free blocks', ({ freeBlocks }) => grouped(freeBlocks)],
  ['unwritten blocks', ({ unwrittenBlocks }) => grouped(unwrittenBlocks)],
  ['nodes', ({ nodes }) => grouped(nodes)],
  ['fill of pages', (figures) => `${(100 * fillOf(figures)).toFixed(1)}%`],
];

/** The share of the bytes of all pages that is in use; 0 where there are no pages. */
export function fillOf({ usedBytes, pages }: FileFigures): number {
  const pageBytes = PAGE_BYTES * (pages.v1 + pages.v2);
  return pageBytes === 0 ? 0 : usedBytes / pageBytes;
}

/** What a file held before and what its copy holds, side by side. */
export function* compactText({ before, after, duplicateNodes }: CompactSummary): Generator<string> {
  yield row('', 'before', 'after');
  for (const [name, textOf] of ROWS) yield row(name, textOf(before), textOf(after));
  if (duplicateNodes > 0) yield `${plural(duplicateNodes, 'node')} left out: an equal one came before\n`;
}

function row(name: string, before: string, after: string): string {
  return `${name.padEnd(16)}  ${before.padStart(17)}  ${after.padStart(17)}\n`;
}
