import type { Command } from 'commander';
import type { PageFormat } from '../../format/page-header.ts';
import type { Context } from '../context.ts';
import { lockOptions, pageFormatOption, positiveInteger, type WriterOptions, withWriterOptions } from '../options.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

interface AllocateOptions extends WriterOptions {
  readonly count: number;
  readonly pageFormat?: PageFormat;
}

export function addAllocate(program: Command, run: Runner): void {
  withWriterOptions(program.command('allocate'))
    .description('take blocks, from the free list first, and make each an empty page')
    .argument('<file>')
    .option('--count <n>', 'how many', positiveInteger, 1)
    .addOption(pageFormatOption("format of the pages (default: that of the file's last page)"))
    .action((file: string, options: AllocateOptions) => run((context) => allocate(context, file, options)));
}

async function allocate(context: Context, file: string, options: AllocateOptions): Promise<void> {
  const printer = new Printer(context, options);
  const count = await withStore(file, lockOptions(context, options), async (store) => {
    const blocks = await store.allocate(options.count, options.pageFormat);
    for (const block of blocks) await printer.item(String(block), 'block', () => ({ block }));
    return blocks.length;
  });
  await printer.summary('allocate', file, { blocks: count });
}
