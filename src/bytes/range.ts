/** Up to here a loop over bytes costs less than a call of `set`, and the view that it takes. */
const LOOP_MAX_BYTES = 56;

/** Copies `source[start, end)` to `target` at `offset`. The ranges are not checked, and do not overlap. */
export function copyRange(source: Uint8Array, start: number, end: number, target: Uint8Array, offset: number): void {
  const bytes = end - start;
  if (bytes > LOOP_MAX_BYTES) {
    target.set(bytes === source.length ? source : source.subarray(start, end), offset);
  } else if (bytes >= 8) {
    const last = end - 8;
    let to = offset;
    for (let from = start; from < last; from += 8, to += 8) copyEight(source, from, target, to);
    // The last eight may have bytes among them that are copied by now: that costs less than a loop over the rest.
    copyEight(source, last, target, offset + bytes - 8);
  } else {
    let to = offset;
    for (let from = start; from < end; from++) target[to++] = source[from] as number; // from < end <= source.length
  }
}

/** The casts hold because both ranges are there. */
function copyEight(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  target[to] = source[from] as number;
  target[to + 1] = source[from + 1] as number;
  target[to + 2] = source[from + 2] as number;
  target[to + 3] = source[from + 3] as number;
  target[to + 4] = source[from + 4] as number;
  target[to + 5] = source[from + 5] as number;
  target[to + 6] = source[from + 6] as number;
  target[to + 7] = source[from + 7] as number;
}

/** From this many bytes on, comparing is left to the system; its call and two views cost more than a loop below. */
const NATIVE_COMPARE_FROM_BYTES = 192;

/** Whether `a[aStart, aStart + length)` has the bytes of `b[bStart, bStart + length)`. The ranges are not checked. */
export function equalRange(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  if (length >= NATIVE_COMPARE_FROM_BYTES) {
    return Buffer.compare(a.subarray(aStart, aStart + length), b.subarray(bStart, bStart + length)) === 0;
  }
  for (let at = 0; at < length; at++) if (a[aStart + at] !== b[bStart + at]) return false;
  return true;
}

/** The order of two byte strings: -1, 0 or 1, by unsigned bytes; of two where one begins the other, the shorter is first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  if (length >= NATIVE_COMPARE_FROM_BYTES) return Buffer.compare(a, b);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number); // at < length
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return Math.sign(a.length - b.length);
}

/** @throws TypeError for what is not bytes; RangeError where [start, end) is not within `source` */
export function assertByteRange(source: Uint8Array, start: number, end: number): void {
  if (!(source instanceof Uint8Array)) throw new TypeError('bytes are a Uint8Array; encode text with TextEncoder');
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= source.length) return;
  throw new RangeError(`[${start}, ${end}) is not a range within ${source.length} bytes`);
}
