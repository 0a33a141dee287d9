import type { Command } from 'commander';
import { shellPath } from '../../bytes/text.ts';
import { PageStoreError } from '../../errors.ts';
import { plural } from '../../report/text.ts';
import { stat, statisticsTable } from '../../view/statistics.ts';
import { blocksText, type CommandRun, type StartCommand } from '../command.ts';
import { EXIT } from '../errors.ts';
import type { CommonOptions } from '../options.ts';

export function addStat(command: Command, start: StartCommand): void {
  command
    .description('print counts, space by kind, and node lengths')
    .argument('<file>', 'the page file')
    .action((file: string, options: CommonOptions) => start(options, (run) => printStatistics(run, file)));
}

async function printStatistics(run: CommandRun, file: string): Promise<number> {
  const statistics = await run.withProgress({ what: file, unit: blocksText }, ({ update }) =>
    stat(file, { onProgress: update, signal: run.signal }),
  );
  await run.text(statisticsTable(statistics));
  await run.summary(file, statistics);
  const { damagedPages, missing } = statistics;
  if (missing)
    throw new PageStoreError(missing.code, `${missing.message}; the counts are without such pages`, { file });
  if (damagedPages === 0) return EXIT.done;
  const advice = `for details: artrie-pages verify ${shellPath(file)}`;
  await run.warn(`${file}: ${plural(damagedPages, 'damaged page')} left out of the counts; ${advice}`);
  return EXIT.damaged;
}
