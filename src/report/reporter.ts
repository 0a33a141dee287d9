import type { PageStoreError } from '../errors.ts';
import type { Finding, VerifySummary } from '../verify/finding.ts';

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
