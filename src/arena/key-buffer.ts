import { assertInteger, isBytes, showAs, wrongType } from '../arguments.ts';
import { copyRange, equalRange } from '../bytes/buffer.ts';
import { fxHash64 } from '../bytes/checksum.ts';
import { U64_DIGITS, utf8Bytes, utf8Text, writeDecimalU64, writeUtf8 } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

export const MAX_INTERNED_TABLE_BYTES = 30;

const SLASH = 0x2f;

/** Text, or its bytes in UTF-8. */
export type KeyName = string | Uint8Array;
/** The table of a key: its name, without '/'. */
export type KeyTable = KeyName | InternedTablePrefix;

/** The prefix `table/` of all keys of a table, encoded once, with its hash. */
export class InternedTablePrefix {
  static {
    showAs(this, ({ prefix }, show) => `InternedTablePrefix ${show({ prefix: shownKey(prefix) })}`);
  }

  /** `table/` in UTF-8. Read-only. */
  readonly prefix: Uint8Array;
  /**
   * The 64-bit Fx-style hash of the prefix, with its '/': an unsigned bigint. It starts at 0; for each byte it is
   * `(rotl(hash, 5) ^ byte) * 0x517cc1b727220a95`, modulo 2^64.
   */
  readonly hash: bigint;

  /** @param table - a name without '/'; it is copied @throws PageStoreError `KEY_OVERFLOW` over 30 bytes; TypeError */
  constructor(table: KeyName) {
    const length = tableBytes(table);
    assertFits(length, 'table name', 'prefix', MAX_INTERNED_TABLE_BYTES);
    this.prefix = new Uint8Array(length + 1);
    this.prefix[writeName(table, this.prefix, 0)] = SLASH;
    this.hash = fxHash64(this.prefix);
  }

  /** A new buffer with the key `table/rowId`. @throws as `KeyBuffer.setRowKey` */
  makeRowKey(rowId: number | bigint): KeyBuffer {
    return new KeyBuffer().setRowKey(this, rowId);
  }

  /** A new buffer with the key `table/rowId/column`. @throws as `KeyBuffer.setRowKey` */
  makeColumnKey(rowId: number | bigint, column: KeyName): KeyBuffer {
    return new KeyBuffer().setColumnKey(this, rowId, column);
  }

  /** Whether both are for the same table. Names with equal hashes are compared byte by byte. */
  sameTable(other: InternedTablePrefix): boolean {
    if (!(other instanceof InternedTablePrefix)) throw wrongType('other', 'an InternedTablePrefix', other);
    const { prefix } = this;
    return (
      this.hash === other.hash &&
      prefix.length === other.prefix.length &&
      equalRange(prefix, 0, other.prefix, 0, prefix.length)
    );
  }
}

/** Size of a {@link KeyBuffer}: a byte for the length, then the key. */
const BUFFER_BYTES = 64;
export const MAX_BUFFERED_KEY_BYTES: number = BUFFER_BYTES - 1;

/** The digits of the current row id, right-aligned. */
const digits = new Uint8Array(U64_DIGITS);

/**
 * A key of at most 63 bytes, built in place. Nothing is truncated: a key that does not fit throws `KEY_OVERFLOW`. A
 * method that throws leaves the buffer unchanged. Different rows and columns have different keys: a table name has no
 * '/', a row id is decimal digits, and the column, in which '/' is allowed, is the rest. Any name may be empty.
 */
export class KeyBuffer {
  static {
    showAs(this, ({ bytes, remaining }, show) => `KeyBuffer ${show({ key: shownKey(bytes), remaining })}`);
  }

  /** Read-only: byte 0 is the length of the key, which follows; bytes after the key have no meaning. */
  readonly raw: Uint8Array = new Uint8Array(BUFFER_BYTES);
  /** One view for each key length, since making a view costs more than writing a short key. */
  readonly #views: Uint8Array[] = [];

  get length(): number {
    return this.raw[0] as number;
  }

  /** Free space in bytes. */
  get remaining(): number {
    return MAX_BUFFERED_KEY_BYTES - this.length;
  }

  /** The key: a read-only view, valid until the buffer changes. */
  get bytes(): Uint8Array {
    return (this.#views[this.length] ??= this.raw.subarray(1, 1 + this.length));
  }

  /** The key as text, with U+FFFD for what is not UTF-8. */
  get text(): string {
    return utf8Text(this.bytes);
  }

  /**
   * Sets the key `table/rowId`. The row id is a u64: a bigint, or a number up to 2^53 - 1.
   * @throws PageStoreError `KEY_OVERFLOW`; RangeError for an invalid row id; TypeError for an invalid name
   */
  setRowKey(table: KeyTable, rowId: number | bigint): this {
    return this.#setKey(table, rowId, undefined);
  }

  /** Sets the key `table/rowId/column`. @throws as `setRowKey` */
  setColumnKey(table: KeyTable, rowId: number | bigint, column: KeyName): this {
    return this.#setKey(table, rowId, columnName(column));
  }

  /** Keeps the first `keptBytes` of the key and replaces the rest by `rowId`. @throws as `setRowKey` */
  replaceRow(keptBytes: number, rowId: number | bigint): this {
    assertInteger('keptBytes', keptBytes, 0, this.length);
    return this.#replaceTail(keptBytes, rowId, undefined);
  }

  /** Keeps the first `keptBytes` of the key and replaces the rest by `rowId/column`. @throws as `setRowKey` */
  replaceColumn(keptBytes: number, rowId: number | bigint, column: KeyName): this {
    assertInteger('keptBytes', keptBytes, 0, this.length);
    return this.#replaceTail(keptBytes, rowId, columnName(column));
  }

  /** Appends bytes. @throws PageStoreError `KEY_OVERFLOW`; TypeError */
  append(bytes: Uint8Array): this {
    if (!isBytes(bytes)) throw wrongType('bytes', 'a Uint8Array (appendText takes text)', bytes);
    return this.#appendName(bytes);
  }

  /** Appends text in UTF-8. @throws PageStoreError `KEY_OVERFLOW`; TypeError, also for a lone surrogate */
  appendText(text: string): this {
    if (typeof text !== 'string') throw wrongType('text', 'a string (append takes bytes)', text);
    return this.#appendName(text);
  }

  /** Appends one byte. @throws PageStoreError `KEY_OVERFLOW`; RangeError */
  push(byte: number): this {
    assertInteger('byte', byte, 0, 255);
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

  #appendName(name: KeyName): this {
    const length = this.length + nameBytes(name);
    assertFits(length);
    writeName(name, this.raw, 1 + this.length);
    this.raw[0] = length;
    return this;
  }

  #setKey(table: KeyTable, rowId: number | bigint, column: KeyName | undefined): this {
    if (table instanceof InternedTablePrefix) {
      this.#replaceTail(table.prefix.length, rowId, column);
      copyRange(table.prefix, 0, table.prefix.length, this.raw, 1);
      return this;
    }
    const bytes = tableBytes(table);
    // A name that is a view of this buffer is copied before the buffer changes; `slice` of a Buffer would be a view.
    const name = typeof table === 'string' || table.buffer !== this.raw.buffer ? table : new Uint8Array(table);
    this.#replaceTail(bytes + 1, rowId, column);
    this.raw[writeName(name, this.raw, 1)] = SLASH;
    return this;
  }

  /** Writes all but the prefix, which the caller writes once this has not thrown. */
  #replaceTail(prefixBytes: number, rowId: number | bigint, column: KeyName | undefined): this {
    const firstDigit = writeDecimalU64(rowId, digits, 'rowId');
    const rowEnd = prefixBytes + U64_DIGITS - firstDigit;
    const length = column === undefined ? rowEnd : rowEnd + 1 + nameBytes(column);
    assertFits(length);
    if (column !== undefined) {
      // The column comes first: if it is a view of this buffer, writing the row id could overwrite it.
      writeName(column, this.raw, rowEnd + 2);
      this.raw[rowEnd + 1] = SLASH;
    }
    copyRange(digits, firstDigit, U64_DIGITS, this.raw, 1 + prefixBytes);
    this.raw[0] = length;
    return this;
  }
}

/** Keys of many rows of one table in one {@link KeyBuffer}: the prefix is written once, keys replace the rest. */
export class BatchKeyGenerator {
  static {
    showAs(this, ({ prefix }, show) => `BatchKeyGenerator ${show({ prefix: shownKey(prefix) })}`);
  }

  /** `table/` in UTF-8. Read-only. */
  readonly prefix: Uint8Array;
  readonly #key = new KeyBuffer();

  /** @param table - at most 61 bytes: `table/0` has to fit @throws PageStoreError `KEY_OVERFLOW`; TypeError */
  constructor(table: KeyTable) {
    // The keys are built after it in the same buffer, so the view does not change.
    this.prefix = this.#key.raw.subarray(1, this.#key.setRowKey(table, 0).length);
  }

  /** The key `table/rowId`: a read-only view, valid until the next key. @throws as `KeyBuffer.setRowKey` */
  rowKey(rowId: number | bigint): Uint8Array {
    return this.#key.replaceRow(this.prefix.length, rowId).bytes;
  }

  /** The key `table/rowId/column`: a read-only view, valid until the next key. @throws as `KeyBuffer.setRowKey` */
  columnKey(rowId: number | bigint, column: KeyName): Uint8Array {
    return this.#key.replaceColumn(this.prefix.length, rowId, column).bytes;
  }
}

/** Bytes of a table name in UTF-8. With a '/' in it, two different rows could have the same key. */
function tableBytes(table: KeyName): number {
  if (typeof table !== 'string' && !isBytes(table)) throw wrongType('table', 'a string or a Uint8Array', table);
  if (typeof table === 'string' ? table.includes('/') : table.includes(SLASH))
    throw new TypeError("table must be a name without '/', which ends the name in a key");
  return nameBytes(table);
}

function columnName(column: KeyName): KeyName {
  if (typeof column === 'string' || isBytes(column)) return column;
  throw wrongType('column', 'a string or a Uint8Array', column);
}

function nameBytes(name: KeyName): number {
  return typeof name === 'string' ? utf8Bytes(name) : name.length;
}

function writeName(name: KeyName, target: Uint8Array, offset: number): number {
  if (typeof name === 'string') return writeUtf8(name, target, offset);
  // `set` handles a source that overlaps its target, copyRange does not.
  if (name.buffer === target.buffer) target.set(name, offset);
  else copyRange(name, 0, name.length, target, offset);
  return offset + name.length;
}

function assertFits(length: number, what = 'key', where = 'key buffer', most: number = MAX_BUFFERED_KEY_BYTES): void {
  if (length <= most) return;
  throw new PageStoreError('KEY_OVERFLOW', `the ${what} would have ${length} bytes; a ${where} holds ${most}`, {
    found: `${length} bytes`,
    expected: `at most ${most}`,
  });
}

const SHOWN_KEY_BYTES = 64;

/** The first 64 bytes of a key as text, for console.log. */
export function shownKey(key: Uint8Array): string {
  const text = utf8Text(key.subarray(0, SHOWN_KEY_BYTES));
  return key.length > SHOWN_KEY_BYTES ? `${text}…` : text;
}
