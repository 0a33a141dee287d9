import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/quoting.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { Change, LeftProblem, RepairReport } from '../repair/repairs.ts';
import type { CompactReport, FileCounts } from '../transfer/compact.ts';
import type { Difference } from '../transfer/difference.ts';
import { commandLine, ruleOf } from '../verify/rules.ts';
import type { Style } from './reporter.ts';
import { plural } from './text.ts';

/** A change as a line: repair, location, field, and the bytes before and after in hex. */
export function changeText({ repair, block, offset, field, before, after }: Change): string {
  const name = field === undefined ? '' : ` (${field})`;
  return `${repair} at block ${block}, byte ${offset}${name}: ${hexOf(before)} -> ${hexOf(after)}`;
}

/** A change as the fields of a JSON line. */
export function changeJson({ repair, block, offset, field, before, after }: Change): object {
  return { repair, block, offset, field, before: hexOf(before), after: hexOf(after) };
}

/** A problem that repair has not fixed: a line, and a line with the next command. @param file - as the caller named it */
export function leftText(problem: LeftProblem, file: string, style: Style): string {
  const { severity, code, block = 0, offset, message } = problem;
  const left = severity === 'error' ? style.error('not repaired') : style.warning('not changed');
  const next = style.faint(`  next: ${oneLine(nextAfterRepair(problem, file))}`);
  return `${left} ${code} at block ${block}, byte ${offset}: ${message}\n${next}`;
}

/** A problem that repair has not fixed, as the fields of a JSON line. @param file - as the caller named it */
export function leftJson(problem: LeftProblem, file: string): object {
  const { severity, code, block, slot, offset, message, found, expected } = problem;
  return { code, severity, block, slot, offset, message, found, expected, next: nextAfterRepair(problem, file) };
}

/** The next command for a problem that repair has not fixed. */
function nextAfterRepair(problem: LeftProblem, file: string): string {
  const step =
    problem.isLikely === true ? 'repair likely bit' : ruleOf(problem).next({ ...problem, isBeyondRepair: true });
  return commandLine(step, file, problem);
}

/** The result of a repair as a line. */
export function repairSummaryText(
  file: string,
  { changes, left, warnings, blocks, again }: RepairReport,
  dryRun: boolean,
  style: Style,
): string {
  const verdict =
    left > 0
      ? style.error('damaged')
      : again || (changes > 0 && dryRun)
        ? style.warning('repairable')
        : warnings > 0
          ? style.warning('doubtful')
          : 'ok';
  const made = `${plural(changes, 'change')} ${dryRun ? 'to make' : 'made'}`;
  const errors = left > 0 ? `, ${plural(left, 'error')} not repaired` : '';
  const doubts = warnings > 0 ? `, ${plural(warnings, 'warning')} not changed` : '';
  return `${file}: ${verdict}; ${plural(blocks, 'block')}, ${made}${errors}${doubts}\n`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** A difference between two files as a line, without its line feed. @param names - of the files */
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
      return `${style.error('damaged')} ${names[difference.file]}  ${difference.message}`;
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

/** The fraction of all page bytes that is used; 0 if there are no pages. */
export function fillOf({ usedBytes, pages }: FileCounts): number {
  const pageBytes = BLOCK_BYTES * (pages.v1 + pages.v2);
  return pageBytes === 0 ? 0 : usedBytes / pageBytes;
}

/** The contents of a file and of its compacted copy, side by side. */
export function* compactText({ before, after, duplicateNodes }: CompactReport): Generator<string> {
  yield row('', 'before', 'after');
  for (const [name, textOf] of ROWS) yield row(name, textOf(before), textOf(after));
  if (duplicateNodes > 0) yield `${plural(duplicateNodes, 'duplicate node')} left out\n`;
}

function row(name: string, before: string, after: string): string {
  return `${name.padEnd(16)}  ${before.padStart(17)}  ${after.padStart(17)}\n`;
}
