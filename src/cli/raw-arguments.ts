import { readFileSync } from 'node:fs';
import { UsageError } from './errors.ts';

const REPLACEMENT = '\uFFFD';

/** The command line of this process as bytes; undefined where the system does not show it. Only Linux has the file. */
function commandLine(): Buffer | undefined {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    // No such file, or /proc is not mounted: the caller then refuses what it cannot tell apart.
    return undefined;
  }
}

/**
 * Node decodes arguments as UTF-8 and puts U+FFFD in place of other bytes, so that they would be stored, or name a file,
 * as something else.
 * @throws UsageError if an argument is not UTF-8, or if it has U+FFFD and its bytes cannot be seen
 */
export function assertUtf8Arguments(args: readonly string[], raw: () => Buffer | undefined = commandLine): void {
  if (!args.some((arg) => arg.includes(REPLACEMENT))) return;
  const fields = raw()?.toString('latin1').split('\0').slice(0, -1).slice(-args.length);
  for (const [index, arg] of args.entries()) {
    if (!arg.includes(REPLACEMENT)) continue;
    const field = fields?.length === args.length ? fields[index] : undefined;
    if (field !== undefined && Buffer.from(arg).toString('latin1') === field) continue;
    throw new UsageError(
      `argument ${index + 1} ${field === undefined ? 'contains U+FFFD, and may not be' : 'is not'} valid UTF-8; ` +
        'give such data with --encoding hex or on standard input, and rename such a file',
      undefined,
    );
  }
}
