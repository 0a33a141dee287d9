/** What a byte is as the first digit of a pair, times 16, and as the second; -1 where it is no digit. */
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
 * Decodes `source[start, end)`, two digits a byte in either case, into `target` from `offset` on. The target may be the
 * source, with `offset` at most `start`.
 * @returns how many bytes were written; -1 for what is not hex: then those behind `offset` may have changed, at most
 * half as many as the text has characters
 * @throws RangeError where the range is not within `source`, or the bytes have no room in `target`
 */
export function decodeHex(source: Uint8Array, start: number, end: number, target: Uint8Array, offset: number): number {
  const bytes = (end - start) >> 1;
  if (!(start >= 0 && start <= end && end <= source.length)) throw new RangeError('the text is not within its source');
  if (!(offset >= 0 && offset + bytes <= target.length)) throw new RangeError('the bytes have no room in their target');
  if (((end - start) & 1) !== 0) return -1;
  let from = start;
  let to = offset;
  // Four bytes a turn take 15 % less time than one. A digit that is none makes the or of its pair negative.
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

/** The byte that two digits stand for; negative where one is none. */
function pairAt(source: Uint8Array, at: number): number {
  // In range: the caller has checked its range, and both tables have an entry for each byte.
  return (HIGH[source[at] as number] as number) | (LOW[source[at + 1] as number] as number);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The six bits that a character stands for; -1 where it is none of the alphabet. */
const SEXTETS = new Int8Array(256).fill(-1);
for (let value = 0; value < 64; value++) SEXTETS[ALPHABET.charCodeAt(value)] = value;

const PADDING = 0x3d;

/**
 * Decodes `source[start, end)`, base64 of the standard alphabet, padded, with nothing between its characters, into
 * `target` from `offset` on. Bits of the last character that no byte takes may have any value. The target may be the
 * source, with `offset` at most `start`.
 * @returns how many bytes were written; -1 for what is not base64: then those behind `offset` may have changed, at most
 * three for each four characters
 * @throws RangeError where the range is not within `source`, or the bytes have no room in `target`
 */
export function decodeBase64(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  const characters = end - start;
  if (!(start >= 0 && start <= end && end <= source.length)) throw new RangeError('the text is not within its source');
  if (characters === 0) return 0;
  if ((characters & 3) !== 0) return -1;
  const padding = source[end - 1] !== PADDING ? 0 : source[end - 2] !== PADDING ? 1 : 2;
  const bytes = 3 * (characters >> 2) - padding;
  if (!(offset >= 0 && offset + bytes <= target.length)) throw new RangeError('the bytes have no room in their target');
  let from = start;
  let to = offset;
  for (const whole = padding === 0 ? end : end - 4; from < whole; from += 4, to += 3) {
    const bits =
      (sextetAt(source, from) << 18) |
      (sextetAt(source, from + 1) << 12) |
      (sextetAt(source, from + 2) << 6) |
      sextetAt(source, from + 3);
    if (bits < 0) return -1; // a sextet of -1 keeps its sign wherever it is shifted to
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

/** The six bits of a character; -1 where it stands for none. */
function sextetAt(source: Uint8Array, at: number): number {
  return SEXTETS[source[at] as number] as number; // in range: the caller has checked its range
}

// TextEncoder.encodeInto writes until its target is full, and takes a view for an offset; names are short, so a loop
// that counts first and writes then is no slower, and leaves the target alone where they do not fit.

/** Bytes of `text` in UTF-8. @throws TypeError for a lone surrogate, which would be written as U+FFFD like any other */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = unit < 0xdc00 ? text.charCodeAt(++at) : NaN; // NaN behind the end of the text
      if (!(low >= 0xdc00 && low <= 0xdfff)) throw new TypeError('a lone surrogate has no bytes in UTF-8');
      // A pair is two units and four bytes, and two were added.
    }
  }
  return bytes;
}

/**
 * Writes `text` in UTF-8 at `offset`. `utf8Bytes` has been asked, and `target` has the room.
 * @returns the offset behind it
 */
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

/** A whole number with a comma between each three digits: `262,144`. The locale functions of the system take 7 MiB for it. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 byte`, `2 bytes`, as messages say it; {@link grouped} is for reports. @param noun - of one */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Digits of the largest u64. */
export const U64_DIGITS = 20;
const TEN_DIGITS = 10_000_000_000;
const DIGIT_ZERO = 0x30;

/**
 * Writes a u64 in decimal, right-aligned, to the first 20 bytes of `target`; no string is made.
 * @param value - a bigint of 0 to 2^64 - 1, or an integer of 0 to 2^53 - 1
 * @param name - of the value, for the message of the error
 * @returns the offset of the first digit; the last one is at 19
 * @throws RangeError for any other value; nothing is written then
 */
export function writeDecimalU64(value: number | bigint, target: Uint8Array, name: string = 'value'): number {
  let rest: number;
  let upper = 0;
  if (typeof value === 'bigint') {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${name} must be a u64, not ${value}`);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) rest = Number(value);
    else {
      upper = Number(value / BigInt(TEN_DIGITS));
      rest = Number(value % BigInt(TEN_DIGITS));
    }
  } else {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${name} must be a u64: a bigint, or an integer of 0 to 2^53 - 1, not ${String(value)}`);
    }
    rest = value;
  }
  if (upper === 0) return writeDigits(rest, target, U64_DIGITS);
  const from = writeDigits(rest, target, U64_DIGITS);
  // The lower ten digits have their zeros where others stand before them.
  target.fill(DIGIT_ZERO, U64_DIGITS - 10, from);
  return writeDigits(upper, target, U64_DIGITS - 10);
}

/**
 * Writes an integer of 0 to 2^53 - 1 in decimal at `offset`; no string is made.
 * @returns the offset after it
 */
export function writeDecimal(value: number, target: Uint8Array, offset: number): number {
  let end = offset + 1;
  for (let limit = 10; value >= limit; limit *= 10) end++;
  writeDigits(value, target, end);
  return end;
}

/** Writes an integer of 0 to 2^53 - 1 so that it ends before `end`, and returns where it begins. */
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
