import type { Command } from 'commander';
import { PageStoreError } from '../../errors.ts';
import { formatRef, parseRef } from '../../store/page-ref.ts';
import type { Context } from '../context.ts';
import { decodeText, type Encoding } from '../framing.ts';
import { encodingOption, lockOptions, type WriterOptions, withWriterOptions } from '../options.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

interface UpdateOptions extends WriterOptions {
  readonly encoding: Encoding;
}

export function addUpdate(program: Command, run: Runner): void {
  withWriterOptions(program.command('update'))
    .description('replace a node by one of the same length')
    .argument('<file>')
    .argument('<ref>', 'block:slot')
    .argument('<data>', 'the new node')
    .addOption(encodingOption('how <data> is written'))
    .action((file: string, ref: string, data: string, options: UpdateOptions) =>
      run((context) => update(context, file, ref, data, options)),
    );
}

async function update(
  context: Context,
  file: string,
  text: string,
  data: string,
  options: UpdateOptions,
): Promise<void> {
  const { block, from, to } = parseRef(text);
  if (from === undefined || from !== to) {
    throw new PageStoreError('INVALID_REF', `'${text}' is not one node: write block:slot`, { file });
  }
  const node = decodeText(data, options.encoding);
  const ref = { block, slot: from };
  await withStore(file, lockOptions(context, options), (store) => store.update(ref, node));
  const printer = new Printer(context, options);
  await printer.text([`${formatRef(ref)}\n`]);
  await printer.summary('update', file, { ref: formatRef(ref), bytes: node.length });
}
