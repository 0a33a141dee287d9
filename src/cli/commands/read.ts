import type { Command } from 'commander';
import { PageStoreError } from '../../errors.ts';
import { nodeOf, orphanedBytes, type Page } from '../../format/page.ts';
import { assertSlot } from '../../store/page-reader.ts';
import { formatRef, parseRef, type RefRange } from '../../store/page-ref.ts';
import { open, type PageStore } from '../../store/page-store.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { lostPageNote, noDirectoryNote } from '../errors.ts';
import { encodeBytes, type Encoding, frameOf, type Framing } from '../framing.ts';
import { type CommonOptions, encodingOption, framingOption } from '../options.ts';

interface ReadOptions extends CommonOptions {
  readonly all?: boolean;
  readonly encoding: Encoding;
  readonly framing: Framing;
}

export function addRead(command: Command, start: StartCommand): void {
  command
    .description('print nodes: a single node raw, several one per line')
    .argument('<file>', 'the page file')
    .argument('[ref...]', 'block:slot, block (all its nodes), or block:from-to (inclusive)')
    .option('--all', 'all nodes of the file')
    .addOption(encodingOption('how each node is printed'))
    .addOption(framingOption('what separates nodes; u32: a length before each, little-endian'))
    .action((file: string, refs: string[], options: ReadOptions) => {
      const hasFraming = command.getOptionValueSource('framing') === 'cli';
      return start(options, (run) => read(run, file, refs, options, hasFraming));
    });
}

async function read(
  run: CommandRun,
  file: string,
  refs: string[],
  options: ReadOptions,
  hasFraming: boolean,
): Promise<void> {
  const { all = false, encoding } = options;
  if (all === refs.length > 0) {
    throw new PageStoreError('INVALID_REF', 'give one or more REFs, or --all', { file });
  }
  const ranges = refs.map(parseRef);
  const [only] = ranges;
  const isSingle = ranges.length === 1 && only?.from !== undefined && only.from === only.to && !hasFraming;
  const printer = new NodePrinter(run, file, encoding, isSingle ? 'whole' : options.framing);
  await withOpen(open(file, { access: 'read' }), async (store) => {
    if (all) await readAll(run, file, store, printer);
    else for (const range of ranges) if (!(await printer.print(await pageOf(store, range), range))) break;
  });
  await run.summary(file, { nodes: printer.nodeCount, bytes: printer.nodeBytes });
}

async function readAll(run: CommandRun, file: string, store: PageStore, printer: NodePrinter): Promise<void> {
  await run.withProgress({ what: file, unit: blocksText, hasRows: true }, async (progress) => {
    const pages = store.pages({ onLostPage: (problem) => run.note(lostPageNote(file, problem)) });
    for await (const { block, page } of pages) {
      if (!(await printer.print(page, { block }))) break;
      await progress.update(block, store.blockCount);
    }
  });
}

async function pageOf(store: PageStore, { block, to }: RefRange): Promise<Page> {
  const page = await store.readPage(block);
  if (to !== undefined) assertSlot(page, { block, slot: to }, store.name);
  return page;
}

class NodePrinter {
  readonly #run: CommandRun;
  readonly #file: string;
  readonly #encoding: Encoding;
  readonly #framing: Framing;
  nodeCount = 0;
  nodeBytes = 0;

  constructor(run: CommandRun, file: string, encoding: Encoding, framing: Framing) {
    this.#run = run;
    this.#file = file;
    this.#encoding = encoding;
    this.#framing = framing;
  }

  /** @returns false once the reader of the output has gone */
  async print(page: Page, { block, from = 0, to = page.directory.count - 1 }: RefRange): Promise<boolean> {
    const { stdout, signal, isJson } = this.#run;
    signal.throwIfAborted();
    if (orphanedBytes(page) > 0) await this.#run.note(noDirectoryNote(this.#file, block));
    for (let slot = from; slot <= to && !stdout.closed; slot++) {
      const node = nodeOf(page, slot);
      this.nodeCount++;
      this.nodeBytes += node.length;
      if (isJson) await this.#printJson(block, slot, node);
      else if (!this.#tryPrint(node)) await this.#printLarge(node);
    }
    return !stdout.closed;
  }

  /** A function of its own, since V8 optimizes it long before the asynchronous loop. @returns false if the buffer has no room */
  #tryPrint(node: Uint8Array): boolean {
    const data = encodeBytes(node, this.#encoding);
    const { before, after } = frameOf(this.#framing, data.length);
    return this.#run.stdout.tryWriteFrame(before, data, after);
  }

  async #printLarge(node: Uint8Array): Promise<void> {
    const { stdout } = this.#run;
    await stdout.flush();
    if (this.#tryPrint(node)) return;
    const data = encodeBytes(node, this.#encoding);
    const { before, after } = frameOf(this.#framing, data.length);
    for (const part of [before, data, after]) await stdout.write(part);
  }

  /** Apart from the loop: a closure there would allocate a context for each node. */
  async #printJson(block: number, slot: number, node: Uint8Array): Promise<void> {
    const encoding = this.#encoding === 'hex' ? 'hex' : 'base64';
    await this.#run.json('node', () => ({
      ref: formatRef({ block, slot }),
      bytes: node.length,
      encoding,
      data: encodeBytes(node, encoding),
    }));
  }
}
