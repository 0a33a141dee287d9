import { isUtf8 } from 'node:buffer';
import { copyRange } from '../bytes/buffer.ts';
import { decodeBase64, decodeHex } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import { newFileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import type { FileRoot } from '../store/page-file-builder.ts';
import type { EXPORT_SCHEMA } from './export.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function lineError(message: string, found?: unknown): PageStoreError {
  return new PageStoreError('INVALID_LINE', message, found === undefined ? {} : { found: shown(found) });
}

const SHOWN_CHARACTERS = 40;

export function shown(value: unknown): string {
  // Too deep nesting would fail in JSON.stringify.
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (value === Infinity || value === -Infinity) return 'a number that is too large';
  // A line may be long, so cut it first.
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, SHOWN_CHARACTERS + 1) : value) ?? 'nothing';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

export function fieldError(fields: Fields, name: string, expected: string): PageStoreError {
  const value = fields[name];
  return lineError(`"${name}" is ${value === undefined ? 'missing' : shown(value)}; expected ${expected}`, value);
}

export function wholeNumber(fields: Fields, name: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw fieldError(fields, name, `a whole number from ${least} to ${most}`);
}

const U64_END = 2n ** 64n;

function u64(fields: Fields, name: string): bigint {
  const value = fields[name];
  const number = typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : U64_END;
  if (number < U64_END) return number;
  throw fieldError(fields, name, 'a string of digits, below 2^64');
}

/** Only the type is imported: importing needs no code that reads page files. */
const MAX_SCHEMA: typeof EXPORT_SCHEMA = 1;

/** @throws {@link PageStoreError} `INVALID_LINE` for a later version */
export function assertSchema(fields: Fields): void {
  const schema = wholeNumber(fields, 'schema', 1, Number.MAX_SAFE_INTEGER);
  if (schema > MAX_SCHEMA)
    throw fieldError(fields, 'schema', `at most ${MAX_SCHEMA}: a later version wrote these lines`);
}

const U8_MAX = 0xff;
const U32_MAX = 0xffff_ffff;

/**
 * @returns undefined if the file has no trie
 * @throws {@link PageStoreError} `INVALID_LINE` for a root that a file of `blocks` blocks cannot have
 */
export function rootOf(file: Fields, blocks: number): FileRoot | undefined {
  if (file['imageCheckpointLsn'] !== undefined) u64(file, 'imageCheckpointLsn');
  if (file['rootPointer'] === undefined || u64(file, 'rootPointer') === 0n) return undefined;
  const rootPointer = u64(file, 'rootPointer');
  const descriptor = file['rootDescriptor'];
  if (typeof descriptor !== 'object' || descriptor === null) throw fieldError(file, 'rootDescriptor', 'an object');
  const fields = descriptor as Fields;
  const rootDescriptor = {
    rootType: wholeNumber(fields, 'rootType', 0, U8_MAX),
    isFinal: wholeNumber(fields, 'isFinal', 0, U8_MAX),
    termCount: wholeNumber(fields, 'termCount', 0, U32_MAX),
    arenaCount: wholeNumber(fields, 'arenaCount', 0, U32_MAX),
    rootRecord: u64(fields, 'rootRecord'),
  };
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  ROOT_DESCRIPTOR.write(rootDescriptor, start, ROOT_DESCRIPTOR_OFFSET);
  for (const { message } of rootProblems({ ...newFileHeader(blocks), rootPointer }, start, blocks))
    throw lineError(message);
  // The log of the exported file is not beside the new one, and a new log begins at 1.
  return { rootPointer, rootDescriptor, entryCount: u64(file, 'entryCount'), imageCheckpointLsn: 0n };
}

/** More than fits in a page. */
const MAX_NODE_BYTES = BLOCK_BYTES - NODE_AREA_OFFSET;

const LONE_SURROGATE = /\p{Surrogate}/u;

export class NodeBytes {
  /** Begins with the last node. Hex is decoded in place, so there is room for two. */
  readonly bytes: Buffer = Buffer.alloc(2 * MAX_NODE_BYTES);

  /**
   * Decodes `text`, `base64` or `hex`, or `data` as in the output of `read --json`. @returns the length of the node
   * @throws {@link PageStoreError} `INVALID_LINE`, `NODE_TOO_LARGE`
   */
  decode(fields: Fields): number {
    const { text, base64, hex, data, encoding } = fields;
    const forms = Number(text !== undefined) + Number(base64 !== undefined) + Number(hex !== undefined);
    if (forms + Number(data !== undefined) !== 1)
      throw lineError('a node has its bytes in exactly one of "text", "base64" and "hex"');
    if (text !== undefined) return this.#text(fields);
    if (base64 !== undefined) return this.#encoded(fields, 'base64', 'base64');
    if (hex !== undefined) return this.#encoded(fields, 'hex', 'hex');
    if (encoding === 'base64' || encoding === 'hex') return this.#encoded(fields, 'data', encoding);
    throw fieldError(fields, 'encoding', 'base64 or hex');
  }

  #text(fields: Fields): number {
    const value = this.#string(fields, 'text');
    if (LONE_SURROGATE.test(value))
      throw lineError('"text" contains half of a surrogate pair, which has no UTF-8 bytes');
    if (Buffer.byteLength(value) > MAX_NODE_BYTES) throw tooLargeError();
    return this.bytes.write(value, 0, 'utf8');
  }

  #encoded(fields: Fields, name: string, encoding: 'hex' | 'base64'): number {
    const value = this.#string(fields, name);
    const decode = encoding === 'hex' ? decodeHex : decodeBase64;
    // Characters of hex and base64 have one byte each; a longer text is neither.
    const length = this.bytes.write(value, 0, 'utf8');
    const bytes = length === value.length ? decode(this.bytes, 0, length, this.bytes, 0) : -1;
    if (bytes < 0) throw lineError(`"${name}" is ${shown(value)}, which is not ${encoding}`, value);
    if (bytes > MAX_NODE_BYTES) throw tooLargeError();
    return bytes;
  }

  #string(fields: Fields, name: string): string {
    const value = fields[name];
    if (typeof value !== 'string') throw fieldError(fields, name, 'a string');
    // No node has more characters than the longest one in hex.
    if (value.length > this.bytes.length) throw tooLargeError();
    return value;
  }
}

function tooLargeError(): PageStoreError {
  const message = `the node has more than ${MAX_NODE_BYTES} bytes, and fits no page`;
  return new PageStoreError('NODE_TOO_LARGE', message, { expected: `at most ${MAX_NODE_BYTES} bytes` });
}

/** More than six characters for each byte of the longest node. */
const MAX_LINE_BYTES = 2_097_152;

const FIRST_BYTES = 262_144;
const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = 0xfeff;

/** Splits a stream into JSON Lines. Holds the current line and the rest of the last chunk. */
export class ImportLines {
  /** The line that `next` returned last, from 1. */
  line = 0;
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  /** `[start, end)` are the held bytes. */
  #start = 0;
  #end = 0;
  /** Bytes from the start on without a newline. */
  #searchedBytes = 0;

  /**
   * Adds as much of `chunk` as fits. Call `next` until it returns undefined before the next `push`.
   * @returns how many bytes were added: at least one of a chunk that is not empty
   */
  push(chunk: Uint8Array): number {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    if (this.#end === this.#buffer.length) this.#grow();
    const added = Math.min(chunk.length, this.#buffer.length - this.#end);
    copyRange(chunk, 0, added, this.#buffer, this.#end);
    this.#end += added;
    return added;
  }

  /**
   * Parses the next line, after empty ones. @param isEnd - whether the stream has ended: then the rest is the last line
   * @returns undefined if more of the stream is needed
   * @throws {@link PageStoreError} `INVALID_LINE`
   */
  next(isEnd: boolean): Fields | undefined {
    for (;;) {
      const found = this.#buffer.indexOf(NEWLINE, this.#start + this.#searchedBytes);
      // A newline at or after the end is left over from an earlier line.
      const isLast = found < 0 || found >= this.#end;
      if (isLast) this.#searchedBytes = this.#end - this.#start;
      if (isLast && !(isEnd && this.#start < this.#end)) return undefined;
      const [start, end] = [this.#start, isLast ? this.#end : found];
      this.#start = isLast ? end : end + 1;
      this.#searchedBytes = 0;
      this.line++;
      const fields = this.#parse(start, end, isLast);
      if (fields) return fields;
    }
  }

  #parse(start: number, end: number, isLast: boolean): Fields | undefined {
    const bytes = this.#buffer.subarray(start, end);
    if (!isUtf8(bytes)) throw lineError('not UTF-8');
    const text = bytes.toString('utf8');
    const line = this.line === 1 && text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
    if (line.trim() === '') return undefined;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      // A SyntaxError, or a RangeError for too deep nesting.
      const why = error instanceof Error ? error.message : String(error);
      throw lineError(`not JSON${isLast ? '; this is the last line: was the input truncated?' : ''} (${why})`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw lineError('not a JSON object', value);
    return value as Fields;
  }

  #grow(): void {
    if (this.#end >= MAX_LINE_BYTES) {
      this.line++;
      throw lineError(`longer than ${MAX_LINE_BYTES} bytes, as no line of an export is: is the input JSON Lines?`);
    }
    const grown = Buffer.allocUnsafe(2 * this.#buffer.length);
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}
