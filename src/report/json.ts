import { FILE_LIMITS, FindingLimit } from './limit.ts';
import { jsonLine, type Reporter, type ReportOutput, SCHEMA_VERSION } from './reporter.ts';

interface JsonOptions {
  /** Whether to write each finding, however many there are. */
  readonly all?: boolean;
}

/** JSON Lines. */
export function jsonReporter(output: ReportOutput, { all = false }: JsonOptions = {}): Reporter {
  const limit = new FindingLimit(FILE_LIMITS);
  const write = (type: string, fields: object): Promise<void> => output.write(jsonLine(type, fields));
  const finish = async (file: string): Promise<void> => {
    const { omitted } = limit;
    limit.reset();
    if (omitted) await write('omitted', { file, ...omitted });
  };
  return {
    begin: async () => undefined,
    async finding(group) {
      if (!all && !limit.admits(group)) return;
      const { code, severity, file, block, slot, lastSlot, count, offset, message } = group;
      const { found, expected, bytes, flippedBit, next } = group;
      const where = { block, slot, lastSlot, count, offset };
      await write('finding', { code, severity, file, ...where, message, found, expected, bytes, flippedBit, next });
    },
    async file(report) {
      await finish(report.file);
      // `ok` follows from the other fields.
      await write('file', { ...report, ok: undefined });
    },
    async error({ code, message, detail }, file) {
      await finish(file);
      await write('error', { code, message, ...detail, file });
    },
    end: (totals) => write('summary', { schema: SCHEMA_VERSION, command: 'verify', ...totals }),
  };
}
