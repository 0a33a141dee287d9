import { hasLostMemory, isBytes } from '../arguments.ts';

/** Up to this size, a loop is faster than `set` and its view. */
const LOOP_MAX_BYTES = 56;

/** Copies `source[start, end)`. The ranges are not checked and must not overlap. */
export function copyRange(source: Uint8Array, start: number, end: number, target: Uint8Array, offset: number): void {
  const bytes = end - start;
  if (bytes > LOOP_MAX_BYTES) {
    target.set(bytes === source.length ? source : source.subarray(start, end), offset);
  } else if (bytes >= 8) {
    const last = end - 8;
    let to = offset;
    for (let from = start; from < last; from += 8, to += 8) copyEight(source, from, target, to);
    // Copying some of the last eight bytes twice is faster than a loop over the rest.
    copyEight(source, last, target, offset + bytes - 8);
  } else {
    let to = offset;
    for (let from = start; from < end; from++) target[to++] = source[from] as number; // from < end <= source.length
  }
}

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

/** From this size on, a native comparison and its two views are faster than a loop. */
const NATIVE_COMPARE_FROM_BYTES = 192;

/** The ranges are not checked. */
export function equalRange(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  if (length >= NATIVE_COMPARE_FROM_BYTES) {
    return Buffer.compare(a.subarray(aStart, aStart + length), b.subarray(bStart, bStart + length)) === 0;
  }
  for (let at = 0; at < length; at++) if (a[aStart + at] !== b[bStart + at]) return false;
  return true;
}

/** Compares by unsigned bytes, a prefix first: -1, 0 or 1. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  if (length >= NATIVE_COMPARE_FROM_BYTES) return Buffer.compare(a, b);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number); // at < length
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return Math.sign(a.length - b.length);
}

/** One block, so that a block takes one call. */
const ZEROS = Buffer.alloc(262_144);

export function isZero(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += ZEROS.length) {
    const end = Math.min(start + ZEROS.length, bytes.length);
    if (ZEROS.compare(bytes, start, end, 0, end - start) !== 0) return false;
  }
  return true;
}

/** Copies bytes of a caller. Not `slice`, which makes a view of a Buffer. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** @throws TypeError unless `source` is a Uint8Array with its memory; RangeError unless [start, end) is within it */
export function assertByteRange(source: Uint8Array, start: number, end: number): void {
  if (!isBytes(source)) throw new TypeError('source must be a Uint8Array; encode text with TextEncoder');
  if (source[0] === undefined && hasLostMemory(source))
    throw new TypeError('source is detached: its buffer was transferred, or became too short');
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end >= start && end <= source.length) return;
  // String() fails for an array without its memory.
  const found = [start, end].map((each) => (typeof each === 'number' ? String(each) : typeof each)).join(' and ');
  throw new RangeError(`start and end must be a range within the ${source.length} bytes of source, not ${found}`);
}

/** Above it `set` is faster. Just below it takes as long, but allocates a view for each range. */
const MAX_BYTES_BY_WORDS = 640;

const WORD_BYTES = 4;

/** Copies short ranges by words, which takes half the time of bytes; keeps a view of the last source until `release`. */
export class Copier {
  #source: Uint8Array | undefined;
  /** The length of an array over growable memory can change. */
  #sourceBytes = 0;
  #view: DataView | undefined;

  /** Copies `source[start, end)`; `view` is of `target`. The ranges are not checked and must not overlap. */
  copy(source: Uint8Array, start: number, end: number, target: Uint8Array, view: DataView, offset: number): void {
    const bytes = end - start;
    if (bytes > MAX_BYTES_BY_WORDS || bytes < WORD_BYTES) {
      copyRange(source, start, end, target, offset);
    } else if (source === this.#source && source.length === this.#sourceBytes) {
      this.#view ??= new DataView(source.buffer, source.byteOffset, source.length);
      copyWords(this.#view, start, bytes, view, offset);
    } else {
      // For a source used only once, a view would cost more than it saves.
      this.#source = source;
      this.#sourceBytes = source.length;
      this.#view = undefined;
      copyRange(source, start, end, target, offset);
    }
  }

  release(): void {
    this.#source = this.#view = undefined;
  }
}

/**
 * Copies `source[start, end)` for loops over many ranges of a source, with views of source and target. The ranges are not
 * checked and must not overlap.
 */
export function copyViewed(
  source: Uint8Array,
  sourceView: DataView,
  start: number,
  end: number,
  target: Uint8Array,
  targetView: DataView,
  offset: number,
): void {
  const bytes = end - start;
  if (bytes > MAX_BYTES_BY_WORDS || bytes < WORD_BYTES) copyRange(source, start, end, target, offset);
  else copyWords(sourceView, start, bytes, targetView, offset);
}

function copyWords(source: DataView, start: number, bytes: number, target: DataView, offset: number): void {
  const last = start + bytes - WORD_BYTES;
  let to = offset;
  for (let from = start; from < last; from += WORD_BYTES, to += WORD_BYTES) {
    target.setInt32(to, source.getInt32(from, true), true);
  }
  // Copying some bytes of the last word twice is faster than a loop over the rest.
  target.setInt32(offset + bytes - WORD_BYTES, source.getInt32(last, true), true);
}

const POOL_BYTES = 8192;
const ALIGNMENT_BYTES = 8;

let pool = new Uint8Array(POOL_BYTES);
let usedBytes = 0;

/** Up to 8192 zero bytes in a larger array: V8 moves a small array's content, slowly, when a view or call first uses it. */
export function pooledBytes(length: number): Uint8Array {
  if (usedBytes + length > POOL_BYTES) {
    pool = new Uint8Array(POOL_BYTES);
    usedBytes = 0;
  }
  const bytes = pool.subarray(usedBytes, usedBytes + length);
  usedBytes += Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  return bytes;
}

const SHIFT_BYTES = 48;

/**
 * A zeroed buffer for large reads: on some processors the kernel copies five times slower to a buffer 1 to 31 bytes
 * after the start of a memory page, as allocations of this size usually are (16); this one begins 64 bytes after it.
 */
export function readBuffer(bytes: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(SHIFT_BYTES + bytes), SHIFT_BYTES);
}
