import { decodeBase64, decodeHex, utf8Bytes } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import { newFileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import type { FileRoot } from '../store/page-file-builder.ts';
import { EXPORT_SCHEMA } from './export.ts';

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

const U8_MAX = 0xff;
const U32_MAX = 0xffff_ffff;

const NO_DESCRIPTOR: RootDescriptor = { rootType: 0, isFinal: 0, termCount: 0, arenaCount: 0, rootRecord: 0n };

/**
 * The root that a `file` line tells of; its pointer is 0 where the file has no trie.
 * @throws {@link PageStoreError} `INVALID_LINE` for one that no file of so many blocks may have
 */
export function rootOf(file: Fields, blocks: number): FileRoot {
  const imageCheckpointLsn = file['imageCheckpointLsn'] === undefined ? 0n : u64(file, 'imageCheckpointLsn');
  if (file['rootPointer'] === undefined) {
    return { rootPointer: 0n, rootDescriptor: NO_DESCRIPTOR, entryCount: 0n, imageCheckpointLsn };
  }
  const rootPointer = u64(file, 'rootPointer');
  const rootDescriptor = descriptorOf(file);
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  ROOT_DESCRIPTOR.write(rootDescriptor, start, ROOT_DESCRIPTOR_OFFSET);
  for (const { message } of rootProblems({ ...newFileHeader(blocks), rootPointer }, start, blocks))
    throw lineError(message);
  return { rootPointer, rootDescriptor, entryCount: u64(file, 'entryCount'), imageCheckpointLsn };
}

function descriptorOf(file: Fields): RootDescriptor {
  const descriptor = file['rootDescriptor'];
  if (typeof descriptor !== 'object' || descriptor === null) throw fieldError(file, 'rootDescriptor', 'an object');
  const fields = descriptor as Fields;
  return {
    rootType: wholeNumber(fields, 'rootType', 0, U8_MAX),
    isFinal: wholeNumber(fields, 'isFinal', 0, U8_MAX),
    termCount: wholeNumber(fields, 'termCount', 0, U32_MAX),
    arenaCount: wholeNumber(fields, 'arenaCount', 0, U32_MAX),
    rootRecord: u64(fields, 'rootRecord'),
  };
}

/** What was made of JSON Lines. */
export interface ImportSummary {
  /** Whether nodes have the refs of the export (`kept`), or were packed in their order (`new`). */
  readonly refs: 'kept' | 'new';
  /** Blocks of the file, block 0 counted. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly nodes: number;
  /** Of all nodes. */
  readonly bytes: number;
}

/** Turns lines into a page file, one after the other. */
export interface LineTaker {
  /** Takes a line. @returns a promise where it has to be waited for; @throws {@link PageStoreError} for one that is wrong */
  take(type: string, fields: Fields): Promise<void> | undefined;
  /** Says that there are no more lines, and finishes the file. @throws {@link PageStoreError} where lines are missing */
  finish(): Promise<ImportSummary>;
}

/** How nodes of which some are missing can be stored all the same. */
export const PACK_ADVICE = `to store the nodes anew, in their order: jq -c 'select(.type == "node") | del(.ref)'`;

/** @throws {@link PageStoreError} `INVALID_LINE` for lines of a later version */
export function assertSchema(fields: Fields): void {
  const schema = wholeNumber(fields, 'schema', 1, Number.MAX_SAFE_INTEGER);
  if (schema > EXPORT_SCHEMA)
    throw fieldError(fields, 'schema', `at most ${EXPORT_SCHEMA}: a later version wrote these lines`);
}

/** @throws {@link PageStoreError} `INVALID_LINE` where a summary counts something else than there was */
export function assertCount(fields: Fields, name: string, count: number): void {
  const told = fields[name];
  if (told !== count) {
    throw lineError(
      `the summary says ${shown(told)} ${name}, and there were ${count}: lines are missing, or were changed; ${PACK_ADVICE}`,
      told,
    );
  }
}
