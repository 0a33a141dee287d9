import { isUtf8 } from 'node:buffer';
import type { BlockFile } from '../disk/block-file.ts';
import { assertEmpty } from '../disk/file-head.ts';
import { createBlockFile } from '../disk/node-create.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import { assertOpening } from '../store/arguments.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { type Fields, type ImportSummary, lineError, type LineTaker } from './import-fields.ts';
import { PackedLines, PlacedLines } from './import-targets.ts';

/** Longest line, in bytes: more than six characters for each byte of the longest node. */
export const MAX_LINE_BYTES = 2_097_152;

const FIRST_BYTES = 262_144;
const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = 0xfeff;

/** Cuts a stream of bytes into JSON Lines. What is held is the line at hand, and what came in with it. */
export class ImportLines {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  /** What is held and not cut is `[start, end)`. */
  #start = 0;
  #end = 0;
  /** How many bytes behind the start are known to hold no newline. */
  #searchedBytes = 0;
  #line = 0;
  #ended = false;

  /** The number of the line that came last, counted from 1. */
  get line(): number {
    return this.#line;
  }

  /**
   * Takes what of `chunk` has room beside the line at hand; `next` has been asked until it gave nothing.
   * @returns the bytes that it took: at least one, where the chunk has one
   */
  push(chunk: Uint8Array): number {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    if (this.#end === this.#buffer.length) this.#grow();
    const taken = Math.min(chunk.length, this.#buffer.length - this.#end);
    this.#buffer.set(taken === chunk.length ? chunk : chunk.subarray(0, taken), this.#end);
    this.#end += taken;
    return taken;
  }

  /** Says that the stream has ended: what is left is the last line. */
  finish(): void {
    this.#ended = true;
  }

  /**
   * The object in the next line; empty lines are passed over.
   * @returns undefined where more of the stream is needed
   * @throws {@link PageStoreError} `INVALID_LINE`
   */
  next(): Fields | undefined {
    for (;;) {
      const found = this.#buffer.indexOf(NEWLINE, this.#start + this.#searchedBytes);
      // Behind the end there may be one of lines that were cut before.
      const isLast = found < 0 || found >= this.#end;
      if (isLast) this.#searchedBytes = this.#end - this.#start;
      if (isLast && !(this.#ended && this.#start < this.#end)) return undefined;
      const [start, end] = [this.#start, isLast ? this.#end : found];
      this.#start = isLast ? end : end + 1;
      this.#searchedBytes = 0;
      this.#line++;
      const fields = this.#parse(start, end, isLast);
      if (fields) return fields;
    }
  }

  #parse(start: number, end: number, isLast: boolean): Fields | undefined {
    const bytes = this.#buffer.subarray(start, end);
    if (!isUtf8(bytes)) throw lineError('it is not UTF-8');
    const text = bytes.toString('utf8');
    const line = this.#line === 1 && text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
    if (line.trim() === '') return undefined;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      // A SyntaxError; or a RangeError, where it is nested deeper than there is room for.
      const why = error instanceof Error ? error.message : String(error);
      throw lineError(`it is not JSON${isLast ? ', and the last line: is the input cut?' : ''} (${why})`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw lineError('it is no JSON object', value);
    return value as Fields;
  }

  #grow(): void {
    if (this.#end >= MAX_LINE_BYTES) {
      this.#line++;
      throw lineError(`it is longer than ${MAX_LINE_BYTES} bytes, and no line of an export is: is this JSON Lines?`);
    }
    const grown = Buffer.allocUnsafe(2 * this.#buffer.length);
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}

export type { ImportSummary } from './import-fields.ts';

/** The options of the lock have a meaning for a path. */
export interface ImportOptions extends LockOptions {
  /** Whether to take the place of a file that exists. */
  readonly replace?: boolean;
  /** The format of pages for nodes without refs, `v1` by default. With the lines of an export, which name a format for each page, it is an error. */
  readonly pageFormat?: PageFormat;
  /** Stops it between two blocks: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a page file of the lines of an export, each node at the ref that it had; or of lines of nodes without refs, which
 * are packed in their order. One line and one page are in memory.
 * @param lines - pieces of the text, cut anywhere, each used until the next is asked for
 * @param file - a path, where the file appears whole or not at all; or a BlockFile, which stays open, and is no page file where this fails
 * @throws {@link PageStoreError} `INVALID_LINE`, `NODE_TOO_LARGE`, `FILE_EXISTS`, `FILE_LOCKED`, `IO`, and what `lines` throws; a message about a line begins with its number
 * @see docs/cli.md#import
 */
export async function importNodes(
  lines: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  file: string | BlockFile,
  options: ImportOptions = {},
): Promise<ImportSummary> {
  const { replace = false } = options;
  assertOpening(file, 'write', options.pageFormat);
  if (typeof file !== 'string') {
    await assertEmpty(file, replace);
    return fill(file, lines, options);
  }
  const filled: ImportSummary[] = [];
  const made = await createBlockFile(
    file,
    replace,
    async (target) => {
      filled.push(await fill(target, lines, options));
    },
    options,
  );
  await made.close();
  return filled[0] as ImportSummary; // createBlockFile has waited for it
}

async function fill(
  file: BlockFile,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { pageFormat, signal }: ImportOptions,
): Promise<ImportSummary> {
  const lines = new ImportLines();
  const run = new ImportRun(await PageFileBuilder.begin(file, signal), lines, pageFormat);
  try {
    for await (const chunk of chunks) {
      if (!(chunk instanceof Uint8Array))
        throw new TypeError('lines come as Uint8Arrays; encode text with TextEncoder');
      for (let at = 0; at < chunk.length;) {
        at += lines.push(at === 0 ? chunk : chunk.subarray(at));
        await run.takeLines();
      }
    }
    lines.finish();
    await run.takeLines();
  } catch (error) {
    throw withLine(error, lines.line);
  }
  return run.finish();
}

class ImportRun {
  readonly #builder: PageFileBuilder;
  readonly #lines: ImportLines;
  readonly #pageFormat: PageFormat | undefined;
  #taker: LineTaker | undefined;

  constructor(builder: PageFileBuilder, lines: ImportLines, pageFormat: PageFormat | undefined) {
    this.#builder = builder;
    this.#lines = lines;
    this.#pageFormat = pageFormat;
  }

  /** Takes the lines that are there whole. Most nodes cost no promise. */
  async takeLines(): Promise<void> {
    for (let fields = this.#lines.next(); fields; fields = this.#lines.next()) {
      const taken = this.#take(fields);
      if (taken) await taken;
    }
  }

  async finish(): Promise<ImportSummary> {
    if (this.#taker === undefined)
      throw lineError('the input has no lines: did the command that was to write them fail?');
    return this.#taker.finish();
  }

  #take(fields: Fields): Promise<void> | undefined {
    const { type } = fields;
    if (typeof type !== 'string')
      throw lineError('it has no "type": an export has lines of type file, page, node and summary');
    if (this.#taker) return this.#taker.take(type, fields);
    if (type !== 'file') {
      this.#taker = new PackedLines(this.#builder, this.#pageFormat ?? 'v1');
      return this.#taker.take(type, fields);
    }
    if (this.#pageFormat !== undefined)
      throw lineError(
        'these are the lines of an export, whose pages have the formats that they say: leave the page format out',
      );
    this.#taker = new PlacedLines(this.#builder, fields);
    return undefined;
  }
}

/** Adds to an error of the input the line that it is about. */
function withLine(error: unknown, line: number): unknown {
  if (!(error instanceof PageStoreError) || (error.code !== 'INVALID_LINE' && error.code !== 'NODE_TOO_LARGE'))
    return error;
  return new PageStoreError(error.code, `line ${line} of the input: ${error.message}`, error.detail, error);
}
