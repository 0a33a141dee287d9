import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyHandle } from '../../src/arena/key-arena.ts';
import { fnv1a64 } from '../../src/bytes/checksum.ts';
import { text } from '../support/nodes.ts';

describe('a key handle', () => {
  test.each([24, 25, 64])('owns the %d bytes of a Buffer, of which slice is a view', (length) => {
    const source = Buffer.alloc(length, 1);
    const handle = KeyHandle.of(source);
    source.fill(2);
    expect(handle.bytes()).toEqual(new Uint8Array(length).fill(1));
  });

  test.each([0, 1, 3, 4, 23, 24, 25, 48, 300])('owns its %d bytes', (length) => {
    const source = Uint8Array.from({ length: length + 4 }, (_, at) => 250 - at);
    const expected = source.slice(2, 2 + length);
    const handle = KeyHandle.of(source, 2, 2 + length);
    source.fill(0);
    expect([handle.length, handle.hash]).toEqual([length, fnv1a64(expected)]);
    expect(handle.bytes()).toEqual(expected);
    handle.bytes().fill(1);
    expect(handle.bytes()).toEqual(expected);
    const target = new Uint8Array(length + 2);
    expect(handle.copyTo(target, 1)).toBe(1 + length);
    expect([...target]).toEqual([0, ...expected, 0]);
    expect(handle.equalsRange(target, 1, 1 + length)).toBe(true);
    expect(handle.equalsRange(target, 1, 2 + length)).toBe(false);
    expect(() => handle.copyTo(target, 3)).toThrow(RangeError);
    expect([...target]).toEqual([0, ...expected, 0]);
  });

  test.each([
    '',
    'users/1',
    'größe/😀',
    '\ufeffmarked',
    'x'.repeat(24),
    'é'.repeat(12),
    'x'.repeat(25),
    'é'.repeat(300),
  ])('of the text %j is that of its bytes in UTF-8, and returns the text', (key) => {
    const [handle, same] = [KeyHandle.of(key), KeyHandle.of(text(key))];
    expect([handle.text, same.text, handle.hash]).toEqual([key, key, fnv1a64(text(key))]);
    expect([handle.equals(same), handle.length]).toEqual([true, Buffer.byteLength(key)]);
  });

  test('has U+FFFD in its text for bytes that are not UTF-8, and takes no lone surrogate', () => {
    expect(KeyHandle.of(Uint8Array.of(0x61, 0xff, 0x62)).text).toBe('a\ufffdb');
    for (const wrong of ['\ud800', 'a\udc00']) expect(() => KeyHandle.of(wrong)).toThrow(TypeError);
  });

  test('is inline up to 24 bytes', () => {
    const lengths = [0, 1, 23, 24, 25, 300];
    expect(lengths.map((length) => KeyHandle.of(new Uint8Array(length)).isInline)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test('has the hash in two signed halves', () => {
    const handle = KeyHandle.of(text('foobar'));
    expect([handle.hash, handle.hashHigh, handle.hashLow]).toEqual([
      0x85944171f73967e8n,
      0x85944171 | 0,
      0xf73967e8 | 0,
    ]);
  });

  test('is ordered by unsigned bytes, the shorter first, and equal to one of the same bytes', () => {
    const byte = fc.constantFrom(0, 1, 127, 128, 255);
    const suffix = fc.array(byte, { maxLength: 4 });
    const key = fc
      .tuple(fc.constantFrom(0, 1, 3, 20, 22, 24, 25, 40), suffix)
      .map(([length, end]) => Uint8Array.from([...new Uint8Array(length), ...end]));
    const outcomes = new Set<number>();
    fc.assert(
      fc.property(key, key, (a, b) => {
        const [first, second] = [KeyHandle.of(a), KeyHandle.of(b)];
        const expected = Buffer.compare(a, b);
        outcomes.add(expected);
        expect(Object.is(first.compare(second), -0) ? 0 : first.compare(second)).toBe(expected);
        expect(first.equals(second)).toBe(expected === 0);
        expect(first.equals(KeyHandle.of(a))).toBe(true);
      }),
      { numRuns: 3000 },
    );
    expect(outcomes.size).toBe(3);
  });

  test('refuses invalid ranges', () => {
    expect(() => KeyHandle.of(new Uint8Array(3), 0, 4)).toThrow(RangeError);
    expect(() => KeyHandle.of(undefined as never)).toThrow(TypeError);
    for (const range of [[0], [undefined, 2], [1, 2]])
      expect(() => KeyHandle.of('text' as never, ...(range as [number]))).toThrow('a text is taken as a whole');
  });
});
