import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeFrame, decodeText, encodeBytes } from '../../src/cli/framing.ts';
import { PageStoreError } from '../../src/errors.ts';

/** The bytes, or the error that the command tells. */
function outcome(work: () => Uint8Array): unknown {
  try {
    return Buffer.from(work()).toString('hex');
  } catch (error) {
    if (!(error instanceof PageStoreError)) throw error;
    return { code: error.code, message: error.message, detail: error.detail };
  }
}

const fromText = (text: string, encoding: 'hex' | 'base64'): unknown => outcome(() => decodeText(text, encoding));

function fromFrame(text: string, encoding: 'hex' | 'base64'): unknown {
  return outcome(() => {
    const source = Buffer.from(`\n${text}\n`, 'latin1');
    const target = new Uint8Array(text.length + 3);
    const bytes = decodeFrame(source, 1, source.length - 1, encoding, target, 3);
    return target.subarray(3, 3 + bytes);
  });
}

describe.each(['hex', 'base64'] as const)('%s', (encoding) => {
  test('an argument and a frame of input give the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = encodeBytes(bytes, encoding) as string;
        expect(fromText(text, encoding)).toBe(Buffer.from(bytes).toString('hex'));
        expect(fromFrame(text, encoding)).toBe(Buffer.from(bytes).toString('hex'));
      }),
    );
  });

  test('an argument and a frame of input are refused with the same message, cut at 40 characters', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.constantFrom('!', '\r', '\u00e4', '\u00ff'), (length, bad) => {
        const text = `${'A'.repeat(length)}${bad}`;
        const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
        const rule =
          encoding === 'hex' ? 'two digits per byte, 0-9 and a-f' : 'four characters per three bytes, padded with =';
        const refusal = {
          code: 'INVALID_ENCODING',
          message: `'${shown}' is not ${encoding}: ${rule}`,
          detail: { found: shown, expected: rule },
        };
        expect(fromText(text, encoding)).toEqual(refusal);
        expect(fromFrame(text, encoding)).toEqual(refusal);
      }),
    );
  });

  test('a character whose code ends in the byte of a digit is refused', () => {
    expect(fromText('\u0141\u0141\u0141\u0141', encoding)).toMatchObject({ code: 'INVALID_ENCODING' });
  });
});
