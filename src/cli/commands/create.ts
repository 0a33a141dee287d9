import type { Command } from 'commander';
import type { PageFormat } from '../../format/page-header.ts';
import { PageStore } from '../../store/page-store.ts';
import type { Context } from '../context.ts';
import { withForce } from '../options.ts';
import { lockOptions, pageFormatOption, type WriterOptions, withWriterOptions } from '../options.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';

interface CreateOptions extends WriterOptions {
  readonly pageFormat: PageFormat;
  readonly force?: boolean;
}

export function addCreate(program: Command, run: Runner): void {
  withWriterOptions(program.command('create'))
    .description('make a new file: the header block and one empty page')
    .argument('<file>', 'the file to make')
    .addOption(pageFormatOption('format of its first page').default('v1'))
    .option('--force', 'take the place of a file that exists')
    .action((file: string, options: CreateOptions) => run((context) => create(context, file, options)));
}

async function create(context: Context, file: string, options: CreateOptions): Promise<void> {
  const { pageFormat, force = false } = options;
  const store = await PageStore.create(file, { pageFormat, replace: force, ...lockOptions(context, options) }).catch(
    (error: unknown) => {
      throw withForce(error);
    },
  );
  await store.close();
  const printer = new Printer(context, options);
  await printer.text([`${file}\n`]);
  await printer.summary('create', file, { pageFormat, blocks: 2 });
}
