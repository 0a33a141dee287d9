import { oneLine } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import { statisticsTable } from '../../view/statistics.ts';
import { plural } from '../../report/text.ts';
import { collectStatistics } from '../../view/statistics.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import { type CommonOptions, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

export function addStat(program: Command, run: Runner): void {
  withCommonOptions(program.command('stat'))
    .description('counts, space by kind, and how long nodes are')
    .argument('<file>')
    .action((file: string, options: CommonOptions) => run((context) => stat(context, file, options)));
}

async function stat(context: Context, file: string, options: CommonOptions): Promise<number> {
  return withStore(file, { access: 'read' }, async (store) => {
    const progress = new Progress(context, file, blocksText, options.quiet === true);
    const onBlock = (done: number, total: number): Promise<void> => progress.update(done, total);
    const statistics = await progress.during(() => collectStatistics(store.disk, context.signal, onBlock));
    const printer = new Printer(context, options);
    await printer.text(statisticsTable(statistics));
    await printer.summary('stat', file, statistics);
    if (statistics.damagedPages === 0) return EXIT.done;
    const message = `${plural(statistics.damagedPages, 'damaged page')} left out of the counts; see artrie-pages verify ${file}`;
    await context.stderr.write(`artrie-pages: ${oneLine(`${file}: ${message}`)}\n`);
    return EXIT.damaged;
  });
}
