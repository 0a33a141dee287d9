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

/** One bit of a block, and what contains it. */
export interface NamedBit {
  /** 8 times the byte offset in the block, plus 0 for the lowest bit to 7 for the highest. */
  readonly bit: number;
  /** A field of the page header, a node, or a slot. */
  readonly name: string;
}

/**
 * Finds the one bit that makes a damaged page valid when it is flipped back. The two checksums determine which bit it is;
 * those that determine what the checksum covers are each tried. The block is changed meanwhile, and restored on return.
 * @returns undefined if there is no such bit, or more than one
 */
export function flippedPageBit({ page, blockId }: PageFacts): NamedBit | undefined {
  const { format, block, header } = page;
  const hadChecksum =
    (header.flags & PAGE_FLAG.hasChecksum) !== 0 || CHECKSUM_FIELDS.some((field) => header[field] !== 0);
  if (!hadChecksum) return undefined;
  const scratch = new DirectoryScratch();
  const found: NamedBit[] = [];
  for (const bit of new Set(candidates(page))) {
    flipBit(block, bit);
    try {
      const fixed = isInvalidAtOnce(block, format) ? undefined : validPage(block, blockId, scratch);
      if (fixed) found.push({ bit, name: nameOf(fixed, blockId, bit >> 3) });
    } finally {
      flipBit(block, bit);
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

/** Whether header and first slot of a V2 page are wrong: decoding 100,000 wrong slots for each bit would take long. */
function isInvalidAtOnce(block: Uint8Array, format: PageFormat): boolean {
  if (format === 'v1') return false;
  const { flags, nodeCount, freeOffset, directoryStart, directoryLength } = PAGE_HEADER.read(block);
  if ((flags & PAGE_FLAG.hasChecksum) === 0 || nodeCount === 0) return false;
  // A slot takes 2 bytes at least.
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

/** The last slot that an older checksum covers determines where its nodes end; the next node begins there. */
function* lastSlotBits(directory: SlotDirectory, slot: number): Generator<number> {
  const [offset, bytes, next] = [directory.nodeOffset(slot), directory.nodeBytes(slot), directory.nodeOffset(slot + 1)];
  yield* bitBetween(directory.entryOffset(slot), offset, next - bytes);
  yield* bitBetween(directory.entryOffset(slot) + V1_SLOT.bytesOf('offset'), bytes, next - offset);
}

function bitsOf(field: keyof PageHeader): number[] {
  const first = 8 * PAGE_HEADER.offsets[field];
  return Array.from({ length: 8 * PAGE_HEADER.bytesOf(field) }, (_, bit) => first + bit);
}

/** The bit in which two numbers differ, if it is one. @param offset - of the number in the block */
function* bitBetween(offset: number, found: number, expected: number): Generator<number> {
  const bit = onlyBitOf(found ^ expected);
  if (bit >= 0) yield 8 * offset + bit;
}

/** The bit that explains the difference of the checksums, if it does not change what they cover; or -1. */
function bitFromSums(format: PageFormat, block: Uint8Array, header: PageHeader): number {
  const { freeOffset } = header;
  const { start, end } = checksummedDirectory(format, header);
  if (freeOffset < NODE_AREA_OFFSET || freeOffset > start || start > end || end > BLOCK_BYTES) return -1;
  const difference = (pageChecksum(block, header, { start, end }) ^ header.checksum) >>> 0;
  const ofChecksum = onlyBitOf(difference);
  if (ofChecksum >= 0) return 8 * PAGE_HEADER.offsets.checksum + ofChecksum;
  const bit = flippedBitOf(difference, freeOffset + end - start);
  // The checksum covers header and nodes in place, then the directory.
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

/** A page with its one wrong bit flipped back. */
export interface RepairedPage {
  readonly page: Page;
  /** 8 times the byte offset in the block, plus 0 for the lowest bit to 7 for the highest. */
  readonly bit: number;
  /** What the checksum covers: all nodes of the page, or fewer. */
  readonly checksum: 'match' | 'stale';
  /** Bytes in which the bit was looked for; of other damage, 8 in 2^32 per byte looks like one flipped bit. */
  readonly searchedBytes: number;
  /** Whether the bit also explains errors besides the checksum, which chance does not. */
  readonly explainsMore: boolean;
}

/**
 * Flips back the one bit that explains the errors of a page. Of other damage to full pages, one case in 2,048 has such a
 * bit by chance: 2^21 bits, and checksums of 32 bits.
 * @returns undefined with the block unchanged if there is no such bit, or no checksum that proves it
 */
export function repairPageBit(facts: PageFacts, scratch: DirectoryScratch): RepairedPage | undefined {
  const { block, header, directory } = facts.page;
  const bit = flippedPageBit(facts)?.bit;
  if (bit === undefined) return undefined;
  const explainsMore = !facts.isBounded || facts.slots.firstOutside >= 0;
  const isInHeader = bit >> 3 < PAGE_HEADER_BYTES;
  const searchedBytes = isInHeader ? PAGE_HEADER_BYTES : header.freeOffset + directory.end - directory.start;
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
 * Finds the one bit that makes a file header valid when it is flipped back. Each is tried, since FNV-1a is not linear.
 * @param wholeBlocks - whole blocks in the file
 * @returns the index of the bit in block 0; undefined if there is none, or more than one
 */
export function flippedHeaderBit(header: FileHeader, wholeBlocks: number): number | undefined {
  const bytes = new Uint8Array(FILE_HEADER_BYTES);
  FILE_HEADER.write(header, bytes);
  const found: number[] = [];
  for (let bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
    flipBit(bytes, bit);
    if (hasValidHeaderChecksum(bytes)) {
      const flipped = FILE_HEADER.read(bytes);
      // A program that was stopped before its sync leaves a new count with an old checksum: then the count is right.
      const isStale = flipped.blockCount !== header.blockCount && header.blockCount === wholeBlocks;
      if (!isStale && fileHeaderProblems(flipped).next().done === true) found.push(bit);
    }
    flipBit(bytes, bit);
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * Finds the one bit that makes a range match its CRC-32, or all zeros as an absent record is, when it is flipped back.
 * @param stored - the range and, after it, its CRC-32
 * @returns the index of the bit in `stored`; undefined if there is none
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
 * Flips back the bit that explains a wrong CRC-32: of other damage in so short a range, less than one case in a million
 * looks like a flipped bit.
 * @returns false with nothing changed if there is no such bit
 */
export function flipBack(stored: Uint8Array): boolean {
  const bit = flippedBitUnderCrc(stored);
  if (bit !== undefined) flipBit(stored, bit);
  return bit !== undefined;
}
