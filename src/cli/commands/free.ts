import type { Command } from 'commander';
import { type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { addLockOptions, blockId, collect, type WriterOptions } from '../options.ts';
import { openToWrite } from '../open-to-write.ts';

export function addFree(command: Command, start: StartCommand): void {
  addLockOptions(
    command
      .description('put blocks on the free list; their nodes are lost')
      .argument('<file>', 'the page file')
      .argument('<block...>', 'block ids', collect(blockId)),
  ).action((file: string, blocks: number[], options: WriterOptions) =>
    start(options, (run) => free(run, file, blocks, options)),
  );
}

async function free(run: CommandRun, file: string, blocks: number[], options: WriterOptions): Promise<void> {
  await withOpen(openToWrite(run, file, options), async (store) => {
    // All ids are checked before the first block is freed.
    for (const block of blocks) store.assertBlock(block);
    for (const block of blocks) {
      run.signal.throwIfAborted();
      await store.free(block);
      await run.row(String(block), 'block', () => ({ block }));
    }
  });
  await run.summary(file, { blocks: blocks.length });
}
