import type { Command } from 'commander';
import type { PageFormat } from '../../format/page-header.ts';
import type { CommandRun, StartCommand } from '../command.ts';
import { addTrieOptions, pageFormatOption, positiveInteger, type TrieOptions } from '../options.ts';
import { withStoreToChange } from '../open-to-write.ts';

interface AllocateOptions extends TrieOptions {
  readonly count: number;
  readonly pageFormat?: PageFormat;
}

export function addAllocate(command: Command, start: StartCommand): void {
  addTrieOptions(
    command
      .description('allocate blocks, from the free list first, and write an empty page to each')
      .argument('<file>', 'the page file')
      .option('--count <n>', 'how many blocks', positiveInteger, 1)
      .addOption(pageFormatOption("format of the pages (default: that of the file's last page)")),
  ).action((file: string, options: AllocateOptions) => start(options, (run) => allocate(run, file, options)));
}

async function allocate(run: CommandRun, file: string, options: AllocateOptions): Promise<void> {
  const blocks = await withStoreToChange(run, file, options, async (store) => {
    const allocated = await store.allocate(options.count, options.pageFormat);
    for (const block of allocated) await run.row(String(block), 'block', () => ({ block }));
    if (allocated.length < options.count) run.signal.throwIfAborted();
    return allocated.length;
  });
  await run.summary(file, { blocks });
}
