import type { CommittedView } from '../disk/committed-view.ts';
import type { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import type { ProblemCode } from '../errors.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { linkOf, NO_LINK, nonPageIn, type RawBlocks } from '../salvage/block-kind.ts';
import { lostRecordedPages } from '../salvage/evidence.ts';
import type { BlockRow } from './tables.ts';

/** Makes the rows of blocks that are not pages, with the codes that verify has for them. */
export class OtherBlocks {
  readonly #free: BlockSet;
  /** Blocks that are not pages, although a commit record has their page header. */
  readonly #lost: ReadonlySet<number>;
  /** Whether a page whose magic became zeros can be told from a block that another program has freed. */
  readonly #isZeroedPageKnown: boolean;
  readonly #trustedCount: number;
  readonly #scratch = new DirectoryScratch();

  private constructor(
    { header, startedBlocks, wholeBlocks }: RawBlocks,
    walk: FreeListWalk,
    lost: ReadonlySet<number>,
  ) {
    const isValid = fileHeaderProblems(header).next().done === true && header.blockCount > 0;
    this.#free = walk.blocks;
    this.#lost = lost;
    // An invalid header does not prove the count, so the size of the file is used.
    this.#trustedCount = isValid ? header.blockCount : startedBlocks;
    const isWhole = walk.break === undefined && header.blockCount <= wholeBlocks;
    this.#isZeroedPageKnown = isValid && isWhole && header.rootPointer === 0n;
  }

  /** @param view - of the same file: a commit record that is pending is not a lost page */
  static async open(blocks: RawBlocks, view: CommittedView, signal?: AbortSignal): Promise<OtherBlocks> {
    const walk = await blocks.freeList(signal);
    const lost = await lostRecordedPages(view, blocks.block0);
    // Another program frees a page without changing the record.
    const pages = lost.filter(({ mayBeFreed }) => !mayBeFreed);
    return new OtherBlocks(blocks, walk, new Set(pages.map(({ record }) => record.block)));
  }

  isFree(block: number): boolean {
    return this.#free.has(block);
  }

  /** A block that the file ends in. Without a page header in it, nothing else is known of it. */
  cutOffRow(block: number): BlockRow {
    return this.#row(block, 'cut off', 'FILE_SIZE');
  }

  freeRow(block: number, bytes: Uint8Array): BlockRow {
    const next = linkOf(bytes);
    if (next === NO_LINK) return { block, kind: 'free', next, problem: 'FREE_LIST_LINK' };
    return { block, kind: 'free', next };
  }

  /** @param bytes - of a whole block that is neither a page nor free; unchanged afterwards */
  row(block: number, bytes: Uint8Array): BlockRow {
    const kind = linkOf(bytes) === 0 ? 'unwritten' : 'unknown';
    return this.#row(block, kind, this.#problemOf(block, bytes));
  }

  /** Nothing is expected of blocks after those that the header counts. */
  #row(block: number, kind: BlockRow['kind'], problem: ProblemCode): BlockRow {
    return block < this.#trustedCount ? { block, kind, problem } : { block, kind, state: 'uncounted' };
  }

  #problemOf(block: number, bytes: Uint8Array): ProblemCode {
    const { lostPage, zeroedFormat } = nonPageIn(bytes, block, this.#scratch);
    if (lostPage) return 'PAGE_MAGIC';
    if (this.#lost.has(block) || linkOf(bytes) !== 0) return 'BLOCK_UNKNOWN';
    return zeroedFormat !== undefined && this.#isZeroedPageKnown ? 'PAGE_MAGIC' : 'BLOCK_UNWRITTEN';
  }
}
