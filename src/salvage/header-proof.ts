import { setImmediate } from 'node:timers/promises';
import { continueFnv1a64, crc32, fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { flipBit, flippedBitOf, onlyBitOf, onlyDifferingBit } from '../bytes/flipped-bit.ts';
import {
  encodeFileHeader,
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  type FileHeader,
  fileHeaderChecksum,
  hasItsChecksum,
  HEADER_COPY,
  headerCopyState,
} from '../format/file-header.ts';
import {
  encodeFreeLink,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  MAX_BLOCKS,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { fileHeaderProblems } from '../format/problem.ts';

/**
 * The one bit of a file header that, flipped back, makes it sound; undefined where there is none. Each is tried: the
 * header is short, and its checksum no linear one.
 * @param wholeBlocks - blocks that the file has
 * @returns the bit's index in block 0
 */
export function flippedHeaderBit(header: FileHeader, wholeBlocks: number): number | undefined {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  const found: number[] = [];
  for (let bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
    flipBit(bytes, bit);
    if (hasItsChecksum(bytes)) {
      const mended = FILE_HEADER.read(bytes);
      // A program that was stopped before its sync leaves a new count under an old checksum: then the count is right.
      const isStale = mended.blockCount !== header.blockCount && header.blockCount === wholeBlocks;
      if (!isStale && fileHeaderProblems(mended).next().done === true) found.push(bit);
    }
    flipBit(bytes, bit);
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The one bit of a range whose CRC-32 stands in the four bytes behind it that, flipped back, makes the two agree.
 * @param stored - the range and its CRC-32
 * @returns the bit's index in `stored`; undefined where no single bit explains it
 */
export function flippedBitUnderCrc(stored: Uint8Array): number | undefined {
  const length = stored.length - CRC_BYTES;
  const sum = new DataView(stored.buffer, stored.byteOffset + length, CRC_BYTES).getUint32(0, true);
  const difference = (crc32(stored.subarray(0, length)) ^ sum) >>> 0;
  const ofSum = onlyBitOf(difference);
  const bit = ofSum >= 0 ? 8 * length + ofSum : flippedBitOf(difference, length);
  if (bit >= 0) return bit;
  // Where there is none, all its bytes are zero.
  const ofNone = onlyDifferingBit(stored, new Uint8Array(stored.length));
  return ofNone >= 0 ? ofNone : undefined;
}

const CRC_BYTES = 4;

/** A file header that was put right by its checksum, and what was wrong in it. */
export interface ProvenHeader {
  readonly part: 'reserved' | 'count' | 'bit' | 'field';
  /** The 64 bytes. */
  readonly bytes: Uint8Array;
}

const COUNT_OFFSET = FILE_HEADER.offsetOf('blockCount');
const PADDING_OFFSET = FILE_HEADER.offsetOf('padding');
const FREE_LIST_OFFSET = FILE_HEADER.offsetOf('freeListHead');
const CHECKSUM_OFFSET = FILE_HEADER.offsetOf('checksum');
const LSN_OFFSET = FILE_HEADER.offsetOf('imageCheckpointLsn');

export const isSoundHeader = (bytes: Uint8Array): boolean =>
  fileHeaderProblems(FILE_HEADER.read(bytes)).next().done === true;

/**
 * Puts a damaged file header right where its own checksum proves what it was: 64 bits of FNV-1a, which none of the few
 * headers that are tried has by chance.
 * @param damaged - the 64 bytes
 * @param wholeBlocks - blocks that the file has
 * @param known - other states of this header: of commit records, and of the copy
 * @param signal - stops the search, which in a file of millions of blocks takes seconds: it rejects with the signal's reason
 */
export async function headerByChecksum(
  damaged: Uint8Array,
  wholeBlocks: number,
  known: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<ProvenHeader | undefined> {
  const bytes = withoutReserved(damaged);
  if (isSoundHeader(bytes)) return { part: 'reserved', bytes };
  // Before single bits: a count that went from 2 to 3 without its checksum is a block more, and no flipped bit.
  return (
    (await byCount(bytes, wholeBlocks, signal)) ??
    byBit(bytes, wholeBlocks) ??
    byField(bytes, known) ??
    byFreeList(bytes, wholeBlocks, signal)
  );
}

/** What the checksum leaves out: padding, and in version 1 the field of version 2. */
function withoutReserved(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  FILE_HEADER.set('padding', 0, copy);
  if (FILE_HEADER.read(copy).version === 1) FILE_HEADER.set('imageCheckpointLsn', 0n, copy);
  return copy;
}

/**
 * libdictenstein counts a new block at once, and makes the checksum at its next sync. So a checksum that holds with a
 * lower count is of the header before the file grew.
 */
async function byCount(
  bytes: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
): Promise<ProvenHeader | undefined> {
  const header = FILE_HEADER.read(bytes);
  const counts = { offset: COUNT_OFFSET, factor: 1, first: 1, most: Math.min(wholeBlocks, MAX_BLOCKS) };
  const proven = await findNumber(bytes, counts, signal);
  if (proven === undefined) return undefined;
  const before = bytes.slice();
  FILE_HEADER.set('blockCount', proven, before);
  if (!isSoundHeader(before)) return undefined;
  const hasGrown = header.blockCount > proven && header.blockCount === wholeBlocks;
  const blockCount = hasGrown ? wholeBlocks : proven;
  return { part: 'count', bytes: encodeFileHeader({ ...header, blockCount }) };
}

/** How many headers are tried between two looks at the signal. */
const SLICE = 65_536;

/**
 * The number, from `first` to `most`, that makes the checksum hold where `number * factor` stands in the four bytes at
 * `offset`. What comes before them is hashed once.
 * @param offset - in the 64 bytes; its four bytes are covered by the checksum
 */
async function findNumber(
  bytes: Uint8Array,
  { offset, factor, first, most }: { offset: number; factor: number; first: number; most: number },
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const { version, checksum } = FILE_HEADER.read(bytes);
  const wantedHigh = Number(BigInt.asIntN(32, checksum >> 32n));
  const wantedLow = Number(BigInt.asIntN(32, checksum));
  const start = new Hash64();
  fnv1a64Into(bytes, 0, Math.min(offset, PADDING_OFFSET), start);
  if (offset > FREE_LIST_OFFSET) continueFnv1a64(bytes, FREE_LIST_OFFSET, offset, start);
  const { high, low } = start;
  // What the checksum covers from the number on, without the padding.
  const parts = [bytes.subarray(Math.max(offset + 4, FREE_LIST_OFFSET), CHECKSUM_OFFSET)];
  if (version >= 2) parts.push(bytes.subarray(LSN_OFFSET));
  const rest = Uint8Array.from(Buffer.concat([new Uint8Array(4), ...parts]));
  const place = new DataView(rest.buffer);
  for (let number = first; number <= most; number++) {
    if (number % SLICE === 0) {
      // A signal is heard only where the process has time for other things.
      await setImmediate();
      signal?.throwIfAborted();
    }
    place.setUint32(0, number * factor, true);
    start.high = high;
    start.low = low;
    continueFnv1a64(rest, 0, rest.length, start);
    if (start.low === wantedLow && start.high === wantedHigh) return number;
  }
  return undefined;
}

function byBit(bytes: Uint8Array, wholeBlocks: number): ProvenHeader | undefined {
  const bit = flippedHeaderBit(FILE_HEADER.read(bytes), wholeBlocks);
  if (bit === undefined) return undefined;
  const copy = bytes.slice();
  flipBit(copy, bit);
  return { part: 'bit', bytes: copy };
}

/** The values that a field may have had: what the format allows, and what other states of the header have. */
function* candidates(known: readonly FileHeader[]): Generator<Partial<FileHeader>> {
  yield { magic: FILE_MAGIC };
  for (let version = 1; version <= FILE_VERSION; version++) yield { version };
  yield { flags: 0 };
  yield { rootPointer: 0n };
  yield { entryCount: 0n };
  yield { imageCheckpointLsn: 0n };
  for (const { rootPointer, blockCount, entryCount, imageCheckpointLsn, freeListHead } of known) {
    yield { rootPointer };
    yield { blockCount };
    yield { entryCount };
    yield { imageCheckpointLsn };
    yield { freeListHead };
  }
}

function byField(bytes: Uint8Array, known: readonly Uint8Array[]): ProvenHeader | undefined {
  const header = FILE_HEADER.read(bytes);
  const states = known.map((state) => FILE_HEADER.read(state));
  for (const field of candidates(states)) {
    const mended = { ...header, ...field };
    if (fileHeaderChecksum(mended) !== header.checksum) continue;
    const copy = new Uint8Array(FILE_HEADER_BYTES);
    FILE_HEADER.write(mended, copy);
    if (isSoundHeader(copy)) return { part: 'field', bytes: copy };
  }
  return undefined;
}

/** A free list that begins at another block, or has none. */
async function byFreeList(
  bytes: Uint8Array,
  wholeBlocks: number,
  signal: AbortSignal | undefined,
): Promise<ProvenHeader | undefined> {
  const copy = bytes.slice();
  FILE_HEADER.set('freeListHead', 0n, copy);
  // A link is the block times 2^40.
  const links = { offset: FREE_LIST_OFFSET + 4, factor: 256, first: 0, most: Math.min(wholeBlocks, MAX_BLOCKS) - 1 };
  const block = await findNumber(copy, links, signal);
  if (block === undefined) return undefined;
  FILE_HEADER.set('freeListHead', encodeFreeLink(block), copy);
  return isSoundHeader(copy) ? { part: 'field', bytes: copy } : undefined;
}

/** What the copy in block 0 was made of. */
export interface CopiedHeader {
  /** 64 bytes. */
  readonly fileHeader: Uint8Array;
  /** 18 bytes. */
  readonly rootDescriptor: Uint8Array;
}

/** What the header copy says, where its checksum holds, or holds with one bit flipped back. @param head - the first 12,800 bytes of block 0 */
export function copiedHeader(head: Uint8Array): CopiedHeader | undefined {
  const stored = mendedCopy(head);
  if (stored === undefined || stored.every((byte) => byte === 0)) return undefined;
  return {
    fileHeader: stored.subarray(0, FILE_HEADER_BYTES),
    rootDescriptor: stored.subarray(FILE_HEADER_BYTES, FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES),
  };
}

/** The bytes of the header copy, one bit flipped back where that is it; all zero where there is none; undefined where they are damaged. */
export function mendedCopy(head: Uint8Array): Uint8Array | undefined {
  const stored = head.slice(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
  return headerCopyState(head) !== 'damaged' || flipBack(stored) ? stored : undefined;
}

/**
 * Flips back the bit that explains a wrong CRC-32 of few bytes. Of other damage to so few, less than one in a million
 * would look so.
 */
export function flipBack(stored: Uint8Array): boolean {
  const bit = flippedBitUnderCrc(stored);
  if (bit !== undefined) flipBit(stored, bit);
  return bit !== undefined;
}

/** The bytes of the root descriptor in block 0. */
export function rootDescriptorOf(head: Uint8Array): Uint8Array {
  return head.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}
