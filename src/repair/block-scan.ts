import { flipBit } from '../bytes/checksum.ts';
import type { Overlay } from '../disk/block-file.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { BlockSet } from '../disk/free-list.ts';
import type { FileHeader } from '../format/file-header.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { examinePage, type PageFacts } from '../format/page-checks.ts';
import { encodeEmptyPageHeader, PAGE_HEADER } from '../format/page-header.ts';
import { decodePage, type Page, recomputePageHeader } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { BlockReader, hasZerosAfterLink, type LostPage, nonPageIn, NonPages } from '../salvage/block-kind.ts';
import { lostPageProblem } from '../salvage/commit-evidence.ts';
import { repairPageBit } from '../salvage/flipped-bit.ts';
import { checkFreeList, isZeroedPage } from '../salvage/free-blocks.ts';
import { MAX_ONE_FIELD_HEADERS, oneFieldHeaders, underOtherMagic } from '../salvage/page-candidates.ts';
import { differingFields, type PlanOutput, type RepairId, type RepairScanOptions } from './repairs.ts';

/** A page that was repaired in memory. */
export interface PageRepair {
  readonly repair: RepairId;
  /** Where the changed range begins in the block. */
  readonly start: number;
  /** The bytes that the range had. */
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
  if (damaged) return repairPage(damaged, scratch);
  const { lostPage } = nonPageIn(block, blockId, scratch);
  return lostPage && restoreMagic(block, lostPage, scratch);
}

function repairPage(damaged: PageFacts, scratch: DirectoryScratch): PageRepair | undefined {
  const {
    blockId,
    page: { block },
  } = damaged;
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
  const [offset, chance] = [bit >> 3, (8 * searchedBytes) / CHECKSUMS];
  const before = block.slice(0, PAGE_HEADER_BYTES);
  flipBit(before, bit);
  if (offset >= PAGE_HEADER_BYTES) {
    const byte = block.slice(offset, offset + 1);
    flipBit(byte, bit & 7);
    return { repair: 'page-bit', start: offset, before: byte, page, chance };
  }
  // A stale checksum proves the bytes of the nodes that it covers, but no field of the header.
  if (checksum === 'match') return { repair: 'page-bit', start: 0, before, page, chance };
  flipBit(block, bit);
  return undefined;
}

/**
 * Gives a page its magic again. Two of its 64 bits were wrong at most and the header is that of a page, or the checksum
 * matches with it. Blocks that begin with a link are left alone: libdictenstein leaves the page in a block that it frees.
 */
function restoreMagic(
  block: Uint8Array,
  { expected, isValid }: Pick<LostPage, 'expected' | 'isValid'>,
  scratch: DirectoryScratch,
): PageRepair | undefined {
  if (!isValid) return undefined;
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(expected);
  const page = decodePage(block, scratch);
  return page && { repair: 'page-field', start: 0, before, page, chance: 1 / CHECKSUMS };
}

/** Gives a page without an error a checksum over all of it. */
function renewChecksum(page: Page): PageRepair {
  const { block } = page;
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(recomputePageHeader(page));
  return { repair: 'page-checksum', start: 0, before, page, chance: 0 };
}

interface ScanOptions extends RepairScanOptions {
  /** Blocks that are damaged, are not free, and whose page header is in a commit record. */
  readonly lostPages: readonly number[];
}

/** Reads every block after block 0, plans the repair of pages, and collects what the file header has to be checked against. */
export class BlockScan {
  /** The blocks that are not pages. */
  readonly others: NonPages = new NonPages();
  /** Those of them that have zeros after a link. */
  readonly withZerosAfterLink: BlockSet;
  readonly repaired: BlockSet;
  /** The new page headers of repaired blocks that have a commit record: two at most. */
  readonly repairedHeads: Overlay[] = [];
  nodes = 0;
  damagedPages = 0;
  stalePages = 0;
  /** Slots of the page that contains the root record; -1 if it is not a valid page. */
  rootSlots = -1;

  readonly #view: CommittedView;
  readonly #output: PlanOutput;
  readonly #options: ScanOptions;
  readonly #reader = new BlockReader();

  /** @param blocks - number of blocks, block 0 included */
  constructor(view: CommittedView, blocks: number, output: PlanOutput, options: ScanOptions) {
    this.#view = view;
    this.#output = output;
    this.#options = options;
    this.withZerosAfterLink = new BlockSet(blocks);
    this.repaired = new BlockSet(blocks);
  }

  /** @param isPending - whether the headers of this block are still in a commit record alone; then they are valid */
  async look(block: number, isPending: boolean, isRootPage: boolean): Promise<void> {
    await this.#reader.read(this.#view, block);
    const { page: found, bytes, scratch } = this.#reader;
    let page: Page | undefined;
    if (found === undefined || found.error) {
      const repair = isPending ? undefined : repairBlock(bytes, block, scratch);
      if (repair && (isProven(repair) || this.#options.likelyBits === true)) {
        page = repair.page;
        await this.#change(block, repair);
      } else if (found?.error) await this.#leave(found.error, repair);
      else if (this.#options.lostPages.includes(block)) await this.#leave(lostPageProblem(block, bytes), undefined);
      else this.#addOther(block, isPending);
    } else {
      ({ page } = found);
      if (found.checksumState === 'stale' && !isPending) {
        if (this.#options.staleChecksums === true) await this.#change(block, renewChecksum(page));
        else this.stalePages++;
      }
    }
    if (page === undefined) return;
    this.nodes += page.directory.count;
    if (isRootPage) this.rootSlots = page.directory.count;
  }

  /**
   * Restores the magic of pages that begin with 8 zero bytes, once all blocks have been read.
   * @param header - a valid one
   */
  async restoreZeroed(header: FileHeader, blocks: number): Promise<void> {
    const { others } = this;
    const { bytes, scratch } = this.#reader;
    const list = checkFreeList(header, others, blocks);
    for (let index = 0; index < others.count; index++) {
      const format = others.zeroedFormatAt(index);
      if (format === undefined || !isZeroedPage(header, others, list, index)) continue;
      const block = others.idAt(index);
      await this.#reader.read(this.#view, block);
      // Another process may have taken the block in the meantime.
      if (this.#reader.page || this.#reader.nonPage().zeroedFormat !== format) continue;
      const expected = encodeEmptyPageHeader(format).subarray(0, 8);
      const repair = restoreMagic(bytes, { expected, isValid: true }, scratch);
      if (repair === undefined) continue;
      await this.#change(block, repair);
      others.setRepaired(index);
      this.nodes += repair.page.directory.count;
    }
  }

  #addOther(block: number, isPending: boolean): void {
    const { mark, zeroedFormat } = this.#reader.nonPage();
    // A block that a commit record is about to overwrite is not a page that lost its magic.
    this.others.add(block, isPending && zeroedFormat ? 0 : mark);
    if (hasZerosAfterLink(this.#reader.bytes)) this.withZerosAfterLink.add(block);
  }

  async #leave(error: Problem, likely: PageRepair | undefined): Promise<void> {
    this.damagedPages++;
    if (likely === undefined) return this.#output.left(error);
    const pages = Math.round(1 / likely.chance).toLocaleString('en');
    const why = `; flipping one bit at byte ${fileOffset(error.block ?? 0, likely.start)} would fix it, but so would a bit in one in ${pages} pages with other damage; --likely-bits flips it`;
    await this.#output.left({ ...error, message: error.message + why, isLikely: true });
  }

  async #change(block: number, { repair, start, before, page }: PageRepair): Promise<void> {
    this.repaired.add(block);
    if (this.#view.recovery.records.some((record) => record.block === block)) {
      this.repairedHeads.push({ position: fileOffset(block), bytes: page.block.slice(0, PAGE_HEADER_BYTES) });
    }
    const offset = fileOffset(block, start);
    const after = page.block.subarray(start, start + before.length);
    if (start > 0) return this.#output.change({ repair, offset, before, after });
    for (const field of differingFields(PAGE_HEADER.fields, before, after)) {
      await this.#output.change({ repair, ...field, offset: fileOffset(block, field.at) });
    }
  }
}
