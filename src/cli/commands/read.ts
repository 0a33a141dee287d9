import type { Command } from 'commander';
import { terminalBytes } from '../../bytes/text.ts';
import { PageStoreError } from '../../errors.ts';
import { nodeOf, orphanedBytes, type Page } from '../../format/page.ts';
import { isLostEntry } from '../../format/slots.ts';
import { assertSlot } from '../../store/page-reader.ts';
import { formatRef, parseRef, type RefRange } from '../../store/page-ref.ts';
import { open, type PageStore } from '../../store/page-store.ts';
import type { FoundKey } from '../../transfer/find-keys.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { lostPageNote, lostSlotsNote, noDirectoryNote, UsageError } from '../errors.ts';
import { encodeBytes, type Encoding, frameOf, type Framing } from '../framing.ts';
import { collect, type CommonOptions, encodingOption, framingOption } from '../options.ts';

interface ReadOptions extends CommonOptions {
  readonly all?: boolean;
  readonly key?: readonly string[];
  readonly encoding: Encoding;
  readonly framing: Framing;
}

export function addRead(command: Command, start: StartCommand): void {
  command
    .description('print nodes: a single node raw, several one per line')
    .argument('<file>', 'the page file')
    .argument('[ref...]', 'block:slot, block (all its nodes), or block:from-to (inclusive)')
    .option('--all', 'all nodes of the file')
    .option('--key <key>', 'the value of the first node with this key; may be repeated', collect(nonEmptyKey))
    .addOption(encodingOption('how each node is printed'))
    .addOption(framingOption('what separates nodes; u32: a length before each, little-endian'))
    .action((file: string, refs: string[], options: ReadOptions) => {
      const hasFraming = command.getOptionValueSource('framing') === 'cli';
      return start(options, (run) => read(run, file, refs, options, hasFraming));
    });
}

function nonEmptyKey(key: string): string {
  if (key === '') throw new UsageError('--key must not be empty', 'read');
  return key;
}

async function read(
  run: CommandRun,
  file: string,
  refs: string[],
  options: ReadOptions,
  hasFraming: boolean,
): Promise<void> {
  const { all = false, key: keys = [], encoding } = options;
  const ways = Number(all) + Number(refs.length > 0) + Number(keys.length > 0);
  if (keys.length > 0 && ways > 1) throw new UsageError('--key cannot be used together with REFs or --all', 'read');
  if (all && refs.length > 0) throw new UsageError('give REFs or --all, not both', 'read');
  if (ways !== 1) throw new PageStoreError('INVALID_REF', 'give one or more REFs, --all, or --key KEY', { file });
  const ranges = refs.map(parseRef);
  const [only] = ranges;
  const isNode = ranges.length === 1 && only?.from !== undefined && only.from === only.to;
  const isSingle = (isNode || keys.length === 1) && !hasFraming;
  const printer = new NodePrinter(run, file, encoding, isSingle ? 'whole' : options.framing);
  await withOpen(open(file, { access: 'read', signal: run.signal }), async (store) => {
    if (all) await readAll(run, file, store, printer);
    else if (keys.length > 0) await readKeys(run, file, store, keys, printer);
    else for (const range of ranges) if (!(await printer.print(await pageOf(store, range), range))) break;
  });
  await run.summary(file, {
    nodes: printer.nodeCount,
    bytes: printer.nodeBytes,
    ...(printer.lostSlots > 0 && { lostSlots: printer.lostSlots }),
  });
}

async function readAll(run: CommandRun, file: string, store: PageStore, printer: NodePrinter): Promise<void> {
  await run.withProgress({ what: file, unit: blocksText, hasRows: true }, async (progress) => {
    const pages = store.pages({
      onLostPage: (problem) => run.note(lostPageNote(file, problem)),
      onProgress: progress.update,
    });
    for await (const { block, page } of pages) {
      if (!(await printer.print(page, { block }))) break;
    }
  });
}

/** @throws {@link PageStoreError} `KEY_NOT_FOUND`, or the code of damage, after the values of the keys that were found */
async function readKeys(
  run: CommandRun,
  file: string,
  store: PageStore,
  keys: readonly string[],
  printer: NodePrinter,
): Promise<void> {
  // Loaded only when needed: it slows the start.
  const { searchKeys } = await import('../../transfer/find-keys.ts');
  const { found, error } = await run.withProgress({ what: file, unit: blocksText }, (progress) =>
    searchKeys(store, keys, {
      onLostPage: (problem) => run.note(lostPageNote(file, problem)),
      onProgress: progress.update,
      signal: run.signal,
    }),
  );
  for (const [at, node] of found.entries()) {
    if (node && !(await printer.printValue(await store.readPage(node.ref.block), node, keys[at] as string))) return;
  }
  if (error) throw error;
  const missing = keys.filter((_, at) => found[at] === undefined);
  if (missing.length === 0) return;
  const names = missing.slice(0, MAX_SHOWN_KEYS).map((key) => `'${key.slice(0, MAX_SHOWN_CHARACTERS)}'`);
  const others = missing.length > names.length ? ` and ${missing.length - names.length} others` : '';
  throw new PageStoreError('KEY_NOT_FOUND', `no node has the key ${names.join(' or ')}${others}`, { file });
}

const MAX_SHOWN_KEYS = 5;
const MAX_SHOWN_CHARACTERS = 100;

async function pageOf(store: PageStore, { block, from, to }: RefRange): Promise<Page> {
  const page = await store.readPage(block);
  if (to === undefined) return page;
  if (to >= page.directory.count) assertSlot(page, { block, slot: to }, store.name);
  // Of nodes that were asked for one by one, none may be missing.
  for (let slot = from ?? 0; slot <= to; slot++) assertSlot(page, { block, slot }, store.name);
  return page;
}

class NodePrinter {
  readonly #run: CommandRun;
  readonly #file: string;
  readonly #encoding: Encoding;
  readonly #framing: Framing;
  nodeCount = 0;
  nodeBytes = 0;
  lostSlots = 0;

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
    let lost = 0;
    for (let slot = from; slot <= to && !stdout.closed; slot++) {
      if (isLostEntry(page.directory, slot)) {
        lost++;
        continue;
      }
      const node = nodeOf(page, slot);
      this.nodeCount++;
      this.nodeBytes += node.length;
      if (isJson) await this.#printJson(block, slot, node);
      else if (!this.#tryPrint(node)) await this.#printLarge(node);
    }
    this.lostSlots += lost;
    if (lost > 0) await this.#run.note(lostSlotsNote(this.#file, block, lost, 'not printed'));
    return !stdout.closed;
  }

  /** Prints the bytes after the key of a node. @returns as `print` */
  async printValue(page: Page, { ref, valueOffset }: FoundKey, key: string): Promise<boolean> {
    const { stdout, signal, isJson } = this.#run;
    signal.throwIfAborted();
    const value = nodeOf(page, ref.slot).subarray(valueOffset);
    this.nodeCount++;
    this.nodeBytes += value.length;
    if (isJson) await this.#printJson(ref.block, ref.slot, value, key);
    else if (!this.#tryPrint(value)) await this.#printLarge(value);
    return !stdout.closed;
  }

  /** A function of its own, since V8 optimizes it long before the asynchronous loop. @returns false if the buffer has no room */
  #tryPrint(node: Uint8Array): boolean {
    const data = this.#shown(node);
    const { before, after } = frameOf(this.#framing, data.length);
    return this.#run.stdout.tryWriteFrame(before, data, after);
  }

  /** On a terminal, a node must not be obeyed. */
  #shown(node: Uint8Array): string | Uint8Array {
    if (this.#encoding === 'raw' && this.#run.stdout.isTerminal) return terminalBytes(node);
    return encodeBytes(node, this.#encoding);
  }

  async #printLarge(node: Uint8Array): Promise<void> {
    const { stdout } = this.#run;
    await stdout.flush();
    if (this.#tryPrint(node)) return;
    const data = this.#shown(node);
    const { before, after } = frameOf(this.#framing, data.length);
    for (const part of [before, data, after]) await stdout.write(part);
  }

  /** Apart from the loop: a closure there would allocate a context for each node. */
  async #printJson(block: number, slot: number, node: Uint8Array, key?: string): Promise<void> {
    const encoding = this.#encoding === 'hex' ? 'hex' : 'base64';
    await this.#run.json('node', () => ({
      ref: formatRef({ block, slot }),
      key,
      bytes: node.length,
      encoding,
      data: encodeBytes(node, encoding),
    }));
  }
}
