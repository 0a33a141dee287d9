import {
  assertOneOf,
  assertPathOrBlockFile,
  assertPieces,
  checkOptions,
  type OptionKind,
  hasLostMemory,
  isBytes,
} from '../arguments.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { fillNewFile } from '../disk/node-create.ts';
import { ownershipOf } from '../disk/node-owner.ts';
import { LOCK_OPTION_KINDS, type LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import { MAX_BLOCKS, V2_MAX_SLOTS } from '../format/layout.ts';
import type { PageFormat } from '../format/page-header.ts';
import { maxNodeBytes } from '../format/page.ts';
import { type FileRoot, PageFileBuilder } from '../store/page-file-builder.ts';
import {
  assertSchema,
  fieldError,
  type Fields,
  ImportLines,
  lineError,
  NodeBytes,
  rootOf,
  shown,
  wholeNumber,
} from './import-lines.ts';

/** The lock options are for the target, if it is a path. */
export interface ImportOptions extends LockOptions {
  /** Whether to replace a target that exists. */
  readonly replace?: boolean;
  /** With `replace`: whether the new file gets the permissions and the owner of the old one. */
  readonly keepOwner?: boolean;
  /** For nodes without refs. Default: `v1`. Refused with an export, whose pages have their own formats. */
  readonly pageFormat?: PageFormat;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link importNodes}. */
export interface ImportReport {
  /** `kept`: as in the export. `new`: packed in order. */
  readonly refs: 'kept' | 'new';
  /** Including block 0. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly nodes: number;
  /** Slots that are lost in the export, and stay so. */
  readonly lostSlots: number;
  readonly bytes: number;
}

export const IMPORT_OPTION_KINDS: Readonly<Record<keyof ImportOptions, OptionKind>> = {
  ...LOCK_OPTION_KINDS,
  replace: 'boolean',
  keepOwner: 'boolean',
  pageFormat: 'any',
  signal: 'signal',
};

/**
 * Creates a page file from the lines of an export, with each node at its old ref; or from node lines without refs,
 * which are packed in order. One line and one page are in memory.
 * @param lines - pieces of the text, split anywhere, each used until the next one is requested
 * @param target - a path, where the file appears complete or not at all; or an empty BlockFile, which stays open and is
 * not a page file if this throws
 * @throws {@link PageStoreError} `INVALID_LINE` and `NODE_TOO_LARGE`, with the number of the line; `FILE_EXISTS`,
 * `FILE_LOCKED`, `IO`; what `lines` throws; the reason of `signal`
 * @see docs/cli.md#import
 */
export async function importNodes(
  lines: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  target: string | BlockFile,
  options: ImportOptions = {},
): Promise<ImportReport> {
  assertPieces('importNodes', 'lines', lines);
  assertPathOrBlockFile('importNodes', 'target', target);
  checkOptions('importNodes', options, IMPORT_OPTION_KINDS);
  assertOneOf('importNodes', 'options.pageFormat', options.pageFormat, ['v1', 'v2']);
  const { replace = false, keepOwner = false } = options;
  const ownership = replace && keepOwner && typeof target === 'string' ? await ownershipOf(target) : undefined;
  return fillNewFile(target, replace, (file) => importInto(file, lines, options), { ...options, ...ownership });
}

async function importInto(
  file: BlockFile,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { pageFormat, signal }: ImportOptions,
): Promise<ImportReport> {
  const lines = new ImportLines();
  const builder = await PageFileBuilder.begin(file, signal);
  let importer: LineImporter | undefined;
  let hasSummary = false;
  /** Most nodes need no promise. */
  const addLines = async (isEnd: boolean): Promise<void> => {
    for (let fields = lines.next(isEnd); fields; fields = lines.next(isEnd)) {
      const { type } = fields;
      if (typeof type !== 'string')
        throw fieldError(fields, 'type', '"file", "page", "node" or "summary"; a node is {"type":"node","text":"a"}');
      if (importer === undefined && type === 'file') {
        importer = new KeptRefsImporter(builder, fields, pageFormat);
        continue;
      }
      if (hasSummary)
        throw lineError('a line after the summary, which must be the last one: import one export at a time');
      importer ??= new NewRefsImporter(builder, pageFormat);
      const added = importer.add(type, fields);
      if (added) await added;
      hasSummary = type === 'summary';
    }
  };
  try {
    for await (const chunk of chunks) {
      if (!isBytes(chunk))
        throw new TypeError('importNodes: lines must be an iterable of Uint8Arrays; encode text with TextEncoder');
      if (hasLostMemory(chunk)) throw detachedLines();
      const { length } = chunk;
      for (let at = 0; at < length;) {
        at += lines.push(at === 0 ? chunk : chunk.subarray(at));
        await addLines(false);
        if (hasLostMemory(chunk)) throw detachedLines();
      }
    }
    await addLines(true);
  } catch (error) {
    throw withLine(error, lines.line);
  }
  if (importer === undefined) throw lineError('the input has no lines; did the command that writes them fail?');
  return importer.finish(hasSummary);
}

/** Without it, the rest of a chunk would be missing without an error. */
function detachedLines(): TypeError {
  return new TypeError('importNodes: a chunk of lines is detached: its buffer was transferred before it was read');
}

function withLine(error: unknown, line: number): unknown {
  if (!(error instanceof PageStoreError) || (error.code !== 'INVALID_LINE' && error.code !== 'NODE_TOO_LARGE'))
    return error;
  return new PageStoreError(error.code, `line ${line} of the input: ${error.message}`, error.detail, error);
}

interface LineImporter {
  /** @returns a promise only if the caller must wait */
  add(type: string, fields: Fields): Promise<void> | undefined;
  /** @throws {@link PageStoreError} `INVALID_LINE` if lines are missing */
  finish(hasSummary: boolean): Promise<ImportReport>;
}

const PACK_ADVICE = `to import the nodes with new refs: jq -c 'select(.type == "node") | del(.ref)'`;

/** Refuses a summary with another count than the lines before it. */
function assertCount(summary: Fields, name: string, count: number): void {
  const found = summary[name];
  if (found === count) return;
  const message = `summary says ${shown(found)} ${name}, the input has ${count}: lines are missing or were changed`;
  throw lineError(`${message}; ${PACK_ADVICE}`, found);
}

/** Packs nodes without refs, in order. */
class NewRefsImporter implements LineImporter {
  readonly #builder: PageFileBuilder;
  readonly #format: PageFormat;
  readonly #node = new NodeBytes();
  #bytes = 0;

  constructor(builder: PageFileBuilder, format: PageFormat = 'v1') {
    this.#builder = builder;
    this.#format = format;
  }

  add(type: string, fields: Fields): Promise<void> | undefined {
    const builder = this.#builder;
    if (type === 'summary') {
      if (fields['nodes'] !== undefined) assertCount(fields, 'nodes', builder.nodes + builder.slotCount);
      return undefined;
    }
    if (type === 'page' || type === 'file')
      throw lineError(`a line of type "${type}", but the input does not begin with a "file" line; ${PACK_ADVICE}`);
    if (type === 'lost') return undefined; // without refs, there is no number to keep
    if (type !== 'node') throw lineError(`unknown type ${shown(type)}; ${PACK_ADVICE}`);
    if (fields['ref'] !== undefined)
      throw lineError(`a node with a ref, but the input does not begin with a "file" line; ${PACK_ADVICE}`);
    const bytes = this.#node.decode(fields);
    this.#bytes += bytes;
    return builder.slotCount > 0 && builder.add(this.#node.bytes, 0, bytes) ? undefined : this.#addToNewPage(bytes);
  }

  async finish(): Promise<ImportReport> {
    if (this.#builder.slotCount > 0) await this.#builder.endPage(false, 'open');
    await this.#builder.finish();
    const { block: blocks, nodes } = this.#builder;
    return { refs: 'new', blocks, pages: blocks - 1, freeBlocks: 0, nodes, lostSlots: 0, bytes: this.#bytes };
  }

  async #addToNewPage(bytes: number): Promise<void> {
    const most = maxNodeBytes(this.#format);
    if (bytes > most) {
      const message = `the node has ${bytes} bytes, more than the ${most} that a ${this.#format} page can hold`;
      throw new PageStoreError('NODE_TOO_LARGE', message, { found: String(bytes), expected: `at most ${most}` });
    }
    if (this.#builder.slotCount > 0) await this.#builder.endPage(false, 'full');
    await this.#builder.beginPage(this.#format);
    this.#builder.add(this.#node.bytes, 0, bytes);
  }
}

interface CurrentPage {
  readonly block: number;
  readonly format: PageFormat;
  readonly finalized: boolean;
  /** Those of lost nodes included. */
  readonly slots: number;
}

/** Imports an export, each node at its ref. */
class KeptRefsImporter implements LineImporter {
  readonly #builder: PageFileBuilder;
  readonly #node = new NodeBytes();
  readonly #blocks: number;
  readonly #root: FileRoot | undefined;
  #page: CurrentPage | undefined;
  #bytes = 0;

  constructor(builder: PageFileBuilder, file: Fields, pageFormat: PageFormat | undefined) {
    if (pageFormat !== undefined)
      throw lineError('the input is an export, whose pages have their own formats: omit the page format');
    assertSchema(file);
    this.#builder = builder;
    this.#blocks = wholeNumber(file, 'blocks', 1, MAX_BLOCKS);
    this.#root = rootOf(file, this.#blocks);
  }

  add(type: string, fields: Fields): Promise<void> | undefined {
    if (type === 'node') return this.#addNode(fields);
    if (type === 'lost') return this.#addLost(fields);
    if (type === 'page') return this.#beginPage(fields);
    if (type === 'summary') return this.#endAt(fields);
    if (type === 'file') throw lineError('a second "file" line: import one export at a time');
    throw lineError(`unknown type ${shown(type)}`);
  }

  async finish(hasSummary: boolean): Promise<ImportReport> {
    if (!hasSummary) throw lineError('the input ends before the summary: it was truncated, or the export failed');
    await this.#builder.finish(this.#blocks, this.#root);
    return { refs: 'kept', ...this.#counts(), lostSlots: this.#builder.lostSlots, bytes: this.#bytes };
  }

  #addNode(fields: Fields): undefined {
    const page = this.#pageOfNext(fields);
    const bytes = this.#node.decode(fields);
    this.#bytes += bytes;
    if (!this.#builder.add(this.#node.bytes, 0, bytes)) throw noRoomError(fields, page, `of ${bytes} bytes`);
  }

  /** A slot whose node was lost before the export keeps its number, and stays lost. */
  #addLost(fields: Fields): undefined {
    const page = this.#pageOfNext(fields);
    if (!this.#builder.addLost()) throw noRoomError(fields, page, 'that is lost');
  }

  #pageOfNext(fields: Fields): CurrentPage {
    const page = this.#page;
    const slot = this.#builder.slotCount;
    const ref = page && slot < page.slots ? `${page.block}:${slot}` : undefined;
    if (page === undefined || fields['ref'] !== ref) throw refError(fields, page, ref);
    return page;
  }

  async #beginPage(fields: Fields): Promise<void> {
    const { format, finalized } = fields;
    if (format !== 'v1' && format !== 'v2') throw fieldError(fields, 'format', 'v1 or v2');
    if (typeof finalized !== 'boolean') throw fieldError(fields, 'finalized', 'true or false');
    const nodes = wholeNumber(fields, 'nodes', 0, V2_MAX_SLOTS);
    const lost = fields['lost'] === undefined ? 0 : wholeNumber(fields, 'lost', 0, V2_MAX_SLOTS);
    await this.#endPage();
    // Ascending, so that each page is written once and free blocks need no list in memory.
    const block = wholeNumber(fields, 'block', this.#builder.block, this.#blocks - 1);
    // No reserve: another program may have filled the page to its last byte.
    await this.#builder.beginPage(format, block, 0);
    this.#page = { block, format, finalized, slots: nodes + lost };
  }

  async #endPage(): Promise<void> {
    if (this.#page === undefined) return;
    const { block, finalized, slots } = this.#page;
    const { slotCount } = this.#builder;
    if (slotCount < slots)
      throw lineError(`page ${block} has ${slotCount} of its ${slots} nodes: lines are missing; ${PACK_ADVICE}`);
    await this.#builder.endPage(finalized, finalized ? 'full' : 'open');
    this.#page = undefined;
  }

  async #endAt(summary: Fields): Promise<void> {
    await this.#endPage();
    assertSchema(summary);
    for (const [name, count] of Object.entries(this.#counts())) assertCount(summary, name, count);
    const { lostSlots } = this.#builder;
    if (lostSlots > 0 || summary['lost'] !== undefined) assertCount(summary, 'lost', lostSlots);
  }

  #counts(): { blocks: number; pages: number; freeBlocks: number; nodes: number } {
    const { block, freeBlocks, lostSlots } = this.#builder;
    const nodes = this.#builder.nodes - lostSlots;
    const [blocks, pages] = [this.#blocks, block - 1 - freeBlocks];
    return { blocks, pages, freeBlocks: blocks - 1 - pages, nodes };
  }
}

function noRoomError({ ref }: Fields, { format }: CurrentPage, what: string): PageStoreError {
  const message = `node ${String(ref)} ${what} does not fit in its ${format} page as artrie-pages lays it out`;
  return lineError(`${message}; ${PACK_ADVICE}`);
}

/** @param expected - the next ref; undefined at the end of the page */
function refError(fields: Fields, page: CurrentPage | undefined, expected: string | undefined): PageStoreError {
  const { ref } = fields;
  if (typeof ref !== 'string') return fieldError(fields, 'ref', `block:slot, as in an export; ${PACK_ADVICE}`);
  const why =
    page === undefined || !ref.startsWith(`${page.block}:`)
      ? 'is not after the line of its page'
      : `found, expected ${expected ?? 'the next page'}: nodes are missing or out of order`;
  return lineError(`node ${shown(ref)} ${why}; ${PACK_ADVICE}`, ref);
}
