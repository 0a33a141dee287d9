import { sep } from 'node:path';
import pkg from '../../package.json' with { type: 'json' };
import { PageStoreError } from '../errors.ts';
import type { Severity } from '../format/problem.ts';
import { githubReporter } from '../report/github.ts';
import { type JunitOptions, junitReporter } from '../report/junit.ts';
import { inGroups } from '../report/grouped.ts';
import { jsonReporter } from '../report/json.ts';
import {
  isAtLeast,
  PLAIN,
  type Reporter,
  type ReportOutput,
  type Style,
  type Tool,
  type Totals,
} from '../report/reporter.ts';
import { sarifReporter } from '../report/sarif.ts';
import { textReporter } from '../report/text.ts';
import type { Finding, VerifyReport } from '../verify/verify.ts';
import { Interrupted } from './context.ts';
import { EXIT, exitCodeOf } from './errors.ts';
import type { Target } from './find-files.ts';

export interface CheckFilesOptions {
  readonly reporters: readonly Reporter[];
  readonly failOn: Severity;
  readonly signal: AbortSignal;
  /** Settles soon after the signal is aborted. */
  readonly check: (target: Target, onFinding: (finding: Finding) => Promise<void>) => Promise<VerifyReport>;
  readonly onFile: (index: number, target: Target) => Promise<void>;
  readonly onFileEnd: () => Promise<void>;
  /** Called for a file that cannot be read. */
  readonly onError: (error: PageStoreError, file: string) => Promise<void>;
}

/**
 * Checks one file after another, even if some cannot be read, and completes the reports even after an interruption.
 * @throws what a reporter throws: a report is either complete or fails
 */
export async function checkFiles(targets: readonly Target[], options: CheckFilesOptions): Promise<Totals> {
  const { reporters, failOn, signal, check } = options;
  const sum = { failed: 0, unreadable: 0, error: 0, warning: 0, info: 0 };
  let begun = 0;
  let interrupted = false;
  let hasReportFailed = false;
  let errorExit: number = EXIT.done;
  const report = async (call: (reporter: Reporter) => Promise<void>): Promise<void> => {
    try {
      for (const reporter of reporters) await call(reporter);
    } catch (error) {
      hasReportFailed = true;
      throw error;
    }
  };

  await report((one) => one.begin());
  for (const target of targets) {
    if (signal.aborted) break;
    await options.onFile(begun++, target);
    // A file that cannot be read to its end has no report, but may have findings.
    const findings = { info: 0, warning: 0, error: 0 };
    let isFailed = false;
    try {
      if (target.problem) throw target.problem;
      const result = await check(target, async (finding) => {
        findings[finding.severity]++;
        isFailed ||= isAtLeast(finding.severity, failOn);
        await report((one) => one.finding(finding));
      });
      interrupted ||= result.interrupted;
      await report((one) => one.file(result));
    } catch (error) {
      if (hasReportFailed) throw error;
      if (error instanceof Interrupted) {
        interrupted = true;
        await report((one) => one.file(unfinished(target, findings)));
      } else if (error instanceof PageStoreError) {
        sum.unreadable++;
        if (errorExit === EXIT.done) errorExit = exitCodeOf(error.code);
        await options.onError(error, target.path);
        await report((one) => one.error(error, target.path));
      } else throw error;
    }
    for (const severity of ['error', 'warning', 'info'] as const) sum[severity] += findings[severity];
    if (isFailed) sum.failed++;
    await options.onFileEnd();
  }
  const unchecked = targets.length - begun;
  interrupted ||= unchecked > 0;
  const exit = interrupted ? EXIT.interrupted : sum.failed > 0 ? EXIT.findings : errorExit;
  const totals = { files: targets.length, ...sum, interrupted, unchecked, exit };
  await report((one) => one.end(totals));
  return totals;
}

function unfinished({ path, bytes }: Target, findings: VerifyReport['findings']): VerifyReport {
  const counts = { blocks: 0, pages: 0, freeBlocks: 0, unwrittenBlocks: 0, nodes: 0, lostSlots: 0 };
  return { ok: false, file: path, bytes, ...counts, changed: false, digest: 'unchecked', findings, interrupted: true };
}

export const FORMATS = ['text', 'json', 'junit', 'sarif', 'github'] as const;
export type Format = (typeof FORMATS)[number];

const TOOL: Tool = {
  name: pkg.name,
  version: pkg.version,
  home: pkg.homepage,
  findingPages: `${pkg.homepage}/blob/main/docs/findings`,
};

interface ReporterOptions extends JunitOptions {
  /** Whether to report each finding on its own, however many there are. */
  readonly all: boolean;
}

type MakeReporter = (output: ReportOutput, options: ReporterOptions) => Reporter;

const REPORTERS: Readonly<Record<Format, MakeReporter>> = {
  text: (output, { all }) => textReporter(output, { style: PLAIN, withErrors: true, all }),
  json: jsonReporter,
  junit: junitReporter,
  sarif: (output) => sarifReporter(output, { tool: TOOL, windows: sep === '\\' }),
  github: githubReporter,
};

export function reporterOf(format: Format, output: ReportOutput, options: ReporterOptions): Reporter {
  const reporter = REPORTERS[format](output, options);
  return options.all ? reporter : inGroups(reporter);
}

/** Text for the screen: files that cannot be read are reported on standard error instead. */
export function screenReporter(output: ReportOutput, { style, all }: { style: Style; all: boolean }): Reporter {
  const reporter = textReporter(output, { style, withErrors: false, all });
  return all ? reporter : inGroups(reporter);
}
