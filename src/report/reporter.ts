import { oneLine, printableJson } from '../bytes/text.ts';
import type { PageStoreError } from '../errors.ts';
import type { Severity } from '../format/problem.ts';
import type { Finding, VerifyReport } from '../verify/verify.ts';

/** Writes may be buffered; the owner of the output flushes it. */
export interface ReportOutput {
  write(text: string): Promise<void>;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

export function isAtLeast(severity: Severity, least: Severity): boolean {
  return RANK[severity] >= RANK[least];
}

/** The result for all files; findings by severity. */
export interface Totals extends Readonly<Record<Severity, number>> {
  readonly files: number;
  /** Files with findings at or above the severity that makes verify fail. */
  readonly failed: number;
  /** Files that could not be read to their end. */
  readonly unreadable: number;
  readonly interrupted: boolean;
  /** Files whose check was not started. */
  readonly unchecked: number;
  /** The exit code, unless writing the report fails. */
  readonly exit: number;
}

export interface Tool {
  readonly name: string;
  readonly version: string;
  readonly home: string;
  /** URL of the folder with a page `<id>.md` for each rule. */
  readonly findingPages: string;
}

/**
 * Calls: `begin`; for each file `finding` any number of times, then `file` or `error`; `end`, also after an
 * interruption.
 */
export interface Reporter {
  begin(): Promise<void>;
  finding(finding: Finding): Promise<void>;
  file(report: VerifyReport): Promise<void>;
  /** There may have been findings before. */
  error(error: PageStoreError, file: string): Promise<void>;
  end(totals: Totals): Promise<void>;
}

/** Location and message, details, next command. */
export function findingLines(finding: Finding): string[] {
  return [`${placeText(finding)}: ${finding.message}`, ...detailLines(finding), `next: ${finding.next}`].map(oneLine);
}

/** Details that the message does not contain, one per line. */
export function detailLines({ message, found, expected, flippedBit }: Finding): string[] {
  const isNew = (text: string | undefined): boolean => text !== undefined && !message.includes(text);
  const values = [found === undefined ? [] : `found ${found}`, expected === undefined ? [] : `expected ${expected}`];
  const bit = flippedBit && `bit ${flippedBit.bit} of byte ${flippedBit.offset}`;
  return [
    ...(isNew(found) || isNew(expected) ? [values.flat().join(', ')] : []),
    ...(isNew(bit) ? [`flipped bit: ${bit}`] : []),
  ];
}

/** The location of a finding: `block 3:17, byte 786450`. */
export function placeText({ block = 0, slot, offset }: Finding): string {
  return `block ${slot === undefined ? block : `${block}:${slot}`}, byte ${offset}`;
}

/** Adds escape sequences, or none. */
type Paint = (text: string) => string;

export type Style = Readonly<Record<Severity | 'heading' | 'faint', Paint>>;

const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\u001b[${on}m${text}\u001b[${off}m`;

export const COLOR: Style = {
  error: sgr(31, 39),
  warning: sgr(33, 39),
  info: sgr(36, 39),
  heading: sgr(1, 22),
  faint: sgr(2, 22),
};

const same: Paint = (text) => text;

export const PLAIN: Style = { error: same, warning: same, info: same, heading: same, faint: same };

/** Of all JSON lines. Within a version, fields may be added, but not removed or changed. */
export const SCHEMA_VERSION = 1;

/** A bigint becomes a string, since it may exceed 2^53. */
export function jsonLine(type: string, fields: object): string {
  return `${printableJson(JSON.stringify({ type, ...fields }, bigintAsString))}\n`;
}

const bigintAsString = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

export function jsonReporter(output: ReportOutput): Reporter {
  const write = (type: string, fields: object): Promise<void> => output.write(jsonLine(type, fields));
  return {
    begin: async () => undefined,
    finding({ code, severity, file, block, slot, offset, message, found, expected, bytes, flippedBit, next }) {
      const where = { block, slot, offset };
      return write('finding', { code, severity, file, ...where, message, found, expected, bytes, flippedBit, next });
    },
    // `ok` follows from the other fields.
    file: (report) => write('file', { ...report, ok: undefined }),
    error: ({ code, message, detail }, file) => write('error', { code, message, ...detail, file }),
    end: (totals) => write('summary', { schema: SCHEMA_VERSION, command: 'verify', ...totals }),
  };
}
