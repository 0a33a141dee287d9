import type { Finding } from '../verify/finding.ts';
import type { Reporter, ReportOutput } from './reporter.ts';

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
