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
  continueFnv1a64(source, start, end, into);
}

/** Goes on with the FNV-1a in `into`, that of what comes before `source[start, end)`. The range is not checked. */
export function continueFnv1a64(source: Uint8Array, start: number, end: number, into: Hash64): void {
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
