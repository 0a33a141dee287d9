import type { Command } from 'commander';
import { formatRef } from '../../store/page-ref.ts';
import type { CommandRun, StartCommand } from '../command.ts';
import { shellPath } from '../../bytes/text.ts';
import { withAdvice } from '../errors.ts';
import { decodeText, type Encoding } from '../framing.ts';
import { addTrieOptions, encodingOption, parseSingleRef, type TrieOptions } from '../options.ts';
import { withStoreToChange } from '../open-to-write.ts';

interface UpdateOptions extends TrieOptions {
  readonly encoding: Encoding;
}

export function addUpdate(command: Command, start: StartCommand): void {
  addTrieOptions(
    command
      .description('replace a node with one of the same length')
      .argument('<file>', 'the page file')
      .argument('<ref>', 'block:slot')
      .argument('<data>', 'the new node')
      .addOption(encodingOption('encoding of <data>')),
  ).action((file: string, ref: string, data: string, options: UpdateOptions) =>
    start(options, (run) => update(run, file, ref, data, options)),
  );
}

async function update(
  run: CommandRun,
  file: string,
  text: string,
  data: string,
  options: UpdateOptions,
): Promise<void> {
  const ref = parseSingleRef(text, file);
  const node = decodeText(data, options.encoding);
  await withStoreToChange(run, file, options, async (store) => {
    try {
      await store.update(ref, node);
    } catch (error) {
      throw withAdvice(error, 'NODE_LENGTH', `to store it as a new node: artrie-pages append ${shellPath(file)} DATA`);
    }
  });
  await run.text([`${formatRef(ref)}\n`]);
  await run.summary(file, { ref: formatRef(ref), bytes: node.length });
}
