/** One change of a file. Offsets and lengths are in bytes; `hex` that is too short for its range is repeated. */
export type Edit =
  | { readonly op: 'set'; readonly at: number; readonly hex: string }
  | { readonly op: 'fill'; readonly at: number; readonly bytes: number; readonly hex: string }
  | { readonly op: 'copy'; readonly from: number; readonly to: number; readonly bytes: number }
  | { readonly op: 'swap'; readonly at: number; readonly with: number; readonly bytes: number }
  | { readonly op: 'insert'; readonly at: number; readonly hex: string }
  | { readonly op: 'remove'; readonly at: number; readonly bytes: number }
  | { readonly op: 'truncate'; readonly bytes: number }
  | { readonly op: 'extend'; readonly bytes: number; readonly hex: string };

/** A copy of the bytes with all edits applied in order. */
export function applyEdits(base: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(base);
  for (const edit of edits) bytes = applyEdit(bytes, edit);
  return bytes;
}

/** Applies one edit, in place if the length does not change. @throws RangeError if it is not within the bytes */
export function applyEdit(bytes: Uint8Array, edit: Edit): Uint8Array {
  switch (edit.op) {
    case 'set':
      bytes.set(Buffer.from(edit.hex, 'hex'), edit.at);
      return bytes;
    case 'fill':
      bytes.set(repeated(edit.hex, edit.bytes), edit.at);
      return bytes;
    case 'copy':
      bytes.set(range(bytes, edit.from, edit.bytes).slice(), edit.to);
      return bytes;
    case 'swap': {
      const [a, b] = [range(bytes, edit.at, edit.bytes).slice(), range(bytes, edit.with, edit.bytes).slice()];
      bytes.set(b, edit.at);
      bytes.set(a, edit.with);
      return bytes;
    }
    case 'insert':
      return joined(bytes.subarray(0, edit.at), Buffer.from(edit.hex, 'hex'), bytes.subarray(edit.at));
    case 'remove':
      range(bytes, edit.at, edit.bytes);
      return joined(bytes.subarray(0, edit.at), bytes.subarray(edit.at + edit.bytes));
    case 'truncate':
      return range(bytes, 0, edit.bytes).slice();
    case 'extend':
      return joined(bytes, repeated(edit.hex, edit.bytes));
    default:
      throw new TypeError(`no edit: ${JSON.stringify(edit)}`);
  }
}

function range(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at < 0 || at + length > bytes.length) throw new RangeError(`no ${length} bytes at ${at}, of ${bytes.length}`);
  return bytes.subarray(at, at + length);
}

function repeated(hex: string, bytes: number): Uint8Array {
  return Buffer.alloc(bytes, Buffer.from(hex, 'hex'));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
