import { U64_DIGITS, writeDecimalU64 } from '../bytes/decimal.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { writeJsonText } from './export-text.ts';

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
