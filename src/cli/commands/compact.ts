import type { Command } from 'commander';
import { assertNoPathConflict } from '../../disk/node-fs.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { compactText } from '../../report/results.ts';
import { compact, compactInPlace, type CompactInPlaceOptions, type CompactReport } from '../../transfer/compact.ts';
import { blocksText, type CommandRun, type Progress, type StartCommand } from '../command.ts';
import { NOTHING_CHANGED, UsageError, withCreateAdvice, withRecoverAdvice } from '../errors.ts';
import { lockOptions } from '../open-to-write.ts';
import { addLockOptions, pageFormatOption, type WriterOptions } from '../options.ts';
import { OutputFile, writeMovedPage } from '../output-file.ts';

interface CompactOptions extends WriterOptions {
  readonly pageFormat?: PageFormat;
  readonly dedupe?: boolean;
  readonly map?: string;
  readonly force?: boolean;
  readonly replace?: boolean;
}

export function addCompact(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('copy all nodes to a new file without free blocks and gaps; their refs change')
      .argument('<source>', 'the file to copy; it is only read, without --replace')
      .argument('[target]', 'the file to create; none with --replace')
      .addOption(pageFormatOption("format of all its pages (default: that of the source's last page)"))
      .option('--dedupe', 'keep only the first of equal nodes; takes memory for each different node')
      .option('--map <path>', 'write a line for each node: old ref, space, new ref')
      .option('--replace', 'replace the source itself, under its lock; its permissions and owner stay')
      .option('--force', 'replace the target and the map if they exist'),
  ).action((source: string, target: string | undefined, options: CompactOptions) =>
    start(options, (run) => compactFile(run, source, targetOf(source, target, options), options)),
  );
}

function targetOf(source: string, target: string | undefined, { replace = false }: CompactOptions): string {
  if (replace && target !== undefined) throw new UsageError('give a TARGET or --replace, not both', 'compact');
  if (replace) return source;
  if (target !== undefined) return target;
  throw new UsageError(
    "missing required argument 'target': the new file, or --replace to replace the source",
    'compact',
  );
}

async function compactFile(run: CommandRun, source: string, target: string, options: CompactOptions): Promise<void> {
  const { force = false, replace = false, map: mapPath, pageFormat, dedupe = false } = options;
  if (mapPath !== undefined) await assertNoPathConflict('the map', mapPath, [source, target]);
  const map = mapPath === undefined ? undefined : await OutputFile.forMap(mapPath, source, force);
  const copying = ({ update }: Progress): CompactInPlaceOptions => ({
    ...lockOptions(run, target, options),
    ...(pageFormat && { pageFormat }),
    ...(map && {
      onMoved: (moved) => writeMovedPage(map, moved),
      onDurable: () => map.finish(),
      onPublished: () => map.publish(),
    }),
    dedupe,
    onProgress: update,
    signal: run.signal,
  });
  let report: CompactReport;
  try {
    report = await run.withProgress({ what: source, unit: blocksText }, (progress) =>
      replace
        ? compactInPlace(source, copying(progress))
        : compact(source, target, { ...copying(progress), replace: force }),
    );
    await map?.confirm();
  } catch (error) {
    await map?.discard();
    await run.noteInterrupted(error, target, NOTHING_CHANGED);
    throw withCreateAdvice(withRecoverAdvice(error, source, 'nothing was copied'));
  }
  await run.text(compactText(report));
  await run.summary(source, { target, map: mapPath, ...report });
}
