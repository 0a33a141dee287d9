import type { Command } from 'commander';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { compactText } from '../../report/results.ts';
import { compact, type CompactReport } from '../../transfer/compact.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { withCreateAdvice, withRecoverAdvice } from '../errors.ts';
import { addLockOptions, lockOptions, pageFormatOption, type WriterOptions } from '../options.ts';
import { OutputFile, writeMovedPage } from '../output-file.ts';

interface CompactOptions extends WriterOptions {
  readonly pageFormat?: PageFormat;
  readonly dedupe?: boolean;
  readonly map?: string;
  readonly force?: boolean;
}

export function addCompact(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('copy all nodes to a new file without free blocks and gaps; their refs change')
      .argument('<source>', 'the file to copy; it is only read')
      .argument('<target>', 'the file to create')
      .addOption(pageFormatOption("format of all its pages (default: that of the source's last page)"))
      .option('--dedupe', 'keep only the first of equal nodes; takes memory for each different node')
      .option('--map <path>', 'write a line for each node: old ref, space, new ref')
      .option('--force', 'replace the target and the map if they exist'),
  ).action((source: string, target: string, options: CompactOptions) =>
    start(options, (run) => compactFile(run, source, target, options)),
  );
}

async function compactFile(run: CommandRun, source: string, target: string, options: CompactOptions): Promise<void> {
  const { force = false, map: mapPath, pageFormat, dedupe = false } = options;
  if (mapPath !== undefined) await assertNoPathConflict('the map', mapPath, [source, target]);
  const map = mapPath === undefined ? undefined : await OutputFile.forMap(mapPath, source, force);
  let report: CompactReport;
  try {
    report = await run.withProgress({ what: source, unit: blocksText }, (progress) =>
      compact(source, target, {
        ...lockOptions(run.signal, options),
        ...(pageFormat && { pageFormat }),
        ...(map && { onMoved: (moved) => writeMovedPage(map, moved), onDurable: () => map.complete() }),
        dedupe,
        replace: force,
        onProgress: progress.update,
        signal: run.signal,
      }),
    );
  } catch (error) {
    await map?.discard();
    throw withCreateAdvice(withRecoverAdvice(error, source, 'nothing was copied'));
  }
  await run.text(compactText(report));
  await run.summary(source, { target, map: mapPath, ...report });
}
