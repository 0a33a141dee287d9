import fc from 'fast-check';
import { expect, test } from 'vitest';
import { grouped, U64_DIGITS, writeDecimalU64 } from '../../src/bytes/encodings.ts';

test.each([0, 7, 999, 1000, 262_144, 1_000_000, 2 ** 53 - 1])('%d is grouped as in English', (count) => {
  expect(grouped(count)).toBe(count.toLocaleString('en-US'));
});

const decimal = (value: number | bigint): string => {
  const target = new Uint8Array(U64_DIGITS + 1).fill(0x78);
  const start = writeDecimalU64(value, target);
  expect(target[U64_DIGITS]).toBe(0x78);
  expect(target.subarray(0, start).every((byte) => byte === 0x78)).toBe(true);
  return Buffer.from(target.subarray(start, U64_DIGITS)).toString('latin1');
};

const POWERS = Array.from({ length: 20 }, (_, power) => 10n ** BigInt(power));

test.each([0n, ...POWERS, ...POWERS.map((each) => each - 1n), 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])(
  '%d is written in decimal, from a number as well where it is safe',
  (value) => {
    expect(decimal(value)).toBe(String(value));
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) expect(decimal(Number(value))).toBe(String(value));
  },
);

test('any u64 is written in decimal', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
      expect(decimal(value)).toBe(String(value));
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      expect(decimal(value)).toBe(String(value));
    }),
  );
});

test.each([-1, 0.5, NaN, Infinity, 2 ** 53, -1n, 2n ** 64n, '7', undefined])('%s is not a u64', (value) => {
  const target = new Uint8Array(U64_DIGITS);
  expect(() => writeDecimalU64(value as number, target)).toThrow(RangeError);
  expect(target).toEqual(new Uint8Array(U64_DIGITS));
});
