import { decodeBase64 } from '../bytes/base64.ts';
import { decodeHex } from '../bytes/hex.ts';
import { utf8Bytes } from '../bytes/utf8.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET } from '../format/layout.ts';

/** The object of one line. */
export type Fields = Readonly<Record<string, unknown>>;

/** The error for a line that cannot be taken. @param found - the value that is wrong, if it is one */
export function lineError(message: string, found?: unknown): PageStoreError {
  return new PageStoreError('INVALID_LINE', message, found === undefined ? {} : { found: shown(found) });
}

const SHOWN_CHARACTERS = 40;

/** A value as messages show it. */
export function shown(value: unknown): string {
  // What an array or an object holds can be nested deeper than there is stack to go through it.
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  // JSON has numbers that are larger than any here, and no text for them.
  if (value === Infinity || value === -Infinity) return 'a number that is too large';
  // Only the beginning is needed of a text, and a line can be long.
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, SHOWN_CHARACTERS + 1) : value) ?? 'nothing';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

/** A field that is a whole number. @param least - the lowest that it may be, as `most` is the highest */
export function wholeNumber(fields: Fields, name: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw fieldError(fields, name, `a whole number of ${least} to ${most}`);
}

export function boolean(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value === 'boolean') return value;
  throw fieldError(fields, name, 'true or false');
}

const U64_END = 2n ** 64n;

/** A field of 64 bits, which is a string of digits. */
export function u64(fields: Fields, name: string): bigint {
  const value = fields[name];
  const number = typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : U64_END;
  if (number < U64_END) return number;
  throw fieldError(fields, name, 'a string of digits, below 2^64');
}

export function fieldError(fields: Fields, name: string, expected: string): PageStoreError {
  const value = fields[name];
  return lineError(`"${name}" is ${value === undefined ? 'missing' : shown(value)}; it is to be ${expected}`, value);
}

/** More than a page of either format holds. */
const MAX_NODE_BYTES = BLOCK_BYTES - NODE_AREA_OFFSET;

/** The bytes of one node after the other. */
export class NodeBytes {
  /** Its beginning has the bytes of the last node. Hex is decoded in place, so there is room for twice a node. */
  readonly bytes: Buffer = Buffer.alloc(2 * MAX_NODE_BYTES);

  /**
   * Decodes the bytes of a node line: its field `text`, `base64` or `hex`, or `data` as `read --json` prints it.
   * @returns how many there are
   * @throws {@link PageStoreError} `INVALID_LINE`, `NODE_TOO_LARGE`
   */
  decode(fields: Fields): number {
    const { text, base64, hex, data, encoding } = fields;
    const forms = Number(text !== undefined) + Number(base64 !== undefined) + Number(hex !== undefined);
    if (forms + Number(data !== undefined) !== 1) {
      throw lineError('the bytes of a node are in one field: "text", "base64" or "hex"');
    }
    if (text !== undefined) return this.#text(fields);
    if (base64 !== undefined) return this.#encoded(fields, 'base64', decodeBase64);
    if (hex !== undefined) return this.#encoded(fields, 'hex', decodeHex);
    if (encoding === 'base64') return this.#encoded(fields, 'data', decodeBase64);
    if (encoding === 'hex') return this.#encoded(fields, 'data', decodeHex);
    throw fieldError(fields, 'encoding', 'base64 or hex');
  }

  #text(fields: Fields): number {
    const value = this.#string(fields, 'text');
    if (textBytes(value) > MAX_NODE_BYTES) throw tooLarge();
    return this.bytes.write(value, 0, 'utf8');
  }

  #encoded(fields: Fields, name: string, decode: typeof decodeHex): number {
    const value = this.#string(fields, name);
    const encoding = decode === decodeHex ? 'hex' : 'base64';
    // One byte a character: what is longer in UTF-8 is not written whole, and is neither.
    const length = this.bytes.write(value, 0, 'utf8');
    const bytes = length === value.length ? decode(this.bytes, 0, length, this.bytes, 0) : -1;
    if (bytes < 0) throw lineError(`"${name}" is ${shown(value)}, which is not ${encoding}`, value);
    if (bytes > MAX_NODE_BYTES) throw tooLarge();
    return bytes;
  }

  #string(fields: Fields, name: string): string {
    const value = fields[name];
    if (typeof value !== 'string') throw fieldError(fields, name, 'a string');
    // No node takes more characters than the longest one in hex.
    if (value.length > this.bytes.length) throw tooLarge();
    return value;
  }
}

function textBytes(value: string): number {
  try {
    return utf8Bytes(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw lineError('"text" has half of a surrogate pair, which is no character and has no bytes');
  }
}

function tooLarge(): PageStoreError {
  const message = `a node of more than ${MAX_NODE_BYTES} bytes fits no page`;
  return new PageStoreError('NODE_TOO_LARGE', message, { expected: `at most ${MAX_NODE_BYTES} bytes` });
}
