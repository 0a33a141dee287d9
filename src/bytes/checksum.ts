import { crc32 as crc32Native } from 'node:zlib';
import CRC32 from 'crc-32';

/** A 64-bit hash as two signed 32-bit integers: V8 stores them without allocating, unlike a bigint. */
export class Hash64 {
  high = 0;
  low = 0;

  /** As an unsigned bigint. */
  get value(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }
}

const FNV_BASIS_HIGH = 0xcbf29ce4 | 0;
const FNV_BASIS_LOW = 0x84222325 | 0;
/** The 64-bit FNV prime is 2^40 plus this. */
const FNV_PRIME_REST = 0x1b3;

/** FNV-1a, 64 bit, of `source[start, end)`. The range is not checked. */
export function fnv1a64Into(source: Uint8Array, start: number, end: number, into: Hash64): void {
  into.high = FNV_BASIS_HIGH;
  into.low = FNV_BASIS_LOW;
  updateFnv1a64(source, start, end, into);
}

/** Extends the hash in `into`. The range is not checked. */
export function updateFnv1a64(source: Uint8Array, start: number, end: number, into: Hash64): void {
  let { high, low } = into;
  for (let at = start; at < end; at++) {
    low ^= source[at] as number; // at < end <= source.length
    // The product is (hash << 40) + hash * 0x1b3. In halves of 16 bits, the carry fits an int32.
    const lower = (low & 0xffff) * FNV_PRIME_REST;
    const upper = (low >>> 16) * FNV_PRIME_REST + (lower >>> 16);
    high = (Math.imul(high, FNV_PRIME_REST) + (upper >>> 16) + (low << 8)) | 0;
    low = (upper << 16) | (lower & 0xffff);
  }
  into.high = high;
  into.low = low;
}

const sharedHash = new Hash64();

/** As {@link fnv1a64Into}, with bigints. @param seed - the hash of the bytes before `bytes` */
export function fnv1a64(bytes: Uint8Array, seed: bigint = 0xcbf29ce484222325n): bigint {
  sharedHash.high = Number(BigInt.asIntN(32, seed >> 32n));
  sharedHash.low = Number(BigInt.asIntN(32, seed));
  updateFnv1a64(bytes, 0, bytes.length, sharedHash);
  return sharedHash.value;
}

const FX_HIGH = 0x517cc1b7;
const FX_LOW = 0x27220a95;
const FX_LOW_LOWER = FX_LOW & 0xffff;
const FX_LOW_UPPER = FX_LOW >>> 16;

/**
 * A 64-bit hash of `bytes` like FxHash, one byte at a time: starting at 0, for each byte
 * `hash = (rotl(hash, 5) ^ byte) * 0x517cc1b727220a95`, modulo 2^64. Leading zero bytes do not change it.
 */
export function fxHash64(bytes: Uint8Array): bigint {
  let high = 0;
  let low = 0;
  for (const byte of bytes) {
    const rotated = ((low << 5) | (high >>> 27)) ^ byte;
    high = (high << 5) | (low >>> 27);
    // The high word of rotated * FX_LOW, from four products of 16 by 16 bits; each sum stays below 2^53.
    const lower = rotated & 0xffff;
    const upper = rotated >>> 16;
    const middle = upper * FX_LOW_LOWER + ((lower * FX_LOW_LOWER) >>> 16);
    const cross = lower * FX_LOW_UPPER + (middle & 0xffff);
    const carry = upper * FX_LOW_UPPER + (middle >>> 16) + (cross >>> 16);
    high = (Math.imul(high, FX_LOW) + Math.imul(rotated, FX_HIGH) + carry) | 0;
    low = Math.imul(rotated, FX_LOW);
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Below this size, a call into zlib costs more than JavaScript. */
const NATIVE_FROM_BYTES = 192;

/** CRC-32 (IEEE 802.3, as in zlib), unsigned. @param seed - the CRC-32 of the bytes before `bytes` */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return bytes.length < NATIVE_FROM_BYTES ? CRC32.buf(bytes, seed) >>> 0 : crc32Native(bytes, seed);
}

/** The CRC-32 of two consecutive ranges from that of each. @param nextBytes - length of the second, below 2^29 */
export function combineCrc32(crc: number, nextCrc: number, nextBytes: number): number {
  return (multiply(powerOfBytes(nextBytes), crc) ^ nextCrc) >>> 0;
}

// A CRC-32 is a polynomial over GF(2), highest bit x^0; each bit that follows a range multiplies it by x.

const REFLECTED_POLYNOMIAL = 0xedb8_8320;
const ONE = 0x8000_0000;

/** Modulo the CRC-32 polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let term = b | 0;
  // No branch: it would be unpredictable.
  for (let rest = a | 0; rest !== 0; rest <<= 1) {
    product ^= term & (rest >> 31);
    term = (term >>> 1) ^ (REFLECTED_POLYNOMIAL & -(term & 1));
  }
  return product;
}

const LOW_BITS = 9;
const TABLE_LENGTH = 1 << LOW_BITS;
const LAST = TABLE_LENGTH - 1;

/** At index n: x to the power of 8 n, and of 8 n * 2^9. Created on first use. */
let lowPowers: Uint32Array | undefined;
let highPowers: Uint32Array | undefined;

function powerOfBytes(bytes: number): number {
  // All indexes are below the length of the tables.
  lowPowers ??= powersOf(ONE >>> 8);
  highPowers ??= powersOf(multiply(lowPowers[LAST] as number, lowPowers[1] as number));
  let power = lowPowers[bytes & LAST] as number;
  let high = bytes >>> LOW_BITS;
  // Never for a range of a page, which is shorter.
  for (; high >= TABLE_LENGTH; high -= LAST) power = multiply(highPowers[LAST] as number, power);
  return multiply(highPowers[high] as number, power);
}

function powersOf(base: number): Uint32Array {
  const powers = new Uint32Array(TABLE_LENGTH).fill(ONE);
  for (let n = 1; n < powers.length; n++) powers[n] = multiply(base, powers[n - 1] as number); // n - 1 >= 0
  return powers;
}

// The effect of a flipped bit on a CRC-32 depends only on the number of bits after it: each multiplies the effect by x.
// To find that number in baby and giant steps, divide by x^2048 until one of the first 2,048 effects remains.

const STRIDE = 2048;

/** Effect to the number of bits after the flipped one, below STRIDE. */
let firstEffects: ReadonlyMap<number, number> | undefined;
/** The quotients by x^STRIDE of the four bytes of an effect; that of the effect is their exclusive or. */
let quotients: readonly Int32Array[] | undefined;

function makeFirstEffects(): ReadonlyMap<number, number> {
  const effects = new Map<number, number>();
  let effect = REFLECTED_POLYNOMIAL | 0;
  for (let following = 0; following < STRIDE; following++) {
    effects.set(effect, following);
    effect = (effect >>> 1) ^ (-(effect & 1) & REFLECTED_POLYNOMIAL);
  }
  return effects;
}

function makeQuotients(): readonly Int32Array[] {
  return [0, 8, 16, 24].map((shift) =>
    Int32Array.from({ length: 256 }, (_, byte) => {
      let effect = byte << shift;
      for (let step = 0; step < STRIDE; step++)
        effect = effect < 0 ? ((effect ^ REFLECTED_POLYNOMIAL) << 1) | 1 : effect << 1;
      return effect;
    }),
  );
}

/**
 * The one bit in which two ranges of `bytes` < 2^28 bytes differ, from the exclusive or of their CRC-32s.
 * @returns 8 times the index of its byte, plus 0 for value 1 to 7 for value 128; -1 if no single bit explains it
 */
export function flippedBitOf(difference: number, bytes: number): number {
  firstEffects ??= makeFirstEffects();
  const [a, b, c, d] = (quotients ??= makeQuotients()) as [Int32Array, Int32Array, Int32Array, Int32Array]; // four places
  const bits = 8 * bytes;
  let rest = difference | 0;
  for (let following = 0; following < bits; following += STRIDE) {
    const remaining = firstEffects.get(rest);
    if (remaining !== undefined) return Math.max(bits - 1 - following - remaining, -1);
    const high = (c[(rest >>> 16) & 255] ?? 0) ^ (d[rest >>> 24] ?? 0);
    rest = (a[rest & 255] ?? 0) ^ (b[(rest >>> 8) & 255] ?? 0) ^ high;
  }
  return -1;
}

/** The index of the only set bit; -1 for none or more. */
export function onlyBitOf(value: number): number {
  const bits = value >>> 0;
  return bits !== 0 && (bits & (bits - 1)) === 0 ? 31 - Math.clz32(bits) : -1;
}

/** Counts bits; the lengths are equal. */
export function differingBits(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let index = 0; index < a.length; index++) {
    for (let rest = (a[index] ?? 0) ^ (b[index] ?? 0); rest !== 0; rest &= rest - 1) count++;
  }
  return count;
}

/** The one bit that differs, numbered as by {@link flippedBitOf}; -1 for none or more. */
export function onlyDifferingBit(a: Uint8Array, b: Uint8Array): number {
  if (differingBits(a, b) !== 1) return -1;
  const index = a.findIndex((byte, at) => byte !== b[at]);
  return 8 * index + onlyBitOf((a[index] ?? 0) ^ (b[index] ?? 0));
}

/** @param bit - numbered as by {@link flippedBitOf} */
export function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
