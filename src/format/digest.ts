import { isZero } from '../bytes/buffer.ts';
import { crc32, fnv1a64Into, Hash64, updateFnv1a64 } from '../bytes/checksum.ts';
import { defineSealedRecord, type SealedRecordLayout, u32, u64 } from '../bytes/record.ts';
import { FILE_HEADER_BYTES, PAGE_HEADER_BYTES } from './layout.ts';
import { MAX_COMMIT, PAGE_HEADER, pageFormatOf } from './page-header.ts';

/** In block 0, in the sector of the file header: a commit writes both at once. */
export const DIGEST_OFFSET = 88;
/** Block 0 up to the end of the digest: file header, root descriptor, digest. */
export const FILE_START_BYTES = 128;

/** A sum over the first 64 bytes of all blocks. @see docs/format.md#digest-of-the-page-headers */
export interface Digest {
  magic: number;
  version: number;
  sum: bigint;
  commit: bigint;
  fileHeaderCrc: number;
  openFrom: number;
  openEnd: number;
  checksum: number;
}

/** ASCII `APDG`. */
const [MAGIC, VERSION] = [0x47445041, 1];

export const DIGEST: SealedRecordLayout<Digest> = defineSealedRecord<Digest>(MAGIC, VERSION, {
  magic: u32('ASCII `APDG`'),
  version: u32('1'),
  sum: u64('sum of the hashes of all blocks, modulo 2^64'),
  commit: u64('number of the last commit; each has the next one'),
  fileHeaderCrc: u32('CRC-32 of the 64-byte file header that this belongs to'),
  openFrom: u32('first block that the sum leaves out while its header is replaced, or 0'),
  openEnd: u32('end of those blocks, or 0'),
  checksum: u32('CRC-32 of the bytes above'),
});

/** The sum as of a commit; a digest without its place in the file. */
export interface DigestState {
  readonly sum: Readonly<Hash64>;
  /** Number of the commit. */
  readonly commit: number;
  /** Blocks [openFrom, openEnd) are not in the sum. */
  readonly openFrom: number;
  readonly openEnd: number;
}

const OFFSETS = DIGEST.offsets;

/** Writes the digest of the file header in `start` behind it. @param start - the first 128 bytes of block 0, or more */
export function writeDigest(state: DigestState, start: Uint8Array): void {
  fillDigest(start.subarray(DIGEST_OFFSET, FILE_START_BYTES), state, crc32(start.subarray(0, FILE_HEADER_BYTES)));
}

/** @returns the 40 bytes @param fileHeaderCrc - of the file header that it belongs to */
export function encodeDigest(state: DigestState, fileHeaderCrc: number): Uint8Array {
  const bytes = new Uint8Array(DIGEST.bytes);
  fillDigest(bytes, state, fileHeaderCrc);
  return bytes;
}

/** For each commit, so field by field. */
function fillDigest(target: Uint8Array, { sum, commit, openFrom, openEnd }: DigestState, fileHeaderCrc: number): void {
  const view = new DataView(target.buffer, target.byteOffset, DIGEST.bytes);
  view.setUint32(OFFSETS.magic, MAGIC, true);
  view.setUint32(OFFSETS.version, VERSION, true);
  writeSum(view, OFFSETS.sum, sum, commit);
  view.setUint32(OFFSETS.fileHeaderCrc, fileHeaderCrc, true);
  view.setUint32(OFFSETS.openFrom, openFrom, true);
  view.setUint32(OFFSETS.openEnd, openEnd, true);
  view.setUint32(OFFSETS.checksum, crc32(target.subarray(0, OFFSETS.checksum)), true);
}

/** A sum and the number of its commit, in 16 bytes: digests and commit records have them in this order. */
export function writeSum(view: DataView, offset: number, sum: Readonly<Hash64>, commit: number): void {
  view.setInt32(offset, sum.low, true);
  view.setInt32(offset + 4, sum.high, true);
  view.setUint32(offset + 8, commit % 2 ** 32, true);
  view.setUint32(offset + 12, Math.floor(commit / 2 ** 32), true);
}

/** `absent`: all zero, as in files of other programs and of older versions. `foreign`: of another file header. */
export type DigestKind = 'absent' | 'damaged' | 'foreign' | 'valid';

export interface FoundDigest {
  readonly kind: DigestKind;
  /** Set if `kind` is `valid` or `foreign`. */
  readonly state?: DigestState;
}

/**
 * Reads the digest of a file header.
 * @param bytes - at least the first 128 bytes of block 0
 * @param start - where a copy of them begins
 */
export function digestIn(bytes: Uint8Array, start: number = 0): FoundDigest {
  const at = start + DIGEST_OFFSET;
  if (isZero(bytes.subarray(at, at + DIGEST.bytes))) return { kind: 'absent' };
  const digest = DIGEST.decode(bytes, at);
  if (digest === undefined || !isPossible(digest)) return { kind: 'damaged' };
  const isOfHeader = crc32(bytes.subarray(start, start + FILE_HEADER_BYTES)) === digest.fileHeaderCrc;
  return { kind: isOfHeader ? 'valid' : 'foreign', state: digestState(digest) };
}

export const isCommitNumber = (commit: bigint): boolean => commit > 0n && commit < MAX_COMMIT;

/** What no writer makes, under a checksum that matches, is damage. */
const isPossible = ({ commit, openFrom, openEnd }: Digest): boolean => isCommitNumber(commit) && openFrom <= openEnd;

function digestState({
  sum,
  commit,
  openFrom,
  openEnd,
}: Pick<Digest, 'sum' | 'commit' | 'openFrom' | 'openEnd'>): DigestState {
  return { sum: hashOf(sum), commit: Number(commit), openFrom, openEnd };
}

/** @param value - unsigned, below 2^64 */
export function hashOf(value: bigint): Hash64 {
  const hash = new Hash64();
  hash.high = Number(BigInt.asIntN(32, value >> 32n));
  hash.low = Number(BigInt.asIntN(32, value));
  return hash;
}

/** The sum and the number of a new file: no pages, and its first commit. */
export const newDigest = (sum: Readonly<Hash64> = new Hash64()): DigestState => ({
  sum,
  commit: 1,
  openFrom: 0,
  openEnd: 0,
});

// A hash of 64 bits for each block: FNV-1a over the number of the block and its header, mixed, as FNV-1a alone is so
// regular that the hashes of two swapped headers could have the same sum.

const prefix = new Uint8Array(4);
const prefixView = new DataView(prefix.buffer);
const hash = new Hash64();

const { nodeCount: UNCOVERED_START, checksum: UNCOVERED_END } = PAGE_HEADER.offsets;
const ZEROS = new Uint8Array(UNCOVERED_END - UNCOVERED_START);

/**
 * The hash of one block; the result is overwritten by the next call. It is 0 for a block that begins with 64 zeros. Of a
 * page, the bytes are left out that another program changes when it appends: the checksum, if there is one, covers them.
 * @param head - its first 64 bytes, or more
 */
function headHash(block: number, head: Uint8Array): Hash64 {
  prefixView.setUint32(0, block, true);
  fnv1a64Into(prefix, 0, 4, hash);
  updateFnv1a64(head, 0, UNCOVERED_START, hash);
  if (pageFormatOf(head) !== undefined) updateFnv1a64(ZEROS, 0, ZEROS.length, hash);
  else updateFnv1a64(head, UNCOVERED_START, UNCOVERED_END, hash);
  updateFnv1a64(head, UNCOVERED_END, PAGE_HEADER_BYTES, hash);
  mix(hash);
  return hash;
}

function isZeroHead(head: Uint8Array): boolean {
  for (let at = 0; at < PAGE_HEADER_BYTES; at++) if (head[at] !== 0) return false;
  return true;
}

/** The finalizer of MurmurHash3 for 64 bits: it spreads each bit over all. */
function mix(target: Hash64): void {
  target.low ^= target.high >>> 1;
  multiply(target, 0xff51afd7, 0xed558ccd);
  target.low ^= target.high >>> 1;
  multiply(target, 0xc4ceb9fe, 0x1a85ec53);
  target.low ^= target.high >>> 1;
}

/** Modulo 2^64. */
function multiply(target: Hash64, high: number, low: number): void {
  const { low: factor } = target;
  // The high word of factor * low, from four products of 16 by 16 bits; each sum stays below 2^53.
  const [lower, upper] = [factor & 0xffff, factor >>> 16];
  const [lowLower, lowUpper] = [low & 0xffff, low >>> 16];
  const middle = upper * lowLower + ((lower * lowLower) >>> 16);
  const cross = lower * lowUpper + (middle & 0xffff);
  const carry = upper * lowUpper + (middle >>> 16) + (cross >>> 16);
  target.high = (Math.imul(target.high, low) + Math.imul(factor, high) + carry) | 0;
  target.low = Math.imul(factor, low);
}

/** Adds the hash of a block to `sum`. @param head - the first 64 bytes of the block, or more */
export function addHead(sum: Hash64, block: number, head: Uint8Array): void {
  if (!isZeroHead(head)) addHash(sum, headHash(block, head));
}

/** Takes the hash of a block out of `sum`. @param head - as for {@link addHead} */
export function subtractHead(sum: Hash64, block: number, head: Uint8Array): void {
  if (!isZeroHead(head)) subtractHash(sum, headHash(block, head));
}

/** Modulo 2^64. */
export function addHash(sum: Hash64, { high, low }: Readonly<Hash64>): void {
  const lowSum = (sum.low >>> 0) + (low >>> 0);
  sum.high = (sum.high + high + (lowSum > 0xffff_ffff ? 1 : 0)) | 0;
  sum.low = lowSum | 0;
}

/** Modulo 2^64. */
export function subtractHash(sum: Hash64, { high, low }: Readonly<Hash64>): void {
  const borrow = sum.low >>> 0 < low >>> 0 ? 1 : 0;
  sum.high = (sum.high - high - borrow) | 0;
  sum.low = (sum.low - low) | 0;
}

export function copyHash({ high, low }: Readonly<Hash64>): Hash64 {
  const copy = new Hash64();
  copy.high = high;
  copy.low = low;
  return copy;
}

export const equalHash = (a: Readonly<Hash64>, b: Readonly<Hash64>): boolean => a.high === b.high && a.low === b.low;
