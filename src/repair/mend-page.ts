import { flipBit } from '../bytes/flipped-bit.ts';
import { resealedHead } from '../format/page.ts';
import { decodePage, type Page } from '../format/page.ts';
import { PageFacts } from '../format/page-checks.ts';
import { flippedPageBit } from '../salvage/flipped-page-bit.ts';
import { checksumState } from '../format/page-checksum.ts';
import { underOtherMagic } from '../salvage/block-kind.ts';
import { firstPageError } from '../format/page-checks.ts';
import {
  encodePageHeader,
  PAGE_FLAG,
  PAGE_FORMAT_FLAGS,
  PAGE_HEADER,
  PAGE_VERSION,
  type PageHeader,
} from '../format/page-header.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_SLOT_BYTES } from '../format/layout.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { lookAtOther, type LostPage } from '../salvage/block-kind.ts';
import type { RepairId } from './repairs.ts';

/** How a block was mended; the block has the new bytes. */
export interface MendedPage {
  readonly repair: RepairId;
  /** The range that has changed, from the start of the block. */
  readonly start: number;
  readonly before: Uint8Array;
  readonly page: Page;
  /** Of pages that are wrong in other ways, how many would look to be mended so, by chance. */
  readonly chance: number;
}

/** A repair is taken for proven where at most one page in so many would look mendable by chance. */
export const MAX_CHANCE: number = 1 / 100_000;

/** How many sums a CRC-32 can give. */
const SUMS = 2 ** 32;

/** Puts a damaged block right, in memory, whether it begins with the magic of a page or not. */
export function mendBlock(block: Uint8Array, blockId: number, scratch: DirectoryScratch): MendedPage | undefined {
  if (decodePage(block, scratch) !== undefined) return mendPage(block, blockId, scratch);
  const { lostPage } = lookAtOther(block, blockId, scratch);
  return lostPage && mendMagic(block, lostPage, scratch);
}

/**
 * Puts a damaged page right, in memory, where its checksum proves what it was: with 32 bits, of which {@link MendedPage.chance} says how much they prove.
 * @param block - 262,144 bytes, changed where something is returned
 * @returns undefined for a page that is not damaged, or nobody can say how
 */
function mendPage(block: Uint8Array, blockId: number, scratch: DirectoryScratch): MendedPage | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  const damaged = decodePage(block, scratch);
  const other = damaged && underOtherMagic(new PageFacts(damaged, blockId), scratch);
  if (other) return { repair: 'page-field', start: 0, before, page: other.page, chance: 1 / SUMS };
  for (const head of headCandidates(block, scratch)) {
    block.set(head);
    const page = soundPage(block, blockId, scratch);
    if (page) return { repair: 'page-field', start: 0, before, page, chance: MAX_FIELDS / SUMS };
  }
  block.set(before);
  return flipBack(block, blockId, scratch);
}

/**
 * Gives a page its magic again. At most two of its 64 bits were wrong and the header is that of a page, or the checksum
 * holds with it; and a block that begins with a link is left alone: libdictenstein leaves the page in one that it frees.
 */
export function mendMagic(
  block: Uint8Array,
  { expected, isSound }: Pick<LostPage, 'expected' | 'isSound'>,
  scratch: DirectoryScratch,
): MendedPage | undefined {
  if (!isSound) return undefined;
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(expected);
  const page = decodePage(block, scratch);
  return page && { repair: 'page-field', start: 0, before, page, chance: 1 / SUMS };
}

/**
 * Flips a bit of a page back where its checksum holds then. A CRC-32 over n bits is explained by one of them for n in
 * 2^32 of pages in which any number of bits is wrong: one in 2,048 where a page is full. So what it proves depends on
 * how many bits there are; those of the header are few.
 */
function flipBack(block: Uint8Array, blockId: number, scratch: DirectoryScratch): MendedPage | undefined {
  const damaged = decodePage(block, scratch);
  const found = damaged && flippedPageBit(new PageFacts(damaged, blockId));
  if (damaged === undefined || found === undefined) return undefined;
  const { header, directory } = damaged;
  const offset = found.bit >> 3;
  const isInHeader = offset < PAGE_HEADER_BYTES;
  const coveredBytes = isInHeader ? PAGE_HEADER_BYTES : header.freeOffset + directory.end - directory.start;
  const before = isInHeader ? block.slice(0, PAGE_HEADER_BYTES) : block.slice(offset, offset + 1);
  flipBit(block, found.bit);
  // A checksum of the nodes before proves no field that has changed since, but the bytes of those nodes.
  const page = isInHeader ? soundPage(block, blockId, scratch) : pageWithoutError(block, blockId, scratch);
  if (page && (page.header.flags & PAGE_FLAG.hasChecksum) !== 0) {
    return { repair: 'page-bit', start: isInHeader ? 0 : offset, before, page, chance: (8 * coveredBytes) / SUMS };
  }
  flipBit(block, found.bit);
  return undefined;
}

/** Gives a page without error a checksum over all that it holds. */
export function renewChecksum(page: Page): MendedPage {
  const { block } = page;
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(resealedHead(page));
  return { repair: 'page-checksum', start: 0, before, page, chance: 0 };
}

/** The page in the block, where its checksum holds over all of it, or it has none, and nothing is wrong with it. */
function soundPage(block: Uint8Array, blockId: number, scratch: DirectoryScratch): Page | undefined {
  const page = pageWithoutError(block, blockId, scratch);
  if (page === undefined) return undefined;
  // A checksum that is out of date proves nothing of the fields that have changed since.
  return checksumState(page.format, block, page.header, page.directory) === 'stale' ? undefined : page;
}

function pageWithoutError(block: Uint8Array, blockId: number, scratch: DirectoryScratch): Page | undefined {
  const page = decodePage(block, scratch);
  return page && firstPageError(page, blockId) === undefined ? page : undefined;
}

/** At most this many headers are tried for a page. */
const MAX_FIELDS = 16;

/** Headers with one field put as the others ask for. Each keeps the checksum, which has to hold with it. */
function* headCandidates(block: Uint8Array, scratch: DirectoryScratch): Generator<Uint8Array> {
  const header = PAGE_HEADER.read(block);
  const page = decodePage(block, scratch);
  if (page === undefined) return;
  const { format, directory } = page;
  const ownFlags = header.flags & (PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized);
  yield* sealed(header, { version: PAGE_VERSION[format] });
  yield* sealed(header, { flags: ownFlags | PAGE_FORMAT_FLAGS[format] });
  yield* sealed(header, { reserved: new Uint8Array(header.reserved.length) });
  yield* sealed(header, { unused: 0n });
  yield* sealed(header, { checksumNodeCount: header.nodeCount });
  yield* sealed(header, { directoryLength: format === 'v2' ? directory.end - directory.start : 0 });
  if (format === 'v1') yield* sealed(header, { directoryStart: BLOCK_BYTES - V1_SLOT_BYTES * directory.count });
  yield* sealed(header, { freeOffset: endOfNodes(page) });
  // The magic says it with 64 bits, so it takes no checksum to know the version.
  if ((header.flags & PAGE_FLAG.hasChecksum) === 0 && header.version !== PAGE_VERSION[format]) {
    yield encodePageHeader({ ...header, version: PAGE_VERSION[format] });
  }
}

/** Only where the page has a checksum: else nothing proves that the field was so. */
function* sealed(header: PageHeader, change: Partial<PageHeader>): Generator<Uint8Array> {
  const changed = { ...header, ...change };
  if ((changed.flags & PAGE_FLAG.hasChecksum) !== 0) yield encodePageHeader(changed);
}

function endOfNodes({ directory }: Page): number {
  let end: number = NODE_AREA_OFFSET;
  for (let slot = 0; slot < directory.count; slot++) {
    end = Math.max(end, directory.nodeOffset(slot) + directory.nodeBytes(slot));
  }
  return Math.min(end, BLOCK_BYTES);
}
