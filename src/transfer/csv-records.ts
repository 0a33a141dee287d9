import type { CsvError, Options, Parser } from 'csv-parse';
import { BLOCK_BYTES } from '../format/layout.ts';
import { lineError } from './import-lines.ts';

/** A record of a CSV file. In each cell, a character is a byte (latin1), so that bytes that are not UTF-8 survive. */
export interface CsvRecord {
  readonly cells: readonly string[];
  /** The line where the record begins, from 1. */
  readonly line: number;
}

/** The whole of it is parsed at once, and all its records are in memory. */
const SLICE_BYTES = 65_536;

/** No page holds a longer cell, and in quotes each of its bytes may be two. */
const MAX_CELL_BYTES = 2 * BLOCK_BYTES + 3;
const MAX_HEADER_BYTES = 4 * 2 ** 20;
const MAX_RECORD_BYTES = 64 * 2 ** 20;

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_MARKS: readonly Buffer[] = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

const MESSAGES: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE:
    'a quote inside a quoted cell; expected a comma or the end of the line after it, or two quotes',
  INVALID_OPENING_QUOTE:
    'a quote inside a cell without quotes; expected the whole cell in quotes, and two for each inside',
  CSV_QUOTE_NOT_CLOSED: 'a quoted cell is not closed; expected a quote before the end of the input',
};

/** Parses CSV (RFC 4180) in pieces: commas, quotes, lines that end with LF or CRLF, and a byte order mark. */
export class CsvRecords {
  /** The line of the next record, from 1. */
  #line = 1;
  /** Records that were parsed and not taken. */
  #records: CsvRecord[] = [];
  #error: Error | undefined;
  /** The first bytes, until there are enough of them for a byte order mark. */
  #head: Buffer | undefined = Buffer.alloc(0);
  #fedBytes = 0;
  /** Where the last complete record ends. */
  #endedBytes = 0;
  #maxRecordBytes = MAX_HEADER_BYTES;
  readonly #parser: Parser;

  private constructor(ParserClass: new (options: Options) => Parser) {
    this.#parser = new ParserClass({
      encoding: 'latin1',
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true, // the importer knows the names of the columns
      on_record: (cells: string[]) => this.#add(cells),
    });
    // Each write gets its error.
    this.#parser.on('error', () => undefined);
  }

  /** Loads the parser, which nothing else uses. */
  static async open(): Promise<CsvRecords> {
    return new CsvRecords((await import('csv-parse')).Parser);
  }

  /** Limits the length of a record, so that a missing quote does not fill the memory. */
  expectColumns(count: number): void {
    this.#maxRecordBytes = Math.min(count * MAX_CELL_BYTES, MAX_RECORD_BYTES);
  }

  /** Parses `chunk`, which is copied. Each result is of a part of it; nothing is parsed ahead of what was taken. */
  async *parse(chunk: Uint8Array): AsyncGenerator<readonly CsvRecord[], void, undefined> {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      // The parser keeps a view of the bytes.
      const bytes = this.#withoutMark(Buffer.from(chunk.subarray(at, at + SLICE_BYTES)), false);
      if (bytes.length === 0) continue;
      await this.#write(bytes);
      yield* this.#take();
    }
  }

  /** The records that the end of the input completes. */
  async *end(): AsyncGenerator<readonly CsvRecord[], void, undefined> {
    const bytes = this.#withoutMark(Buffer.alloc(0), true);
    if (bytes.length > 0) await this.#write(bytes);
    yield* this.#take();
    await new Promise<void>((resolve) => {
      this.#parser.once('finish', resolve);
      this.#parser.once('error', (error) => {
        this.#error = this.#errorOf(error);
        resolve();
      });
      this.#parser.end();
    });
    yield* this.#take();
  }

  /** An error comes after the records before it. */
  *#take(): Generator<readonly CsvRecord[], void, undefined> {
    const records = this.#records;
    this.#records = [];
    if (records.length > 0) yield records;
    if (this.#error) throw this.#error;
    const bytes = this.#fedBytes - this.#endedBytes;
    if (bytes <= this.#maxRecordBytes) return;
    const message = `the record has more than ${this.#maxRecordBytes} bytes; is the quote missing that ends a cell?`;
    throw lineError(`line ${this.#line} of the input: ${message}`);
  }

  #add(cells: string[]): undefined {
    this.#records.push({ cells, line: this.#line });
    this.#endedBytes = this.#parser.info.bytes;
    // Not by the parser's count, in which a CRLF inside quotes is two lines.
    this.#line++;
    for (const cell of cells) {
      for (let at = cell.indexOf('\n'); at >= 0; at = cell.indexOf('\n', at + 1)) this.#line++;
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#fedBytes += bytes.length;
    await new Promise<void>((resolve) =>
      this.#parser.write(bytes, (error) => {
        if (error) this.#error = this.#errorOf(error);
        resolve();
      }),
    );
  }

  #errorOf(error: Error): Error {
    const { code = '', column } = error as Partial<CsvError>;
    const message = MESSAGES[code];
    if (message === undefined) return error;
    const cell = typeof column === 'number' ? ` (cell ${column + 1} of the record that begins there)` : '';
    return lineError(`line ${this.#line} of the input${cell}: ${message}`);
  }

  #withoutMark(bytes: Buffer, isEnd: boolean): Buffer {
    if (this.#head === undefined) return bytes;
    const head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    this.#head = head.length < BYTE_ORDER_MARK.length && !isEnd ? head : undefined;
    if (this.#head) return Buffer.alloc(0);
    if (UTF16_MARKS.some((mark) => head.subarray(0, mark.length).equals(mark)))
      throw lineError('line 1 of the input: it begins as UTF-16 does; expected UTF-8');
    return head.subarray(0, 3).equals(BYTE_ORDER_MARK) ? head.subarray(3) : head;
  }
}
