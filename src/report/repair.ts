import { oneLine } from '../bytes/text.ts';
import type { Change, LeftProblem, RepairReport } from '../repair/repairs.ts';
import { commandLine, ruleOf } from '../verify/rules.ts';
import type { Style } from './reporter.ts';
import { plural } from './text.ts';

export function changeText({ repair, block, offset, field, before, after }: Change): string {
  const name = field === undefined ? '' : ` (${field})`;
  return `${repair} at block ${block}, byte ${offset}${name}: ${hexOf(before)} -> ${hexOf(after)}`;
}

export function changeJson({ repair, block, offset, field, before, after }: Change): object {
  return { repair, block, offset, field, before: hexOf(before), after: hexOf(after) };
}

export function leftText(problem: LeftProblem, file: string, style: Style): string {
  const { severity, code, block = 0, offset, message } = problem;
  const left = severity === 'error' ? style.error('not repaired') : style.warning('not changed');
  const next = style.faint(`  next: ${oneLine(nextAfterRepair(problem, file))}`);
  return `${left} ${code} at block ${block}, byte ${offset}: ${oneLine(message)}\n${next}`;
}

export function leftJson(problem: LeftProblem, file: string): object {
  const { severity, code, block, slot, offset, message, found, expected } = problem;
  return { code, severity, block, slot, offset, message, found, expected, next: nextAfterRepair(problem, file) };
}

function nextAfterRepair(problem: LeftProblem, file: string): string {
  const step =
    problem.isLikely === true ? 'repair likely bit' : ruleOf(problem).next({ ...problem, isBeyondRepair: true });
  return commandLine(step, file, problem);
}

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
  return `${oneLine(file)}: ${verdict}; ${plural(blocks, 'block')}, ${made}${errors}${doubts}\n`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
