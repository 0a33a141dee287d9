import type { Command } from 'commander';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import { findRecoverable, recover } from '../../recover/recover.ts';
import type { RecoverReport } from '../../recover/report.ts';
import { blockReportJson, movedJson, movedText, recoverSummaryText, RecoverText } from '../../report/recover.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { EXIT, NOTHING_CHANGED, withCreateAdvice } from '../errors.ts';
import { lockOptions } from '../open-to-write.ts';
import { addLockOptions, type WriterOptions } from '../options.ts';
import { OutputFile, writeMovedRun } from '../output-file.ts';

interface RecoverCommandOptions extends WriterOptions {
  readonly map?: string;
  readonly force?: boolean;
  readonly keepRoot?: boolean;
  readonly strict?: boolean;
}

export function addRecover(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('copy all readable nodes of a damaged file to a new file, and report what was lost')
      .argument('<source>', 'the damaged file; it is only read')
      .argument('<target>', 'the file to create')
      .option('--map <path>', 'write a line for each node whose ref changed: old ref, space, new ref')
      .option('--keep-root', 'keep the root pointer even if nodes of the trie may be missing')
      .option('--strict', 'exit code 5 if a node is lost, doubtful, repaired or moved, or may be missing')
      .option('--force', 'replace the target and the map if they exist'),
  ).action((source: string, target: string, options: RecoverCommandOptions) =>
    start(options, (run) => recoverFile(run, source, target, options)),
  );
}

async function recoverFile(
  run: CommandRun,
  source: string,
  target: string,
  { map: mapPath, force = false, keepRoot = false, strict = false, ...options }: RecoverCommandOptions,
): Promise<number> {
  const map = mapPath === undefined ? undefined : await createMap(run, source, target, mapPath, force);
  const text = new RecoverText(run.style);
  let report: RecoverReport;
  try {
    report = await run.withProgress({ what: source, unit: blocksText }, (progress) =>
      recover(source, target, {
        ...lockOptions(run, target, options),
        keepRoot,
        replace: force,
        onBlock: (block) => run.lines(run.isJson ? blockReportJson(block) : text.block(block)),
        onMoved: async (moved) => {
          if (map) await writeMovedRun(map, moved);
          await run.lines(run.isJson ? [movedJson(moved)] : [...text.end(), movedText(moved)]);
        },
        ...(map && { onDurable: () => map.finish(), onPublished: () => map.publish() }),
        onProgress: progress.update,
        signal: run.signal,
      }),
    );
    await map?.confirm();
  } catch (error) {
    await map?.discard();
    await run.noteInterrupted(error, target, NOTHING_CHANGED);
    throw withCreateAdvice(error);
  }
  await run.text([...text.end(), ...recoverSummaryText(report, run.style)]);
  await run.summary(source, { map: mapPath, ...report });
  return strict && !report.isWhole ? EXIT.damaged : EXIT.done;
}

async function createMap(
  run: CommandRun,
  source: string,
  target: string,
  path: string,
  force: boolean,
): Promise<OutputFile> {
  await withOpen(openBlockFile(source, 'read'), async (file) => {
    await assertNoPathConflict('the new file', target, [source]);
    await assertNoPathConflict('the map', path, [source, target]);
    await findRecoverable(file, { signal: run.signal });
  });
  return OutputFile.forMap(path, source, force);
}
