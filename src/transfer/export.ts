import { U64_DIGITS, writeDecimalU64 } from '../bytes/encodings.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { problemError } from '../disk/refusal.ts';
import { type FileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { orphanedBytes, type Page } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { assertOpening } from '../store/arguments.ts';
import { soundPages } from '../store/page-reader.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What {@link ESCAPES} says of bytes that begin a sequence of several, and of those that no text has. */
const SEQUENCE = 1;
const NO_TEXT = 2;

/** What a byte takes in a JSON string: 0 for itself alone, a letter for a backslash and the letter, or one of the above. */
const ESCAPES = new Uint8Array(256).fill(NO_TEXT, 0, 0x20).fill(NO_TEXT, 0x7f, 0x80).fill(SEQUENCE, 0x80);
ESCAPES[QUOTE] = QUOTE;
ESCAPES[BACKSLASH] = BACKSLASH;
for (const [control, letter] of [
  ['\t', 't'],
  ['\n', 'n'],
  ['\r', 'r'],
] as const) {
  ESCAPES[control.charCodeAt(0)] = letter.charCodeAt(0);
}

/**
 * Writes `source[start, end)` to `target` as what stands between the quotes of a JSON string, where it is text: UTF-8
 * without control characters but tab, newline and carriage return, and without U+2028 and U+2029, which some take for
 * the end of a line.
 * @param target - has room for twice the bytes
 * @returns the offset behind it; -1 where it is no text: then bytes from `offset` on may have changed
 */
export function writeJsonText(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  let to = offset;
  let from = start;
  while (from < end) {
    const byte = source[from] as number; // start <= from < end <= source.length
    const escape = ESCAPES[byte] as number; // an entry for each byte
    if (escape === 0) {
      target[to++] = byte;
      from++;
    } else if (escape > NO_TEXT) {
      target[to++] = BACKSLASH;
      target[to++] = escape;
      from++;
    } else {
      const bytes = escape === SEQUENCE ? sequenceBytes(source, from, end) : 0;
      if (bytes === 0) return -1;
      for (const next = from + bytes; from < next; from++) target[to++] = source[from] as number; // as above
    }
  }
  return to;
}

/** Bytes of the UTF-8 sequence at `at`; 0 for what is none, and for a character that is no text. */
function sequenceBytes(source: Uint8Array, at: number, end: number): number {
  const first = source[at] as number; // at < end <= source.length
  const bytes = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (bytes === 0 || at + bytes > end) return 0;
  let point = first & (0x7f >> bytes);
  for (let next = at + 1; next < at + bytes; next++) {
    const byte = source[next] as number; // next < end
    if ((byte & 0xc0) !== 0x80) return 0;
    point = (point << 6) | (byte & 0x3f);
  }
  if (bytes === 2) return point < 0xa0 ? 0 : 2;
  if (bytes === 4) return point < 0x10000 || point > 0x10ffff ? 0 : 4;
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  return point < 0x800 || isSurrogate || point === 0x2028 || point === 0x2029 ? 0 : 3;
}

/** Version of the fields of an export. Within a version fields are added, and none is taken away or changed. */
export const EXPORT_SCHEMA = 1;

/** How bytes that are written as text may be written instead. */
export type ExportEncoding = 'hex' | 'base64';

/** More than a node line has beside its node, and than any other line. */
const LINE_MARGIN = 1024;
/** Room for the longest node, each byte of which takes two. */
const BUFFER_BYTES = 2 * BLOCK_BYTES + 65_536;

/** Lines of an export, gathered in one buffer so that a node costs no object. */
export class ExportLines {
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  readonly #digits = new Uint8Array(U64_DIGITS);
  #used = 0;
  #block = 0;

  /** Whether a line has room, with a node of so many bytes in any encoding. */
  hasRoom(nodeBytes: number): boolean {
    return BUFFER_BYTES - this.#used >= 2 * nodeBytes + LINE_MARGIN;
  }

  /** What has been added since the last time: valid until more is. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    return bytes;
  }

  /** Adds a line of a few fields; {@link hasRoom} for no node has been asked. */
  add(type: string, fields: object): void {
    this.#text(`${JSON.stringify({ type, ...fields })}\n`);
  }

  /** Says whose nodes come next. */
  beginPage(block: number): void {
    this.#block = block;
  }

  /**
   * Adds the line of the node `source[start, end)`; {@link hasRoom} has been asked.
   * @param encoding - how its bytes are written; as text where that is possible, else as base64, by default
   */
  addNode(slot: number, source: Buffer, start: number, end: number, encoding?: ExportEncoding): void {
    this.#text('{"type":"node","ref":"');
    this.#number(this.#block);
    this.#text(':');
    this.#number(slot);
    if (encoding !== undefined || !this.#addText(source, start, end)) {
      const used = encoding ?? 'base64';
      this.#text(used === 'hex' ? '","hex":"' : '","base64":"');
      this.#text(source.toString(used, start, end));
    }
    this.#text('"}\n');
  }

  /** @returns false, with nothing added, where the bytes are no text */
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
    for (let at = writeDecimalU64(value, this.#digits); at < U64_DIGITS; at++)
      this.#buffer[this.#used++] = this.#digits[at] as number; // at < 20, which is its length
  }
}

/** How far an export is: told before the lines of a page. */
export interface ExportedPage {
  readonly block: number;
  /** Blocks of the file, block 0 counted. */
  readonly blocks: number;
  /** Bytes that look like nodes of which the page has no directory: they are not exported. 0 in most pages. */
  readonly orphanedBytes: number;
}

export interface ExportOptions {
  /** How the bytes of every node are written. By default they are text where that is possible, else base64. */
  readonly encoding?: ExportEncoding;
  /** Hears of each page before its lines come; what it throws ends the export. */
  readonly onPage?: (page: ExportedPage) => void | Promise<void>;
  /** Hears of a block that is a page but for 8 zero bytes at its beginning: nothing of it is exported. */
  readonly onLostPage?: (problem: Problem) => void | Promise<void>;
}

/**
 * Writes what is in a page file as JSON Lines: a line for the file, for each page and for each node, and a summary. The
 * same pages, nodes and root give the same bytes; where in its page a node stands is not told.
 * @param file - a path, or a BlockFile, which stays open
 * @returns pieces of the text, each valid until the next is asked for; a line may begin in one and end in a later one
 * @throws {@link PageStoreError} as PageStore.open to read, and the code of the first thing that is wrong with a page or the root: then the summary is missing
 * @see docs/cli.md#export
 */
export async function* exportNodes(
  file: string | BlockFile,
  options: ExportOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  assertOpening(file, 'read', undefined);
  if (typeof file !== 'string') {
    yield* exportFrom(file, options);
    return;
  }
  const opened = await openPageFile(file, 'read');
  try {
    yield* exportFrom(opened, options);
  } finally {
    await opened.close();
  }
}

async function* exportFrom(
  file: BlockFile,
  { encoding, onPage, onLostPage }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const disk = await DiskManager.open(file, 'read');
  const { blockCount } = disk.header;
  const lines = new ExportLines();
  const totals = { blocks: blockCount, pages: 0, freeBlocks: 0, nodes: 0, bytes: 0 };
  lines.add('file', {
    schema: EXPORT_SCHEMA,
    command: 'export',
    blocks: blockCount,
    ...(await rootFields(file, disk.header)),
  });
  try {
    for await (const { block, page } of soundPages(disk, onLostPage)) {
      await onPage?.({ block, blocks: blockCount, orphanedBytes: orphanedBytes(page) });
      const nodes = page.directory.count;
      if (!lines.hasRoom(0)) yield lines.take();
      lines.add('page', { block, format: page.format, finalized: isFinalized(page), nodes });
      lines.beginPage(block);
      const bytes = Buffer.from(page.block.buffer, page.block.byteOffset, BLOCK_BYTES);
      for (let slot = 0; slot < nodes; slot++) {
        const start = page.directory.nodeOffset(slot);
        const nodeBytes = page.directory.nodeBytes(slot);
        if (!lines.hasRoom(nodeBytes)) yield lines.take();
        lines.addNode(slot, bytes, start, start + nodeBytes, encoding);
        totals.bytes += nodeBytes;
      }
      totals.pages++;
      totals.nodes += nodes;
    }
  } catch (error) {
    // What came before it is sound, and its lines are whole.
    yield lines.take();
    throw error;
  }
  totals.freeBlocks = blockCount - 1 - totals.pages;
  if (!lines.hasRoom(0)) yield lines.take();
  lines.add('summary', { schema: EXPORT_SCHEMA, command: 'export', ...totals });
  yield lines.take();
}

const isFinalized = ({ header }: Page): boolean => (header.flags & PAGE_FLAG.finalized) !== 0;

/** What the trie in the file needs to be found again; nothing where there is none. Fields of 64 bits are strings. */
async function rootFields(file: BlockFile, header: Readonly<FileHeader>): Promise<object> {
  const { rootPointer, entryCount, imageCheckpointLsn, blockCount } = header;
  const lsn = imageCheckpointLsn === 0n ? {} : { imageCheckpointLsn: imageCheckpointLsn.toString() };
  if (rootPointer === 0n) return lsn;
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await (await CommittedView.open(file)).read(start, 0);
  for (const problem of rootProblems(header, start, blockCount)) throw problemError(file, problem);
  const { rootType, isFinal, termCount, arenaCount, rootRecord }: RootDescriptor = ROOT_DESCRIPTOR.read(
    start,
    ROOT_DESCRIPTOR_OFFSET,
  );
  return {
    rootPointer: rootPointer.toString(),
    rootDescriptor: { rootType, isFinal, termCount, arenaCount, rootRecord: rootRecord.toString() },
    entryCount: entryCount.toString(),
    ...lsn,
  };
}
