import { maxNodeBytes } from '../format/page.ts';
import type { PageFormat } from '../format/page-header.ts';
import { PageStoreError } from '../errors.ts';
import type { PageFileBuilder } from '../store/page-file-builder.ts';
import { type Fields, lineError, NodeBytes, shown } from './import-fields.ts';
import { assertCount, type ImportSummary, type LineTaker, PACK_ADVICE } from './import-taker.ts';

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
