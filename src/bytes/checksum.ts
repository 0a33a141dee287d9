import { crc32 as crc32Native } from 'node:zlib';
import CRC32 from 'crc-32';
import { continueFnv1a64, FNV_OFFSET_BASIS, Hash64 } from './hash.ts';

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
  continueFnv1a64(bytes, 0, bytes.length, scratch);
  return scratch.value;
}
