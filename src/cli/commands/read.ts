import { oneLine } from '../../bytes/quoting.ts';
import type { Command } from 'commander';
import { PageStoreError } from '../../errors.ts';
import { nodeOf, orphanedBytes, type Page } from '../../format/page.ts';
import type { Problem } from '../../format/problem.ts';
import { noteLostPage } from '../options.ts';
import { jsonLine } from '../../report/reporter.ts';
import { assertSlot, soundPages } from '../../store/page-reader.ts';
import { formatRef, parseRef, type RefRange } from '../../store/page-ref.ts';
import type { PageStore } from '../../store/page-store.ts';
import type { Context } from '../context.ts';
import { encodeBytes, type Encoding } from '../framing.ts';
import type { Framing } from '../framing.ts';
import { NodeWriter } from '../framing.ts';
import { type CommonOptions, encodingOption, framingOption, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';
import { withStore } from '../options.ts';

interface ReadOptions extends CommonOptions {
  readonly all?: boolean;
  readonly encoding: Encoding;
  readonly framing: Framing;
}

export function addRead(program: Command, run: Runner): void {
  withCommonOptions(program.command('read'))
    .description('print nodes: one by its ref, exactly as it is; several framed, by lines unless told')
    .argument('<file>')
    .argument('[ref...]', 'block:slot, block (all its nodes), or block:from-to (both included)')
    .option('--all', 'all nodes of the file')
    .addOption(encodingOption('how each node is written'))
    .addOption(framingOption('what stands between nodes: u32 is a length before each, little-endian'))
    .action((file: string, refs: string[], options: ReadOptions, command: Command) => {
      const framed = command.getOptionValueSource('framing') === 'cli';
      return run((context) => read(context, file, refs, options, framed));
    });
}

async function read(
  context: Context,
  file: string,
  refs: string[],
  options: ReadOptions,
  framingTold: boolean,
): Promise<void> {
  if ((options.all === true) === refs.length > 0) {
    throw new PageStoreError('INVALID_REF', 'say which nodes: one REF or more, or --all', { file });
  }
  const ranges = refs.map(parseRef);
  const [only] = ranges;
  const single = ranges.length === 1 && only?.from !== undefined && only.from === only.to && !framingTold;
  const onLost = async (problem: Problem): Promise<void> => {
    if (options.quiet !== true) await noteLostPage(context, file, problem);
  };
  await withStore(file, { access: 'read' }, async (store) => {
    const reading = new Reading(context, options, single ? 'whole' : options.framing);
    if (options.all === true) {
      const progress = new Progress(context, file, blocksText, options.quiet === true || context.stdout.isTerminal);
      await progress.during(async () => {
        for await (const { block, page } of soundPages(store.disk, onLost)) {
          if (!(await reading.page(page, { block }, file))) break;
          await progress.update(block, store.disk.blockCount);
        }
      });
    } else {
      for (const range of ranges) if (!(await reading.page(await pageOf(store, range), range, file))) break;
    }
    await new Printer(context, options).summary('read', file, { nodes: reading.nodes, bytes: reading.bytes });
  });
}

async function pageOf(store: PageStore, { block, to }: RefRange): Promise<Page> {
  const page = await store.readPage(block);
  if (to !== undefined) assertSlot(store.disk, page, { block, slot: to });
  return page;
}

class Reading {
  readonly #context: Context;
  readonly #options: ReadOptions;
  readonly #writer: NodeWriter;
  nodes = 0;
  bytes = 0;

  constructor(context: Context, options: ReadOptions, framing: Framing) {
    this.#context = context;
    this.#options = options;
    this.#writer = new NodeWriter(context.stdout, options.encoding, framing);
  }

  /** Prints nodes of one page. @returns false where nobody reads any more */
  async page(page: Page, range: RefRange, file: string): Promise<boolean> {
    const { stdout, stderr, signal } = this.#context;
    signal.throwIfAborted();
    if (this.#options.quiet !== true && orphanedBytes(page) > 0) {
      const note = 'node bytes without a directory: where each node begins is not known (never finalized)';
      await stderr.write(`artrie-pages: ${oneLine(file)}: block ${range.block} has ${note}\n`);
    }
    const from = range.from ?? 0;
    const end = range.to === undefined ? page.directory.count : range.to + 1;
    for (let slot = from; slot < end && !stdout.closed; slot++) {
      const node = nodeOf(page, slot);
      this.nodes++;
      this.bytes += node.length;
      if (this.#options.json === true) await stdout.write(this.#json({ block: range.block, slot }, node));
      else if (!this.#writer.tryWrite(node)) await this.#writer.write(node);
    }
    await this.#writer.flush();
    return !stdout.closed;
  }

  #json(ref: { block: number; slot: number }, node: Uint8Array): string {
    const encoding = this.#options.encoding === 'hex' ? 'hex' : 'base64';
    return jsonLine('node', { ref: formatRef(ref), bytes: node.length, encoding, data: encodeBytes(node, encoding) });
  }
}
