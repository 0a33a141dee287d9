import { expect, test } from 'vitest';
import { grouped } from '../../src/bytes/decimal.ts';

test.each([0, 7, 999, 1000, 262_144, 1_000_000, 2 ** 53 - 1])('%d is grouped as in English', (count) => {
  expect(grouped(count)).toBe(count.toLocaleString('en-US'));
});
