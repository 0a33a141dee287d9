import { grouped } from '../bytes/encodings.ts';
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
 * A finding, or several in a row that say the same of neighbouring slots of a block. The fields of a finding are those of
 * the first.
 */
export interface FindingGroup extends Finding {
  readonly lastSlot?: number;
  /** How many there are, if more than one. */
  readonly count?: number;
}

export function countOf({ count = 1 }: Pick<FindingGroup, 'count'>): number {
  return count;
}

/**
 * Calls: `begin`; for each file `finding` any number of times, then `file` or `error`; `end`, also after an
 * interruption.
 */
export interface Reporter {
  begin(): Promise<void>;
  finding(finding: FindingGroup): Promise<void>;
  file(report: VerifyReport): Promise<void>;
  /** There may have been findings before. */
  error(error: PageStoreError, file: string): Promise<void>;
  end(totals: Totals): Promise<void>;
}

/** Location and message, details, next command. */
export function findingLines(finding: FindingGroup): string[] {
  return [`${placeText(finding)}: ${messageText(finding)}`, ...detailLines(finding), `next: ${finding.next}`].map(
    oneLine,
  );
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

/** The location of a finding: `block 3:17, byte 786450`; of several: `block 3, slots 17 to 19 (3 findings), byte 786450`. */
export function placeText({ block = 0, slot, offset, lastSlot, count }: FindingGroup): string {
  if (slot === undefined) return `block ${block}, byte ${offset}`;
  if (lastSlot === undefined || count === undefined) return `block ${block}:${slot}, byte ${offset}`;
  return `block ${block}, slots ${grouped(slot)} to ${grouped(lastSlot)} (${grouped(count)} findings), byte ${offset}`;
}

/** Of several findings, the message of the first, which says so. */
export function messageText({ message, count }: FindingGroup): string {
  return count === undefined ? message : `the first: ${message}`;
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
