import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeHex } from '../../src/bytes/encodings.ts';

const RULE = /^(?:[0-9a-fA-F]{2})*$/;

/** The decoded bytes of a text, or -1. */
function decoded(text: Uint8Array): Buffer | -1 {
  const target = new Uint8Array(text.length);
  const bytes = decodeHex(text, 0, text.length, target, 0);
  return bytes < 0 ? -1 : Buffer.from(target.subarray(0, bytes));
}

const expected = (text: string): Buffer | -1 => (RULE.test(text) ? Buffer.from(text, 'hex') : -1);

describe('decodeHex', () => {
  test('decodes digits of either case, to any offset and in place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), fc.nat(9), fc.nat(9), (bytes, upper, before, by) => {
        const hex = Buffer.from(bytes).toString('hex');
        const text = Buffer.from(`${'g'.repeat(before)}${upper ? hex.toUpperCase() : hex}zz`);
        const end = before + hex.length;
        const target = new Uint8Array(bytes.length + by + 1).fill(0xee);
        expect(decodeHex(text, before, end, target, by)).toBe(bytes.length);
        expect([...target]).toEqual([...Array<number>(by).fill(0xee), ...bytes, 0xee]);

        const offset = Math.min(by, before);
        expect(decodeHex(text, before, end, text, offset)).toBe(bytes.length);
        expect([...text.subarray(offset, offset + bytes.length)]).toEqual([...bytes]);
        expect(text.subarray(end).toString()).toBe('zz');
      }),
    );
  });

  test('accepts or refuses each of the 256 bytes at each position like a strict rule', () => {
    for (let place = 0; place < 20; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const text = Buffer.from('0123456789abcdefABCD');
        text[place] = byte;
        expect([place, byte, decoded(text)]).toEqual([place, byte, expected(text.toString('latin1'))]);
      }
    }
  });

  test('accepts and refuses arbitrary bytes and near-hex texts like a strict rule', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'0189afAFgG/:@`\n '.split('')), maxLength: 24 });
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      nearly.map((some) => Buffer.from(some)),
    );
    fc.assert(
      fc.property(text, (bytes) => {
        expect(decoded(bytes)).toEqual(expected(Buffer.from(bytes).toString('latin1')));
      }),
      { numRuns: 1000 },
    );
  });

  test('decodes an empty text to no bytes, and refuses an odd number of digits', () => {
    expect(decoded(Buffer.from(''))).toEqual(Buffer.from(''));
    for (let length = 1; length < 30; length += 2) expect(decoded(Buffer.alloc(length, '1'))).toBe(-1);
  });

  test('throws a RangeError and changes nothing if the range or the target is too short', () => {
    const text = Buffer.from('00112233');
    const target = new Uint8Array(4).fill(0xee);
    for (const [start, end, offset] of [
      [0, 10, 0],
      [-2, 2, 0],
      [4, 2, 0],
      [NaN, 2, 0],
      [0, 8, 1],
      [0, 8, -1],
    ] as const) {
      expect(() => decodeHex(text, start, end, target, offset)).toThrow(RangeError);
    }
    expect([...target]).toEqual([0xee, 0xee, 0xee, 0xee]);
  });
});
