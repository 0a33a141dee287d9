import { grouped } from '../bytes/decimal.ts';
import type { Finding, VerifySummary } from '../verify/finding.ts';
import type { Style } from './style.ts';

/** One finding as a line: place, severity, code, and what is wrong. */
export function findingText(finding: Finding, style: Style): string {
  const { file, block, slot, offset, severity, code, message } = finding;
  const ref = slot === undefined ? `${block ?? 0}` : `${block ?? 0}:${slot}`;
  return `${file}: ${style[severity](severity)} ${code} at block ${ref}, byte ${offset}: ${message}\n`;
}

/** What was looked at and what came of it, as a line. */
export function summaryText(summary: VerifySummary, style: Style): string {
  const { file, findings, pages, nodes, blocks, freeBlocks, unwrittenBlocks } = summary;
  const counts = [plural(findings.error, 'error'), plural(findings.warning, 'warning'), `${findings.info} info`].join(
    ', ',
  );
  const verdict = findings.error > 0 ? style.error('damaged') : findings.warning > 0 ? style.warning('doubtful') : 'ok';
  const rest = [
    plural(nodes, 'node'),
    ...(freeBlocks > 0 ? [plural(freeBlocks, 'free block')] : []),
    ...(unwrittenBlocks > 0 ? [plural(unwrittenBlocks, 'block') + ' never written'] : []),
  ].join(', ');
  const changed = summary.changed ? '; a writer was at work: free list and counts were not checked' : '';
  return `${file}: ${verdict} (${counts}); ${plural(blocks, 'block')}, ${plural(pages, 'page')}, ${rest}${changed}\n`;
}

/** `1 page`, `2 pages`. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
