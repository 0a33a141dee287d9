import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { PageStoreError } from '../../errors.ts';
import type { Severity } from '../../format/invariants.ts';
import { fileSummaryJson, findingJson, jsonLine, SCHEMA_VERSION } from '../../report/json.ts';
import { PLAIN } from '../../report/style.ts';
import { findingText, summaryText } from '../../report/text.ts';
import { countFrom, type Finding, type VerifySummary } from '../../verify/finding.ts';
import { verifyFile } from '../../verify/verify-file.ts';
import type { Context, Output } from '../context.ts';
import { EXIT, exitCodeOf } from '../exit-code.ts';
import { oneLine } from '../one-line.ts';
import { type CommonOptions, styleFor, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../runner.ts';
import { StreamOutput } from '../stream-output.ts';

type Format = 'text' | 'json';

interface VerifyOptions extends CommonOptions {
  readonly format: Format;
  readonly output?: string;
  readonly failOn: Severity;
  readonly requireChecksums?: boolean;
  readonly requireFinalized?: boolean;
}

export function addVerify(program: Command, run: Runner): void {
  withCommonOptions(program.command('verify'))
    .description('check everything that can be checked, and report all that is wrong')
    .argument('<file...>')
    .addOption(
      new Option('--format <format>', 'of the report').choices(['text', 'json'] satisfies Format[]).default('text'),
    )
    .option('--output <path>', 'write the report to a file; text still goes to standard output')
    .addOption(
      new Option('--fail-on <severity>', 'the least that makes the exit code 1')
        .choices(['info', 'warning', 'error'] satisfies Severity[])
        .default('error'),
    )
    .option('--require-checksums', 'a page without a checksum is an error')
    .option('--require-finalized', 'a page that is not finalized is an error')
    .action((files: string[], options: VerifyOptions) => run((context) => verify(context, files, options)));
}

/** One way of writing the report, to one place. */
interface Reporter {
  finding(finding: Finding): Promise<void>;
  file(summary: VerifySummary): Promise<void>;
  error(error: PageStoreError, file: string): Promise<void>;
  end(totals: object): Promise<void>;
}

async function verify(context: Context, files: string[], options: VerifyOptions): Promise<number> {
  const format: Format = options.json === true ? 'json' : options.format;
  if (options.output !== undefined && (await isOneOf(options.output, files))) {
    throw new PageStoreError('FILE_EXISTS', 'the report would overwrite a file that is to be verified', {
      file: options.output,
    });
  }
  const toFile = options.output === undefined ? undefined : await openOutput(options.output);
  const reporters = [
    toFile ? textReporter(context.stdout, context, options) : reporter(format, context.stdout, context, options),
  ];
  if (toFile) reporters.push(reporter(format, toFile, context, { ...options, color: false }));
  let reportLost = false;
  const each = async (report: (reporter: Reporter) => Promise<void>): Promise<void> => {
    try {
      for (const one of reporters) await report(one);
    } catch (error) {
      reportLost = true;
      throw error;
    }
  };

  let exit: number = EXIT.done;
  const totals = { files: files.length, failed: 0, unreadable: 0, error: 0, warning: 0, info: 0 };
  for (const file of files) {
    try {
      const summary = await verifyOne(context, file, options, (finding) => each((one) => one.finding(finding)));
      await each((one) => one.file(summary));
      for (const severity of ['error', 'warning', 'info'] as const) totals[severity] += summary.findings[severity];
      if (countFrom(options.failOn, summary.findings) > 0) {
        totals.failed++;
        exit = EXIT.findings;
      }
    } catch (error) {
      // One file that cannot be read must not keep the others from being checked.
      if (reportLost || !(error instanceof PageStoreError)) throw error;
      totals.unreadable++;
      await each((one) => one.error(error, file));
      if (exit === EXIT.done) exit = exitCodeOf(error.code);
    }
  }
  await each((one) => one.end(totals));
  await toFile?.flush();
  return exit;
}

async function verifyOne(
  context: Context,
  path: string,
  options: VerifyOptions,
  report: (finding: Finding) => Promise<void>,
): Promise<VerifySummary> {
  const file = await openBlockFile(path, 'read');
  const progress = new Progress(context, path, blocksText, options.quiet === true);
  try {
    return await progress.during(() =>
      verifyFile(file, report, {
        requireChecksums: options.requireChecksums === true,
        requireFinalized: options.requireFinalized === true,
        onProgress: (done, total) => progress.update(done, total),
        signal: context.signal,
      }),
    );
  } finally {
    await file.close();
  }
}

function reporter(format: Format, output: Output, context: Context, options: VerifyOptions): Reporter {
  return format === 'json' ? jsonReporter(output) : textReporter(output, context, options);
}

function textReporter(output: Output, context: Context, options: VerifyOptions): Reporter {
  const style = output === context.stdout ? styleFor(context, options) : PLAIN;
  return {
    finding: (finding) => output.write(findingText(finding, style)),
    file: (summary) => output.write(summaryText(summary, style)),
    // What is not in the report on the terminal is told beside it; the report in a file has it itself.
    error: (error, file) =>
      (output === context.stdout ? context.stderr : output).write(
        `artrie-pages: ${oneLine(`${file}: ${error.message}`)}\n`,
      ),
    end: async () => undefined,
  };
}

function jsonReporter(output: Output): Reporter {
  return {
    finding: (finding) => output.write(findingJson(finding)),
    file: (summary) => output.write(fileSummaryJson(summary)),
    error: ({ code, message, detail }, file) => output.write(jsonLine('error', { code, message, ...detail, file })),
    end: (totals) => output.write(jsonLine('summary', { schema: SCHEMA_VERSION, command: 'verify', ...totals })),
  };
}

async function isOneOf(path: string, files: readonly string[]): Promise<boolean> {
  const target = await identity(path);
  if (target === undefined) return false;
  for (const file of files) if ((await identity(file)) === target) return true;
  return false;
}

/** Device and inode of a file that exists. */
async function identity(path: string): Promise<string | undefined> {
  return stat(path).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined, // what is not there is not the same as anything; opening it will tell
  );
}

async function openOutput(path: string): Promise<Output> {
  const stream = createWriteStream(path);
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error: NodeJS.ErrnoException) => {
      const errno = error.code ?? 'EIO';
      reject(new PageStoreError('IO', `cannot write the report: ${error.message}`, { file: path, errno }, error));
    });
  });
  return new StreamOutput(stream, path);
}
