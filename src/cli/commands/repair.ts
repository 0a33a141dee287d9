import { type Command, Option } from 'commander';
import { grouped } from '../../bytes/encodings.ts';
import { oneLine, shellPath } from '../../bytes/text.ts';
import { pathBeside } from '../../disk/node-names.ts';
import { NodeUndoFile } from '../../disk/node-create.ts';
import { repair, undoRepair } from '../../repair/repair.ts';
import type { Change, RepairReport } from '../../repair/repairs.ts';
import { changeJson, changeText, leftJson, leftText, repairSummaryText } from '../../report/repair.ts';
import { plural } from '../../report/text.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { EXIT } from '../errors.ts';
import { lockOptions } from '../open-to-write.ts';
import { addLockOptions, type WriterOptions } from '../options.ts';

interface RepairCommandOptions extends WriterOptions {
  readonly dryRun?: boolean;
  readonly staleChecksums?: boolean;
  readonly likelyBits?: boolean;
  readonly undoFile?: string;
  readonly undo?: string;
}

export function addRepair(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('repair what can be derived without guessing, and keep the overwritten bytes in an undo file')
      .argument('<file>', 'the page file')
      .option('--dry-run', 'print each change, but change nothing')
      .option('--stale-checksums', 'write new checksums for pages that another program has appended to')
      .option('--likely-bits', 'also fix bits that are only probably right (risk 1 in 2,048 for a full page)')
      .option('--undo-file <path>', 'where to keep overwritten bytes (default: FILE.undo, FILE.undo.1 and so on)')
      .addOption(
        new Option('--undo <path>', 'undo a repair: restore the bytes from this undo file').conflicts([
          'dryRun',
          'staleChecksums',
          'likelyBits',
          'undoFile',
        ]),
      ),
  ).action((file: string, options: RepairCommandOptions) =>
    start(options, (run) =>
      options.undo === undefined ? repairFile(run, file, options) : undo(run, file, options.undo, options),
    ),
  );
}

async function repairFile(run: CommandRun, path: string, options: RepairCommandOptions): Promise<number> {
  const { dryRun = false, staleChecksums = false, likelyBits = false } = options;
  const undoPlace = new NodeUndoFile(path, options.undoFile);
  let report: RepairReport;
  try {
    report = await run.withProgress({ what: path, unit: blocksText, hasRows: true }, (progress) =>
      repair(path, {
        ...lockOptions(run, path, options),
        dryRun,
        undo: undoPlace,
        staleChecksums,
        likelyBits,
        onChange: (change) => printChange(run, change),
        onLeft: (problem) => run.row(leftText(problem, path, run.style), 'left', () => leftJson(problem, path)),
        onProgress: progress.update,
        signal: run.signal,
      }),
    );
  } catch (error) {
    if (undoPlace.path !== undefined) await run.warn(`${path}: not finished; ${undoAdvice(path, undoPlace.path)}`);
    throw error;
  }
  const undoFile = undoPlace.path;
  await run.text([repairSummaryText(path, report, dryRun, run.style)]);
  const { file: _, ...counts } = report;
  await run.summary(path, { dryRun, ...counts, undoFile });
  for (const step of nextSteps(path, report, undoFile)) await run.note(`${path}: ${step}`);
  if (dryRun && report.changes > 0) return EXIT.findings;
  return report.left > 0 || report.again ? EXIT.damaged : EXIT.done;
}

function* nextSteps(
  path: string,
  { left, stalePages, again, changed }: RepairReport,
  undoFile: string | undefined,
): Generator<string> {
  const repairAgain = `artrie-pages repair ${shellPath(path)}`;
  if (undoFile !== undefined) yield undoAdvice(path, undoFile);
  if (left > 0) {
    const recover = `artrie-pages recover ${shellPath(path)} ${shellPath(pathBeside(path, '.recovered'))}`;
    yield `the rest cannot be repaired; to salvage what can be read: ${recover}`;
  }
  if (stalePages > 0) yield 'pages that another program has appended to get new checksums with --stale-checksums';
  if (again) yield `a commit could not be checked before this repair; run again: ${repairAgain}`;
  if (changed) yield `a writer was active; run again when it has finished: ${repairAgain}`;
}

const undoAdvice = (path: string, undoFile: string): string =>
  `to undo: artrie-pages repair ${shellPath(path)} --undo ${shellPath(undoFile)}`;

async function undo(run: CommandRun, path: string, undoPath: string, options: RepairCommandOptions): Promise<void> {
  const { changes, unchanged } = await undoRepair(path, undoPath, {
    ...lockOptions(run, path, options),
    onChange: (change) => printChange(run, change),
    signal: run.signal,
  });
  const rest = unchanged > 0 ? `, ${grouped(unchanged)} had not been made` : '';
  await run.text([`${oneLine(path)}: ${plural(changes, 'change')} undone${rest}\n`]);
  await run.summary(path, { undo: undoPath, changes, unchanged });
}

async function printChange(run: CommandRun, change: Change): Promise<void> {
  await run.row(changeText(change), 'change', () => changeJson(change));
}
