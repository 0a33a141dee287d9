import { isUtf8 } from 'node:buffer';
import { type Fields, lineError } from './import-fields.ts';

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
