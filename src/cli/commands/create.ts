import type { Command } from 'commander';
import { oneLine } from '../../bytes/text.ts';
import type { PageFormat } from '../../format/page-header.ts';
import { create } from '../../store/page-store.ts';
import type { CommandRun, StartCommand } from '../command.ts';
import { withCreateAdvice } from '../errors.ts';
import { lockOptions } from '../open-to-write.ts';
import { addLockOptions, pageFormatOption, type WriterOptions } from '../options.ts';

interface CreateOptions extends WriterOptions {
  readonly pageFormat: PageFormat;
  readonly force?: boolean;
}

export function addCreate(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('create a file with a header block and one empty page')
      .argument('<file>', 'the file to create')
      .addOption(pageFormatOption('format of the first page').default('v1'))
      .option('--force', 'replace the file if it exists'),
  ).action((file: string, options: CreateOptions) => start(options, (run) => createFile(run, file, options)));
}

async function createFile(run: CommandRun, file: string, options: CreateOptions): Promise<void> {
  const { pageFormat, force = false } = options;
  try {
    const store = await create(file, { pageFormat, replace: force, ...lockOptions(run, file, options) });
    await store.close();
  } catch (error) {
    throw withCreateAdvice(error);
  }
  await run.text([`${oneLine(file)}\n`]);
  await run.summary(file, { pageFormat, blocks: 2 });
}
