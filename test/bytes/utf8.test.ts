import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8Bytes, writeUtf8 } from '../../src/bytes/encodings.ts';

test('any well-formed text has the size and the bytes of TextEncoder', () => {
  const point = fc.oneof(fc.nat(0x7ff), fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff }));
  const anyText = fc.array(point, { maxLength: 20 }).map((points) => String.fromCodePoint(...points));
  fc.assert(
    fc.property(anyText, fc.nat(5), (value, offset) => {
      const expected = new TextEncoder().encode(value);
      expect(utf8Bytes(value)).toBe(expected.length);
      const target = new Uint8Array(offset + expected.length + 1).fill(0xee);
      expect(writeUtf8(value, target, offset)).toBe(offset + expected.length);
      expect(target.subarray(offset, -1)).toEqual(expected);
      expect(target.at(-1)).toBe(0xee);
    }),
    { numRuns: 500 },
  );
});

test.each(['\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'])(
  'the boundary %j is written as by TextEncoder',
  (value) => {
    const target = new Uint8Array(utf8Bytes(value));
    writeUtf8(value, target, 0);
    expect(target).toEqual(new TextEncoder().encode(value));
  },
);

test.each(['\ud800', 'a\udc00', '\ud800a', '\udc00\ud800', '\ud83d\ud83d\ude00'])(
  'a lone surrogate, as in %j, has no bytes',
  (value) => {
    expect(() => utf8Bytes(value)).toThrow(TypeError);
  },
);
