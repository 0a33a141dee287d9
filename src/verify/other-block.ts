import { BLOCK_BYTES } from '../format/layout.ts';
import { formatUnderZeros } from '../format/page-zeroed-magic.ts';
import { differingBits, onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { decodePage, emptyPageHead } from '../format/page.ts';
import { PageFacts } from '../format/page-facts.ts';
import { PAGE_HEADER, type PageFormat } from '../format/page-header.ts';
import { firstError, PAGE_CHECKS } from '../format/page-invariants.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import type { DirectoryScratch } from '../format/page-v2.ts';
import { BLANK, LOST_PAGE, NO_LINK, ZEROED_V1, ZEROED_V2 } from './other-blocks.ts';

/** A block that does not begin with the magic of a page. Valid until its bytes change. */
export interface OtherBlock {
  readonly id: number;
  /** Which page it is but for the magic, if it is one. */
  readonly lostPage: LostPage | undefined;
}

/** A page whose magic is damaged. */
export interface LostPage {
  readonly found: Uint8Array;
  readonly expected: Uint8Array;
  /** The bit of the block that differs, where it is one alone. */
  readonly flippedBit: number | undefined;
  /** Whether nothing else is wrong with the page. */
  readonly isSound: boolean;
}

/** More damaged bits than this, and only a checksum can say that a block is a page. */
const FEW_BITS = 2;

/** @param block - the 262,144 bytes of a block whose first eight are no magic; they are what they were when it returns */
export function lookAtOther(block: Uint8Array, id: number, scratch: DirectoryScratch): OtherBlock {
  return { id, lostPage: linkOf(block) === NO_LINK ? lostPageIn(block, id, scratch) : undefined };
}

/** The link that a block begins with, or NO_LINK. */
export function linkOf(block: Uint8Array): number {
  const target = decodeFreeLink(new DataView(block.buffer, block.byteOffset, 8).getBigUint64(0, true));
  return target < 0 ? NO_LINK : target;
}

const BLANK_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** What OtherBlocks takes for the link of a block. */
export function markOf(block: Uint8Array, { id, lostPage }: OtherBlock, scratch: DirectoryScratch): number {
  if (lostPage) return LOST_PAGE;
  const link = linkOf(block);
  if (link !== 0) return link;
  if (BLANK_BLOCK.equals(block)) return BLANK;
  const format = formatUnderZeros(block, id, scratch);
  if (format === undefined) return 0;
  return format === 'v1' ? ZEROED_V1 : ZEROED_V2;
}

/** A freed block may hold the page that it was: it begins with a link, and is not asked about here. */
function lostPageIn(block: Uint8Array, id: number, scratch: DirectoryScratch): LostPage | undefined {
  const found = block.slice(0, MAGIC_BYTES);
  try {
    for (const format of ['v1', 'v2'] as const) {
      const expected = magicBytes(format);
      block.set(expected);
      const page = decodePage(block, scratch);
      const facts = page && new PageFacts(page, id);
      if (facts === undefined || !isPage(facts, differingBits(found, expected))) continue;
      const bit = onlyDifferingBit(found, expected);
      return { found, expected, flippedBit: bit < 0 ? undefined : bit, isSound: firstError(facts) === undefined };
    }
  } finally {
    block.set(found);
  }
  return undefined;
}

/** Whether what follows the magic is that of a page. @param wrongBits - how many bits of the magic are not its */
function isPage(facts: PageFacts, wrongBits: number): boolean {
  if (facts.checksumState === 'match' || facts.checksumState === 'stale') return true;
  return wrongBits <= FEW_BITS && HEADER_CHECKS.every((check) => [...check(facts)].length === 0);
}

const HEADER_CHECKS = [PAGE_CHECKS.PAGE_VERSION, PAGE_CHECKS.PAGE_FLAGS, PAGE_CHECKS.PAGE_BOUNDS];

const MAGIC_BYTES = PAGE_HEADER.bytesOf('magic');

function magicBytes(format: PageFormat): Uint8Array {
  return emptyPageHead(format).subarray(0, MAGIC_BYTES);
}
