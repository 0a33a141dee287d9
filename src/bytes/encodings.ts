/** The value of a hex digit, as first of a pair (times 16) and as second; -1 for other characters. */
const HIGH = new Int16Array(256).fill(-1);
const LOW = new Int16Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  for (const code of [digit.charCodeAt(0), digit.toUpperCase().charCodeAt(0)]) {
    HIGH[code] = value << 4;
    LOW[code] = value;
  }
}

/**
 * Decodes hex digits of either case to `target` at `offset`, which may be the same array if `offset` <= `start`.
 * @returns bytes written; -1 if the text is not hex: bytes in the range of the result may have changed then
 * @throws RangeError if the range is not within `source`, or the result does not fit in `target`
 */
export function decodeHex(source: Uint8Array, start: number, end: number, target: Uint8Array, offset: number): number {
  const bytes = (end - start) >> 1;
  if (!(start >= 0 && start <= end && end <= source.length)) throw new RangeError('the text is not within source');
  if (!(offset >= 0 && offset + bytes <= target.length)) throw new RangeError('the decoded bytes do not fit in target');
  if (((end - start) & 1) !== 0) return -1;
  let from = start;
  let to = offset;
  // Four bytes per round take 15 % less time. A character that is no digit makes the disjunction negative.
  for (const last = end - 8; from <= last; from += 8, to += 4) {
    const first = pairAt(source, from);
    const second = pairAt(source, from + 2);
    const third = pairAt(source, from + 4);
    const fourth = pairAt(source, from + 6);
    if ((first | second | third | fourth) < 0) return -1;
    target[to] = first;
    target[to + 1] = second;
    target[to + 2] = third;
    target[to + 3] = fourth;
  }
  for (; from < end; from += 2, to++) {
    const byte = pairAt(source, from);
    if (byte < 0) return -1;
    target[to] = byte;
  }
  return bytes;
}

/** Negative if one is not a digit. */
function pairAt(source: Uint8Array, at: number): number {
  // In range: the caller has checked, and both tables have an entry for each byte.
  return (HIGH[source[at] as number] as number) | (LOW[source[at + 1] as number] as number);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** -1 for other characters. */
const SEXTETS = new Int8Array(256).fill(-1);
for (let value = 0; value < 64; value++) SEXTETS[ALPHABET.charCodeAt(value)] = value;

const PADDING = 0x3d;

/** As {@link decodeHex}, for padded standard base64 without whitespace. Unused bits may have any value. */
export function decodeBase64(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  const characters = end - start;
  if (!(start >= 0 && start <= end && end <= source.length)) throw new RangeError('the text is not within source');
  if (characters === 0) return 0;
  if ((characters & 3) !== 0) return -1;
  const padding = source[end - 1] !== PADDING ? 0 : source[end - 2] !== PADDING ? 1 : 2;
  const bytes = 3 * (characters >> 2) - padding;
  if (!(offset >= 0 && offset + bytes <= target.length)) throw new RangeError('the decoded bytes do not fit in target');
  let from = start;
  let to = offset;
  for (const whole = padding === 0 ? end : end - 4; from < whole; from += 4, to += 3) {
    const bits =
      (sextetAt(source, from) << 18) |
      (sextetAt(source, from + 1) << 12) |
      (sextetAt(source, from + 2) << 6) |
      sextetAt(source, from + 3);
    if (bits < 0) return -1; // a sextet of -1 stays negative when shifted
    target[to] = bits >> 16;
    target[to + 1] = bits >> 8;
    target[to + 2] = bits;
  }
  if (padding === 0) return bytes;
  const third = padding === 1 ? sextetAt(source, from + 2) << 6 : 0;
  const bits = (sextetAt(source, from) << 18) | (sextetAt(source, from + 1) << 12) | third;
  if (bits < 0) return -1;
  target[to] = bits >> 16;
  if (padding === 1) target[to + 1] = bits >> 8;
  return bytes;
}

function sextetAt(source: Uint8Array, at: number): number {
  return SEXTETS[source[at] as number] as number; // in range: the caller has checked its range
}

// encodeInto needs a view for an offset and writes part of a text that does not fit; for short names this is as fast.

/** @throws TypeError for a lone surrogate, which would be encoded as U+FFFD like any other */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = unit < 0xdc00 ? text.charCodeAt(++at) : NaN; // NaN after the end of the text
      if (!(low >= 0xdc00 && low <= 0xdfff)) throw new TypeError('a lone surrogate cannot be encoded in UTF-8');
      // A pair is two units and four bytes, and two were added.
    }
  }
  return bytes;
}

/** Writes UTF-8; `target` has room for {@link utf8Bytes}. @returns the offset after it */
export function writeUtf8(text: string, target: Uint8Array, offset: number): number {
  let to = offset;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) {
      target[to++] = unit;
    } else if (unit < 0x800) {
      target[to++] = 0xc0 | (unit >> 6);
      target[to++] = 0x80 | (unit & 0x3f);
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[to++] = 0xe0 | (unit >> 12);
      target[to++] = 0x80 | ((unit >> 6) & 0x3f);
      target[to++] = 0x80 | (unit & 0x3f);
    } else {
      const point = 0x10000 + ((unit - 0xd800) << 10) + (text.charCodeAt(++at) - 0xdc00);
      target[to++] = 0xf0 | (point >> 18);
      target[to++] = 0x80 | ((point >> 12) & 0x3f);
      target[to++] = 0x80 | ((point >> 6) & 0x3f);
      target[to++] = 0x80 | (point & 0x3f);
    }
  }
  return to;
}

/** Without `ignoreBOM`, the first character would be missing if it is U+FEFF. */
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of UTF-8 bytes, which are not in shared memory, with U+FFFD for what is not UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes);
}

/** `262,144`; the locale functions of Node would take 7 MiB. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 byte`, `2 bytes`, for messages; {@link grouped} is for reports. @param noun - singular */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export const U64_DIGITS = 20;
const TEN_DIGITS = 10_000_000_000n;
const DIGIT_ZERO = 0x30;

/**
 * Writes a u64 in decimal, right-aligned, to the first 20 bytes of `target`, without making a string.
 * @returns the offset of the first digit; the last one is at 19
 * @throws RangeError that names `name`, with nothing written, unless `value` is a u64 bigint or an integer up to 2^53 - 1
 */
export function writeDecimalU64(value: number | bigint, target: Uint8Array, name: string = 'value'): number {
  if (typeof value !== 'bigint') {
    if (Number.isSafeInteger(value) && value >= 0) return writeDigits(value, target, U64_DIGITS);
    throw new RangeError(`${name} must be a u64: a bigint, or an integer of 0 to 2^53 - 1, not ${String(value)}`);
  }
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${name} must be a u64, not ${value}`);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return writeDigits(Number(value), target, U64_DIGITS);
  const lower = writeDigits(Number(value % TEN_DIGITS), target, U64_DIGITS);
  target.fill(DIGIT_ZERO, U64_DIGITS - 10, lower);
  return writeDigits(Number(value / TEN_DIGITS), target, U64_DIGITS - 10);
}

/** Writes an integer of 0 to 2^53 - 1 in decimal, without making a string. @returns the offset after it */
export function writeDecimal(value: number, target: Uint8Array, offset: number): number {
  let end = offset + 1;
  for (let limit = 10; value >= limit; limit *= 10) end++;
  writeDigits(value, target, end);
  return end;
}

/** Writes digits that end at `end`. @returns their start */
function writeDigits(value: number, target: Uint8Array, end: number): number {
  let at = end;
  let rest = value;
  while (rest > 0x7fff_ffff) {
    const tenth = Math.floor(rest / 10);
    target[--at] = DIGIT_ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  do {
    const tenth = (rest / 10) | 0;
    target[--at] = DIGIT_ZERO + (rest - tenth * 10);
    rest = tenth;
  } while (rest > 0);
  return at;
}

// 0 to 247 take one byte; others a byte 247 + n, then n = 1 to 8 bytes, little-endian. See docs/format.md#v2-directory.

/** A first byte of this plus n is followed by n more. */
export const LARGEST_ONE_BYTE = 247;

/** 1 to 8. */
export function varintBytes(value: number): number {
  if (value <= LARGEST_ONE_BYTE) return 1;
  let bytes = 2;
  for (let rest = Math.floor(value / 256); rest > 0; rest = Math.floor(rest / 256)) bytes++;
  return bytes;
}

/** Writes an integer of 0 to 2^53 - 1. @returns the offset after it */
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

/** Size of the varint with this first byte: 1 to 9. */
export function varintBytesFrom(first: number): number {
  return first <= LARGEST_ONE_BYTE ? 1 : first - LARGEST_ONE_BYTE + 1;
}

/** @returns the value, rounded to a double above 2^53; -1 if it runs past `end` */
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
