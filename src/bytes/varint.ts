// A value of 0..247 is one byte; a larger one is a byte 247 + n and then its n significant bytes,
// n = 1..8, least significant first. See docs/format.md, "V2 directory".

/** Largest first byte that is the value itself; this and n more is the first byte of n others. */
export const LARGEST_ONE_BYTE = 247;

/** Bytes that `writeVarint` takes for `value`: 1 to 8. */
export function varintBytes(value: number): number {
  if (value <= LARGEST_ONE_BYTE) return 1;
  let bytes = 2;
  for (let rest = Math.floor(value / 256); rest > 0; rest = Math.floor(rest / 256)) bytes++;
  return bytes;
}

/**
 * Writes `value`, an integer of 0 to 2^53 - 1, at `offset`.
 * @returns the offset behind it
 */
export function writeVarint(value: number, bytes: Uint8Array, offset: number): number {
  if (value <= LARGEST_ONE_BYTE) {
    bytes[offset] = value;
    return offset + 1;
  }
  let at = offset + 1;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes[at++] = rest % 256;
  bytes[offset] = LARGEST_ONE_BYTE + (at - offset - 1);
  return at;
}

/** Bytes of the varint that begins with `first`: 1 to 9. */
export function varintBytesFrom(first: number): number {
  return first <= LARGEST_ONE_BYTE ? 1 : first - LARGEST_ONE_BYTE + 1;
}

/**
 * Reads the varint at `offset`. Its length is `varintBytesFrom` of its first byte.
 * @returns the value, rounded as a double above 2^53, or -1 where the varint runs past `end`
 */
export function readVarint(bytes: Uint8Array, offset: number, end: number = bytes.length): number {
  if (offset >= end) return -1;
  const first = bytes[offset] as number; // in range: offset < end <= bytes.length
  if (first <= LARGEST_ONE_BYTE) return first;
  const last = offset + first - LARGEST_ONE_BYTE;
  if (last >= end) return -1;
  let value = 0;
  for (let at = last; at > offset; at--) value = value * 256 + (bytes[at] as number); // at <= last < end
  return value;
}
