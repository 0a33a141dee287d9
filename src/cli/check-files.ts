import { sep } from 'node:path';
import pkg from '../../package.json' with { type: 'json' };
import { PageStoreError } from '../errors.ts';
import { githubReporter } from '../report/github.ts';
import { junitReporter } from '../report/junit.ts';
import {
  type FileSummary,
  jsonReporter,
  PLAIN,
  type Reporter,
  type ReportOutput,
  type Severity,
  type Style,
  type Tool,
  type Totals,
} from '../report/reporter.ts';
import { sarifReporter } from '../report/sarif.ts';
import { textReporter } from '../report/text.ts';
import { countFrom, type Finding } from '../verify/rule.ts';
import { Interrupted } from './context.ts';
import { EXIT, exitCodeOf } from './errors.ts';
import type { Target } from './find-files.ts';

export interface CheckFilesOptions {
  readonly reporters: readonly Reporter[];
  readonly failOn: Severity;
  readonly signal: AbortSignal;
  /** Checks one file. It resolves or rejects soon after the signal is aborted. */
  readonly check: (target: Target, report: (finding: Finding) => Promise<void>) => Promise<FileSummary>;
  /** Called before a file is begun. */
  readonly onFile: (index: number, target: Target) => Promise<void>;
  /** Called when a file is done. */
  readonly onFileEnd: () => Promise<void>;
  /** Called for a file that cannot be read. */
  readonly onError: (error: PageStoreError, file: string) => Promise<void>;
}

/**
 * Checks files one after the other and reports what it finds, also where it is interrupted. One file that cannot be
 * read does not keep the others from being checked. Its exit code: findings at or above `failOn` always give 1, also
 * those of a file that later could not be read on.
 * @throws whatever a reporter throws: a report is complete, or there is an error
 */
export async function checkFiles(targets: readonly Target[], options: CheckFilesOptions): Promise<Totals> {
  const { reporters, failOn, signal, check } = options;
  const sum = { failed: 0, unreadable: 0, error: 0, warning: 0, info: 0 };
  const report = new ReportAll(reporters);
  let begun = 0;
  let interrupted = false;
  let errorExit: number = EXIT.done;

  await report.each((one) => one.begin());
  for (const target of targets) {
    if (signal.aborted) break;
    await options.onFile(begun++, target);
    // Counted here: a file that cannot be read to its end has no summary, but may have findings.
    const findings = { info: 0, warning: 0, error: 0 };
    try {
      if (target.problem) throw target.problem;
      const summary = await check(target, async (finding) => {
        findings[finding.severity]++;
        await report.each((one) => one.finding(finding));
      });
      interrupted ||= summary.interrupted;
      await report.each((one) => one.file(summary));
    } catch (error) {
      if (report.isLost) throw error;
      if (error instanceof Interrupted) {
        interrupted = true;
        await report.each((one) => one.file(unfinished(target, findings)));
      } else if (error instanceof PageStoreError) {
        sum.unreadable++;
        if (errorExit === EXIT.done) errorExit = exitCodeOf(error.code);
        await options.onError(error, target.path);
        await report.each((one) => one.error(error, target.path));
      } else throw error;
    }
    for (const severity of ['error', 'warning', 'info'] as const) sum[severity] += findings[severity];
    if (countFrom(failOn, findings) > 0) sum.failed++;
    await options.onFileEnd();
  }
  const unchecked = targets.length - begun;
  interrupted ||= unchecked > 0;
  const exit = interrupted ? EXIT.interrupted : sum.failed > 0 ? EXIT.findings : errorExit;
  const totals = { files: targets.length, ...sum, interrupted, unchecked, exit };
  await report.each((one) => one.end(totals));
  return totals;
}

/** All reporters as one, which remembers whether one of them failed. */
class ReportAll {
  readonly #reporters: readonly Reporter[];
  #isLost = false;

  constructor(reporters: readonly Reporter[]) {
    this.#reporters = reporters;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  async each(call: (reporter: Reporter) => Promise<void>): Promise<void> {
    try {
      for (const reporter of this.#reporters) await call(reporter);
    } catch (error) {
      this.#isLost = true;
      throw error;
    }
  }
}

/** The summary of a file whose check ended without one. */
function unfinished({ path, bytes }: Target, findings: FileSummary['findings']): FileSummary {
  const counts = { blocks: 0, pages: 0, freeBlocks: 0, unwrittenBlocks: 0, nodes: 0 };
  return { file: path, bytes, ...counts, changed: false, findings, interrupted: true };
}

export const FORMATS = ['text', 'json', 'junit', 'sarif', 'github'] as const;
export type Format = (typeof FORMATS)[number];

/** What reports name and link to. */
const TOOL: Tool = {
  name: pkg.name,
  version: pkg.version,
  home: pkg.homepage,
  findingPages: `${pkg.homepage}/blob/main/docs/findings`,
};

export interface FormatOptions {
  readonly failOn: Severity;
  readonly requireFinalized: boolean;
}

const REPORTERS: Readonly<Record<Format, (output: ReportOutput, options: FormatOptions) => Reporter>> = {
  text: (output) => textReporter(output, { style: PLAIN, withErrors: true }),
  json: jsonReporter,
  junit: junitReporter,
  sarif: (output) => sarifReporter(output, { tool: TOOL, windows: sep === '\\' }),
  github: githubReporter,
};

/** The report that a format stands for, without colour and with all that there is to tell. */
export function reporterFor(format: Format, output: ReportOutput, options: FormatOptions): Reporter {
  return REPORTERS[format](output, options);
}

/** Text for who sits before the screen: files that cannot be read are told of beside it, on standard error. */
export function screenReporter(output: ReportOutput, style: Style): Reporter {
  return textReporter(output, { style, withErrors: false });
}
