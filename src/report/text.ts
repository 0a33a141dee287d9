import { oneLine } from '../bytes/quoting.ts';
import { grouped } from '../bytes/encodings.ts';
import type { Finding } from '../verify/rule.ts';
import { detailLines, type FileSummary, placeText, type Reporter, type ReportOutput } from './reporter.ts';
import type { Style } from './reporter.ts';

export interface TextOptions {
  readonly style: Style;
  /** Whether a file that cannot be read is told of in the report; not where it is told beside it. */
  readonly withErrors: boolean;
}

/**
 * A report for people, and for grep: each finding begins a line with its file, what more there is to say of it is
 * indented below. The command to run next is said once for findings in a row that share it.
 */
export function textReporter(output: ReportOutput, { style, withErrors }: TextOptions): Reporter {
  let next = '';
  return {
    begin: async () => undefined,
    async finding(finding) {
      let text = findingLine(finding, style);
      if (finding.severity !== 'info') {
        for (const line of detailLines(finding)) text += `  ${oneLine(line)}\n`;
        if (finding.next !== next) text += style.faint(`  next: ${oneLine(finding.next)}`) + '\n';
        ({ next } = finding);
      }
      await output.write(text);
    },
    async file(summary) {
      next = '';
      await output.write(summaryLine(summary, style));
    },
    async error({ message }, file) {
      next = '';
      if (withErrors) await output.write(`${oneLine(`${file}: unreadable: ${message}`)}\n`);
    },
    async end({ interrupted, unchecked }) {
      if (interrupted && unchecked > 0) await output.write(`interrupted: ${plural(unchecked, 'file')} not checked\n`);
    },
  };
}

/** One finding as a line: file, severity, code, place, and what is wrong. */
export function findingLine(finding: Finding, style: Style): string {
  const { file, severity, code, message } = finding;
  return `${oneLine(file)}: ${style[severity](severity)} ${code} at ${placeText(finding)}: ${oneLine(message)}\n`;
}

/** What was looked at and what came of it, as a line. */
function summaryLine(summary: FileSummary, style: Style): string {
  const { file, findings, pages, nodes, blocks, freeBlocks, unwrittenBlocks, interrupted } = summary;
  const counts = [plural(findings.error, 'error'), plural(findings.warning, 'warning'), `${findings.info} info`].join(
    ', ',
  );
  const sound = interrupted ? style.warning('unfinished') : 'ok';
  const verdict =
    findings.error > 0 ? style.error('damaged') : findings.warning > 0 ? style.warning('doubtful') : sound;
  const rest = [
    plural(nodes, 'node'),
    ...(freeBlocks > 0 ? [plural(freeBlocks, 'free block')] : []),
    ...(unwrittenBlocks > 0 ? [plural(unwrittenBlocks, 'block') + ' never written'] : []),
  ].join(', ');
  const changed = summary.changed ? '; a writer was at work: free list and counts were not checked' : '';
  const ended = interrupted ? '; interrupted: the blocks behind these were not checked' : '';
  return `${oneLine(file)}: ${verdict} (${counts}); ${plural(blocks, 'block')}, ${plural(pages, 'page')}, ${rest}${changed}${ended}\n`;
}

/** `1 page`, `2 pages`. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
