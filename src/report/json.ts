import type { Finding, VerifySummary } from '../verify/finding.ts';

/** Version of the fields of every JSON line. Within a version fields are added, and none is taken away or changed. */
export const SCHEMA_VERSION = 1;

/** One object as a JSON line. A bigint becomes a string: its value may pass 2^53. */
export function jsonLine(type: string, fields: object): string {
  return `${JSON.stringify({ type, ...fields }, bigintAsString)}\n`;
}

const bigintAsString = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

/** One finding as a JSON line. */
export function findingJson(finding: Finding): string {
  const { code, severity, file, block, slot, offset, message, found, expected } = finding;
  return jsonLine('finding', { code, severity, file, block, slot, offset, message, found, expected });
}

/** The summary of one file as a JSON line. */
export function fileSummaryJson(summary: VerifySummary): string {
  return jsonLine('file', summary);
}
