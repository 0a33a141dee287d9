import type { Command } from 'commander';
import { plural } from '../../report/text.ts';
import type { FinalizedPage } from '../../store/finalizer.ts';
import type { Context } from '../context.ts';
import { EXIT, exitCodeOf } from '../exit-code.ts';
import { blockId, type CommonOptions, gather, withCommonOptions } from '../options.ts';
import type { Runner } from '../runner.ts';
import { Printer, withStore } from '../session.ts';

interface FinalizeOptions extends CommonOptions {
  readonly block?: number[];
}

export function addFinalize(program: Command, run: Runner): void {
  withCommonOptions(program.command('finalize'))
    .description('seal pages: directory and checksum are written, and the page takes no more nodes')
    .argument('<file>')
    .option('--block <id...>', 'which pages (default: all)', gather(blockId))
    .action((file: string, options: FinalizeOptions) => run((context) => finalize(context, file, options)));
}

async function finalize(context: Context, file: string, options: FinalizeOptions): Promise<number> {
  return withStore(file, {}, async (store) => {
    const pages = await store.finalize(options.block);
    const printer = new Printer(context, options);
    for (const page of pages) {
      const { block, outcome, nodes, error } = page;
      await printer.item(describe(page), 'page', () => ({
        block,
        outcome,
        nodes,
        code: error?.code,
        message: error?.message,
      }));
    }
    const count = (outcome: FinalizedPage['outcome']): number =>
      pages.filter((page) => page.outcome === outcome).length;
    const [sealed, before, damaged] = [count('sealed'), count('was sealed'), count('damaged')];
    await printer.summary('finalize', file, { sealed, sealedBefore: before, damaged });
    const first = pages.find((page) => page.error)?.error;
    if (!first) return EXIT.done;
    await context.stderr.write(
      `artrie-pages: ${file}: ${plural(damaged, 'page')} not sealed, because a new checksum would cover the damage; see artrie-pages verify ${file}\n`,
    );
    return exitCodeOf(first.code);
  });
}

function describe({ block, outcome, nodes, error }: FinalizedPage): string {
  return `block ${block}: ${outcome === 'damaged' ? `not sealed: ${error?.message ?? ''}` : `${outcome}, ${plural(nodes, 'node')}`}`;
}
