import { oneLine } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import type { PageStoreError } from '../../errors.ts';
import { plural } from '../../report/text.ts';
import type { FinalizedPage } from '../../store/finalizer.ts';
import type { Context } from '../context.ts';
import { EXIT, exitCodeOf } from '../errors.ts';
import { blockId, gather, lockOptions, type WriterOptions, withWriterOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

interface FinalizeOptions extends WriterOptions {
  readonly block?: number[];
}

export function addFinalize(program: Command, run: Runner): void {
  withWriterOptions(program.command('finalize'))
    .description('seal pages: directory and checksum are written, and the page takes no more nodes')
    .argument('<file>')
    .option('--block <id...>', 'which pages (default: all)', gather(blockId))
    .action((file: string, options: FinalizeOptions) => run((context) => finalize(context, file, options)));
}

async function finalize(context: Context, file: string, options: FinalizeOptions): Promise<number> {
  const printer = new Printer(context, options);
  const { counts, first } = await withStore(file, lockOptions(context, options), async (store) => {
    const progress = new Progress(context, file, blocksText, options.quiet === true || context.stdout.isTerminal);
    const counts = { sealed: 0, 'was sealed': 0, damaged: 0 };
    let first: PageStoreError | undefined;
    const report = async (page: FinalizedPage): Promise<void> => {
      const { block, outcome, nodes, error } = page;
      counts[outcome]++;
      first ??= error;
      await printer.item(describe(page), 'page', () => ({
        block,
        outcome,
        nodes,
        code: error?.code,
        message: error?.message,
      }));
      await progress.update(block, store.disk.blockCount);
    };
    await progress.during(() => store.finalize(options.block, report, context.signal));
    return { counts, first };
  });
  const { sealed, damaged } = counts;
  await printer.summary('finalize', file, { sealed, sealedBefore: counts['was sealed'], damaged });
  if (!first) return EXIT.done;
  await context.stderr.write(
    `artrie-pages: ${oneLine(file)}: ${plural(damaged, 'page')} not sealed, because a new checksum would cover the damage; artrie-pages verify says more\n`,
  );
  return exitCodeOf(first.code);
}

function describe({ block, outcome, nodes, error }: FinalizedPage): string {
  return `block ${block}: ${outcome === 'damaged' ? `not sealed: ${error?.message ?? ''}` : `${outcome}, ${plural(nodes, 'node')}`}`;
}
