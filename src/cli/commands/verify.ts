import { oneLine } from '../../bytes/quoting.ts';
import { type Command, Option } from 'commander';
import { assertOwnPlace } from '../../disk/node-fs.ts';
import { BLOCK_BYTES } from '../../format/layout.ts';
import type { Severity } from '../../report/reporter.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { FileOutput } from '../output.ts';
import { type CommonOptions, jobCount, styleFor, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { checkFiles } from '../check-files.ts';
import { findFiles, type Target } from '../find-files.ts';
import { type Format, FORMATS, reporterFor, screenReporter } from '../check-files.ts';
import { Verifier } from '../../verify/verify-threads.ts';

interface VerifyOptions extends CommonOptions {
  readonly format: Format;
  readonly output?: string;
  readonly failOn: Severity;
  readonly requireChecksums?: boolean;
  readonly requireFinalized?: boolean;
  readonly jobs: number;
}

export function addVerify(program: Command, run: Runner): void {
  withCommonOptions(program.command('verify'))
    .description('check everything that can be checked, and report all that is wrong')
    .argument('<file...>', 'files, or patterns in quotes')
    .addOption(new Option('--format <format>', 'of the report').choices(FORMATS).default('text' satisfies Format))
    .option('--output <path>', 'write the report to a file; text still goes to standard output')
    .addOption(
      new Option('--fail-on <severity>', 'the least that makes the exit code 1')
        .choices(['info', 'warning', 'error'] satisfies Severity[])
        .default('error'),
    )
    .option('--require-checksums', 'a page without a checksum is an error')
    .option('--require-finalized', 'a page that is not finalized is an error')
    .option('--jobs <n>', 'threads that look at blocks', jobCount, 1)
    .action((files: string[], options: VerifyOptions) => run((context) => verify(context, files, options)));
}

async function verify(context: Context, args: readonly string[], options: VerifyOptions): Promise<number> {
  if (args.includes('')) throw new UsageError('a FILE to verify is named by an empty text', 'verify');
  if (options.output === '') throw new UsageError('--output has an empty text for a path', 'verify');
  const targets = await findFiles(args, context.signal);
  const output = options.output === '-' ? undefined : options.output;
  if (output === undefined) return checkAll(context, targets, options, undefined);
  const pageFiles = targets.map(({ path }) => path);
  await assertOwnPlace('the report', output, pageFiles);
  const file = await FileOutput.open(output);
  let exit: number;
  try {
    exit = await checkAll(context, targets, options, file);
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.close();
  return exit;
}

/** @param file - takes the report; without one, standard output does */
async function checkAll(
  context: Context,
  targets: readonly Target[],
  options: VerifyOptions,
  file: FileOutput | undefined,
): Promise<number> {
  const { stdout, stderr, signal } = context;
  const format = options.json === true ? 'json' : options.format;
  const { failOn, requireChecksums = false, requireFinalized = false } = options;
  const screen = screenReporter(stdout, styleFor(context, options));
  const report = reporterFor(format, file ?? stdout, { failOn, requireFinalized });
  const reporters = file ? [screen, report] : [format === 'text' ? screen : report];

  const ahead = new WayAhead(targets);
  const progress = new Progress(context, () => ahead.name, blocksText, options.quiet === true);
  const verifier = new Verifier(options.jobs);
  try {
    const { exit } = await progress.during(() =>
      checkFiles(targets, {
        reporters,
        failOn,
        signal,
        check: (target, sink) =>
          verifier.verifyPath(
            target.path,
            async (finding) => {
              // What is printed begins a line of its own, not one that the bar is on.
              if (stdout.isTerminal) await progress.clear();
              await sink(finding);
            },
            {
              requireChecksums,
              requireFinalized,
              onProgress: (done, total) => progress.update(ahead.doneBefore + done, ahead.totalWith(total)),
              signal,
            },
          ),
        onFile: async (index) => ahead.enter(index),
        onFileEnd: async () => {
          if (!stdout.isTerminal) return;
          await progress.clear();
          await stdout.flush();
        },
        onError: async (error, path) => {
          await progress.clear();
          await stderr.write(`artrie-pages: ${oneLine(`${path}: ${error.message}`)}\n`);
        },
      }),
    );
    return exit;
  } finally {
    await verifier.close();
  }
}

/** How far all files together are, in blocks. */
class WayAhead {
  readonly #targets: readonly Target[];
  readonly #total: number;
  #index = 0;
  #doneBefore = 0;

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#total = targets.reduce((sum, target) => sum + blocksOf(target), 0);
  }

  enter(index: number): void {
    const before = index === 0 ? undefined : this.#targets[index - 1];
    if (before) this.#doneBefore += blocksOf(before);
    this.#index = index;
  }

  /** What is at work, for people. */
  get name(): string {
    const path = this.#targets[this.#index]?.path ?? '';
    return this.#targets.length === 1 ? path : `${path} (file ${this.#index + 1} of ${this.#targets.length})`;
  }

  get doneBefore(): number {
    return this.#doneBefore;
  }

  /** All blocks, where the file at hand has so many. */
  totalWith(blocks: number): number {
    return this.#targets.length === 1 ? blocks : this.#total;
  }
}

function blocksOf({ bytes }: Target): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}
