import type { Command } from 'commander';
import { oneLine } from '../../bytes/text.ts';
import { PageStoreError } from '../../errors.ts';
import type { CommandRun, StartCommand } from '../command.ts';
import { decodeText, type Encoding } from '../framing.ts';
import { withTrie } from '../open-trie.ts';
import { type CommonOptions, encodingOption, valuesOption } from '../options.ts';
import { decodeValue, type ValueKind } from '../../trie/value.ts';
import { printTermJson } from './terms.ts';

interface GetOptions extends CommonOptions {
  readonly encoding: Encoding;
  readonly values: ValueKind;
}

export function addGet(command: Command, start: StartCommand): void {
  command
    .description('look terms up in the trie of a page file, and print their values')
    .argument('<file>', 'the page file')
    .argument('<term...>', 'terms of the trie')
    .addOption(encodingOption('encoding of TERM'))
    .addOption(valuesOption('how the values are printed').default('hex' satisfies ValueKind))
    .action((file: string, terms: string[], options: GetOptions) =>
      start(options, (run) => get(run, file, terms, options)),
    );
}

/** @throws {@link PageStoreError} `KEY_NOT_FOUND` after the values of the terms that were found */
async function get(
  run: CommandRun,
  file: string,
  terms: readonly string[],
  { encoding, values: kind }: GetOptions,
): Promise<void> {
  const decoded = terms.map((text) => ({ text, term: decodeText(text, encoding) }));
  const missing: string[] = [];
  await withTrie(run, file, async (trie) => {
    for (const { text, term } of decoded) {
      if (run.stdout.closed) break;
      run.signal.throwIfAborted();
      const found = await trie.lookup(term);
      if (found === undefined) {
        missing.push(text);
        continue;
      }
      const { value } = found;
      if (run.isJson) await printTermJson(run, term, { value, kind }, encoding);
      else await run.stdout.write(`${value === undefined ? '' : shownValue(run, value, kind)}\n`);
    }
  });
  if (missing.length > 0) throw notFound(missing, file);
  await run.summary(file, { terms: terms.length });
}

function shownValue(run: CommandRun, value: Uint8Array, kind: ValueKind): string {
  const text = String(decodeValue(value, kind));
  return run.stdout.isTerminal ? oneLine(text) : text;
}

const MAX_SHOWN_TERMS = 5;
const MAX_SHOWN_CHARACTERS = 100;

function notFound(missing: readonly string[], file: string): PageStoreError {
  const names = missing.slice(0, MAX_SHOWN_TERMS).map((term) => `'${term.slice(0, MAX_SHOWN_CHARACTERS)}'`);
  const others = missing.length > names.length ? ` and ${missing.length - names.length} others` : '';
  return new PageStoreError('KEY_NOT_FOUND', `the trie has no term ${names.join(' or ')}${others}`, { file });
}
