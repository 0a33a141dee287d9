import { KeyBuffer } from './key-buffer.ts';
import type { InternedTablePrefix } from './table-prefix.ts';

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
