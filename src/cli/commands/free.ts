import type { Command } from 'commander';
import type { CommandRun, StartCommand } from '../command.ts';
import { addTrieOptions, blockId, collect, type TrieOptions } from '../options.ts';
import { withStoreToChange } from '../open-to-write.ts';

export function addFree(command: Command, start: StartCommand): void {
  addTrieOptions(
    command
      .description('put blocks on the free list; their nodes are lost')
      .argument('<file>', 'the page file')
      .argument('<block...>', 'block ids', collect(blockId)),
  ).action((file: string, blocks: number[], options: TrieOptions) =>
    start(options, (run) => free(run, file, blocks, options)),
  );
}

async function free(run: CommandRun, file: string, blocks: number[], options: TrieOptions): Promise<void> {
  await withStoreToChange(run, file, options, async (store) => {
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
