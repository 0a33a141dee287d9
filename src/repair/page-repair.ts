import { flipBit } from '../bytes/checksum.ts';
import { PAGE_HEADER_BYTES } from '../format/layout.ts';
import { examinePage } from '../format/page-checks.ts';
import { decodePage, type Page } from '../format/page.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { nonPageIn } from '../salvage/block-kind.ts';
import { chanceOf, MAX_CHANCE, repairPageBit } from '../salvage/flipped-bit.ts';
import { MAX_ONE_FIELD_HEADERS, oneFieldHeaders, underOtherMagic } from '../salvage/page-candidates.ts';
import type { RepairId } from './repairs.ts';

export interface PageRepair {
  readonly repair: RepairId;
  readonly start: number;
  readonly before: Uint8Array;
  readonly page: Page;
  /** How many pages with other damage look repairable in this way by chance. */
  readonly chance: number;
}

export const isProven = ({ chance }: PageRepair): boolean => chance <= MAX_CHANCE;

const CHECKSUMS = 2 ** 32;

/**
 * Repairs a damaged block in memory if the checksum proves the result. @param block - changed if something is returned
 */
export function repairBlock(block: Uint8Array, blockId: number, scratch: DirectoryScratch): PageRepair | undefined {
  const damaged = examinePage(block, blockId, scratch);
  if (damaged === undefined) {
    // Blocks that begin with a link stay: libdictenstein leaves the old page in a block that it frees.
    const { lostPage } = nonPageIn(block, blockId, scratch);
    return lostPage?.isValid === true ? restoreMagic(block, lostPage.expected, scratch) : undefined;
  }
  const before = block.slice(0, PAGE_HEADER_BYTES);
  const other = underOtherMagic(damaged, scratch);
  if (other) return { repair: 'page-field', start: 0, before, page: other.page, chance: 1 / CHECKSUMS };
  for (const head of oneFieldHeaders(block, blockId, scratch)) {
    block.set(head);
    const facts = examinePage(block, blockId, scratch);
    // A stale checksum proves nothing about fields that changed since.
    if (facts && facts.error === undefined && facts.checksumState !== 'stale') {
      return { repair: 'page-field', start: 0, before, page: facts.page, chance: MAX_ONE_FIELD_HEADERS / CHECKSUMS };
    }
  }
  block.set(before);
  return flipBitBack(block, blockId, scratch);
}

/** The more bits are searched, the less one proves. */
function flipBitBack(block: Uint8Array, blockId: number, scratch: DirectoryScratch): PageRepair | undefined {
  const damaged = examinePage(block, blockId, scratch);
  const repaired = damaged && repairPageBit(damaged, scratch);
  if (repaired === undefined) return undefined;
  const { page, bit, checksum } = repaired;
  const offset = bit >> 3;
  const [start, end] = offset < PAGE_HEADER_BYTES ? [0, PAGE_HEADER_BYTES] : [offset, offset + 1];
  // A stale checksum proves the nodes that it covers, but no field of the header.
  if (start === 0 && checksum !== 'match') {
    flipBit(block, bit);
    return undefined;
  }
  const before = block.slice(start, end);
  flipBit(before, bit - 8 * start);
  return { repair: 'page-bit', start, before, page, chance: chanceOf(repaired) };
}

/** Restores the magic if few bits are wrong and the header is valid, or if the checksum matches with it. */
export function restoreMagic(block: Uint8Array, magic: Uint8Array, scratch: DirectoryScratch): PageRepair | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(magic);
  const page = decodePage(block, scratch);
  return page && { repair: 'page-field', start: 0, before, page, chance: 1 / CHECKSUMS };
}
