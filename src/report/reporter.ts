import { oneLine } from '../bytes/quoting.ts';
import type { PageStoreError } from '../errors.ts';
import type { Severity } from '../format/problem.ts';
import type { Finding, VerifyReport } from '../verify/verify.ts';

/** Where a report is written to. Writes may be buffered; the owner of the output flushes it. */
export interface ReportOutput {
  write(text: string): Promise<void>;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

/** Whether a severity is at or above another. */
export function isAtLeast(severity: Severity, least: Severity): boolean {
  return RANK[severity] >= RANK[least];
}

/** The result for all files together. */
export interface Totals {
  /** Number of files to verify. */
  readonly files: number;
  /** Number of files with findings at or above the severity that makes verify fail. */
  readonly failed: number;
  /** Number of files that could not be read, or not to their end. */
  readonly unreadable: number;
  readonly error: number;
  readonly warning: number;
  readonly info: number;
  /** Whether the run was interrupted before everything was checked. */
  readonly interrupted: boolean;
  /** Number of files whose check was not started. */
  readonly unchecked: number;
  /** The exit code of the run, unless writing the report fails. */
  readonly exit: number;
}

/** The program that made a report. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  /** URL of the project. */
  readonly home: string;
  /** URL of the folder with a page for each rule, `<id>.md`. */
  readonly findingPages: string;
}

/**
 * Writes a report in one format. `begin` is called once; then for each file `finding` for each finding, and either `file` or
 * `error`; then `end`, also after an interruption. The document is complete after `end`.
 */
export interface Reporter {
  begin(): Promise<void>;
  finding(finding: Finding): Promise<void>;
  /** A file was checked, to its end or until the interruption. */
  file(report: VerifyReport): Promise<void>;
  /** A file could not be read. There may have been findings before. */
  error(error: PageStoreError, file: string): Promise<void>;
  end(totals: Totals): Promise<void>;
}

/** A finding as lines: location and message, details, next command. */
export function findingLines(finding: Finding): string[] {
  return [`${placeText(finding)}: ${finding.message}`, ...detailLines(finding), `next: ${finding.next}`].map(oneLine);
}

/** The details of a finding that its message does not contain, one line each. */
export function detailLines({ message, found, expected, flippedBit }: Finding): string[] {
  const lines: string[] = [];
  const isKnown = (text: string | undefined): boolean => text === undefined || message.includes(text);
  if (!isKnown(found) || !isKnown(expected)) {
    const both = [
      ...(found === undefined ? [] : [`found ${found}`]),
      ...(expected === undefined ? [] : [`expected ${expected}`]),
    ];
    lines.push(both.join(', '));
  }
  const bit = flippedBit && `bit ${flippedBit.bit} of byte ${flippedBit.offset}`;
  if (!isKnown(bit)) lines.push(`flipped bit: ${bit}`);
  return lines;
}

/** The location of a finding: `block 3:17, byte 786450`. */
export function placeText({ block = 0, slot, offset }: Finding): string {
  return `block ${slot === undefined ? block : `${block}:${slot}`}, byte ${offset}`;
}

/** Colours for text: each member wraps a text in escape sequences, or returns it unchanged. */
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

/** Version of the fields of all JSON lines. Within a version, fields may be added, but none is removed or changed. */
export const SCHEMA_VERSION = 1;

/** An object as a JSON line. A bigint becomes a string, since it may exceed 2^53. */
export function jsonLine(type: string, fields: object): string {
  return `${JSON.stringify({ type, ...fields }, bigintAsString)}\n`;
}

const bigintAsString = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

/** Writes a report as JSON Lines; the last line is the summary. */
export function jsonReporter(output: ReportOutput): Reporter {
  return {
    begin: async () => undefined,
    finding: (finding) => output.write(findingLine(finding)),
    file(report) {
      // `ok` follows from the other fields.
      const { ok: _, ...fields } = report;
      return output.write(jsonLine('file', fields));
    },
    error: ({ code, message, detail }, file) => output.write(jsonLine('error', { code, message, ...detail, file })),
    end: (totals) => output.write(jsonLine('summary', { schema: SCHEMA_VERSION, command: 'verify', ...totals })),
  };
}

function findingLine(finding: Finding): string {
  const { code, severity, file, block, slot, offset, message, found, expected, bytes, flippedBit, next } = finding;
  const where = { block, slot, offset };
  return jsonLine('finding', { code, severity, file, ...where, message, found, expected, bytes, flippedBit, next });
}
