import { PageStoreError } from '../errors.ts';
import { MAX_BLOCKS, V2_MAX_SLOTS } from '../format/layout.ts';
import type { PageFormat } from '../format/page-header.ts';
import { maxNodeBytes } from '../format/page.ts';
import type { FileRoot, PageFileBuilder } from '../store/page-file-builder.ts';
import { formatRef } from '../store/page-ref.ts';
import {
  assertCount,
  assertSchema,
  boolean,
  fieldError,
  type Fields,
  type ImportSummary,
  lineError,
  type LineTaker,
  NodeBytes,
  PACK_ADVICE,
  rootOf,
  shown,
  wholeNumber,
} from './import-fields.ts';

/** Takes nodes without refs, and packs them into pages in their order. */
export class PackedLines implements LineTaker {
  readonly #builder: PageFileBuilder;
  readonly #format: PageFormat;
  readonly #node = new NodeBytes();
  #hasPage = false;
  #hasEnded = false;
  #nodes = 0;
  #bytes = 0;

  constructor(builder: PageFileBuilder, format: PageFormat) {
    this.#builder = builder;
    this.#format = format;
  }

  take(type: string, fields: Fields): Promise<void> | undefined {
    if (this.#hasEnded) throw lineError('it comes behind the summary, which is the last line');
    if (type === 'summary') return this.#summary(fields);
    if (type !== 'node') {
      const what =
        type === 'page' || type === 'file'
          ? `a line of type "${type}" among nodes without a "file" line before them`
          : `its type is ${shown(type)}, which import does not know`;
      throw lineError(`${what}; ${PACK_ADVICE}`);
    }
    if (fields['ref'] !== undefined) {
      throw lineError(`it has a ref, and the input does not begin with the "file" line of an export; ${PACK_ADVICE}`);
    }
    const bytes = this.#node.decode(fields);
    this.#nodes++;
    this.#bytes += bytes;
    return this.#hasPage && this.#builder.add(this.#node.bytes, 0, bytes) ? undefined : this.#addToNewPage(bytes);
  }

  async finish(): Promise<ImportSummary> {
    if (this.#hasPage) await this.#builder.endPage(false, 'open');
    const blocks = this.#builder.block;
    await this.#builder.finish();
    return { refs: 'new', blocks, pages: blocks - 1, freeBlocks: 0, nodes: this.#nodes, bytes: this.#bytes };
  }

  #summary(fields: Fields): undefined {
    if (fields['nodes'] !== undefined) assertCount(fields, 'nodes', this.#nodes);
    this.#hasEnded = true;
    return undefined;
  }

  async #addToNewPage(bytes: number): Promise<void> {
    const format = this.#format;
    const most = maxNodeBytes(format);
    if (bytes > most) {
      const message = `a node of ${bytes} bytes; a ${format} page holds one of at most ${most}`;
      throw new PageStoreError('NODE_TOO_LARGE', message, { found: String(bytes), expected: `at most ${most}` });
    }
    if (this.#hasPage) await this.#builder.endPage(false, 'full');
    await this.#builder.beginPage(format);
    this.#hasPage = true;
    this.#builder.add(this.#node.bytes, 0, bytes);
  }
}

/** The page whose nodes come next. */
interface OpenPage {
  readonly block: number;
  readonly format: PageFormat;
  readonly finalized: boolean;
  readonly nodes: number;
}

/** Takes the lines of an export, and puts each node where its ref says. */
export class PlacedLines implements LineTaker {
  readonly #builder: PageFileBuilder;
  readonly #node = new NodeBytes();
  readonly #blocks: number;
  readonly #root: FileRoot;
  #page: OpenPage | undefined;
  #slot = 0;
  #hasEnded = false;
  #pages = 0;
  #nodes = 0;
  #bytes = 0;

  /** @param file - the fields of the `file` line; @throws {@link PageStoreError} `INVALID_LINE` */
  constructor(builder: PageFileBuilder, file: Fields) {
    assertSchema(file);
    this.#builder = builder;
    this.#blocks = wholeNumber(file, 'blocks', 1, MAX_BLOCKS);
    this.#root = rootOf(file, this.#blocks);
  }

  take(type: string, fields: Fields): Promise<void> | undefined {
    if (this.#hasEnded)
      throw lineError('it comes behind the summary, which is the last line: import one export at a time');
    if (type === 'node') return this.#addNode(fields);
    if (type === 'page') return this.#beginPage(fields);
    if (type === 'summary') return this.#summary(fields);
    if (type === 'file') throw lineError('a second "file" line: import one export at a time');
    throw lineError(`its type is ${shown(type)}, which import does not know`);
  }

  async finish(): Promise<ImportSummary> {
    if (!this.#hasEnded) throw lineError('the input ends before the summary: it is cut, or the export met an error');
    const root = this.#root;
    const entryCount = BigInt(this.#nodes);
    // Without a trie, the header counts nodes.
    await this.#builder.finish(this.#blocks, root.rootPointer === 0n ? { ...root, entryCount } : root);
    return { refs: 'kept', ...this.#counts(), bytes: this.#bytes };
  }

  #addNode(fields: Fields): undefined {
    const page = this.#page;
    const ref = page && this.#slot < page.nodes ? formatRef({ block: page.block, slot: this.#slot }) : undefined;
    if (page === undefined || fields['ref'] !== ref) throw refError(fields, page, ref);
    const bytes = this.#node.decode(fields);
    if (!this.#builder.add(this.#node.bytes, 0, bytes)) {
      throw lineError(
        `node ${ref}, of ${bytes} bytes, has no room in its ${page.format} page as artrie-pages lays it out; ${PACK_ADVICE}`,
      );
    }
    this.#slot++;
    this.#nodes++;
    this.#bytes += bytes;
    return undefined;
  }

  async #beginPage(fields: Fields): Promise<void> {
    const { format } = fields;
    if (format !== 'v1' && format !== 'v2') throw fieldError(fields, 'format', 'v1 or v2');
    const finalized = boolean(fields, 'finalized');
    const nodes = wholeNumber(fields, 'nodes', 0, V2_MAX_SLOTS);
    await this.#endPage();
    // Blocks come in their order, so that a page is written once and no list of them is kept.
    const block = wholeNumber(fields, 'block', this.#builder.block, this.#blocks - 1);
    // No byte is kept free: a page of another program may have been filled to its end.
    await this.#builder.beginPage(format, block, 0);
    this.#page = { block, format, finalized, nodes };
    this.#slot = 0;
    this.#pages++;
  }

  async #endPage(): Promise<void> {
    const page = this.#page;
    if (page === undefined) return;
    if (this.#slot < page.nodes) {
      throw lineError(
        `block ${page.block} has ${this.#slot} of ${page.nodes} nodes before it: nodes are missing; ${PACK_ADVICE}`,
      );
    }
    await this.#builder.endPage(page.finalized, page.finalized ? 'full' : 'open');
    this.#page = undefined;
  }

  async #summary(fields: Fields): Promise<void> {
    await this.#endPage();
    assertSchema(fields);
    for (const [name, count] of Object.entries(this.#counts())) assertCount(fields, name, count);
    this.#hasEnded = true;
  }

  #counts(): { blocks: number; pages: number; freeBlocks: number; nodes: number } {
    const blocks = this.#blocks;
    return { blocks, pages: this.#pages, freeBlocks: blocks - 1 - this.#pages, nodes: this.#nodes };
  }
}

/** @param expected - the ref that comes next, where a node may come */
function refError(fields: Fields, page: OpenPage | undefined, expected: string | undefined): PageStoreError {
  const { ref } = fields;
  if (typeof ref !== 'string')
    return fieldError(fields, 'ref', `block:slot, as of all nodes of an export; ${PACK_ADVICE}`);
  const why =
    page === undefined || !ref.startsWith(`${page.block}:`)
      ? 'does not come behind the line of its page'
      : `comes where ${expected ?? 'no more nodes'} should: nodes are missing, or not in their order`;
  return lineError(`node ${shown(ref)} ${why}; ${PACK_ADVICE}`, ref);
}
