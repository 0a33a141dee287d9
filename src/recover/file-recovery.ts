import type { BlockFile } from '../disk/block-file.ts';
import { BlockSet } from '../disk/free-list.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset, MAX_BLOCKS, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { newPage } from '../format/page.ts';
import { fileHeaderProblems, fileSizeProblems, headerCopyProblems, type Problem } from '../format/problem.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { BlockReader, type PageFound } from './block-reader.ts';
import { findFreeBlocks } from './free-blocks.ts';
import type { FoundHeader } from './header-source.ts';
import { MovedNodes, placeNodes } from './placement.ts';
import {
  type BlockKind,
  type BlockReport,
  type RecoverOptions,
  type RecoverSink,
  type RecoverSummary,
  RecoveryTotals,
  reportOf,
  tallyProblems,
} from './recovery-report.ts';
import { judgeRoot, rootPage } from './root.ts';

/** What is to be said of block 0. */
export function headerReport(found: FoundHeader): BlockReport {
  return reportOf(0, 'header', { source: found.source, problems: tallyProblems(headerProblems(found)) });
}

function* headerProblems({ head, header, source, fileBytes }: FoundHeader): Generator<Problem> {
  yield* fileHeaderProblems(FILE_HEADER.read(head));
  if (source !== 'lost') yield* fileSizeProblems(header, fileBytes);
  yield* headerCopyProblems(head);
}

/** Blocks that the file ends before become empty pages in the new one: up to as many as the file has, or to these. */
const MIN_MISSING_BLOCKS = 16;

/** One recovery, from the first block to the last. */
export class FileRecovery {
  readonly #found: FoundHeader;
  readonly #fileBytes: number;
  readonly #target: BlockFile;
  readonly #builder: PageFileBuilder;
  readonly #reader: BlockReader;
  readonly #report: RecoverSink;
  readonly #options: RecoverOptions;
  readonly #free: BlockSet;
  /** Blocks with nodes that have no room at their refs. */
  readonly #crowded: BlockSet;
  readonly #totals = new RecoveryTotals();
  #lastFormat: PageFormat = 'v1';
  readonly #rootBlock: number | undefined;
  #rootPageSlots = -1;

  private constructor(
    found: FoundHeader,
    target: BlockFile,
    builder: PageFileBuilder,
    report: RecoverSink,
    options: RecoverOptions,
    free: BlockSet,
  ) {
    this.#found = found;
    this.#fileBytes = found.fileBytes;
    this.#target = target;
    this.#builder = builder;
    this.#reader = new BlockReader(found);
    this.#report = report;
    this.#options = options;
    this.#free = free;
    this.#rootBlock = rootPage(found)?.block;
    this.#crowded = new BlockSet(Math.ceil(found.fileBytes / BLOCK_BYTES));
  }

  static async run(
    found: FoundHeader,
    target: BlockFile,
    report: RecoverSink,
    options: RecoverOptions,
  ): Promise<RecoverSummary> {
    const builder = await PageFileBuilder.begin(target);
    const blocks = Math.min(countedBlocks(found), Math.ceil(found.fileBytes / BLOCK_BYTES));
    const free = await findFreeBlocks(found.view, found.header.freeListHead, blocks, options.signal);
    return new FileRecovery(found, target, builder, report, options, free).#run();
  }

  async #run(): Promise<RecoverSummary> {
    const { header, source, isCountProven } = this.#found;
    const started = Math.ceil(this.#fileBytes / BLOCK_BYTES);
    const counted = countedBlocks(this.#found);
    await this.#report.block(headerReport(this.#found));
    for (let block = 1; block < Math.min(counted, started); block++) {
      await this.#pause(block, started);
      // A header that may be an older one says nothing against what is behind its blocks: these say what they are.
      const isBehind = !isCountProven && source !== 'lost' && block >= header.blockCount;
      await this.#takeBlock(block, isBehind ? `behind the blocks that the ${source} counts` : undefined, false);
    }
    for (let block = counted; fileOffset(block + 1) <= this.#fileBytes; block++) {
      await this.#pause(block, started);
      await this.#takeUncounted(block);
    }
    const missing = Math.max(0, counted - Math.max(1, started));
    await this.#addMissing(Math.max(1, started), missing);
    const blocks = Math.max(this.#builder.block, Math.min(counted, started));
    await this.#move(blocks);
    return this.#finish(blocks);
  }

  async #pause(block: number, blocks: number): Promise<void> {
    this.#options.signal?.throwIfAborted();
    await this.#options.onProgress?.(block, blocks);
  }

  /** @param isDoubtful - whether nothing vouches for the block */
  async #takeBlock(block: number, note: string | undefined, isDoubtful: boolean): Promise<void> {
    if (this.#free.has(block)) {
      await this.#tell(block, 'free');
      return;
    }
    const found = await this.#reader.read(block, isDoubtful);
    if (found.kind === 'unwritten') {
      await this.#builder.skipBlock(block);
      await this.#tell(block, 'unwritten');
    } else if (found.kind === 'unknown') {
      await this.#takeNothing(block);
      await this.#tell(block, 'unknown', { isSealed: true, lostBytes: found.lostBytes, problems: found.problems });
    } else {
      await this.#takePage(block, found, note);
    }
  }

  async #takePage(block: number, found: PageFound, note: string | undefined): Promise<void> {
    const { fate, problems } = found;
    const { bytes, slots } = this.#reader;
    const { format, basis, isSound, lostBytes, flippedBit } = fate;
    this.#lastFormat = format;
    let movedNodes = 0;
    if (isSound) {
      await this.#builder.addBlock(bytes, slots.count, block);
    } else {
      await this.#builder.beginPage(format, block);
      const add = this.#builder.add.bind(this.#builder);
      for (const _ of placeNodes(bytes, format, slots, add)) movedNodes++;
    }
    if (block === this.#rootBlock) this.#rootPageSlots = isSound ? slots.count : this.#builder.slotCount;
    // A new node must not get the ref of a lost one, and how many there were is not known for sure.
    if (!isSound) await this.#builder.endPage(true);
    if (movedNodes > 0) this.#crowded.add(block);
    await this.#tell(block, 'page', {
      format,
      basis,
      slots: slots.counts(),
      runs: () => slots.runs(),
      lostBytes,
      movedNodes,
      isSealed: !isSound,
      problems,
      ...(flippedBit === undefined ? {} : { flippedBit }),
      ...(note === undefined ? {} : { note }),
    });
  }

  /** A block behind the last one that is counted: part of the file only where another program has written it, which counts later. */
  async #takeUncounted(block: number): Promise<void> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.#found.view.read(head, fileOffset(block));
    if (pageFormatOf(head) !== undefined && (PAGE_HEADER.read(head).flags & PAGE_FLAG.hasChecksum) === 0) {
      await this.#takeBlock(block, 'of another program, behind the blocks that the file header counts', true);
      return;
    }
    await this.#tell(block, 'uncounted');
  }

  async #addMissing(first: number, count: number): Promise<void> {
    this.#totals.lostBlocks += count;
    const end = first + Math.min(count, Math.max(first, MIN_MISSING_BLOCKS));
    this.#totals.unreservedBlocks = first + count - end;
    for (let block = first; block < end; block++) {
      this.#options.signal?.throwIfAborted();
      await this.#takeNothing(block);
      await this.#tell(block, 'missing', { isSealed: true });
    }
  }

  /** An empty page that takes no node, so that none gets a ref of those that are lost. */
  async #takeNothing(block: number): Promise<void> {
    await this.#builder.beginPage(this.#lastFormat, block);
    await this.#builder.endPage(true);
  }

  /** Puts the nodes that had no room at their refs into pages behind all others. */
  async #move(firstBlock: number): Promise<void> {
    const moved = new MovedNodes(this.#builder, firstBlock, (run) => this.#report.moved(run));
    for (let block = 1; block < firstBlock && this.#crowded.size > 0; block++) {
      if (!this.#crowded.has(block)) continue;
      this.#options.signal?.throwIfAborted();
      const found = await this.#reader.read(block, true);
      if (found.kind !== 'page') continue;
      const { bytes, slots } = this.#reader;
      const { format } = found.fate;
      const writer = newPage(format);
      for (const slot of placeNodes(bytes, format, slots, writer.add.bind(writer))) {
        await moved.add(block, slot, format, bytes, slots.nodeOffset(slot), slots.nodeBytes(slot));
      }
    }
    await moved.end();
  }

  async #finish(blocks: number): Promise<RecoverSummary> {
    const { header, source, view } = this.#found;
    const totals = this.#totals;
    const { outcome, reason, root } = judgeRoot({
      found: this.#found,
      isWhole: totals.isWhole,
      unverifiedNodes: totals.slots.unverified,
      blocks,
      rootPageSlots: this.#rootPageSlots,
      keepRoot: this.#options.keepRoot === true,
    });
    const blockCount = Math.max(blocks, this.#builder.block);
    await this.#builder.finish(blockCount, root);
    return {
      file: view.name,
      target: this.#target.name,
      bytes: this.#fileBytes,
      blocks: blockCount,
      header: source,
      pages: totals.pages,
      intactPages: totals.intactPages,
      freeBlocks: totals.freeBlocks,
      unwrittenBlocks: totals.unwrittenBlocks,
      lostBlocks: totals.lostBlocks,
      unreservedBlocks: totals.unreservedBlocks,
      uncountedBlocks: totals.uncountedBlocks,
      slots: totals.slots,
      nodes: totals.nodes,
      movedNodes: totals.movedNodes,
      lostBytes: totals.lostBytes,
      root: outcome,
      ...(reason === undefined ? {} : { rootReason: reason }),
      rootPointer: header.rootPointer,
      isWhole: totals.isWhole,
    };
  }

  async #tell(block: number, kind: BlockKind, fields?: Partial<BlockReport>): Promise<void> {
    const report = reportOf(block, kind, fields);
    this.#totals.add(report);
    await this.#report.block(report);
  }
}

/** Blocks that the file should have, block 0 counted. */
function countedBlocks({ source, header, isCountProven, fileBytes }: FoundHeader): number {
  const started = Math.max(1, Math.ceil(fileBytes / BLOCK_BYTES));
  const counted = Math.min(header.blockCount, MAX_BLOCKS);
  return source === 'lost' ? started : isCountProven ? counted : Math.max(started, counted);
}
