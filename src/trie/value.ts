import { counted } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

/** How a value is read: libdictenstein does not record its type. `hex` takes the bytes as they are. */
export type ValueKind = (typeof VALUE_KINDS)[number];

export const VALUE_KINDS = ['u8', 'u16', 'u32', 'u64', 'i64', 'f64', 'string', 'bytes', 'hex'] as const;

const BYTES: Readonly<Partial<Record<ValueKind, number>>> = { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8, f64: 8 };

/** A string and a list of bytes begin with their length, a u64. */
const LENGTH_BYTES = 8;

/**
 * Decodes a value: fixed-width little-endian numbers, and strings and bytes after their length. What is returned can be
 * written as JSON: a u64 or i64 as decimal text, bytes in hex, a number that is not finite as text.
 * @throws {@link PageStoreError} `INVALID_ENCODING` if the bytes are no value of that kind
 */
export function decodeValue(value: Uint8Array, kind: ValueKind): string | number {
  if (kind === 'hex') return Buffer.from(value).toString('hex');
  if (kind === 'string' || kind === 'bytes') return decodeCounted(value, kind);
  if (value.length !== BYTES[kind]) throw notOfKind(value, kind);
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (kind === 'u8') return view.getUint8(0);
  if (kind === 'u16') return view.getUint16(0, true);
  if (kind === 'u32') return view.getUint32(0, true);
  if (kind === 'u64') return String(view.getBigUint64(0, true));
  if (kind === 'i64') return String(view.getBigInt64(0, true));
  const number = view.getFloat64(0, true);
  return Number.isFinite(number) ? number : String(number);
}

function decodeCounted(value: Uint8Array, kind: 'string' | 'bytes'): string {
  if (value.length < LENGTH_BYTES) throw notOfKind(value, kind);
  const length = new DataView(value.buffer, value.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const content = value.subarray(LENGTH_BYTES);
  if (length !== BigInt(content.length)) throw notOfKind(value, kind);
  if (kind === 'bytes') return Buffer.from(content).toString('hex');
  try {
    return UTF8.decode(content);
  } catch (error) {
    throw notOfKind(value, kind, error);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const SHOWN_BYTES = 16;

function notOfKind(value: Uint8Array, kind: ValueKind, cause?: unknown): PageStoreError {
  const shown = Buffer.from(value.subarray(0, SHOWN_BYTES)).toString('hex') + (value.length > SHOWN_BYTES ? '...' : '');
  return new PageStoreError(
    'INVALID_ENCODING',
    `a value of ${counted(value.length, 'byte')} (${shown}) is no ${kind}`,
    {},
    cause,
  );
}
