import { crc32 as crc32Native } from 'node:zlib';
import CRC32 from 'crc-32';

/** Below this many bytes a call into zlib costs more than computing the sum in JavaScript. */
const NATIVE_FROM_BYTES = 192;

/**
 * CRC-32 (IEEE 802.3, the one of zlib, gzip and PNG) of `bytes`, as an unsigned number.
 * @param seed - the CRC-32 of what comes before `bytes`, to sum a sequence of ranges
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return bytes.length < NATIVE_FROM_BYTES ? CRC32.buf(bytes, seed) >>> 0 : crc32Native(bytes, seed);
}

const FNV_OFFSET_BASIS = 0xcbf29ce484222325n;

/**
 * FNV-1a, 64 bit, of `bytes`.
 * @param seed - the hash of what comes before `bytes`
 */
export function fnv1a64(bytes: Uint8Array, seed: bigint = FNV_OFFSET_BASIS): bigint {
  // Two 32-bit halves: a bigint product for each byte would allocate for each byte.
  let high = Number(seed >> 32n);
  let low = Number(seed & 0xffffffffn);
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    // The prime is 2^40 + 0x1b3, so the product is (hash << 40) + hash * 0x1b3.
    const lowProduct = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + Math.floor(lowProduct / 0x1_0000_0000) + (low << 8)) >>> 0;
    low = lowProduct >>> 0;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}
