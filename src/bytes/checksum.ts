import { crc32 as crc32Native } from 'node:zlib';
import CRC32 from 'crc-32';

/**
 * A 64-bit hash in two halves, each a signed 32-bit integer: Node keeps such a number in the field itself, where a
 * bigint, or a number from 2^31 on, would be allocated.
 */
export class Hash64 {
  high = 0;
  low = 0;

  /** The hash as an unsigned bigint. */
  get value(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }
}

/** The offset basis of FNV-1a, 64 bit. */
export const FNV_OFFSET_BASIS = 0xcbf29ce484222325n;
const FNV_BASIS_HIGH = 0xcbf29ce4 | 0;
const FNV_BASIS_LOW = 0x84222325 | 0;
/** The prime of FNV, 64 bit, is 2^40 plus this. */
const FNV_PRIME_REST = 0x1b3;

/** Puts FNV-1a, 64 bit, of `source[start, end)` into `into`. The range is not checked. */
export function fnv1a64Into(source: Uint8Array, start: number, end: number, into: Hash64): void {
  into.high = FNV_BASIS_HIGH;
  into.low = FNV_BASIS_LOW;
  updateFnv1a64(source, start, end, into);
}

/** Goes on with the FNV-1a in `into`, that of what comes before `source[start, end)`. The range is not checked. */
export function updateFnv1a64(source: Uint8Array, start: number, end: number, into: Hash64): void {
  let { high, low } = into;
  for (let at = start; at < end; at++) {
    low ^= source[at] as number; // at < end <= source.length
    // The product is (hash << 40) + hash * 0x1b3. By halves of 16 bits its carry stays within an int32.
    const lower = (low & 0xffff) * FNV_PRIME_REST;
    const upper = (low >>> 16) * FNV_PRIME_REST + (lower >>> 16);
    high = (Math.imul(high, FNV_PRIME_REST) + (upper >>> 16) + (low << 8)) | 0;
    low = (upper << 16) | (lower & 0xffff);
  }
  into.high = high;
  into.low = low;
}

const FX_HIGH = 0x517cc1b7;
const FX_LOW = 0x27220a95;
const FX_LOW_LOWER = FX_LOW & 0xffff;
const FX_LOW_UPPER = FX_LOW >>> 16;

/**
 * A 64-bit hash of `bytes` in the manner of FxHash, a byte at a time: from 0, for each byte
 * `hash = (rotl(hash, 5) ^ byte) * 0x517cc1b727220a95`, modulo 2^64. Leading zero bytes do not change it.
 */
export function fxHash64(bytes: Uint8Array): bigint {
  let high = 0;
  let low = 0;
  for (const byte of bytes) {
    const turned = ((low << 5) | (high >>> 27)) ^ byte;
    high = (high << 5) | (low >>> 27);
    // The high word of turned * FX_LOW, from four products of 16 by 16 bits; each sum stays below 2^53.
    const lower = turned & 0xffff;
    const upper = turned >>> 16;
    const middle = upper * FX_LOW_LOWER + ((lower * FX_LOW_LOWER) >>> 16);
    const cross = lower * FX_LOW_UPPER + (middle & 0xffff);
    const carry = upper * FX_LOW_UPPER + (middle >>> 16) + (cross >>> 16);
    high = (Math.imul(high, FX_LOW) + Math.imul(turned, FX_HIGH) + carry) | 0;
    low = Math.imul(turned, FX_LOW);
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Below this many bytes a call into zlib costs more than computing the sum in JavaScript. */
const NATIVE_FROM_BYTES = 192;

/**
 * CRC-32 (IEEE 802.3, the one of zlib, gzip and PNG) of `bytes`, as an unsigned number.
 * @param seed - the CRC-32 of what comes before `bytes`, to sum a sequence of ranges
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return bytes.length < NATIVE_FROM_BYTES ? CRC32.buf(bytes, seed) >>> 0 : crc32Native(bytes, seed);
}

/**
 * The CRC-32 of two ranges that stand one behind the other, from the sum of each; neither is read again.
 * @param sum - of the first range
 * @param nextSum - of the second
 * @param nextBytes - length of the second, below 2^29
 */
export function combineCrc32(sum: number, nextSum: number, nextBytes: number): number {
  return (multiply(powerOfBytes(nextBytes), sum) ^ nextSum) >>> 0;
}

// A CRC-32 is the remainder of a polynomial over GF(2). In its bits as they are kept here the highest is that of x^0.
// Bytes behind a range multiply its polynomial by x for each of their bits.

const REFLECTED_POLYNOMIAL = 0xedb8_8320;
const ONE = 0x8000_0000;

/** The product of two polynomials, modulo that of CRC-32. */
function multiply(a: number, b: number): number {
  let product = 0;
  let term = b | 0;
  // Without a branch: which way it goes is as good as random, and a wrong guess costs more than the step.
  for (let rest = a | 0; rest !== 0; rest <<= 1) {
    product ^= term & (rest >> 31);
    term = (term >>> 1) ^ (REFLECTED_POLYNOMIAL & -(term & 1));
  }
  return product;
}

const LOW_BITS = 9;
/** So many bytes and more are rare: no page has as many. */
const TABLE_BYTES = 1 << (2 * LOW_BITS);

/** x to the power of 8 n and of 8 n * 2^9, at index n; made when they are first needed. */
let lowPowers: Uint32Array | undefined;
let highPowers: Uint32Array | undefined;

/** x to the power of the bits of so many bytes. */
function powerOfBytes(bytes: number): number {
  if (bytes >= TABLE_BYTES) return powerOfX(8 * bytes);
  lowPowers ??= powersOf(powerOfX(8));
  highPowers ??= powersOf(powerOfX(8 << LOW_BITS));
  const low = lowPowers[bytes & ((1 << LOW_BITS) - 1)] as number; // both indexes are below 2^9
  return multiply(highPowers[bytes >>> LOW_BITS] as number, low);
}

function powersOf(base: number): Uint32Array {
  const powers = new Uint32Array(1 << LOW_BITS).fill(ONE);
  for (let n = 1; n < powers.length; n++) powers[n] = multiply(base, powers[n - 1] as number); // n - 1 >= 0
  return powers;
}

/** x to the power of 2^n, at index n. */
const SQUARES: number[] = [ONE >>> 1];

function powerOfX(exponent: number): number {
  let power = ONE;
  for (let rest = exponent, n = 0; rest > 0; rest >>>= 1, n++) {
    let square = SQUARES[n];
    if (square === undefined) {
      const root = SQUARES[n - 1] as number; // filled up to n - 1 by the rounds before
      square = multiply(root, root);
      SQUARES.push(square);
    }
    if ((rest & 1) === 1) power = multiply(square, power);
  }
  return power;
}

const scratch = new Hash64();

/**
 * FNV-1a, 64 bit, of `bytes`. `fnv1a64Into` in hash.ts gives the same without a bigint.
 * @param seed - the hash of what comes before `bytes`
 */
export function fnv1a64(bytes: Uint8Array, seed: bigint = FNV_OFFSET_BASIS): bigint {
  scratch.high = Number(BigInt.asIntN(32, seed >> 32n));
  scratch.low = Number(BigInt.asIntN(32, seed));
  updateFnv1a64(bytes, 0, bytes.length, scratch);
  return scratch.value;
}

const REFLECTED_POLYNOMIAL_FLIPPED_BIT = 0xedb8_8320;

// What a flipped bit changes in a CRC-32 depends on how many bits follow it: each doubles it, in the arithmetic of the
// sum, and what is not zero comes back to itself after 2^32 - 1 doublings. To find how many it were, by small and large steps:
// halve the difference 2,048 times at once, until it is one of the first 2,048 effects.

const STRIDE = 2048;

function double(effect: number): number {
  return (effect >>> 1) ^ (-(effect & 1) & REFLECTED_POLYNOMIAL_FLIPPED_BIT);
}

function halve(effect: number): number {
  return effect < 0 ? ((effect ^ REFLECTED_POLYNOMIAL_FLIPPED_BIT) << 1) | 1 : effect << 1;
}

/** The bits behind a flipped one, by its effect, where they are fewer than STRIDE. */
let firstEffects: ReadonlyMap<number, number> | undefined;
/** What STRIDE halvings make of each byte of an effect, at each of its four places: the whole is the exclusive or of the four. */
let halved: readonly Int32Array[] | undefined;

function makeFirstEffects(): ReadonlyMap<number, number> {
  const effects = new Map<number, number>();
  for (let effect = double(1), following = 0; following < STRIDE; effect = double(effect), following++) {
    effects.set(effect, following);
  }
  return effects;
}

function makeHalved(): readonly Int32Array[] {
  return [0, 8, 16, 24].map((shift) =>
    Int32Array.from({ length: 256 }, (_, byte) => {
      let effect = byte << shift;
      for (let step = 0; step < STRIDE; step++) effect = halve(effect);
      return effect;
    }),
  );
}

/**
 * The one bit that makes the difference between two CRC-32 of ranges of the same length. The CRC is linear: what a
 * bit changes in it depends on how many bits follow, and on nothing else, so the bytes are not needed.
 * @param difference - the exclusive or of the two sums
 * @param bytes - length of the range, below 2^28
 * @returns the bit's index, 8 times the byte's plus 0 for value 1 to 7 for value 128; -1 where no single bit is it
 */
export function flippedBitOf(difference: number, bytes: number): number {
  firstEffects ??= makeFirstEffects();
  const [a, b, c, d] = (halved ??= makeHalved()) as [Int32Array, Int32Array, Int32Array, Int32Array]; // four places
  const bits = 8 * bytes;
  let rest = difference | 0;
  for (let following = 0; following < bits; following += STRIDE) {
    const few = firstEffects.get(rest);
    if (few !== undefined) return Math.max(bits - 1 - following - few, -1);
    const high = (c[(rest >>> 16) & 255] ?? 0) ^ (d[rest >>> 24] ?? 0);
    rest = (a[rest & 255] ?? 0) ^ (b[(rest >>> 8) & 255] ?? 0) ^ high;
  }
  return -1;
}

/** The index, 0 to 31, of the only bit that is set in a number of up to 32 bits; -1 where another number of bits is. */
export function onlyBitOf(value: number): number {
  const bits = value >>> 0;
  return bits !== 0 && (bits & (bits - 1)) === 0 ? 31 - Math.clz32(bits) : -1;
}

/** How many bits of two ranges of the same length differ. */
export function differingBits(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let index = 0; index < a.length; index++) {
    for (let rest = (a[index] ?? 0) ^ (b[index] ?? 0); rest !== 0; rest &= rest - 1) count++;
  }
  return count;
}

/** The one bit in which two ranges of the same length differ, as {@link flippedBitOf} counts; -1 where it is not one. */
export function onlyDifferingBit(a: Uint8Array, b: Uint8Array): number {
  if (differingBits(a, b) !== 1) return -1;
  const index = a.findIndex((byte, at) => byte !== b[at]);
  return 8 * index + onlyBitOf((a[index] ?? 0) ^ (b[index] ?? 0));
}

/** Flips the bit with this index, as {@link flippedBitOf} counts. Twice is as not at all. */
export function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
