import { type Command, Option } from 'commander';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import { BLOCK_BYTES } from '../../format/layout.ts';
import type { Severity } from '../../format/problem.ts';
import { Verifier } from '../../verify/verify.ts';
import { checkFiles, type Format, FORMATS, reporterOf, screenReporter } from '../check-files.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { findFiles, type Target } from '../find-files.ts';
import { type CommonOptions, jobCount } from '../options.ts';
import { OutputFile } from '../output-file.ts';
import { outputConflict } from '../same-file.ts';

interface VerifyOptions extends CommonOptions {
  readonly format: Format;
  readonly output?: string;
  readonly failOn: Severity;
  readonly requireChecksums?: boolean;
  readonly requireFinalized?: boolean;
  readonly all?: boolean;
  readonly jobs: number;
}

export function addVerify(command: Command, start: StartCommand): void {
  command
    .description('check files for damage, and report everything that is wrong')
    .argument('<file...>', 'files, or patterns in quotes')
    .addOption(
      new Option('--format <format>', 'format of the report').choices(FORMATS).default('text' satisfies Format),
    )
    .option('--output <path>', 'write the report to a file; text is still printed')
    .addOption(
      new Option('--fail-on <severity>', 'lowest severity that causes exit code 1')
        .choices(['info', 'warning', 'error'] satisfies Severity[])
        .default('error'),
    )
    .option('--require-checksums', 'report a page without a checksum as an error')
    .option('--require-finalized', 'report a page that is not finalized as an error')
    .option('--all', 'report each finding on its own, however many there are')
    .option('--jobs <n>', 'number of threads that check blocks', jobCount, 1)
    .action((files: string[], options: VerifyOptions) => start(options, (run) => verify(run, files, options)));
}

async function verify(run: CommandRun, args: readonly string[], options: VerifyOptions): Promise<number> {
  if (options.output === '') throw new UsageError('--output must not be empty', 'verify');
  const targets = await Promise.all(
    (await findFiles(args, run.signal)).map(async (target): Promise<Target> => {
      const problem = target.problem ?? (await outputConflict(target.path, run.context));
      return problem ? { ...target, problem } : target;
    }),
  );
  const output = options.output === '-' ? undefined : options.output;
  if (output === undefined) return checkAll(run, targets, options, undefined);
  const pageFiles = targets.map(({ path }) => path);
  await assertNoPathConflict('the report', output, pageFiles);
  const file = await OutputFile.forReport(output);
  let exit: number;
  try {
    exit = await checkAll(run, targets, options, file);
  } catch (error) {
    await file.discard();
    throw error;
  }
  await file.complete();
  return exit;
}

async function checkAll(
  run: CommandRun,
  targets: readonly Target[],
  options: VerifyOptions,
  file: OutputFile | undefined,
): Promise<number> {
  const { stdout, signal, style, isJson } = run;
  const format = isJson ? 'json' : options.format;
  const { failOn, requireChecksums = false, requireFinalized = false, all = false, jobs } = options;
  const text = screenReporter(stdout, { style, all });
  const report = reporterOf(format, file ?? stdout, { failOn, requireFinalized, all });
  const reporters = file ? [text, report] : [format === 'text' ? text : report];

  const position = new FilesPosition(targets);
  const verifier = new Verifier({ threads: jobs });
  try {
    return await run.withProgress({ what: () => position.name, unit: blocksText }, async (progress) => {
      const { exit } = await checkFiles(targets, {
        reporters,
        failOn,
        signal,
        check: (target, onFinding) =>
          verifier.verify(target.path, {
            requireChecksums,
            requireFinalized,
            onFinding: async (finding) => {
              // Findings must not be printed on the line of the progress bar.
              if (stdout.isTerminal) await progress.clear();
              await onFinding(finding);
            },
            onProgress: (done, total) => progress.update(position.blocksBefore + done, position.totalBlocks(total)),
            signal,
          }),
        onFile: async (index) => position.enter(index),
        onFileEnd: async () => {
          if (!stdout.isTerminal) return;
          await progress.clear();
          await stdout.flush();
        },
        onError: async (error, path) => {
          await progress.clear();
          await run.warn(`${path}: ${error.message}`);
        },
      });
      return exit;
    });
  } finally {
    await verifier.close();
  }
}

/** The current file, and its position among the blocks of all files, for progress. */
class FilesPosition {
  blocksBefore = 0;
  readonly #targets: readonly Target[];
  readonly #total: number;
  #index = 0;

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#total = targets.reduce((sum, target) => sum + blocksOf(target), 0);
  }

  enter(index: number): void {
    const before = this.#targets[index - 1];
    if (before) this.blocksBefore += blocksOf(before);
    this.#index = index;
  }

  get name(): string {
    const path = this.#targets[this.#index]?.path ?? '';
    return this.#targets.length === 1 ? path : `${path} (file ${this.#index + 1} of ${this.#targets.length})`;
  }

  /** @param blocks - of the current file, which may have grown since the files were found */
  totalBlocks(blocks: number): number {
    return this.#targets.length === 1 ? blocks : this.#total;
  }
}

function blocksOf({ bytes }: Target): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}
