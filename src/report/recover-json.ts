import type { BlockReport, MovedRun } from '../recover/recovery-report.ts';
import { formatSpan } from './recover-text.ts';
import { jsonLine } from './json.ts';

/** What became of one block: a JSON line for it, and one for each run of slots that have the same state. */
export function* blockReportJson(report: BlockReport): Generator<string> {
  const { runs, ...fields } = report;
  yield jsonLine('block', fields);
  for (const { from, to, state } of runs()) yield jsonLine('slots', { block: report.block, from, to, state });
}

/** Nodes that moved, as a JSON line. */
export function movedJson(run: MovedRun): string {
  const { block, slot, newBlock, newSlot, count } = run;
  return jsonLine('moved', { from: formatSpan(block, slot, count), to: formatSpan(newBlock, newSlot, count), count });
}
