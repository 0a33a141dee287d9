import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/text.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { CompactReport, FileCounts } from '../transfer/compact.ts';
import type { Difference } from '../transfer/difference.ts';
import type { Style } from './reporter.ts';
import { plural } from './text.ts';

export function differenceText(
  difference: Difference,
  names: { readonly a: string; readonly b: string },
  style: Style,
): string {
  switch (difference.type) {
    case 'header':
      return `${style.warning('header')} ${difference.field}  ${difference.a} -> ${difference.b}`;
    case 'block':
      return `${style.warning('block')} ${difference.block}  ${blockText(difference)}`;
    case 'added':
      return `${style.info('added')} ${difference.block}:${difference.slot}  ${plural(difference.bytes, 'byte')}`;
    case 'removed':
      return `${style.error('removed')} ${difference.block}:${difference.slot}  ${plural(difference.bytes, 'byte')}`;
    case 'changed': {
      const { block, slot, aBytes, bBytes, firstByte } = difference;
      const lengths = `${plural(aBytes, 'byte')} -> ${plural(bBytes, 'byte')}`;
      return `${style.warning('changed')} ${block}:${slot}  ${lengths}, from byte ${firstByte}`;
    }
    case 'damaged':
    default:
      return `${style.error('damaged')} ${names[difference.file]}  ${oneLine(difference.message)}`;
  }
}

function blockText({ field, a, b }: Extract<Difference, { type: 'block' }>): string {
  const change = `${a} -> ${b}`;
  if (field === 'content') return change;
  if (field === 'orphanedBytes') return `bytes without a directory ${change}`;
  return `${field} ${change}`;
}

const ROWS: readonly (readonly [string, (counts: FileCounts) => string])[] = [
  ['bytes', ({ bytes }) => grouped(bytes)],
  ['blocks', ({ blocks }) => grouped(blocks)],
  ['pages, V1', ({ pages }) => grouped(pages.v1)],
  ['pages, V2', ({ pages }) => grouped(pages.v2)],
  ['finalized pages', ({ finalizedPages }) => grouped(finalizedPages)],
  ['free blocks', ({ freeBlocks }) => grouped(freeBlocks)],
  ['unwritten blocks', ({ unwrittenBlocks }) => grouped(unwrittenBlocks)],
  ['nodes', ({ nodes }) => grouped(nodes)],
  ['fill of pages', (counts) => `${(100 * fillOf(counts)).toFixed(1)}%`],
];

/** The used fraction of all page bytes; 0 without pages. */
function fillOf({ usedBytes, pages }: FileCounts): number {
  const pageBytes = BLOCK_BYTES * (pages.v1 + pages.v2);
  return pageBytes === 0 ? 0 : usedBytes / pageBytes;
}

export function* compactText({ before, after, duplicateNodes, lostSlots }: CompactReport): Generator<string> {
  yield row('', 'before', 'after');
  for (const [name, textOf] of ROWS) yield row(name, textOf(before), textOf(after));
  if (duplicateNodes > 0) yield `${plural(duplicateNodes, 'duplicate node')} left out\n`;
  if (lostSlots > 0) yield `${plural(lostSlots, 'lost slot')} left out\n`;
}

function row(name: string, before: string, after: string): string {
  return `${name.padEnd(16)}  ${before.padStart(17)}  ${after.padStart(17)}\n`;
}
