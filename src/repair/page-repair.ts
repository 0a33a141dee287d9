import { flipBit } from '../bytes/checksum.ts';
import { PAGE_HEADER_BYTES } from '../format/layout.ts';
import { examinePage } from '../format/page-checks.ts';
import { decodePage, type Page, recomputePageHeader } from '../format/page.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { nonPageIn } from '../salvage/block-kind.ts';
import { repairPageBit } from '../salvage/flipped-bit.ts';
import { MAX_ONE_FIELD_HEADERS, oneFieldHeaders, underOtherMagic } from '../salvage/page-candidates.ts';
import type { RepairId } from './repairs.ts';

/** A page that was repaired in memory. */
export interface PageRepair {
  readonly repair: RepairId;
  /** Where the changed range begins in the block. */
  readonly start: number;
  /** The bytes that the range had: the page header, or one byte after it. */
  readonly before: Uint8Array;
  readonly page: Page;
  /** How many pages with other damage would look repairable in this way by chance. */
  readonly chance: number;
}

/** A repair counts as proven where at most one page in so many would look repairable by chance. */
const MAX_CHANCE = 1 / 100_000;

export const isProven = ({ chance }: PageRepair): boolean => chance <= MAX_CHANCE;

/** How many values a CRC-32 has. */
const CHECKSUMS = 2 ** 32;

/**
 * Repairs a damaged block in memory, whether it begins with the magic of a page or not, where the checksum of the page
 * proves what it was.
 * @param block - 262,144 bytes, changed where something is returned
 */
export function repairBlock(block: Uint8Array, blockId: number, scratch: DirectoryScratch): PageRepair | undefined {
  const damaged = examinePage(block, blockId, scratch);
  if (damaged === undefined) {
    // Blocks that begin with a link are left alone: libdictenstein leaves the page in a block that it frees.
    const { lostPage } = nonPageIn(block, blockId, scratch);
    return lostPage?.isValid === true ? restoreMagic(block, lostPage.expected, scratch) : undefined;
  }
  const before = block.slice(0, PAGE_HEADER_BYTES);
  const other = underOtherMagic(damaged, scratch);
  if (other) return { repair: 'page-field', start: 0, before, page: other.page, chance: 1 / CHECKSUMS };
  for (const head of oneFieldHeaders(block, scratch)) {
    block.set(head);
    const facts = examinePage(block, blockId, scratch);
    // A stale checksum proves nothing about fields that have changed since.
    if (facts && facts.error === undefined && facts.checksumState !== 'stale') {
      return { repair: 'page-field', start: 0, before, page: facts.page, chance: MAX_ONE_FIELD_HEADERS / CHECKSUMS };
    }
  }
  block.set(before);
  return flipBitBack(block, blockId, scratch);
}

/**
 * How much one flipped bit proves depends on how many bits were searched: of pages in which any number of bits is wrong,
 * n in 2^32 have such a bit among n. That is one in 2,048 for a full page, and few for the bits of the header.
 */
function flipBitBack(block: Uint8Array, blockId: number, scratch: DirectoryScratch): PageRepair | undefined {
  const damaged = examinePage(block, blockId, scratch);
  const repaired = damaged && repairPageBit(damaged, scratch);
  if (repaired === undefined) return undefined;
  const { page, bit, checksum, searchedBytes } = repaired;
  const offset = bit >> 3;
  const [start, end] = offset < PAGE_HEADER_BYTES ? [0, PAGE_HEADER_BYTES] : [offset, offset + 1];
  // A stale checksum proves the bytes of the nodes that it covers, but no field of the header.
  if (start === 0 && checksum !== 'match') {
    flipBit(block, bit);
    return undefined;
  }
  const before = block.slice(start, end);
  flipBit(before, bit - 8 * start);
  return { repair: 'page-bit', start, before, page, chance: (8 * searchedBytes) / CHECKSUMS };
}

/** Gives a page its magic again: the header is that of a page and few bits were wrong, or the checksum matches with it. */
export function restoreMagic(block: Uint8Array, magic: Uint8Array, scratch: DirectoryScratch): PageRepair | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(magic);
  const page = decodePage(block, scratch);
  return page && { repair: 'page-field', start: 0, before, page, chance: 1 / CHECKSUMS };
}

/** Gives a page without an error a checksum over all of it. */
export function renewChecksum(page: Page): PageRepair {
  const before = page.block.slice(0, PAGE_HEADER_BYTES);
  page.block.set(recomputePageHeader(page));
  return { repair: 'page-checksum', start: 0, before, page, chance: 0 };
}
