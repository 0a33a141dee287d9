import { copyRange, equalRange } from '../bytes/buffer.ts';
import { fxHash64 } from '../bytes/checksum.ts';
import { U64_DIGITS, utf8Bytes, writeDecimalU64, writeUtf8 } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

/** Bytes of the longest name of an {@link InternedTablePrefix}. */
export const MAX_INTERNED_TABLE_BYTES = 30;

export const SLASH = 0x2f;

/**
 * `table/`, the beginning of all keys of a table, prepared once, with a hash that tells most tables apart.
 * The name has at most 30 bytes; a longer one is refused, never cut off.
 */
export class InternedTablePrefix {
  /** `table/` in UTF-8. Only for reading. */
  readonly bytes: Uint8Array;
  /** The 64-bit Fx-style hash of the name alone, without the '/': an unsigned bigint. See `fxHash64`. */
  readonly hash: bigint;

  /**
   * @param table - a name without '/', as text or in UTF-8; it is copied
   * @throws PageStoreError `KEY_OVERFLOW` for a name of more than 30 bytes; TypeError for what is no name of a table
   */
  constructor(table: string | Uint8Array) {
    const length = tableBytes(table);
    if (length > MAX_INTERNED_TABLE_BYTES) {
      throw new PageStoreError(
        'KEY_OVERFLOW',
        `the name of the table has ${length} bytes, and a prefix holds ${MAX_INTERNED_TABLE_BYTES}`,
        { found: `${length} bytes`, expected: `at most ${MAX_INTERNED_TABLE_BYTES}` },
      );
    }
    this.bytes = new Uint8Array(length + 1);
    if (typeof table === 'string') writeUtf8(table, this.bytes, 0);
    else copyRange(table, 0, length, this.bytes, 0);
    this.hash = fxHash64(this.bytes.subarray(0, length));
    this.bytes[length] = SLASH;
  }

  /** Whether both are of the table with the same name. Names with the same hash are compared byte for byte. */
  sameTable(other: InternedTablePrefix): boolean {
    const { bytes } = this;
    return (
      this.hash === other.hash &&
      bytes.length === other.bytes.length &&
      equalRange(bytes, 0, other.bytes, 0, bytes.length)
    );
  }
}

/** Bytes of a name in UTF-8. @throws TypeError for a lone surrogate */
export function nameBytes(name: string | Uint8Array): number {
  return typeof name === 'string' ? utf8Bytes(name) : name.length;
}

/**
 * Bytes of the name of a table in UTF-8.
 * @throws TypeError for what is no name, or has a '/': with it, two different rows could have the same key
 */
export function tableBytes(table: string | Uint8Array): number {
  if (typeof table !== 'string' && !(table instanceof Uint8Array)) {
    throw new TypeError('the name of a table is a string or a Uint8Array');
  }
  if (typeof table === 'string' ? table.includes('/') : table.includes(SLASH)) {
    throw new TypeError("the name of a table has no '/': it ends the name in a key");
  }
  return nameBytes(table);
}

/** Size of a {@link KeyBuffer}: a byte for the length, and the key. */
const BUFFER_BYTES = 64;
/** Bytes of the longest key in a {@link KeyBuffer}. */
export const MAX_BUFFERED_KEY_BYTES: number = BUFFER_BYTES - 1;

/** The digits of the row id at hand, right-aligned. */
const digits = new Uint8Array(U64_DIGITS);

/**
 * A key of at most 63 bytes that is built in place, in a buffer of 64 bytes that is used again and again. Nothing is
 * ever cut off: what does not fit throws `KEY_OVERFLOW`, and whatever a method throws, the buffer is as it was before.
 *
 * Different rows and columns have different keys. A table's name has no '/', a row id is decimal digits, and a column
 * is all that follows the second '/', so a column's name may have a '/', and any name may be empty. A name is text, or
 * the same name's bytes in UTF-8.
 */
export class KeyBuffer {
  /** The whole buffer: byte 0 is the length of the key, the key follows; what is behind it has no meaning. Only for reading. */
  readonly raw: Uint8Array = new Uint8Array(BUFFER_BYTES);
  /** A view for each length that was asked for, since a view costs more than a short key. */
  readonly #views: Uint8Array[] = [];

  /** Length of the key in bytes. */
  get length(): number {
    return this.raw[0] as number; // the buffer has 64 bytes
  }

  /** Bytes that still fit. */
  get remaining(): number {
    return MAX_BUFFERED_KEY_BYTES - this.length;
  }

  /** The key: a view, valid until the buffer is changed. It is not to be written to. */
  get bytes(): Uint8Array {
    return (this.#views[this.length] ??= this.raw.subarray(1, 1 + this.length));
  }

  /**
   * Makes this the key `table/rowId`.
   * @param table - a name without '/'
   * @param rowId - a u64: a bigint, or a number up to 2^53 - 1
   * @throws PageStoreError `KEY_OVERFLOW`; RangeError for what is no u64; TypeError for what is no name
   */
  setRowKey(table: string | Uint8Array | InternedTablePrefix, rowId: number | bigint): this {
    return this.#setKey(table, rowId, undefined);
  }

  /**
   * Makes this the key `table/rowId/column`.
   * @param column - any name
   * @throws as `setRowKey`
   */
  setColumnKey(
    table: string | Uint8Array | InternedTablePrefix,
    rowId: number | bigint,
    column: string | Uint8Array,
  ): this {
    return this.#setKey(table, rowId, nameOf(column));
  }

  /** Keeps the first `keptBytes` of the key, and puts `rowId` behind them. @throws as `setRowKey` */
  replaceRow(keptBytes: number, rowId: number | bigint): this {
    this.#assertKept(keptBytes);
    return this.#replaceTail(keptBytes, rowId, undefined);
  }

  /** Keeps the first `keptBytes` of the key, and puts `rowId/column` behind them. @throws as `setRowKey` */
  replaceColumn(keptBytes: number, rowId: number | bigint, column: string | Uint8Array): this {
    this.#assertKept(keptBytes);
    return this.#replaceTail(keptBytes, rowId, nameOf(column));
  }

  /** @throws PageStoreError `KEY_OVERFLOW`; TypeError for what is not bytes */
  append(bytes: Uint8Array): this {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('bytes are a Uint8Array; appendText takes text');
    return this.#appendName(bytes);
  }

  /** Appends text in UTF-8. @throws PageStoreError `KEY_OVERFLOW`; TypeError for a lone surrogate, or for no text */
  appendText(text: string): this {
    if (typeof text !== 'string') throw new TypeError('text is a string; append takes bytes');
    return this.#appendName(text);
  }

  /** @throws PageStoreError `KEY_OVERFLOW`; RangeError for what is not an integer of 0 to 255 */
  push(byte: number): this {
    if (!Number.isInteger(byte) || byte < 0 || byte > 255) throw new RangeError(`${String(byte)} is not a byte`);
    const length = this.length;
    assertFits(length + 1);
    this.raw[1 + length] = byte;
    this.raw[0] = length + 1;
    return this;
  }

  clear(): this {
    this.raw[0] = 0;
    return this;
  }

  #appendName(name: string | Uint8Array): this {
    const length = this.length + nameBytes(name);
    assertFits(length);
    writeName(name, this.raw, 1 + this.length);
    this.raw[0] = length;
    return this;
  }

  #setKey(
    table: string | Uint8Array | InternedTablePrefix,
    rowId: number | bigint,
    column: string | Uint8Array | undefined,
  ): this {
    if (table instanceof InternedTablePrefix) {
      this.#replaceTail(table.bytes.length, rowId, column);
      copyRange(table.bytes, 0, table.bytes.length, this.raw, 1);
      return this;
    }
    const bytes = tableBytes(table);
    // A name may be a view of this very buffer, which is about to change. Not by `slice`, which of a Buffer is a view.
    const name = typeof table === 'string' || table.buffer !== this.raw.buffer ? table : new Uint8Array(table);
    this.#replaceTail(bytes + 1, rowId, column);
    this.raw[writeName(name, this.raw, 1)] = SLASH;
    return this;
  }

  /** Writes what follows the prefix, which a caller writes when this has not thrown. */
  #replaceTail(prefixBytes: number, rowId: number | bigint, column: string | Uint8Array | undefined): this {
    const firstDigit = writeDecimalU64(rowId, digits);
    const rowEnd = prefixBytes + U64_DIGITS - firstDigit;
    const length = column === undefined ? rowEnd : rowEnd + 1 + nameBytes(column);
    assertFits(length);
    if (column !== undefined) {
      // The column goes first: where it is a view of this buffer, the row id could overwrite it.
      writeName(column, this.raw, rowEnd + 2);
      this.raw[rowEnd + 1] = SLASH;
    }
    copyRange(digits, firstDigit, U64_DIGITS, this.raw, 1 + prefixBytes);
    this.raw[0] = length;
    return this;
  }

  #assertKept(keptBytes: number): void {
    if (Number.isInteger(keptBytes) && keptBytes >= 0 && keptBytes <= this.length) return;
    throw new RangeError(`a key of ${this.length} bytes has no first ${String(keptBytes)}`);
  }
}

function assertFits(length: number): void {
  if (length <= MAX_BUFFERED_KEY_BYTES) return;
  throw new PageStoreError(
    'KEY_OVERFLOW',
    `the key would have ${length} bytes, and a key buffer holds ${MAX_BUFFERED_KEY_BYTES}`,
    { found: `${length} bytes`, expected: `at most ${MAX_BUFFERED_KEY_BYTES}` },
  );
}

function nameOf(name: string | Uint8Array): string | Uint8Array {
  if (typeof name === 'string' || name instanceof Uint8Array) return name;
  throw new TypeError('a name is a string or a Uint8Array');
}

/** @returns the offset behind the name */
function writeName(name: string | Uint8Array, target: Uint8Array, offset: number): number {
  if (typeof name === 'string') return writeUtf8(name, target, offset);
  // `set` copes with a source that overlaps its target, and a loop does not.
  if (name.buffer === target.buffer) target.set(name, offset);
  else copyRange(name, 0, name.length, target, offset);
  return offset + name.length;
}

/**
 * Keys of many rows of one table, in one buffer: the prefix is written once, and a key rewrites what follows it.
 * What does not fit throws `KEY_OVERFLOW`, and the key before stays.
 */
export class BatchKeyGenerator {
  readonly #key = new KeyBuffer();
  readonly #prefixBytes: number;

  /**
   * @param table - a name without '/', of at most 61 bytes: `table/0` has to fit a {@link KeyBuffer}
   * @throws PageStoreError `KEY_OVERFLOW`; TypeError for what is no name of a table
   */
  constructor(table: string | Uint8Array | InternedTablePrefix) {
    // With a row id the checks are those of a key; the shortest one fits wherever any does.
    this.#prefixBytes = this.#key.setRowKey(table, 0).length - 1;
  }

  /**
   * The key `table/rowId`: a view, valid until the next key. It is not to be written to.
   * @param rowId - a u64: a bigint, or a number up to 2^53 - 1
   * @throws PageStoreError `KEY_OVERFLOW`; RangeError for what is no u64
   */
  rowKey(rowId: number | bigint): Uint8Array {
    return this.#key.replaceRow(this.#prefixBytes, rowId).bytes;
  }

  /**
   * The key `table/rowId/column`: a view, valid until the next key. It is not to be written to.
   * @param column - any name, as text or in UTF-8
   * @throws as `rowKey`; TypeError for what is no name
   */
  columnKey(rowId: number | bigint, column: string | Uint8Array): Uint8Array {
    return this.#key.replaceColumn(this.#prefixBytes, rowId, column).bytes;
  }
}
