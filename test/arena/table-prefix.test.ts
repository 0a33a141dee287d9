import { describe, expect, test } from 'vitest';
import { InternedTablePrefix } from '../../src/arena/key-buffer.ts';
import { text } from '../support/nodes.ts';

const read = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const overflow: unknown = expect.objectContaining({ name: 'PageStoreError', code: 'KEY_OVERFLOW' });

describe('an interned table prefix', () => {
  test('has the name, its slash, and a hash of the name alone', () => {
    const prefix = new InternedTablePrefix('\u0001');
    expect([...prefix.bytes]).toEqual([1, 0x2f]);
    expect(prefix.hash).toBe(0x517cc1b727220a95n);
    expect(new InternedTablePrefix('').hash).toBe(0n);
  });

  test('is for the same table if the names are equal', () => {
    const users = new InternedTablePrefix('users');
    expect(users.sameTable(new InternedTablePrefix(text('users')))).toBe(true);
    expect(users.sameTable(new InternedTablePrefix('user'))).toBe(false);
    expect(users.sameTable(new InternedTablePrefix('userS'))).toBe(false);
  });

  test('is distinguished from another one with the same hash by its bytes', () => {
    // Leading zero bytes do not change the hash.
    const [one, two] = [new InternedTablePrefix('a'), new InternedTablePrefix('\0a')];
    expect(one.hash).toBe(two.hash);
    expect(one.sameTable(two)).toBe(false);
  });

  test('never truncates a name', () => {
    expect(new InternedTablePrefix('t'.repeat(30)).bytes.length).toBe(31);
    expect(() => new InternedTablePrefix('t'.repeat(31))).toThrow(overflow);
    expect(() => new InternedTablePrefix('é'.repeat(16))).toThrow(overflow);
    expect(() => new InternedTablePrefix('\ud800')).toThrow(TypeError);
    expect(() => new InternedTablePrefix(7 as never)).toThrow(TypeError);
  });

  test('owns its bytes', () => {
    const name = text('abc');
    const prefix = new InternedTablePrefix(name);
    name.fill(0);
    expect(read(prefix.bytes)).toBe('abc/');
  });
});
