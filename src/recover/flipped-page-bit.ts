import { flipBit } from '../bytes/flipped-bit.ts';
import type { FlippedBit } from '../format/invariants.ts';
import { fileOffset } from '../format/layout.ts';
import { decodePage, type Page } from '../format/page.ts';
import { PageFacts } from '../format/page-facts.ts';
import { flippedPageBit } from '../format/page-flipped-bit.ts';
import type { DirectoryScratch } from '../format/page-v2.ts';

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
