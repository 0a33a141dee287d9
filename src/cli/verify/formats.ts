import { sep } from 'node:path';
import pkg from '../../../package.json' with { type: 'json' };
import { githubReporter } from '../../report/github.ts';
import { jsonReporter } from '../../report/json.ts';
import { junitReporter } from '../../report/junit.ts';
import type { Reporter, ReportOutput, Severity, Tool } from '../../report/reporter.ts';
import { sarifReporter } from '../../report/sarif.ts';
import { PLAIN, type Style } from '../../report/style.ts';
import { textReporter } from '../../report/text.ts';

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
