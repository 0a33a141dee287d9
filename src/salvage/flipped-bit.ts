import { crc32, flipBit, flippedBitOf, onlyBitOf, onlyDifferingBit } from '../bytes/checksum.ts';
import { readVarint } from '../bytes/encodings.ts';
import { FILE_HEADER, hasValidHeaderChecksum, type FileHeader } from '../format/file-header.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, FILE_HEADER_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PageFacts, validPage } from '../format/page-checks.ts';
import {
  checksummedDirectory,
  headerAtChecksum,
  PAGE_FLAG,
  PAGE_HEADER,
  pageChecksum,
  type PageFormat,
  type PageHeader,
} from '../format/page-header.ts';
import { decodePage, type Page, slotEntry } from '../format/page.ts';
import type { SlotDirectory } from '../format/slots.ts';
import { V1_SLOT } from '../format/v1-page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';

export interface NamedBit {
  /** 8 times the byte offset in the block, plus the number of the bit: 0 is the lowest. */
  readonly bit: number;
  readonly name: string;
  /** Other damage looks like one flipped bit with a chance of 8 in 2^32 per byte searched. */
  readonly searchedBytes: number;
}

const CHECKSUMS = 2 ** 32;

/** How many pages with other damage have such a bit by chance: 1 in 2,048 if the page is full. */
export const chanceOf = ({ searchedBytes }: Pick<NamedBit, 'searchedBytes'>): number => (8 * searchedBytes) / CHECKSUMS;

/** Above this chance, a repair does not count as proven. */
export const MAX_CHANCE: number = 1 / 100_000;

/**
 * Finds the one bit that makes a damaged page valid when flipped back, by its checksums; bits that determine what the
 * checksum covers are tried one by one. Restores the block before it returns.
 * @returns undefined if there is no such bit, or more than one
 */
export function flippedPageBit({ page, blockId }: PageFacts): NamedBit | undefined {
  const { format, block, header, directory } = page;
  const hadChecksum =
    (header.flags & PAGE_FLAG.hasChecksum) !== 0 || CHECKSUM_FIELDS.some((field) => header[field] !== 0);
  if (!hadChecksum) return undefined;
  const scratch = new DirectoryScratch();
  const found: Omit<NamedBit, 'searchedBytes'>[] = [];
  for (const bit of new Set(candidates(page))) {
    flipBit(block, bit);
    try {
      const fixed = isInvalidAtOnce(block, format) ? undefined : validPage(block, blockId, scratch);
      if (fixed) found.push({ bit, name: nameOf(fixed, blockId, bit >> 3) });
    } finally {
      flipBit(block, bit);
    }
  }
  const [only] = found;
  if (only === undefined || found.length > 1) return undefined;
  const isInHeader = only.bit >> 3 < PAGE_HEADER_BYTES;
  const allBytes = header.freeOffset + directory.end - directory.start;
  return { ...only, searchedBytes: isInHeader ? PAGE_HEADER_BYTES : allBytes };
}

/** A quick check first: decoding 100,000 wrong slots for each tried bit would take long. */
function isInvalidAtOnce(block: Uint8Array, format: PageFormat): boolean {
  if (format === 'v1') return false;
  const { flags, nodeCount, freeOffset, directoryStart, directoryLength } = PAGE_HEADER.read(block);
  if ((flags & PAGE_FLAG.hasChecksum) === 0 || nodeCount === 0) return false;
  // A slot has at least 2 bytes.
  if (freeOffset > directoryStart || 2 * nodeCount > directoryLength) return true;
  if (directoryStart + directoryLength > BLOCK_BYTES) return true;
  const firstOffset = readVarint(block, directoryStart, BLOCK_BYTES);
  return firstOffset < NODE_AREA_OFFSET || firstOffset > freeOffset;
}

const CHECKSUM_FIELDS = ['checksum', 'directoryLength', 'checksumNodeCount'] as const;

/** Fields that determine which bytes the checksum covers. */
const COVERING_FIELDS: Readonly<Record<PageFormat, readonly (keyof PageHeader)[]>> = {
  v1: ['nodeCount', 'freeOffset', 'directoryStart'],
  v2: ['freeOffset', 'directoryStart'],
};

function* candidates({ format, block, header, directory }: Page): Generator<number> {
  yield 8 * PAGE_HEADER.offsets.flags + onlyBitOf(PAGE_FLAG.hasChecksum);
  const earlier = format === 'v1' ? headerAtChecksum(header, directory) : undefined;
  for (const covered of earlier ? [header, earlier] : [header]) {
    const bit = bitFromSums(format, block, covered);
    if (bit >= 0) yield bit;
  }
  for (const field of COVERING_FIELDS[format]) yield* bitsOf(field);
  for (const field of CHECKSUM_FIELDS) yield* bitBetween(PAGE_HEADER.offsets[field], header[field], 0);
  if (format === 'v2') {
    const decoded = directory.end - directory.start;
    yield* bitBetween(PAGE_HEADER.offsets.directoryLength, header.directoryLength, decoded);
  } else {
    const count = header.checksumNodeCount;
    yield* bitsOf('checksumNodeCount').filter((_, bit) => (count ^ (1 << bit)) >>> 0 < header.nodeCount);
    if (earlier && earlier.nodeCount > 0) yield* lastSlotBits(directory, earlier.nodeCount - 1);
  }
}

/** A stale checksum ends where its last slot says; the next node begins there. */
function* lastSlotBits(directory: SlotDirectory, slot: number): Generator<number> {
  const [offset, bytes, next] = [directory.nodeOffset(slot), directory.nodeBytes(slot), directory.nodeOffset(slot + 1)];
  yield* bitBetween(directory.entryOffset(slot), offset, next - bytes);
  yield* bitBetween(directory.entryOffset(slot) + V1_SLOT.bytesOf('offset'), bytes, next - offset);
}

function bitsOf(field: keyof PageHeader): number[] {
  const first = 8 * PAGE_HEADER.offsets[field];
  return Array.from({ length: 8 * PAGE_HEADER.bytesOf(field) }, (_, bit) => first + bit);
}

/** The bit in which two numbers differ, if there is only one. @param offset - of the number in the block */
function* bitBetween(offset: number, found: number, expected: number): Generator<number> {
  const bit = onlyBitOf(found ^ expected);
  if (bit >= 0) yield 8 * offset + bit;
}

/** @returns -1 if no bit explains the checksum, or if the bit changes which bytes the checksum covers */
function bitFromSums(format: PageFormat, block: Uint8Array, header: PageHeader): number {
  const { freeOffset } = header;
  const { start, end } = checksummedDirectory(format, header);
  if (freeOffset < NODE_AREA_OFFSET || freeOffset > start || start > end || end > BLOCK_BYTES) return -1;
  const difference = (pageChecksum(block, header, { start, end }) ^ header.checksum) >>> 0;
  const ofChecksum = onlyBitOf(difference);
  if (ofChecksum >= 0) return 8 * PAGE_HEADER.offsets.checksum + ofChecksum;
  const bit = flippedBitOf(difference, freeOffset + end - start);
  return bit < 8 * freeOffset ? bit : bit + 8 * (start - freeOffset);
}

function nameOf(page: Page, blockId: number, offset: number): string {
  const { header, directory } = page;
  if (offset < PAGE_HEADER_BYTES) return PAGE_HEADER.fields.findLast((field) => field.offset <= offset)?.name ?? '';
  for (let slot = 0; slot < directory.count; slot++) {
    const inNode = offset - directory.nodeOffset(slot);
    if (inNode >= 0 && inNode < directory.nodeBytes(slot)) return `node ${blockId}:${slot}`;
    const entry = slotEntry(page, slot);
    if (offset >= entry.start && offset < entry.end) return `slot ${blockId}:${slot}`;
  }
  return offset < header.freeOffset ? 'node area' : 'directory';
}

export interface RepairedPage extends Pick<NamedBit, 'bit' | 'searchedBytes'> {
  readonly page: Page;
  readonly checksum: 'match' | 'stale';
  /** Whether the bit also explains errors besides the checksum, so it is not found by chance. */
  readonly explainsMore: boolean;
}

/**
 * Flips back the one bit that explains the errors of a page. In a full page, 1 in 2,048 cases of other damage has such
 * a bit by chance. @returns undefined, with the block unchanged, if there is no such bit or no checksum proves it
 */
export function repairPageBit(facts: PageFacts, scratch: DirectoryScratch): RepairedPage | undefined {
  const { block } = facts.page;
  const flipped = flippedPageBit(facts);
  if (flipped === undefined) return undefined;
  const { bit, searchedBytes } = flipped;
  const explainsMore = !facts.isBounded || facts.slots.firstOutside >= 0;
  flipBit(block, bit);
  const page = decodePage(block, scratch);
  const checksum = page && new PageFacts(page, facts.blockId).checksumState;
  if (page && (checksum === 'match' || checksum === 'stale')) {
    return { page, bit, checksum, searchedBytes, explainsMore };
  }
  flipBit(block, bit);
  return undefined;
}

/**
 * The index of the one bit of the file header that makes it valid when flipped back. Tries each: FNV-1a is not linear.
 * @returns undefined if there is no such bit, or more than one
 */
export function flippedHeaderBit(header: FileHeader, wholeBlocks: number): number | undefined {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  const found: number[] = [];
  for (let bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
    flipBit(bytes, bit);
    if (hasValidHeaderChecksum(bytes)) {
      const flipped = FILE_HEADER.read(bytes);
      // A program that stops before its sync leaves a right new count with an old checksum.
      const isStale = flipped.blockCount !== header.blockCount && header.blockCount === wholeBlocks;
      if (!isStale && fileHeaderProblems(flipped).next().done === true) found.push(bit);
    }
    flipBit(bytes, bit);
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The index of the bit that makes a range valid when flipped back: its CRC-32 matches, or all of it is zeros. @param
 * stored - the range, followed by its CRC-32
 */
export function flippedBitUnderCrc(stored: Uint8Array): number | undefined {
  const length = stored.length - CRC_BYTES;
  const sum = new DataView(stored.buffer, stored.byteOffset + length, CRC_BYTES).getUint32(0, true);
  const difference = (crc32(stored.subarray(0, length)) ^ sum) >>> 0;
  const ofSum = onlyBitOf(difference);
  const bits = [
    ofSum < 0 ? -1 : 8 * length + ofSum,
    flippedBitOf(difference, length),
    onlyDifferingBit(stored, new Uint8Array(stored.length)),
  ];
  return bits.find((bit) => bit >= 0);
}

const CRC_BYTES = 4;

/**
 * Flips back the bit that explains a wrong CRC-32; in so short a range that is by chance in less than 1 of 1,000,000
 * cases. @returns false, with nothing changed, if there is no such bit
 */
export function flipBack(stored: Uint8Array): boolean {
  const bit = flippedBitUnderCrc(stored);
  if (bit !== undefined) flipBit(stored, bit);
  return bit !== undefined;
}
