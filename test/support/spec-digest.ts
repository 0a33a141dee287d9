import { crc32 } from 'node:zlib';
import { specFnv1a64 } from './spec-reader.ts';

// The digest of the page headers as docs/format.md describes it, with bigints and none of the project's code.

const BLOCK = 262_144;
/** In block 0: the digest, its copy, and those of the two commit records. */
const PLACES = [
  { at: 88, bytes: 40 },
  { at: 12_376, bytes: 40 },
  { at: 4096 + 172, bytes: 20 },
  { at: 8192 + 172, bytes: 20 },
] as const;

const mod64 = (value: bigint): bigint => BigInt.asUintN(64, value);

function mixed(hash: bigint): bigint {
  let value = hash ^ (hash >> 33n);
  value = mod64(value * 0xff51afd7ed558ccdn);
  value ^= value >> 33n;
  value = mod64(value * 0xc4ceb9fe1a85ec53n);
  return value ^ (value >> 33n);
}

/** The hash of one block. @param head - its first 64 bytes */
export function specHeadHash(block: number, head: Uint8Array): bigint {
  const bytes = Buffer.from(head.subarray(0, 64));
  if (bytes.every((byte) => byte === 0)) return 0n;
  const magic = bytes.toString('latin1', 0, 8);
  const isPage = magic === 'BYTARANA' || magic === 'BYTARAV2';
  if (isPage) bytes.fill(0, 12, 24);
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(block);
  return mixed(specFnv1a64(Buffer.concat([prefix, bytes])));
}

/** The sum over all blocks after block 0 but those in [openFrom, openEnd). */
export function specDigestSum(file: Uint8Array, openFrom = 0, openEnd = 0): bigint {
  let sum = 0n;
  for (let block = 1; block * BLOCK < file.length; block++) {
    if (block >= openFrom && block < openEnd) continue;
    sum += specHeadHash(block, file.subarray(block * BLOCK, block * BLOCK + 64));
  }
  return mod64(sum);
}

export interface SpecDigest {
  readonly sum: bigint;
  readonly commit: bigint;
  /** Default: none. */
  readonly openFrom?: number;
  readonly openEnd?: number;
}

/** The 40 bytes of a digest of a file header. @param header - its 64 bytes */
export function specDigest({ sum, commit, openFrom = 0, openEnd = 0 }: SpecDigest, header: Uint8Array): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.write('APDG');
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(sum, 8);
  bytes.writeBigUInt64LE(commit, 16);
  bytes.writeUInt32LE(crc32(header.subarray(0, 64)), 24);
  bytes.writeUInt32LE(openFrom, 28);
  bytes.writeUInt32LE(openEnd, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 36)), 36);
  return bytes;
}

/** Sum and commit number of the digest in a file. */
export function digestInFile(file: Uint8Array): SpecDigest {
  const bytes = Buffer.from(file.subarray(88, 128));
  return { sum: bytes.readBigUInt64LE(8), commit: bytes.readBigUInt64LE(16) };
}

/** A copy with other fields in its digest, which is one of its header. */
export function withDigest(bytes: Uint8Array, change: Partial<SpecDigest>): Uint8Array {
  const copy = bytes.slice();
  copy.set(specDigest({ ...digestInFile(copy), ...change }, copy), 88);
  return copy;
}

/** A copy whose digest is one of its header again: as if the writer of the digest had written that header. */
export const withOwnDigest = (bytes: Uint8Array): Uint8Array => withDigest(bytes, {});

/** A copy as a program without digests leaves it: the digest, its copy and those of the commit records are zeros. */
export function withoutDigest(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  for (const place of PLACES) copy.fill(0, place.at, place.at + place.bytes);
  return copy;
}
