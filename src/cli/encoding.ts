import { PageStoreError } from '../errors.ts';

/** How the bytes of a node are written as text. */
export type Encoding = 'raw' | 'hex' | 'base64';
export const ENCODINGS: readonly Encoding[] = ['raw', 'hex', 'base64'];

const HEX = /^(?:[0-9a-fA-F]{2})*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The bytes that a text stands for. @throws {@link PageStoreError} `INVALID_ENCODING` */
export function decodeText(text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'raw') return Buffer.from(text, 'utf8');
  // Buffer.from stops at the first character that it does not know and says nothing.
  if (!(encoding === 'hex' ? HEX : BASE64).test(text)) {
    const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    const rule =
      encoding === 'hex' ? 'two digits a byte, 0-9 and a-f' : 'four characters for three bytes, padded with =';
    throw new PageStoreError('INVALID_ENCODING', `'${shown}' is not ${encoding}: ${rule}`, {
      found: shown,
      expected: rule,
    });
  }
  return Buffer.from(text, encoding);
}

/** The text that stands for bytes; `raw` bytes stay bytes. */
export function encodeBytes(bytes: Uint8Array, encoding: Encoding): string | Uint8Array {
  if (encoding === 'raw') return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
}
