import { fnv1a64Into, Hash64 } from '../bytes/hash.ts';
import { assertByteRange, compareBytes, equalRange } from '../bytes/range.ts';

/** Bytes that are kept in the fields of a handle. */
const INLINE_BYTES = 24;

const hashOfKey = new Hash64();
const scratch = new Uint8Array(INLINE_BYTES);
/** The words of the key at hand, on their way into the fields of its handle. */
const words = new Int32Array(INLINE_BYTES / 4);

/**
 * A key that owns its bytes, with their FNV-1a of 64 bits, computed once. It never changes. The first 24 bytes are in
 * six fields of 32 bits, so a key of up to 24 bytes needs no array; a longer one has a copy of all of its bytes.
 */
export class KeyHandle {
  /** Length of the key in bytes. */
  readonly length: number;
  /** The upper half of the hash, a signed 32-bit integer. */
  readonly hashHigh: number;
  /** The lower half of the hash, a signed 32-bit integer. */
  readonly hashLow: number;
  // Big-endian and filled up with zeros, so that words compare as the bytes do.
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly #word4: number;
  readonly #word5: number;
  readonly #copy: Uint8Array | undefined;

  private constructor(source: Uint8Array, start: number, end: number) {
    // Not by `slice`, which of a Buffer is a view. Copied before it is hashed: a shared source may change meanwhile, and hash and bytes have to agree.
    const length = end - start;
    this.length = length;
    this.#copy = length > INLINE_BYTES ? new Uint8Array(source.subarray(start, end)) : undefined;
    if (this.#copy === undefined) loadWords(source, start, length);
    else loadWords(this.#copy, 0, INLINE_BYTES);
    this.#word0 = words[0] as number; // six words, here and below
    this.#word1 = words[1] as number;
    this.#word2 = words[2] as number;
    this.#word3 = words[3] as number;
    this.#word4 = words[4] as number;
    this.#word5 = words[5] as number;
    if (this.#copy !== undefined) {
      fnv1a64Into(this.#copy, 0, length, hashOfKey);
    } else {
      this.copyTo(scratch, 0);
      fnv1a64Into(scratch, 0, length, hashOfKey);
    }
    this.hashHigh = hashOfKey.high;
    this.hashLow = hashOfKey.low;
  }

  /** A handle of `source[start, end)`. @throws RangeError where that is no range; TypeError for what is not bytes */
  static of(source: Uint8Array, start = 0, end: number = source.length): KeyHandle {
    assertByteRange(source, start, end);
    return new KeyHandle(source, start, end);
  }

  /** FNV-1a, 64 bit, of the bytes: an unsigned bigint, made at each call from its halves. */
  get hash(): bigint {
    return (BigInt(this.hashHigh >>> 0) << 32n) | BigInt(this.hashLow >>> 0);
  }

  /** The bytes: a copy. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.copyTo(bytes);
    return bytes;
  }

  /**
   * Writes the bytes at `offset`.
   * @returns the offset behind them
   * @throws RangeError where they run past the end of `target`, which is left alone then
   */
  copyTo(target: Uint8Array, offset = 0): number {
    const end = offset + this.length;
    assertByteRange(target, offset, end);
    if (this.#copy !== undefined) target.set(this.#copy, offset);
    else for (let at = 0; at < this.length; at++) target[offset + at] = this.#inlineByte(at);
    return end;
  }

  /** Whether these are the bytes `source[start, end)`. The range is not checked. */
  equalsRange(source: Uint8Array, start: number, end: number): boolean {
    if (end - start !== this.length) return false;
    if (this.#copy !== undefined) return equalRange(this.#copy, 0, source, start, this.length);
    for (let at = 0; at < this.length; at++) if (source[start + at] !== this.#inlineByte(at)) return false;
    return true;
  }

  equals(other: KeyHandle): boolean {
    return (
      this.hashLow === other.hashLow &&
      this.hashHigh === other.hashHigh &&
      this.length === other.length &&
      this.compare(other) === 0
    );
  }

  /** The order of two keys by their unsigned bytes: -1, 0 or 1; the shorter is first where it begins the other. */
  compare(other: KeyHandle): number {
    return (
      compareWords(this.#word0, other.#word0) ||
      compareWords(this.#word1, other.#word1) ||
      compareWords(this.#word2, other.#word2) ||
      compareWords(this.#word3, other.#word3) ||
      compareWords(this.#word4, other.#word4) ||
      compareWords(this.#word5, other.#word5) ||
      // Where one of them ends here, the other begins with it, or with it and zeros: its length says which is first.
      (this.#copy !== undefined && other.#copy !== undefined
        ? compareBytes(this.#copy, other.#copy)
        : Math.sign(this.length - other.length))
    );
  }

  #inlineByte(at: number): number {
    return (this.#inlineWord(at >> 2) >>> (24 - 8 * (at & 3))) & 0xff;
  }

  #inlineWord(index: number): number {
    switch (index) {
      case 0:
        return this.#word0;
      case 1:
        return this.#word1;
      case 2:
        return this.#word2;
      case 3:
        return this.#word3;
      case 4:
        return this.#word4;
      default:
        return this.#word5;
    }
  }
}

function loadWords(source: Uint8Array, start: number, length: number): void {
  words.fill(0);
  for (let at = 0; at < length; at++) {
    const byte = source[start + at] as number; // within the range that the handle is of
    words[at >> 2] = (words[at >> 2] as number) | (byte << (24 - 8 * (at & 3)));
  }
}

/** The order of two unsigned words. */
function compareWords(a: number, b: number): number {
  if (a === b) return 0;
  return a >>> 0 < b >>> 0 ? -1 : 1;
}
