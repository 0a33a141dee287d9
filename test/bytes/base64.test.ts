import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase64 } from '../../src/bytes/encodings.ts';

const RULE = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The decoded bytes of a text, or -1. */
function decoded(text: Uint8Array): Buffer | -1 {
  const target = new Uint8Array(text.length);
  const bytes = decodeBase64(text, 0, text.length, target, 0);
  return bytes < 0 ? -1 : Buffer.from(target.subarray(0, bytes));
}

const expected = (text: string): Buffer | -1 => (RULE.test(text) ? Buffer.from(text, 'base64') : -1);

describe('decodeBase64', () => {
  test('decodes what Buffer encoded, to any offset and in place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(9), fc.nat(9), (bytes, before, by) => {
        const base64 = Buffer.from(bytes).toString('base64');
        const text = Buffer.from(`${'-'.repeat(before)}${base64}==`);
        const end = before + base64.length;
        const target = new Uint8Array(bytes.length + by + 1).fill(0xee);
        expect(decodeBase64(text, before, end, target, by)).toBe(bytes.length);
        expect([...target]).toEqual([...Array<number>(by).fill(0xee), ...bytes, 0xee]);

        const offset = Math.min(by, before);
        expect(decodeBase64(text, before, end, text, offset)).toBe(bytes.length);
        expect([...text.subarray(offset, offset + bytes.length)]).toEqual([...bytes]);
        expect(text.subarray(end).toString()).toBe('==');
      }),
    );
  });

  test.each(['Zm9vYmFy', 'Zm9vYmE=', 'Zm9vYg==', 'Zm9v', 'Zm8=', 'Zg=='])(
    'each of the 256 bytes is taken or refused at each place of %s as the rule says',
    (whole) => {
      for (let place = 0; place < whole.length; place++) {
        for (let byte = 0; byte < 256; byte++) {
          const text = Buffer.from(whole);
          text[place] = byte;
          expect([place, byte, decoded(text)]).toEqual([place, byte, expected(text.toString('latin1'))]);
        }
      }
    },
  );

  test('accepts and refuses arbitrary bytes and near-base64 texts like a strict rule', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'AZaz09+/=-_\n @[`{:'.split('')), maxLength: 16 });
    const padded = fc.string({ unit: fc.constantFrom(...'AQz9/='.split('')), minLength: 4, maxLength: 4 });
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      nearly.map((some) => Buffer.from(some)),
      padded.map((end) => Buffer.from(`Zm9v${end}`)),
    );
    fc.assert(
      fc.property(text, (bytes) => {
        expect(decoded(bytes)).toEqual(expected(Buffer.from(bytes).toString('latin1')));
      }),
      { numRuns: 2000 },
    );
  });

  test('ignores unused bits of the last character', () => {
    expect(decoded(Buffer.from('QR=='))).toEqual(Buffer.from('A'));
    expect(decoded(Buffer.from('Zm//QUJ='))).toEqual(Buffer.from([0x66, 0x6f, 0xff, 0x41, 0x42]));
  });

  test('decodes an empty text to no bytes, and refuses a length that is not a multiple of four', () => {
    expect(decoded(Buffer.from(''))).toEqual(Buffer.from(''));
    for (let length = 1; length < 30; length++) {
      if (length % 4 !== 0) expect(decoded(Buffer.alloc(length, 'A'))).toBe(-1);
    }
  });

  test('throws a RangeError and changes nothing if the range or the target is too short', () => {
    const text = Buffer.from('AAAABBA=');
    const target = new Uint8Array(5).fill(0xee);
    for (const [start, end, offset] of [
      [0, 12, 0],
      [-4, 4, 0],
      [4, 0, 0],
      [NaN, 4, 0],
      [0, 8, 1],
      [0, 8, -1],
    ] as const) {
      expect(() => decodeBase64(text, start, end, target, offset)).toThrow(RangeError);
    }
    expect([...target]).toEqual([0xee, 0xee, 0xee, 0xee, 0xee]);
  });
});
