import { flipBit, flippedBitOf, onlyBitOf } from '../bytes/flipped-bit.ts';
import { readVarint } from '../bytes/varint.ts';
import { BLOCK_BYTES, fileOffset, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_SLOT_BYTES } from '../format/layout.ts';
import { firstError, PageFacts } from '../format/page-checks.ts';
import { checksummedDirectory, earlierHeader, pageChecksum } from '../format/page-checksum.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, type PageHeader } from '../format/page-header.ts';
import { decodePage, type Page } from '../format/page.ts';
import type { FlippedBit } from '../format/problem.ts';
import type { SlotDirectory } from '../format/slots.ts';
import { V1_SLOT } from '../format/v1-page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';

/** One bit of a block, and what it is a part of. */
export interface NamedBit {
  /** 8 times the byte's offset in the block, plus 0 for the bit of value 1 to 7 for that of value 128. */
  readonly bit: number;
  /** A field of the page header, a node, or a slot. */
  readonly name: string;
}

/**
 * The one bit of a page with an error that, flipped back, makes it sound, by its checksum and by all else; undefined
 * where there is none, or more than one. Which bit it is follows from the two sums; but for those that say what the
 * checksum covers, each of which is tried. Of pages that many bits are wrong in, one in 2,000 has such a bit by chance.
 *
 * While it runs, single bits of the block are changed; when it returns they are what they were.
 */
export function flippedPageBit({ page, blockId }: PageFacts): NamedBit | undefined {
  const { format, block, header } = page;
  // Nothing was ever taken a checksum of, so nothing can be told.
  if (!new PageFacts(page, blockId).hasChecksum && !CHECKSUM_FIELDS.some((field) => header[field] !== 0))
    return undefined;
  const scratch = new DirectoryScratch();
  const found: NamedBit[] = [];
  for (const bit of new Set(candidates(page))) {
    flipBit(block, bit);
    try {
      const mended = isHopeless(block, format) ? undefined : decodePage(block, scratch);
      if (mended && firstError(new PageFacts(mended, blockId)) === undefined) {
        found.push({ bit, name: nameOf(mended, blockId, bit >> 3) });
      }
    } finally {
      flipBit(block, bit);
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * Whether a V2 page cannot be sound, as its header and first slot show: to decode a directory of 100,000 slots
 * that are none, for each bit that is tried, would take long.
 */
function isHopeless(block: Uint8Array, format: PageFormat): boolean {
  if (format === 'v1') return false;
  const { flags, nodeCount, freeOffset, directoryStart, directoryLength } = PAGE_HEADER.read(block);
  if ((flags & PAGE_FLAG.hasChecksum) === 0 || nodeCount === 0) return false;
  // An offset and a length take a byte each at the least.
  if (freeOffset > directoryStart || 2 * nodeCount > directoryLength) return true;
  if (directoryStart + directoryLength > BLOCK_BYTES) return true;
  const firstOffset = readVarint(block, directoryStart, BLOCK_BYTES);
  return firstOffset < NODE_AREA_OFFSET || firstOffset > freeOffset;
}

const CHECKSUM_FIELDS = ['checksum', 'directoryLength', 'checksumNodeCount'] as const;

/** Fields that say where the bytes are that a checksum covers. */
const COVERING_FIELDS: Readonly<Record<PageFormat, readonly (keyof PageHeader)[]>> = {
  v1: ['nodeCount', 'freeOffset', 'directoryStart'],
  v2: ['freeOffset', 'directoryStart'],
};

/** Bits that may be the one; each is tried. */
function* candidates({ format, block, header, directory }: Page): Generator<number> {
  yield 8 * PAGE_HEADER.offsetOf('flags') + onlyBitOf(PAGE_FLAG.hasChecksum);
  const earlier = format === 'v1' ? earlierHeader(header, directory) : undefined;
  for (const covered of earlier ? [header, earlier] : [header]) {
    const bit = bitFromSums(format, block, covered);
    if (bit >= 0) yield bit;
  }
  for (const field of COVERING_FIELDS[format]) yield* bitsOf(field);
  for (const field of CHECKSUM_FIELDS) yield* bitBetween(PAGE_HEADER.offsetOf(field), header[field], 0);
  if (format === 'v2') {
    const decoded = directory.end - directory.start;
    yield* bitBetween(PAGE_HEADER.offsetOf('directoryLength'), header.directoryLength, decoded);
  } else {
    const count = header.checksumNodeCount;
    yield* bitsOf('checksumNodeCount').filter((_, bit) => (count ^ (1 << bit)) >>> 0 < header.nodeCount);
    if (earlier && earlier.nodeCount > 0) yield* lastSlotBits(directory, earlier.nodeCount - 1);
  }
}

/** The last slot that an older checksum covers says where the nodes end that it covers: there the next node begins. */
function* lastSlotBits(directory: SlotDirectory, slot: number): Generator<number> {
  const [offset, bytes, next] = [directory.nodeOffset(slot), directory.nodeBytes(slot), directory.nodeOffset(slot + 1)];
  yield* bitBetween(directory.entryOffset(slot), offset, next - bytes);
  yield* bitBetween(directory.entryOffset(slot) + V1_SLOT.bytesOf('offset'), bytes, next - offset);
}

function bitsOf(field: keyof PageHeader): number[] {
  const first = 8 * PAGE_HEADER.offsetOf(field);
  return Array.from({ length: 8 * PAGE_HEADER.bytesOf(field) }, (_, bit) => first + bit);
}

/** The bit that makes one number of another, if one does. @param offset - of the number in the block */
function* bitBetween(offset: number, found: number, expected: number): Generator<number> {
  const bit = onlyBitOf(found ^ expected);
  if (bit >= 0) yield 8 * offset + bit;
}

/** The bit that explains the difference of the sums, where it does not change what the checksum covers; or -1. */
function bitFromSums(format: PageFormat, block: Uint8Array, header: PageHeader): number {
  const { freeOffset } = header;
  const { start, end } = checksummedDirectory(format, header);
  if (freeOffset < NODE_AREA_OFFSET || freeOffset > start || start > end || end > BLOCK_BYTES) return -1;
  const difference = (pageChecksum(block, header, { start, end }) ^ header.checksum) >>> 0;
  const ofChecksum = onlyBitOf(difference);
  if (ofChecksum >= 0) return 8 * PAGE_HEADER.offsetOf('checksum') + ofChecksum;
  const bit = flippedBitOf(difference, freeOffset + end - start);
  // Header and nodes are summed where they stand; the directory follows.
  return bit < 8 * freeOffset ? bit : bit + 8 * (start - freeOffset);
}

function nameOf({ header, directory, format }: Page, blockId: number, offset: number): string {
  if (offset < PAGE_HEADER_BYTES) return PAGE_HEADER.fields.findLast((field) => field.offset <= offset)?.name ?? '';
  for (let slot = 0; slot < directory.count; slot++) {
    const inNode = offset - directory.nodeOffset(slot);
    if (inNode >= 0 && inNode < directory.nodeBytes(slot)) return `node ${blockId}:${slot}`;
    const next = slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end;
    const inEntry = offset - directory.entryOffset(slot);
    const entryBytes = format === 'v1' ? V1_SLOT_BYTES : next - directory.entryOffset(slot);
    if (inEntry >= 0 && inEntry < entryBytes) return `slot ${blockId}:${slot}`;
  }
  return offset < header.freeOffset ? 'node area' : 'directory';
}

/** A page of which one bit was put back. */
export interface MendedPage {
  readonly page: Page;
  readonly flippedBit: FlippedBit;
  /** Slots that the checksum covers, from the first on. */
  readonly coveredSlots: number;
  /** Whether the bit also explains what is wrong besides the checksum, which chance does not. */
  readonly isProven: boolean;
}

/**
 * Puts the one bit of a page back that explains why its checksum does not match, if there is one. Of pages that are
 * full and in which many bits are wrong, one in 2,000 has such a bit by chance: 2^21 bits, and sums of 32 bits.
 */
export function mendFlippedBit(page: Page, blockId: number, scratch: DirectoryScratch): MendedPage | undefined {
  const { block } = page;
  const before = new PageFacts(page, blockId);
  const isProven = !before.isBounded || before.slots.firstOutside >= 0;
  const named = flippedPageBit(before);
  if (!named) return undefined;
  flipBit(block, named.bit);
  const mended = decodePage(block, scratch);
  const state = mended && new PageFacts(mended, blockId).checksumState;
  if (mended && (state === 'match' || state === 'stale')) {
    const flippedBit = { offset: fileOffset(blockId, named.bit >> 3), bit: named.bit & 7 };
    const coveredSlots = state === 'match' ? mended.directory.count : mended.header.checksumNodeCount;
    return { page: mended, flippedBit, coveredSlots, isProven };
  }
  flipBit(block, named.bit);
  return undefined;
}
