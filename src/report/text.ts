import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/text.ts';
import type { VerifyReport } from '../verify/verify.ts';
import { codesText, FILE_LIMITS, FindingLimit, omittedCount } from './limit.ts';
import { detailLines, messageText, placeText, type Reporter, type ReportOutput, type Style } from './reporter.ts';

interface TextOptions {
  readonly style: Style;
  /** If false, unreadable files are reported elsewhere. */
  readonly withErrors: boolean;
  /** Whether to print each finding, however many there are. */
  readonly all?: boolean;
}

/**
 * For people and for grep: each finding is a line that begins with the file, and indented details. Consecutive findings
 * share their next command.
 */
export function textReporter(output: ReportOutput, { style, withErrors, all = false }: TextOptions): Reporter {
  let next = '';
  const limit = new FindingLimit(FILE_LIMITS);
  const finish = async (file: string): Promise<void> => {
    const { omitted } = limit;
    limit.reset();
    next = '';
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
        if (finding.next !== next) text += style.faint(`  next: ${oneLine(finding.next)}`) + '\n';
        ({ next } = finding);
      }
      await output.write(text);
    },
    async file(report) {
      await finish(report.file);
      await output.write(summaryLine(report, style));
    },
    async error({ message }, file) {
      await finish(file);
      if (withErrors) await output.write(`${oneLine(`${file}: unreadable: ${message}`)}\n`);
    },
    async end({ interrupted, unchecked }) {
      if (interrupted && unchecked > 0) await output.write(`interrupted: ${plural(unchecked, 'file')} not checked\n`);
    },
  };
}

function summaryLine(report: VerifyReport, style: Style): string {
  const { file, findings, pages, nodes, lostSlots, blocks, freeBlocks, unwrittenBlocks, changed, interrupted } = report;
  const counts = [plural(findings.error, 'error'), plural(findings.warning, 'warning'), `${findings.info} info`];
  const verdict =
    findings.error > 0
      ? style.error('damaged')
      : findings.warning > 0
        ? style.warning('doubtful')
        : interrupted
          ? style.warning('unfinished')
          : 'ok';
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
  return `${oneLine(file)}: ${verdict} (${counts.join(', ')}); ${contents.join(', ')}${skipped}${stopped}\n`;
}

/** A count with its noun: `1 page`, `2 pages`. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
