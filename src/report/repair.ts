import { oneLine, shellPath } from '../bytes/quoting.ts';
import type { Change, LeftProblem, RepairSummary } from '../repair/repairs.ts';
import { repairLikely } from '../verify/next-command.ts';
import { ruleOf } from '../verify/rules.ts';
import type { Style } from './reporter.ts';
import { plural } from './text.ts';

/** A change as a line: place, field, bytes before and after in hex, and which repair it is. */
export function changeText({ repair, block, offset, field, before, after }: Change): string {
  const name = field === undefined ? '' : ` (${field})`;
  return `${repair} at block ${block}, byte ${offset}${name}: ${hexOf(before)} -> ${hexOf(after)}`;
}

/** A change as the fields of a JSON line. */
export function changeJson({ repair, block, offset, field, before, after }: Change): object {
  return { repair, block, offset, field, before: hexOf(before), after: hexOf(after) };
}

/** What stays, as a line, and what to run next as another. @param file - as the caller named it */
export function leftText(problem: LeftProblem, file: string, style: Style): string {
  const { severity, code, block = 0, offset, message } = problem;
  const left = severity === 'error' ? style.error('not repaired') : style.warning('left as it is');
  const next = style.faint(`  next: ${oneLine(nextAfterRepair(problem, file))}`);
  return `${left} ${code} at block ${block}, byte ${offset}: ${message}\n${next}`;
}

/** What stays, as the fields of a JSON line. @param file - as the caller named it */
export function leftJson(problem: LeftProblem, file: string): object {
  const { severity, code, block, slot, offset, message, found, expected } = problem;
  return { code, severity, block, slot, offset, message, found, expected, next: nextAfterRepair(problem, file) };
}

/** What verify has to say, now that repair has been asked. */
function nextAfterRepair(problem: LeftProblem, file: string): string {
  const name = shellPath(file);
  if (problem.isLikely === true) return repairLikely(problem, name);
  return ruleOf(problem).next({ ...problem, isBeyondRepair: true }, name);
}

/** What a repair came to, as a line. */
export function repairSummaryText(
  file: string,
  { changes, left, warnings, blocks, again }: RepairSummary,
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
  const stays = left > 0 ? `, ${plural(left, 'error')} not repaired` : '';
  const doubts = warnings > 0 ? `, ${plural(warnings, 'warning')} left as it is` : '';
  return `${file}: ${verdict}; ${plural(blocks, 'block')}, ${made}${stays}${doubts}\n`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
