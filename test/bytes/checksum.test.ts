import { crc32 as zlibCrc32 } from 'node:zlib';
import CRC32 from 'crc-32';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combineCrc32, crc32, fnv1a64 } from '../../src/bytes/checksum.ts';
import { text } from '../support/nodes.ts';

describe('crc32', () => {
  test('computes the check value of the CRC catalogue', () => {
    expect(crc32(text('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  test('is the same in JavaScript and in zlib, below and above the length from which zlib is used', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 600 }), (first, second) => {
        const whole = Buffer.concat([first, second]);
        const expected = zlibCrc32(whole);
        expect(CRC32.buf(whole) >>> 0).toBe(expected);
        expect(crc32(whole)).toBe(expected);
        expect(crc32(second, crc32(first))).toBe(expected);
      }),
    );
  });

  test('is the same in both for a whole page', () => {
    const page = Uint8Array.from({ length: 262_144 }, (_, index) => (index * 2_654_435_761) >>> 13);
    expect(crc32(page)).toBe(CRC32.buf(page) >>> 0);
  });
});

describe('combineCrc32', () => {
  test('combines the checksums of two ranges', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 600 }), (first, second) => {
        const expected = zlibCrc32(Buffer.concat([first, second]));
        expect(combineCrc32(zlibCrc32(first), zlibCrc32(second), second.length)).toBe(expected);
      }),
    );
  });

  test.each([0, 1, 262_143, 262_144, 2 ** 24 + 7])('combines with a second range of %d bytes', (length) => {
    const [first, second] = [text('first'), Buffer.alloc(length, 'second')];
    const expected = zlibCrc32(second, zlibCrc32(first));
    expect(combineCrc32(zlibCrc32(first), zlibCrc32(second), length)).toBe(expected);
  });
});

describe('fnv1a64', () => {
  test.each([
    ['', 0xcbf29ce484222325n],
    ['a', 0xaf63dc4c8601ec8cn],
    ['foobar', 0x85944171f73967e8n],
  ])('of %j is that of its authors', (input, hash) => {
    expect(fnv1a64(text(input))).toBe(hash);
  });

  test('equals the definition on bigints', () => {
    const byDefinition = (bytes: Uint8Array): bigint => {
      let hash = 0xcbf29ce484222325n;
      for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
      return hash;
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
        expect(fnv1a64(bytes)).toBe(byDefinition(bytes));
        expect(fnv1a64(bytes.subarray(cut), fnv1a64(bytes.subarray(0, cut)))).toBe(byDefinition(bytes));
      }),
    );
  });
});
