import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assertByteRange, compareBytes, copyRange, equalRange } from '../../src/bytes/buffer.ts';

const around = [0, 1, 47, 48, 49, 191, 192, 193, 1000];
const shared = (bytes: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
};

describe.each([
  ['own', (bytes: Uint8Array) => bytes],
  ['shared', shared],
])('in %s memory', (_, make) => {
  test.each(around)('a range of %d bytes is copied, and no other byte changes', (length) => {
    const source = make(Uint8Array.from({ length: length + 7 }, (_, at) => at + 1));
    const target = make(new Uint8Array(length + 9));
    copyRange(source, 3, 3 + length, target, 5);
    expect([...target]).toEqual([0, 0, 0, 0, 0, ...source.subarray(3, 3 + length), 0, 0, 0, 0]);
  });

  test.each(around)('ranges of %d bytes are equal unless a byte differs', (length) => {
    const a = make(Uint8Array.from({ length: length + 7 }, (_, at) => at));
    const b = make(Uint8Array.from({ length: length + 7 }, (_, at) => at - 2));
    expect(equalRange(a, 2, b, 4, length)).toBe(true);
    for (const at of new Set([0, length >> 1, length - 1].filter((at) => at >= 0 && at < length))) {
      b[4 + at]! ^= 0x80;
      expect(equalRange(a, 2, b, 4, length)).toBe(false);
      expect(compareBytes(a.subarray(2, 2 + length), b.subarray(4, 4 + length))).toBe(
        Buffer.compare(a.subarray(2, 2 + length), b.subarray(4, 4 + length)),
      );
      b[4 + at]! ^= 0x80;
    }
  });
});

test('byte strings compare as in Buffer.compare', () => {
  const bytes = fc.array(fc.constantFrom(0, 1, 127, 128, 255), { maxLength: 6 }).map((each) => Uint8Array.from(each));
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(compareBytes(a, b)).toBe(Buffer.compare(a, b));
    }),
  );
});

test('a range that is not within the bytes is refused', () => {
  const bytes = new Uint8Array(4);
  for (const [start, end] of [
    [-1, 2],
    [0, 5],
    [3, 2],
    [0.5, 2],
    [0, 1.5],
    [NaN, 2],
    [0, NaN],
    [0, Infinity],
  ] as const)
    expect(() => assertByteRange(bytes, start, end)).toThrow(RangeError);
  expect(() => assertByteRange(new Uint16Array(4) as never, 0, 4)).toThrow(TypeError);
  expect(() => assertByteRange('four' as never, 0, 4)).toThrow(TypeError);
  assertByteRange(bytes, 4, 4);
});
