import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeJsonText } from '../../src/bytes/text.ts';

/** The JSON string that bytes are written as; undefined if they are not text. */
function jsonOf(bytes: Uint8Array): string | undefined {
  const target = Buffer.alloc(2 * bytes.length + 4);
  const source = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
  const end = writeJsonText(source, 1, 1 + bytes.length, target, 2);
  return end < 0 ? undefined : `"${target.toString('utf8', 2, end)}"`;
}

const isText = (bytes: Uint8Array): boolean => jsonOf(bytes) !== undefined;

/** Any character; those near the ones that are escaped are frequent. */
const CHARACTER = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  fc.integer({ min: 0x200c, max: 0x2070 }).map((point) => String.fromCodePoint(point)),
);

describe('bytes as a JSON string', () => {
  test('are what JSON.stringify writes for the text, except for control characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: CHARACTER, maxLength: 30 }), (value) => {
        const control = /[^\P{Cc}\t\n\r]|[\u2028\u2029\u061c]/u.test(value);
        const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16)}`;
        const json = JSON.stringify(value).replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, escape);
        expect(jsonOf(Buffer.from(value))).toBe(control ? undefined : json);
      }),
      { numRuns: 400 },
    );
  });

  test('are text only if a strict decoder accepts them', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const high = fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
      0xed,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(high, { maxLength: 6 }), (values) => {
        const bytes = Uint8Array.from(values);
        let decoded: string | undefined;
        try {
          decoded = decoder.decode(bytes);
        } catch {
          decoded = undefined;
        }
        const plain = decoded !== undefined && !/[\u007f-\u009f\u2028\u2029]/.test(decoded);
        expect(jsonOf(bytes)).toBe(plain ? JSON.stringify(decoded) : undefined);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['a byte order mark', 'efbbbf', true],
    ['the last character of all', 'f48fbfbf', true],
    ['a noncharacter', 'efbfbf', true],
    ['tab, newline and carriage return', '090a0d', true],
    ['a zero byte', '00', false],
    ['delete', '7f', false],
    ['a two-byte control character', 'c285', false],
    ['U+2028, which ends a line in some programs', 'e280a8', false],
    ['U+2027, which does not', 'e280a7', true],
    ['an overlong slash', 'c0af', false],
    ['an overlong sequence of three bytes', 'e08080', false],
    ['half of a surrogate pair', 'eda080', false],
    ['after the last character', 'f4908080', false],
    ['a truncated sequence', 'e282', false],
    ['a continuation alone', '80', false],
  ])('recognize %s', (_, hex, expected) => {
    expect(isText(Buffer.from(hex, 'hex'))).toBe(expected);
    // A truncated sequence is not completed by the bytes after the node.
    expect(isText(Buffer.from(`${hex}41`, 'hex'))).toBe(expected);
  });
});
