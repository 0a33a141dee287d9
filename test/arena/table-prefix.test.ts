import { describe, expect, test } from 'vitest';
import { InternedTablePrefix, KeyBuffer } from '../../src/arena/key-buffer.ts';
import { text } from '../support/nodes.ts';

const read = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const overflow: unknown = expect.objectContaining({ name: 'PageStoreError', code: 'KEY_OVERFLOW' });

describe('an interned table prefix', () => {
  // Each computed with bigints by the definition, outside of this program: a factor and a rotation for each byte.
  test.each([
    ['', [0x2f], 0xf5e790a02f3ff15bn],
    ['\u0001', [0x01, 0x2f], 0x463d6a759fe83969n],
    ['users', [0x75, 0x73, 0x65, 0x72, 0x73, 0x2f], 0x4661e485ecfbdb3cn],
    ['größe', [0x67, 0x72, 0xc3, 0xb6, 0xc3, 0x9f, 0x65, 0x2f], 0xa0c5f6a62628a7f3n],
  ])('of %j has its bytes with the slash, and the hash of them', (table, bytes, hash) => {
    const prefix = new InternedTablePrefix(table);
    expect([...prefix.prefix]).toEqual(bytes);
    expect(prefix.hash).toBe(hash);
    const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
    const step = (hash: bigint, byte: number): bigint =>
      u64((u64((hash << 5n) | (hash >> 59n)) ^ BigInt(byte)) * 0x517cc1b727220a95n);
    expect(bytes.reduce(step, 0n)).toBe(hash);
  });

  test('makes keys of rows and columns, each in a buffer of its own', () => {
    const users = new InternedTablePrefix('users');
    const keys = [
      users.makeRowKey(42),
      users.makeColumnKey(2n ** 64n - 1n, 'näme'),
      users.makeColumnKey(0, text('a/b')),
    ];
    expect(keys.map((key) => key.text)).toEqual(['users/42', 'users/18446744073709551615/näme', 'users/0/a/b']);
    expect(keys[0]).toBeInstanceOf(KeyBuffer);
    expect(() => new InternedTablePrefix('t'.repeat(30)).makeColumnKey(1, 'c'.repeat(31))).toThrow(overflow);
    expect(() => users.makeRowKey(-1)).toThrow(RangeError);
    expect(() => users.makeColumnKey(1, '\ud800')).toThrow(TypeError);
  });

  test('is for the same table if the names are equal', () => {
    const users = new InternedTablePrefix('users');
    expect(users.sameTable(new InternedTablePrefix(text('users')))).toBe(true);
    expect(users.sameTable(new InternedTablePrefix('user'))).toBe(false);
    expect(users.sameTable(new InternedTablePrefix('userS'))).toBe(false);
  });

  test('is distinguished from another one with the same hash by its bytes', () => {
    // A leading zero byte does not change the hash.
    const [one, two] = [new InternedTablePrefix('a'), new InternedTablePrefix('\0a')];
    expect(one.hash).toBe(two.hash);
    expect(one.sameTable(two)).toBe(false);
  });

  test('never truncates a name', () => {
    expect(new InternedTablePrefix('t'.repeat(30)).prefix.length).toBe(31);
    expect(() => new InternedTablePrefix('t'.repeat(31))).toThrow(overflow);
    expect(() => new InternedTablePrefix('é'.repeat(16))).toThrow(overflow);
    expect(() => new InternedTablePrefix('\ud800')).toThrow(TypeError);
    expect(() => new InternedTablePrefix(7 as never)).toThrow(TypeError);
  });

  test('owns its bytes', () => {
    const name = text('abc');
    const prefix = new InternedTablePrefix(name);
    name.fill(0);
    expect(read(prefix.prefix)).toBe('abc/');
  });
});
