import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/text.ts';
import type { Severity } from '../format/problem.ts';
import type { VerifyReport } from '../verify/verify.ts';
import { codesText, FILE_LIMITS, FindingLimit, omittedCount } from './limit.ts';
import {
  detailLines,
  messageText,
  placeText,
  type Reporter,
  type ReportOutput,
  type Style,
  type Totals,
} from './reporter.ts';

interface TextOptions {
  readonly style: Style;
  /** If false, unreadable files are reported elsewhere. */
  readonly withErrors: boolean;
  /** Whether to print each finding, however many there are. */
  readonly all?: boolean;
}

/**
 * For people and for grep: each finding is a line that begins with the file, and indented details. After the line of a
 * file comes the command to begin with, and after several files a line for all of them.
 */
export function textReporter(output: ReportOutput, { style, withErrors, all = false }: TextOptions): Reporter {
  const limit = new FindingLimit(FILE_LIMITS);
  const counts = { damaged: 0, unreadable: 0, doubtful: 0, unfinished: 0, ok: 0 };
  const finish = async (file: string): Promise<void> => {
    const { omitted } = limit;
    limit.reset();
    if (!omitted) return;
    const more = `${plural(omittedCount(omitted), 'finding')} more, not printed: ${codesText(omitted)}`;
    await output.write(`${oneLine(file)}: ${more}; --all prints each\n`);
  };
  return {
    begin: async () => undefined,
    async finding(finding) {
      if (!all && !limit.admits(finding)) return;
      const { file, severity, code } = finding;
      let text = `${oneLine(file)}: ${style[severity](severity)} ${code} at ${placeText(finding)}: ${oneLine(messageText(finding))}\n`;
      if (severity !== 'info') {
        for (const line of detailLines(finding)) text += `  ${oneLine(line)}\n`;
      }
      await output.write(text);
    },
    async file(report) {
      await finish(report.file);
      const verdict = verdictOf(report);
      counts[verdict]++;
      await output.write(summaryLine(report, verdict, style));
      if (report.next !== undefined) await output.write(style.faint(`  next: ${oneLine(report.next)}`) + '\n');
    },
    async error({ message }, file) {
      await finish(file);
      counts.unreadable++;
      if (withErrors) await output.write(`${oneLine(`${file}: unreadable: ${message}`)}\n`);
    },
    async end(totals) {
      const { files, interrupted, unchecked } = totals;
      if (files > 1) await output.write(totalLine(totals, counts, style));
      if (interrupted && unchecked > 0) await output.write(`interrupted: ${plural(unchecked, 'file')} not checked\n`);
    },
  };
}

type Verdict = 'damaged' | 'doubtful' | 'unfinished' | 'ok';

function verdictOf({ findings, interrupted }: VerifyReport): Verdict {
  if (findings.error > 0) return 'damaged';
  if (findings.warning > 0) return 'doubtful';
  return interrupted ? 'unfinished' : 'ok';
}

function painted(verdict: keyof FileCounts, text: string, style: Style): string {
  if (verdict === 'ok') return text;
  return verdict === 'damaged' || verdict === 'unreadable' ? style.error(text) : style.warning(text);
}

type FileCounts = Record<Verdict | 'unreadable', number>;

/** `3 files: 1 damaged, 2 ok; 5 errors, 1 warning, 0 info` */
function totalLine(totals: Totals, counts: FileCounts, style: Style): string {
  const verdicts = (['damaged', 'unreadable', 'doubtful', 'unfinished', 'ok'] as const)
    .filter((verdict) => counts[verdict] > 0)
    .map((verdict) => painted(verdict, `${grouped(counts[verdict])} ${verdict}`, style));
  const unchecked = totals.unchecked > 0 ? [`${grouped(totals.unchecked)} not checked`] : [];
  const files = [...verdicts, ...unchecked].join(', ');
  return `${plural(totals.files, 'file')}: ${files}; ${findingsText(totals)}\n`;
}

function findingsText({ error, warning, info }: Readonly<Record<Severity, number>>): string {
  return [plural(error, 'error'), plural(warning, 'warning'), `${grouped(info)} info`].join(', ');
}

function summaryLine(report: VerifyReport, verdict: Verdict, style: Style): string {
  const { file, findings, pages, nodes, lostSlots, blocks, freeBlocks, unwrittenBlocks, changed, interrupted } = report;
  const contents = [
    plural(blocks, 'block'),
    plural(pages, 'page'),
    plural(nodes, 'node'),
    ...(lostSlots > 0 ? [style.warning(`${plural(lostSlots, 'node')} lost`)] : []),
    ...(freeBlocks > 0 ? [plural(freeBlocks, 'free block')] : []),
    ...(unwrittenBlocks > 0 ? [plural(unwrittenBlocks, 'block') + ' never written'] : []),
  ];
  const skipped = changed ? '; changed by a writer: free list and counts not checked' : '';
  const stopped = interrupted ? '; interrupted: later blocks not checked' : '';
  return `${oneLine(file)}: ${painted(verdict, verdict, style)} (${findingsText(findings)}); ${contents.join(', ')}${skipped}${stopped}\n`;
}

/** A count with its noun: `1 page`, `2 pages`. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
