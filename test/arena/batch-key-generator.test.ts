import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchKeyGenerator } from '../../src/arena/key-buffer.ts';
import { KeyBuffer } from '../../src/arena/key-buffer.ts';
import { InternedTablePrefix } from '../../src/arena/key-buffer.ts';

const read = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const overflow: unknown = expect.objectContaining({ name: 'PageStoreError', code: 'KEY_OVERFLOW' });

describe('a batch key generator', () => {
  test('returns the keys that a key buffer returns, in any order', () => {
    const id = fc.oneof(fc.maxSafeNat(), fc.bigInt(0n, 2n ** 64n - 1n));
    const column = fc.option(fc.string({ unit: 'grapheme', maxLength: 4 }));
    fc.assert(
      fc.property(fc.constantFrom('t', 'größe', ''), fc.array(fc.tuple(id, column)), (table, keys) => {
        const batch = new BatchKeyGenerator(new InternedTablePrefix(table));
        const key = new KeyBuffer();
        for (const [id, column] of keys) {
          if (column === null) expect(batch.rowKey(id)).toEqual(key.setRowKey(table, id).bytes);
          else expect(batch.columnKey(id, column)).toEqual(key.setColumnKey(table, id, column).bytes);
        }
      }),
    );
  });

  test('has its prefix, which no key changes', () => {
    const batch = new BatchKeyGenerator('größe');
    const { prefix } = batch;
    expect(read(prefix)).toBe('größe/');
    batch.columnKey(2n ** 64n - 1n, 'column');
    batch.rowKey(7);
    expect(() => batch.columnKey(7, 'c'.repeat(60))).toThrow(overflow);
    expect([read(prefix), read(batch.prefix)]).toEqual(['größe/', 'größe/']);
    expect(read(new BatchKeyGenerator(new InternedTablePrefix('')).prefix)).toBe('/');
    expect(new BatchKeyGenerator('t'.repeat(61)).prefix.length).toBe(62);
  });

  test('refuses a key that does not fit, and keeps the previous one', () => {
    const batch = new BatchKeyGenerator('t'.repeat(60));
    const key = batch.rowKey(99);
    expect(() => batch.rowKey(100)).toThrow(overflow);
    expect(() => batch.columnKey(9, 'c')).toThrow(overflow);
    expect(() => batch.rowKey(-1)).toThrow(RangeError);
    expect(() => batch.columnKey(1, '\ud800')).toThrow(TypeError);
    expect(read(key)).toBe(`${'t'.repeat(60)}/99`);
    expect(read(batch.columnKey(9, ''))).toBe(`${'t'.repeat(60)}/9/`);
    expect(() => new BatchKeyGenerator('t'.repeat(62))).toThrow(overflow);
  });
});
