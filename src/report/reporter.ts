import type { PageStoreError } from '../errors.ts';
import type { Finding, VerifySummary } from '../verify/rule.ts';

/** Where a report is written to. A write may be kept back; who owns the output flushes it. */
export interface ReportOutput {
  write(text: string): Promise<void>;
}

export type Severity = Finding['severity'];

/** The summary of a file; `interrupted` where the check was ended before the last block. */
export type FileSummary = VerifySummary & { readonly interrupted: boolean };

/** What came of all files together. */
export interface Totals {
  /** Files that were to be verified. */
  readonly files: number;
  /** Files with findings at or above the severity that makes verify fail. */
  readonly failed: number;
  /** Files that could not be read, or not to their end. */
  readonly unreadable: number;
  readonly error: number;
  readonly warning: number;
  readonly info: number;
  /** Whether somebody ended the run before all was checked. */
  readonly interrupted: boolean;
  /** Files that were not begun. */
  readonly unchecked: number;
  /** The exit code of the run, as far as the report goes. */
  readonly exit: number;
}

/** Who made the report. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  /** Address of the project. */
  readonly home: string;
  /** Address of the folder that has a page for each rule, `<id>.md`. */
  readonly findingPages: string;
}

/**
 * One way of writing a report, to one place. `begin` is called once; then for each file its findings, and either
 * `file` or `error`; then `end`, also where the run was interrupted. The document is complete after `end`.
 */
export interface Reporter {
  begin(): Promise<void>;
  finding(finding: Finding): Promise<void>;
  /** The file of the findings before this call was checked, or as much of it as there was time for. */
  file(summary: FileSummary): Promise<void>;
  /** A file could not be read; there may have been findings before. */
  error(error: PageStoreError, file: string): Promise<void>;
  end(totals: Totals): Promise<void>;
}

/** What a finding says beside its message, a line each. */
export function detailLines({ message, found, expected, flippedBit }: Finding): string[] {
  const lines: string[] = [];
  const isTold = (text: string | undefined): boolean => text === undefined || message.includes(text);
  if (!isTold(found) || !isTold(expected)) {
    const both = [
      ...(found === undefined ? [] : [`found ${found}`]),
      ...(expected === undefined ? [] : [`expected ${expected}`]),
    ];
    lines.push(both.join(', '));
  }
  const bit = flippedBit && `bit ${flippedBit.bit} of byte ${flippedBit.offset}`;
  if (!isTold(bit)) lines.push(`flipped bit: ${bit}`);
  return lines;
}

/** Where a finding is, as text: `block 3:17, byte 786450`. */
export function placeText({ block = 0, slot, offset }: Finding): string {
  return `block ${slot === undefined ? block : `${block}:${slot}`}, byte ${offset}`;
}

/** How words stand out, where they may: each member wraps a text, or gives it back as it is. */
export interface Style {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly info: (text: string) => string;
  readonly heading: (text: string) => string;
  readonly faint: (text: string) => string;
}

const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    `\u001b[${on}m${text}\u001b[${off}m`;

const same = (text: string): string => text;

export const COLOR: Style = {
  error: sgr(31, 39),
  warning: sgr(33, 39),
  info: sgr(36, 39),
  heading: sgr(1, 22),
  faint: sgr(2, 22),
};

export const PLAIN: Style = { error: same, warning: same, info: same, heading: same, faint: same };

/** Version of the fields of every JSON line. Within a version fields are added, and none is taken away or changed. */
export const SCHEMA_VERSION = 1;

/** One object as a JSON line. A bigint becomes a string: its value may pass 2^53. */
export function jsonLine(type: string, fields: object): string {
  return `${JSON.stringify({ type, ...fields }, bigintAsString)}\n`;
}

const bigintAsString = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

/** A report for programs: JSON Lines, the last of which is the summary. */
export function jsonReporter(output: ReportOutput): Reporter {
  return {
    begin: async () => undefined,
    finding: (finding) => output.write(findingLine(finding)),
    file: (summary) => output.write(jsonLine('file', summary)),
    error: ({ code, message, detail }, file) => output.write(jsonLine('error', { code, message, ...detail, file })),
    end: (totals) => output.write(jsonLine('summary', { schema: SCHEMA_VERSION, command: 'verify', ...totals })),
  };
}

function findingLine(finding: Finding): string {
  const { code, severity, file, block, slot, offset, message, found, expected, bytes, flippedBit, next } = finding;
  const where = { block, slot, offset };
  return jsonLine('finding', { code, severity, file, ...where, message, found, expected, bytes, flippedBit, next });
}
