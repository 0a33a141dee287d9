import { assertOneOf, assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import { writeDecimal } from '../bytes/encodings.ts';
import { printableJson, writeJsonText } from '../bytes/text.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { problemError } from '../disk/page-file.ts';
import { type FileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { isFinalized } from '../format/page-header.ts';
import { orphanedBytes } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { isLostEntry, PresentSlots } from '../format/slots.ts';
import { readValidPages } from '../store/page-reader.ts';

/** Within a version, fields of an export may be added, but not removed or changed. */
export const EXPORT_SCHEMA = 1;

/** For nodes that are not text. */
export type ExportEncoding = 'hex' | 'base64';

export interface ExportedPage {
  readonly block: number;
  /** Including block 0. */
  readonly blocks: number;
  /** Node bytes of a V2 page without a directory, which are not exported. */
  readonly orphanedBytes: number;
  /** Slots without a node, as it was lost before. They have lines of their own. */
  readonly lostSlots: number;
}

export interface ExportOptions {
  /** Of all nodes. Default: text if possible, otherwise base64. */
  readonly encoding?: ExportEncoding;
  /** Called before the lines of each page. What it throws ends the export. */
  readonly onPage?: (page: ExportedPage) => void | Promise<void>;
  /** Called for a page whose first 8 bytes are zero, which is not exported. */
  readonly onLostPage?: (problem: Problem) => void | Promise<void>;
  /** Called before each block, also of those that are not exported. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops before the next page; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Exports a page file as JSON Lines: a line for the file, for each page, for each node or lost slot, and a summary. The same pages,
 * nodes and root have the same export, whatever the offsets of nodes in their pages.
 * @param source - a path, or a BlockFile, which stays open
 * @returns pieces of the text, each valid until the next one is requested; a line may span several
 * @throws {@link PageStoreError} as PageStore.open for reading, and the code of the first error in a page or the root:
 * then there is no summary; the reason of `signal`
 * @see docs/cli.md#export
 */
export async function* exportNodes(
  source: string | BlockFile,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  assertPathOrBlockFile('exportNodes', 'source', source);
  checkOptions('exportNodes', options, {
    encoding: 'any',
    onPage: 'function',
    onLostPage: 'function',
    onProgress: 'function',
    signal: 'signal',
  });
  assertOneOf('exportNodes', 'options.encoding', options.encoding, ['hex', 'base64']);
  const file = typeof source === 'string' ? await openPageFile(source, 'read') : source;
  try {
    yield* exportFile(file, options);
  } finally {
    if (typeof source === 'string') await file.close();
  }
}

async function* exportFile(
  file: BlockFile,
  { encoding, onPage, onLostPage, onProgress, signal }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const disk = await DiskManager.open(file, 'read', { signal });
  const { blockCount } = disk.header;
  const lines = new ExportLines(encoding);
  const totals = { blocks: blockCount, pages: 0, freeBlocks: 0, nodes: 0, bytes: 0 };
  let lost = 0;
  const head = { schema: EXPORT_SCHEMA, command: 'export' };
  lines.add('file', { ...head, blocks: blockCount, ...(await rootFields(file, disk.header)) });
  try {
    for await (const { block, page } of readValidPages(disk, { onLostPage, onProgress })) {
      signal?.throwIfAborted();
      const present = new PresentSlots(page.directory).count;
      const lostSlots = page.directory.count - present;
      await onPage?.({ block, blocks: blockCount, orphanedBytes: orphanedBytes(page), lostSlots });
      const slots = page.directory.count;
      const finalized = isFinalized(page.header);
      if (!lines.hasRoom(0)) yield lines.take();
      lines.add('page', { block, format: page.format, finalized, nodes: present, ...lostField(lostSlots) });
      const bytes = Buffer.from(page.block.buffer, page.block.byteOffset, BLOCK_BYTES);
      for (let slot = 0; slot < slots; slot++) {
        if (isLostEntry(page.directory, slot)) {
          if (!lines.hasRoom(0)) yield lines.take();
          lines.add('lost', { ref: `${block}:${slot}` });
          continue;
        }
        const start = page.directory.nodeOffset(slot);
        const nodeBytes = page.directory.nodeBytes(slot);
        if (!lines.hasRoom(nodeBytes)) yield lines.take();
        lines.addNode(block, slot, bytes, start, start + nodeBytes);
        totals.bytes += nodeBytes;
      }
      totals.pages++;
      totals.nodes += present;
      lost += lostSlots;
    }
  } catch (error) {
    // The lines before the error are valid and complete.
    yield lines.take();
    throw error;
  }
  totals.freeBlocks = blockCount - 1 - totals.pages;
  if (!lines.hasRoom(0)) yield lines.take();
  lines.add('summary', { ...head, ...totals, ...lostField(lost) });
  yield lines.take();
}

/** Lost slots, of which most files have none. */
const lostField = (lost: number): { readonly lost?: number } => (lost === 0 ? {} : { lost });

/** What the importer needs to find the trie; nothing without one. */
async function rootFields(file: BlockFile, header: Readonly<FileHeader>): Promise<object> {
  const { rootPointer, entryCount, imageCheckpointLsn, blockCount } = header;
  const lsn = imageCheckpointLsn === 0n ? {} : { imageCheckpointLsn };
  if (rootPointer === 0n) return lsn;
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await (await CommittedView.open(file)).read(start, 0);
  for (const problem of rootProblems(header, start, blockCount)) throw problemError(file, problem);
  const rootDescriptor = ROOT_DESCRIPTOR.read(start, ROOT_DESCRIPTOR_OFFSET);
  return { rootPointer, rootDescriptor, entryCount, ...lsn };
}

/** Longer than any line without its node. */
const LINE_MARGIN = 1024;
/** Room for the longest node in hex. */
const BUFFER_BYTES = 2 * BLOCK_BYTES + 65_536;

class ExportLines {
  readonly #encoding: ExportEncoding | undefined;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;

  constructor(encoding: ExportEncoding | undefined) {
    this.#encoding = encoding;
  }

  /** Whether a node of this length fits in any encoding. Call it before adding a line. */
  hasRoom(nodeBytes: number): boolean {
    return BUFFER_BYTES - this.#used >= 2 * nodeBytes + LINE_MARGIN;
  }

  /** Removes the added lines. @returns them, valid until others are added */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    return bytes;
  }

  add(type: string, fields: object): void {
    const text = JSON.stringify({ type, ...fields }, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    this.#text(`${printableJson(text)}\n`);
  }

  /** Adds the line of the node `source[start, end)`. */
  addNode(block: number, slot: number, source: Buffer, start: number, end: number): void {
    this.#text('{"type":"node","ref":"');
    this.#number(block);
    this.#text(':');
    this.#number(slot);
    if (this.#encoding !== undefined || !this.#addText(source, start, end)) {
      const encoding = this.#encoding ?? 'base64';
      this.#text(encoding === 'hex' ? '","hex":"' : '","base64":"');
      this.#text(source.toString(encoding, start, end));
    }
    this.#text('"}\n');
  }

  /** @returns false, with nothing added, if the bytes are not text */
  #addText(source: Buffer, start: number, end: number): boolean {
    const before = this.#used;
    this.#text('","text":"');
    const used = writeJsonText(source, start, end, this.#buffer, this.#used);
    this.#used = used < 0 ? before : used;
    return used >= 0;
  }

  #text(ascii: string): void {
    this.#used += this.#buffer.write(ascii, this.#used, 'latin1');
  }

  #number(value: number): void {
    this.#used = writeDecimal(value, this.#buffer, this.#used);
  }
}
