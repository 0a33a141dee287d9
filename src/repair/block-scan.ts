import { readBuffer } from '../bytes/buffer.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { BlockSet } from '../disk/free-list.ts';
import type { FileHeader } from '../format/file-header.ts';
import { formatUnderZeros } from '../format/page-checks.ts';
import type { Problem } from '../format/problem.ts';
import { BLOCK_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { decodePage, emptyPageHead } from '../format/page.ts';
import { checksumState } from '../format/page-checksum.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { firstPageError } from '../format/page-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { checkFreeList } from '../salvage/free-list.ts';
import { lostPageProblem } from '../salvage/block-kind.ts';
import { linkOf, markOf } from '../salvage/block-kind.ts';
import { NO_LINK, OtherBlocks, ZEROED_V1, ZEROED_V2 } from '../salvage/block-kind.ts';
import { isZeroedPage } from '../salvage/free-list.ts';
import { differingFields } from './repairs.ts';
import { MAX_CHANCE, mendBlock, type MendedPage, mendMagic, renewChecksum } from './mend-page.ts';
import type { Piece } from '../disk/overwrite.ts';
import type { PlanOutput } from './repairs.ts';
import type { RepairOptions } from './repairs.ts';

const BLANK_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** What a scan goes by. */
interface ScanOptions extends RepairOptions {
  /** Blocks of which a commit record has the page header, that are no pages now and that are not free. */
  readonly lostPages: readonly number[];
}

/** Looks at every block behind block 0, mends pages, and gathers what is needed to tell what the file header should say. */
export class BlockScan {
  /** The blocks that are no pages. */
  readonly others: OtherBlocks = new OtherBlocks();
  /** Of them, those that have zeros behind a link. */
  readonly isMarked: BlockSet;
  readonly mended: BlockSet;
  /** The page headers of the mended blocks that commit records are of: at most two. */
  readonly mendedHeads: Piece[] = [];
  nodes = 0;
  damagedPages = 0;
  stalePages = 0;
  /** Slots of the page that holds the root record; -1 where that is no sound page. */
  rootSlots = -1;

  readonly #view: CommittedView;
  readonly #output: PlanOutput;
  readonly #options: ScanOptions;
  readonly #target: Uint8Array = readBuffer(BLOCK_BYTES);
  readonly #scratch: DirectoryScratch = new DirectoryScratch();

  /** @param blocks - how many blocks there are, block 0 counted */
  constructor(view: CommittedView, blocks: number, output: PlanOutput, options: ScanOptions) {
    this.#view = view;
    this.#output = output;
    this.#options = options;
    this.isMarked = new BlockSet(blocks);
    this.mended = new BlockSet(blocks);
  }

  /** @param isPending - whether a commit record has not been brought home that is of this block: what it says is sound */
  async look(block: number, isPending: boolean, isRootPage: boolean): Promise<void> {
    const target = this.#target;
    const bytes = await this.#view.readSettled(block, target, () => this.#isSound(block));
    target.fill(0, bytes);
    let page = decodePage(target, this.#scratch);
    const error = page && firstPageError(page, block);
    if (page === undefined || error) {
      const mended = isPending ? undefined : mendBlock(target, block, this.#scratch);
      const isProven = mended !== undefined && (mended.chance <= MAX_CHANCE || this.#options.likelyBits === true);
      page = isProven ? mended.page : undefined;
      if (isProven) await this.#change(block, mended);
      else if (error) await this.#leave(error, mended);
      else if (this.#options.lostPages.includes(block)) await this.#leave(lostPageProblem(block, target), undefined);
      else this.#addOther(block, isPending);
    } else if (checksumState(page.format, target, page.header, page.directory) === 'stale' && !isPending) {
      if (this.#options.staleChecksums === true) await this.#change(block, renewChecksum(page));
      else this.stalePages++;
    }
    if (page === undefined) return;
    this.nodes += page.directory.count;
    if (isRootPage) this.rootSlots = page.directory.count;
  }

  #isSound(block: number): boolean {
    const page = decodePage(this.#target, this.#scratch);
    return page ? firstPageError(page, block) === undefined : linkOf(this.#target) !== NO_LINK;
  }

  /**
   * Puts the magic back into pages that begin with 8 zero bytes, once all blocks have been looked at.
   * @param header - a sound one
   */
  async mendZeroed(header: FileHeader, blocks: number): Promise<void> {
    const list = checkFreeList(header, this.others, blocks);
    for (let index = 0; index < this.others.count; index++) {
      const format = this.others.zeroedFormatAt(index);
      if (format === undefined || !isZeroedPage(header, this.others, list, index)) continue;
      const block = this.others.idAt(index);
      await this.#view.readSettled(block, this.#target, () => true);
      // Somebody may have taken the block meanwhile.
      if (formatUnderZeros(this.#target, block, this.#scratch) !== format) continue;
      const mended = mendMagic(
        this.#target,
        { expected: emptyPageHead(format).subarray(0, 8), isSound: true },
        this.#scratch,
      );
      if (mended === undefined) continue;
      await this.#change(block, mended);
      this.others.setMended(index);
      this.nodes += mended.page.directory.count;
    }
  }

  #addOther(block: number, isPending: boolean): void {
    const target = this.#target;
    const mark = markOf(target, { id: block, lostPage: undefined }, this.#scratch);
    // What a commit record says of a block is sound as it is.
    this.others.add(block, isPending && mark >= ZEROED_V2 && mark <= ZEROED_V1 ? 0 : mark);
    if (BLANK_BLOCK.compare(target, 8, PAGE_HEADER_BYTES, 8, PAGE_HEADER_BYTES) === 0) this.isMarked.add(block);
  }

  async #leave(error: Problem, likely: MendedPage | undefined): Promise<void> {
    this.damagedPages++;
    if (likely === undefined) return this.#output.left(error);
    const pages = Math.round(1 / likely.chance).toLocaleString('en');
    const why = `; one flipped bit at byte ${fileOffset(error.block ?? 0, likely.start)} would explain it, but would explain one in ${pages} pages with any other damage as well: --likely-bits flips it back`;
    await this.#output.left({ ...error, message: error.message + why, isLikely: true });
  }

  async #change(block: number, { repair, start, before, page }: MendedPage): Promise<void> {
    this.mended.add(block);
    if (this.#view.recovery.records.some((record) => record.block === block)) {
      this.mendedHeads.push({ position: fileOffset(block), bytes: page.block.slice(0, PAGE_HEADER_BYTES) });
    }
    const at = fileOffset(block, start);
    const after = page.block.subarray(start, start + before.length);
    if (start > 0) return this.#output.change({ repair, offset: at, before, after });
    for (const field of differingFields(PAGE_HEADER.fields, before, after)) {
      await this.#output.change({ repair, ...field, offset: fileOffset(block, field.at) });
    }
  }
}
