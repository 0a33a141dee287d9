import { type Command, Option } from 'commander';
import { grouped } from '../../bytes/encodings.ts';
import { terminalBytes } from '../../bytes/text.ts';
import { type CommandRun, type Progress, type StartCommand } from '../command.ts';
import { UsageError } from '../errors.ts';
import { encodeBytes, type Encoding } from '../framing.ts';
import { decodeValue, type ValueKind } from '../../trie/value.ts';
import { termArgument, withTrie } from '../open-trie.ts';
import { type CommonOptions, encodingOption, positiveInteger, valuesOption } from '../options.ts';

type TermsFormat = 'lines' | 'csv';

interface TermsCommandOptions extends CommonOptions {
  readonly prefix?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
  readonly count?: boolean;
  readonly values?: ValueKind;
  readonly encoding: Encoding;
  readonly format: TermsFormat;
}

export function addTerms(command: Command, start: StartCommand): void {
  command
    .description('print the terms of the trie in a page file, in byte order')
    .argument('<file>', 'the page file')
    .option('--prefix <prefix>', 'only terms that begin with this')
    .option('--from <term>', 'only this term and those after it')
    .option('--to <term>', 'only terms before this one')
    .option('--limit <n>', 'at most so many terms', positiveInteger)
    .option('--reverse', 'the last term first')
    .option('--count', 'print only how many terms there are')
    .addOption(valuesOption('print the value of each term too, as this'))
    .addOption(encodingOption('how terms are printed, and --prefix, --from and --to given'))
    .addOption(
      new Option('--format <format>', 'lines, or CSV with a header')
        .choices(['lines', 'csv'] satisfies TermsFormat[])
        .default('lines' satisfies TermsFormat),
    )
    .action((file: string, options: TermsCommandOptions) => start(options, (run) => terms(run, file, options)));
}

/** A promise for each term would take longer than finding it. */
const TERMS_PER_PROGRESS = 1024;

async function terms(run: CommandRun, file: string, options: TermsCommandOptions): Promise<void> {
  const { encoding, limit = Infinity, reverse, count: isCount = false, values, format } = options;
  if (isCount && (values !== undefined || format !== 'lines'))
    throw new UsageError('--count cannot be used together with --values or --format', 'terms');
  const bounds = {
    prefix: termArgument(options.prefix, encoding),
    from: termArgument(options.from, encoding),
    to: termArgument(options.to, encoding),
  };
  const printer = new TermPrinter(run, encoding, format, values);
  let count = 0;
  await withTrie(run, file, (trie) =>
    run.withProgress({ what: file, unit: termsText, hasRows: !isCount }, async (progress: Progress) => {
      const cursor = trie.cursor({ ...bounds, reverse });
      if (!isCount) await printer.start();
      while (count < limit && !run.stdout.closed) {
        const found = cursor.next();
        if (found === false) break;
        if (found === undefined) {
          await cursor.load();
          continue;
        }
        count++;
        if (!isCount && !printer.tryPrint(cursor.term, cursor.value)) await printer.print(cursor.term, cursor.value);
        if (count % TERMS_PER_PROGRESS === 0) {
          run.signal.throwIfAborted();
          await progress.update(count, undefined);
        }
      }
    }),
  );
  if (isCount && !run.isJson) await run.stdout.write(`${count}\n`);
  await run.summary(file, { terms: count });
}

function termsText(count: number): string {
  return `${grouped(Math.round(count))} ${Math.round(count) === 1 ? 'term' : 'terms'}`;
}

const NOTHING = Buffer.alloc(0);
const LINE_END = Buffer.from('\n');
const TAB = Buffer.from('\t');
const COMMA = Buffer.from(',');

class TermPrinter {
  readonly #run: CommandRun;
  readonly #encoding: Encoding;
  readonly #format: TermsFormat;
  readonly #values: ValueKind | undefined;

  constructor(run: CommandRun, encoding: Encoding, format: TermsFormat, values: ValueKind | undefined) {
    this.#run = run;
    this.#encoding = encoding;
    this.#format = format;
    this.#values = values;
  }

  async start(): Promise<void> {
    if (this.#format === 'csv') await this.#run.text([this.#values === undefined ? 'term\n' : 'term,value\n']);
  }

  /** @returns false, with nothing printed, if the buffer has no room, and with --json */
  tryPrint(term: Uint8Array, value: Uint8Array | undefined): boolean {
    if (this.#run.isJson) return false;
    return this.#run.stdout.tryWriteFrame(NOTHING, this.#shown(term), this.#after(value));
  }

  async print(term: Uint8Array, value: Uint8Array | undefined): Promise<void> {
    const { stdout, isJson } = this.#run;
    if (isJson) {
      const found = this.#values === undefined ? undefined : { value, kind: this.#values };
      await printTermJson(this.#run, term, found, this.#encoding);
      return;
    }
    await stdout.flush();
    if (this.tryPrint(term, value)) return;
    for (const part of [this.#shown(term), this.#after(value)]) await stdout.write(part);
  }

  /** On a terminal, a term must not be obeyed. */
  #shown(term: Uint8Array): string | Uint8Array {
    if (this.#encoding !== 'raw') return encodeBytes(term, this.#encoding);
    const bytes = this.#format === 'csv' ? csvField(term) : term;
    return this.#run.stdout.isTerminal ? terminalBytes(bytes) : bytes;
  }

  #after(value: Uint8Array | undefined): Uint8Array {
    if (this.#values === undefined) return LINE_END;
    const isCsv = this.#format === 'csv';
    const text = Buffer.from(value === undefined ? '' : String(decodeValue(value, this.#values)));
    const field = isCsv ? csvField(text) : text;
    const shown = this.#run.stdout.isTerminal ? Buffer.from(terminalBytes(field)) : field;
    return Buffer.concat([isCsv ? COMMA : TAB, shown, LINE_END]);
  }
}

/** @param found - undefined to print no value */
export async function printTermJson(
  run: CommandRun,
  term: Uint8Array,
  found: { readonly value: Uint8Array | undefined; readonly kind: ValueKind } | undefined,
  asked: Encoding,
): Promise<void> {
  const encoding = asked === 'hex' ? 'hex' : 'base64';
  await run.json('term', () => ({
    encoding,
    term: encodeBytes(term, encoding),
    ...(found && { value: found.value === undefined ? null : decodeValue(found.value, found.kind) }),
  }));
}

const QUOTE = 0x22;
/** Comma, quote, carriage return, line feed. */
const NEEDS_QUOTES: ReadonlySet<number> = new Set([0x2c, QUOTE, 0x0d, 0x0a]);

/** A field of RFC 4180. */
function csvField(term: Uint8Array): Uint8Array {
  if (!term.some((byte) => NEEDS_QUOTES.has(byte))) return term;
  const field = [QUOTE];
  for (const byte of term) field.push(...(byte === QUOTE ? [QUOTE, QUOTE] : [byte]));
  field.push(QUOTE);
  return Uint8Array.from(field);
}
