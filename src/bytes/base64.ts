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
