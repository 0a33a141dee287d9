import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { blockId, gather, lockOptions, type WriterOptions, withWriterOptions } from '../options.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

export function addFree(program: Command, run: Runner): void {
  withWriterOptions(program.command('free'))
    .description('put blocks on the free list; the nodes in them are gone')
    .argument('<file>')
    .argument('<block...>', 'block ids', gather(blockId))
    .action((file: string, blocks: number[], options: WriterOptions) =>
      run((context) => free(context, file, blocks, options)),
    );
}

async function free(context: Context, file: string, blocks: number[], options: WriterOptions): Promise<void> {
  const printer = new Printer(context, options);
  await withStore(file, lockOptions(context, options), async (store) => {
    // A wrong id is told before anything is freed.
    for (const block of blocks) store.disk.assertBlock(block);
    for (const block of blocks) {
      context.signal.throwIfAborted();
      await store.free(block);
      await printer.item(String(block), 'block', () => ({ block }));
    }
  });
  await printer.summary('free', file, { blocks: blocks.length });
}
