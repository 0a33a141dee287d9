import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchKeyGenerator } from '../../src/arena/key-buffer.ts';
import { KeyBuffer } from '../../src/arena/key-buffer.ts';
import { InternedTablePrefix } from '../../src/arena/key-buffer.ts';
import { text } from '../support/nodes.ts';

const read = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const overflow: unknown = expect.objectContaining({ name: 'PageStoreError', code: 'KEY_OVERFLOW' });

/** Expects `change` to throw, and to leave all 64 bytes as they were. */
function expectRefused(key: KeyBuffer, change: () => unknown, error: unknown): void {
  const before = key.raw.slice();
  expect(change).toThrow(error);
  expect(key.raw).toEqual(before);
}

describe('a key buffer', () => {
  test('has the key of a row or of a column, after its length', () => {
    const key = new KeyBuffer();
    expect([key.length, key.remaining, read(key.bytes)]).toEqual([0, 63, '']);
    expect(read(key.setRowKey('users', 42).bytes)).toBe('users/42');
    expect([key.length, key.remaining, key.raw.length, key.raw[0]]).toEqual([8, 55, 64, 8]);
    expect(read(key.setColumnKey(text('users'), 2n ** 64n - 1n, 'née').bytes)).toBe('users/18446744073709551615/née');
    expect(read(key.setColumnKey(new InternedTablePrefix('t'), 0, text('a/b')).bytes)).toBe('t/0/a/b');
    expect(read(key.setColumnKey('', 0n, '').bytes)).toBe('/0/');
    expect(key.clear().length).toBe(0);
  });

  test('can be built from bytes, text and single bytes', () => {
    const key = new KeyBuffer();
    key.append(Uint8Array.of(1, 0)).appendText('é😀').push(255).push(0);
    expect([...key.bytes]).toEqual([1, 0, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80, 255, 0]);
  });

  test('returns its key as text, with U+FFFD for what is not UTF-8', () => {
    const key = new KeyBuffer();
    for (const each of ['', 'größe/😀', '\ufeffmarked']) expect(key.clear().appendText(each).text).toBe(each);
    expect(key.clear().push(0x61).push(0xff).text).toBe('a\ufffd');
  });

  test('returns a view of the current key, of any length', () => {
    const key = new KeyBuffer();
    for (let length = 0; length <= 63; length++) {
      if (length > 0) key.push(length);
      expect([...key.bytes]).toEqual(Array.from({ length }, (_, at) => at + 1));
    }
    expect(key.clear().appendText('xyz').bytes).toEqual(text('xyz'));
  });

  test('takes a key that fits to the last byte, and refuses one more byte without a change', () => {
    const key = new KeyBuffer();
    const table = 't'.repeat(61);
    expect(key.setRowKey(table, 7).length).toBe(63);
    expectRefused(key, () => key.setRowKey(table, 10), overflow);
    expectRefused(key, () => key.setRowKey(`${table}t`, 7), overflow);
    expectRefused(key, () => key.setColumnKey(table, 7, ''), overflow);
    expectRefused(key, () => key.push(1), overflow);
    expectRefused(key, () => key.appendText('a'), overflow);
    expectRefused(key, () => key.append(Uint8Array.of(1)), overflow);
    expect(key.append(new Uint8Array(0)).appendText('').length).toBe(63);
    key.clear().append(new Uint8Array(60).fill(9));
    expectRefused(key, () => key.appendText('é😀'), overflow);
    expectRefused(key, () => key.append(new Uint8Array(4)), overflow);
    expect(key.appendText('é').push(1).remaining).toBe(0);
  });

  test('never truncates a row id or name, which could give two rows the same key', () => {
    const key = new KeyBuffer();
    const table = 'x'.repeat(44);
    expect(key.setRowKey(table, 123_456_789_012_345_678n).length).toBe(63);
    expectRefused(key, () => key.setRowKey(table, 1_234_567_890_123_456_789n), overflow);
    expectRefused(key, () => key.setColumnKey(table, 1, 'c'.repeat(17)), overflow);
    expect(() => key.setRowKey('x'.repeat(1000), 1)).toThrow('1002 bytes; a key buffer holds 63');
  });

  test('refuses a lone surrogate, which would be encoded as any other', () => {
    const key = new KeyBuffer().setRowKey('before', 1);
    expectRefused(key, () => key.setRowKey('\ud800', 1), TypeError);
    expectRefused(key, () => key.setColumnKey('t', 1, 'a\udc00'), TypeError);
    expectRefused(key, () => key.appendText('\ud83d'), TypeError);
  });

  test("refuses a '/' in the name of a table, as text and as bytes", () => {
    const key = new KeyBuffer().setRowKey('before', 1);
    expectRefused(key, () => key.setRowKey('a/1', 2), TypeError);
    expectRefused(key, () => key.setColumnKey(text('a/1'), 2, 'c'), TypeError);
    expect(() => new InternedTablePrefix('a/')).toThrow(TypeError);
    expect(() => new BatchKeyGenerator('a/1')).toThrow(TypeError);
  });

  test.each([-1, 0.5, NaN, 2 ** 53, -1n, 2n ** 64n, '1', undefined])('refuses the row id %s', (rowId) => {
    const key = new KeyBuffer().setRowKey('before', 1);
    expectRefused(key, () => key.setRowKey('t', rowId as number), RangeError);
    expectRefused(key, () => key.setColumnKey('t', rowId as number, 'c'), RangeError);
  });

  test.each([-1, 256, 0.5, NaN, '1', undefined])('refuses to push %s', (byte) => {
    const key = new KeyBuffer().push(7);
    expectRefused(key, () => key.push(byte as number), RangeError);
  });

  test('refuses invalid names, text and bytes', () => {
    const key = new KeyBuffer().push(7);
    expectRefused(key, () => key.setRowKey(7 as never, 1), TypeError);
    expectRefused(key, () => key.setColumnKey('t', 1, undefined as never), TypeError);
    expectRefused(key, () => key.append('text' as never), TypeError);
    expectRefused(key, () => key.appendText(text('bytes') as never), TypeError);
    for (const kept of [-1, 2, 0.5, NaN]) {
      expectRefused(key, () => key.replaceRow(kept, 1), RangeError);
      expectRefused(key, () => key.replaceColumn(kept, 1, 'c'), RangeError);
    }
  });

  test('can be built from views of itself', () => {
    const key = new KeyBuffer();
    key.appendText('abc');
    expect(read(key.append(key.bytes).bytes)).toBe('abcabc');
    expect(read(key.setRowKey(key.bytes.subarray(1), 12).bytes)).toBe('bcabc/12');
    key.clear().appendText('abcdef');
    expect(read(key.setColumnKey(key.bytes.subarray(2, 4), 123, key.bytes.subarray(1)).bytes)).toBe('cd/123/bcdef');
  });

  test('has different keys for different rows and columns, whatever their names', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '1', '0', '/', 'é'), maxLength: 4 });
    const triple = fc.tuple(
      part.map((name) => name.replaceAll('/', '')),
      fc.oneof(fc.nat(11), fc.bigInt(0n, 11n)),
      fc.option(part),
    );
    const keyOf = ([table, rowId, column]: [string, number | bigint, string | null]): string => {
      const key = new KeyBuffer();
      return read((column === null ? key.setRowKey(table, rowId) : key.setColumnKey(table, rowId, column)).bytes);
    };
    const same = new Set<boolean>();
    fc.assert(
      fc.property(triple, triple, (a, b) => {
        const equal = a[0] === b[0] && BigInt(a[1]) === BigInt(b[1]) && a[2] === b[2];
        same.add(equal);
        expect(keyOf(a) === keyOf(b)).toBe(equal);
      }),
      { numRuns: 5000 },
    );
    expect(same.has(false)).toBe(true);
    // And all combinations of a few names at once.
    const names = ['', 'a', 'a1', '1'];
    const columns = [null, '', '/', '1', '1/', '/1', 'a', 'a/1'];
    const all = names.flatMap((table) =>
      [0, 1, 11].flatMap((id) => columns.map((column) => keyOf([table, id, column]))),
    );
    expect(new Set(all).size).toBe(names.length * 3 * columns.length);
  });

  test('behaves in any sequence of calls as a string does', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 8 }) }),
      fc.record({ kind: fc.constant('push' as const), value: fc.nat(127) }),
      fc.record({ kind: fc.constant('row' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
      fc.record({ kind: fc.constant('clear' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const key = new KeyBuffer();
        let model = '';
        for (const step of steps) {
          const next =
            step.kind === 'clear'
              ? ''
              : step.kind === 'text'
                ? model + step.value
                : step.kind === 'push'
                  ? model + String.fromCharCode(step.value)
                  : `a table of thirty-nine and one more byte/${step.value}`;
          const apply = (): unknown =>
            step.kind === 'clear'
              ? key.clear()
              : step.kind === 'text'
                ? key.appendText(step.value)
                : step.kind === 'push'
                  ? key.push(step.value)
                  : key.setRowKey('a table of thirty-nine and one more byte', step.value);
          if (Buffer.byteLength(next) > 63) expectRefused(key, apply, overflow);
          else {
            apply();
            model = next;
          }
          expect(read(key.bytes)).toBe(model);
          expect(key.length + key.remaining).toBe(63);
        }
      }),
    );
  });
});

test('a table name may be a Buffer over the key buffer itself', () => {
  const key = new KeyBuffer().setColumnKey('t', 1, 'abcdef');
  const { buffer, byteOffset } = key.bytes;
  const table = Buffer.from(buffer, byteOffset + 4, 6);
  expect(table.toString()).toBe('abcdef');
  key.setColumnKey(table, 12345, 'zz');
  expect(Buffer.from(key.bytes).toString()).toBe('abcdef/12345/zz');
});
