import { decodeBase64 } from '../bytes/base64.ts';
import { decodeHex } from '../bytes/hex.ts';
import { PageStoreError } from '../errors.ts';

/** How the bytes of a node are written as text. */
export type Encoding = 'raw' | TextEncoding;
export const ENCODINGS: readonly Encoding[] = ['raw', 'hex', 'base64'];

/** An encoding in which not every byte may stand. */
export type TextEncoding = 'hex' | 'base64';

const DECODERS = { hex: decodeHex, base64: decodeBase64 } as const;

const SHOWN_CHARACTERS = 40;

/** The bytes that a text stands for. @throws {@link PageStoreError} `INVALID_ENCODING` */
export function decodeText(text: string, encoding: Encoding): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (encoding === 'raw') return bytes;
  const length = DECODERS[encoding](bytes, 0, bytes.length, bytes, 0);
  if (length < 0) throw invalid(text, encoding);
  return bytes.subarray(0, length);
}

/**
 * Decodes the frame `source[start, end)` into `target` from `offset` on, without an object for it. The target has room
 * for as many bytes as the frame has, and is not the source.
 * @returns how many bytes were written
 * @throws {@link PageStoreError} `INVALID_ENCODING`
 */
export function decodeFrame(
  source: Uint8Array,
  start: number,
  end: number,
  encoding: TextEncoding,
  target: Uint8Array,
  offset: number,
): number {
  const bytes = DECODERS[encoding](source, start, end, target, offset);
  if (bytes >= 0) return bytes;
  // One more than is shown says that there is more.
  const shownEnd = Math.min(end, start + SHOWN_CHARACTERS + 1);
  throw invalid(Buffer.from(source.subarray(start, shownEnd)).toString('latin1'), encoding);
}

function invalid(text: string, encoding: TextEncoding): PageStoreError {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  const rule = encoding === 'hex' ? 'two digits a byte, 0-9 and a-f' : 'four characters for three bytes, padded with =';
  return new PageStoreError('INVALID_ENCODING', `'${shown}' is not ${encoding}: ${rule}`, {
    found: shown,
    expected: rule,
  });
}

/** The text that stands for bytes; `raw` bytes stay bytes. */
export function encodeBytes(bytes: Uint8Array, encoding: Encoding): string | Uint8Array {
  if (encoding === 'raw') return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
}
