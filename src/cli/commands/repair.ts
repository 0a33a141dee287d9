import { oneLine, shellPath } from '../../bytes/quoting.ts';
import { type Command, Option } from 'commander';
import { openBlockFile, openPageFile } from '../../disk/node-block-file.ts';
import { NodeUndoPlace, openUndoPath } from '../../disk/node-undo-file.ts';
import type { BlockFile } from '../../disk/block-file.ts';
import { changeJson, changeText, leftJson, leftText, repairSummaryText } from '../../report/repair.ts';
import { planRepair, repairFile, undoRepair } from '../../repair/repair-file.ts';
import { plural } from '../../report/text.ts';
import { grouped } from '../../bytes/encodings.ts';
import type { Change, RepairOptions, RepairSink, RepairSummary } from '../../repair/repairs.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { lockOptions, styleFor, type WriterOptions, withWriterOptions } from '../options.ts';
import { Printer } from '../output.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';

interface RepairCommandOptions extends WriterOptions {
  readonly dryRun?: boolean;
  readonly staleChecksums?: boolean;
  readonly likelyBits?: boolean;
  readonly undoFile?: string;
  readonly undo?: string;
}

export function addRepair(program: Command, run: Runner): void {
  withWriterOptions(program.command('repair'))
    .description('mend what can be derived without guessing, and keep what is overwritten in an undo file')
    .argument('<file>')
    .option('--dry-run', 'print each change, and make none')
    .option('--stale-checksums', 'new checksums for pages that another program has appended to')
    .option('--likely-bits', 'flip back a bit also where a full page leaves a chance of 1 in 2,048 that it is another')
    .option('--undo-file <path>', 'where to keep what is overwritten (default: FILE.undo, FILE.undo.1 and so on)')
    .addOption(
      new Option('--undo <path>', 'take a repair back: put the bytes in this undo file in their places').conflicts([
        'dryRun',
        'staleChecksums',
        'likelyBits',
        'undoFile',
      ]),
    )
    .action((file: string, options: RepairCommandOptions) =>
      run((context) =>
        options.undo === undefined
          ? repair(context, file, options)
          : takeBack(context, file, { ...options, undo: options.undo }),
      ),
    );
}

async function repair(context: Context, path: string, options: RepairCommandOptions): Promise<number> {
  const { dryRun = false } = options;
  const printer = new Printer(context, options);
  const style = styleFor(context, options);
  const sink: RepairSink = {
    change: (change) => printChange(printer, change),
    left: (problem) => printer.item(leftText(problem, path, style), 'left', () => leftJson(problem, path)),
  };
  const place = new NodeUndoPlace(path, options.undoFile);
  const progress = new Progress(context, path, blocksText, options.quiet === true || context.stdout.isTerminal);
  const repairOptions: RepairOptions = {
    staleChecksums: options.staleChecksums === true,
    likelyBits: options.likelyBits === true,
    onProgress: (done, total) => progress.update(done, total),
    signal: context.signal,
  };
  let summary: RepairSummary;
  try {
    summary = await withFile(
      dryRun ? openBlockFile(path, 'read') : openPageFile(path, 'write', lockOptions(context, options)),
      (file) =>
        progress.during(() =>
          dryRun ? planRepair(file, sink, repairOptions) : repairFile(file, place, sink, repairOptions),
        ),
    );
  } catch (error) {
    if (place.path !== undefined) await note(context, `${path}: not finished; ${undoAdvice(path, place.path)}`);
    throw error;
  }
  const undoFile = place.path;
  await printer.text([repairSummaryText(path, summary, dryRun, style)]);
  const { file: _, ...counts } = summary;
  await printer.summary('repair', path, { dryRun, ...counts, undoFile });
  if (options.quiet !== true) await tellWhatIsNext(context, path, summary, undoFile);
  if (dryRun && summary.changes > 0) return EXIT.findings;
  return summary.left > 0 || summary.again ? EXIT.damaged : EXIT.done;
}

async function tellWhatIsNext(
  context: Context,
  path: string,
  { left, stalePages, again, changed }: RepairSummary,
  undoFile: string | undefined,
): Promise<void> {
  const file = shellPath(path);
  if (undoFile !== undefined) await note(context, `${path}: ${undoAdvice(path, undoFile)}`);
  if (left > 0) {
    await note(
      context,
      `${path}: what stays cannot be derived; artrie-pages recover ${file} ${shellPath(`${path}.recovered`)} saves what can be read`,
    );
  }
  if (stalePages > 0) {
    await note(context, `${path}: --stale-checksums gives pages that another program has appended to a new checksum`);
  }
  if (again)
    await note(
      context,
      `${path}: a commit can be judged now that could not before; run artrie-pages repair ${file} again`,
    );
  if (changed)
    await note(context, `${path}: a writer was at work; run artrie-pages repair ${file} again when it is done`);
}

const undoAdvice = (path: string, undoFile: string): string =>
  `artrie-pages repair ${shellPath(path)} --undo ${shellPath(undoFile)} takes it back`;

async function takeBack(
  context: Context,
  path: string,
  options: RepairCommandOptions & { readonly undo: string },
): Promise<number> {
  const printer = new Printer(context, options);
  const { signal } = context;
  const summary = await withFile(openUndoPath(options.undo), (undo) =>
    withFile(openPageFile(path, 'write', lockOptions(context, options)), (file) =>
      undoRepair(file, undo, { change: (change) => printChange(printer, change) }, { signal }),
    ),
  );
  const { changes, unchanged } = summary;
  await printer.text([
    `${path}: ${plural(changes, 'change')} taken back${unchanged > 0 ? `, ${grouped(unchanged)} had not been made` : ''}\n`,
  ]);
  await printer.summary('repair', path, { undo: options.undo, changes, unchanged });
  return EXIT.done;
}

async function printChange(printer: Printer, change: Change): Promise<void> {
  await printer.item(changeText(change), 'change', () => changeJson(change));
}

async function note(context: Context, text: string): Promise<void> {
  await context.stderr.write(`artrie-pages: ${oneLine(text)}\n`);
}

async function withFile<T>(opening: Promise<BlockFile>, work: (file: BlockFile) => Promise<T>): Promise<T> {
  const file = await opening;
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    // The first error is the one to tell.
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return result;
}
