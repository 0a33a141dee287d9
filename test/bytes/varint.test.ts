import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readVarint, varintBytes, varintBytesFrom, writeVarint } from '../../src/bytes/encodings.ts';

const encode = (value: number): number[] => {
  const bytes = new Uint8Array(9);
  return [...bytes.subarray(0, writeVarint(value, bytes, 0))];
};

describe('varint', () => {
  // Written by hand from the rule: 0 to 247 is one byte, else 247 + n and n bytes, least significant first.
  test.each([
    [0, [0]],
    [247, [247]],
    [248, [248, 248]],
    [255, [248, 255]],
    [256, [249, 0, 1]],
    [65_535, [249, 255, 255]],
    [65_536, [250, 0, 0, 1]],
    [262_143, [250, 255, 255, 3]],
    [2 ** 32, [252, 0, 0, 0, 0, 1]],
    [Number.MAX_SAFE_INTEGER, [254, 255, 255, 255, 255, 255, 255, 31]],
  ])('%d is written as the format says', (value, bytes) => {
    expect(encode(value)).toEqual(bytes);
    expect(varintBytes(value)).toBe(bytes.length);
    expect(readVarint(Uint8Array.from(bytes), 0)).toBe(value);
  });

  test('reads back what it wrote, at any offset', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(20), (value, offset) => {
        const bytes = new Uint8Array(40);
        const end = writeVarint(value, bytes, offset);
        expect(end - offset).toBe(varintBytes(value));
        expect(varintBytesFrom(bytes[offset]!)).toBe(end - offset);
        expect(readVarint(bytes, offset, end)).toBe(value);
        expect(readVarint(bytes, offset, end - 1)).toBe(-1);
      }),
    );
  });

  test('reads a value of eight bytes as a number larger than any block', () => {
    const bytes = Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255, 255]);
    expect(readVarint(bytes, 0)).toBe(2 ** 64);
  });

  test('returns -1 if the bytes end within a varint, or if there are none', () => {
    expect(readVarint(Uint8Array.from([250, 1, 2]), 0)).toBe(-1);
    expect(readVarint(new Uint8Array(0), 0)).toBe(-1);
  });
});
