import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fnv1a64 } from '../../src/bytes/checksum.ts';
import { updateFnv1a64, fnv1a64Into, fxHash64, Hash64 } from '../../src/bytes/checksum.ts';
import { text } from '../support/nodes.ts';

describe('fnv1a64Into', () => {
  test.each([
    ['', 0xcbf29ce484222325n],
    ['a', 0xaf63dc4c8601ec8cn],
    ['foobar', 0x85944171f73967e8n],
  ])('of %j is that of its authors', (input, hash) => {
    const into = new Hash64();
    fnv1a64Into(text(input), 0, input.length, into);
    expect(into.value).toBe(hash);
  });

  test('hashes a range, replaces the previous hash, and returns signed halves of the bigint', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), fc.nat(80), (bytes, a, b) => {
        const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
        const into = new Hash64();
        into.high = into.low = 77;
        fnv1a64Into(bytes, start, end, into);
        const expected = fnv1a64(bytes.subarray(start, end));
        expect(into.value).toBe(expected);
        expect([into.high, into.low]).toEqual([
          Number(BigInt.asIntN(32, expected >> 32n)),
          Number(BigInt.asIntN(32, expected)),
        ]);
        updateFnv1a64(bytes, end, bytes.length, into);
        expect(into.value).toBe(fnv1a64(bytes.subarray(start)));
      }),
    );
  });
});

describe('fxHash64', () => {
  // Computed by hand.
  test.each([
    [[], 0n],
    [[0, 0], 0n],
    [[1], 0x517cc1b727220a95n],
    [[2], 0xa2f9836e4e44152an],
    [[255], 0x2b44f56ffae88a6bn],
  ])('of %j is as computed by hand', (bytes, hash) => {
    expect(fxHash64(Uint8Array.from(bytes))).toBe(hash);
  });

  test('equals the definition on bigints', () => {
    const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
    const byDefinition = (bytes: Uint8Array): bigint =>
      bytes.reduce((hash, byte) => u64((u64((hash << 5n) | (hash >> 59n)) ^ BigInt(byte)) * 0x517cc1b727220a95n), 0n);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(fxHash64(bytes)).toBe(byDefinition(bytes));
      }),
      { numRuns: 500 },
    );
  });
});
