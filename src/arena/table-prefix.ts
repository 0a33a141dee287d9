import { fxHash64 } from '../bytes/hash.ts';
import { copyRange, equalRange } from '../bytes/range.ts';
import { utf8Bytes, writeUtf8 } from '../bytes/utf8.ts';
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
