import type { BlockFile } from '../disk/block-file.ts';
import { BlockSet } from '../disk/free-list.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { fileHeaderProblems, fileSizeProblems, headerCopyProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, fileOffset, MAX_BLOCKS, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { maxNodeBytes, newPageWriter } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { findLikelyFreeBlocks } from '../salvage/free-blocks.ts';
import type { SlotTable } from '../salvage/page-slots.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { BlockRecovery, type PageFound } from './block-recovery.ts';
import { decideRoot, type FoundHeader, rootPage } from './file-header.ts';
import {
  type BlockKind,
  type BlockReport,
  type MovedRun,
  type RecoverOptions,
  type RecoverReport,
  RecoveryTotals,
  reportOf,
  tallyProblems,
} from './report.ts';

/**
 * At most so many bytes of nodes of one page are moved to other pages. Overlapping slots can contain the same bytes 100,000
 * times, and one page must not fill a disk.
 */
const MAX_MOVED_BYTES = BLOCK_BYTES;

/**
 * Adds the nodes of a page to a new one, each in its slot, with an empty node in place of one that is lost or does not fit.
 * Nodes that are too long to be moved become lost.
 * @param add - adds `bytes[start, end)`, or returns false if it does not fit
 * @returns the slots of the nodes that did not fit, in ascending order
 */
export function* placeNodes(
  bytes: Uint8Array,
  format: PageFormat,
  slots: SlotTable,
  add: (bytes: Uint8Array, start: number, end: number) => boolean,
): Generator<number> {
  const longest = maxNodeBytes(format);
  let movedBytes = 0;
  let isFull = false;
  for (let slot = 0; slot < slots.count; slot++) {
    if (!slots.isLost(slot)) {
      const start = slots.nodeOffset(slot);
      const nodeBytes = slots.nodeBytes(slot);
      if (!isFull && add(bytes, start, start + nodeBytes)) continue;
      if (nodeBytes <= longest && movedBytes + nodeBytes <= MAX_MOVED_BYTES) {
        movedBytes += nodeBytes;
        yield slot;
      } else {
        slots.lose(slot);
      }
    }
    isFull ||= !add(bytes, 0, 0);
  }
}

/** Writes nodes that cannot keep their refs to pages after all others, and reports their new refs. */
export class MovedNodes {
  readonly #builder: PageFileBuilder;
  readonly #onMoved: (run: MovedRun) => void | Promise<void>;
  #firstBlock: number;
  #format: PageFormat | undefined;
  #run: { block: number; slot: number; newBlock: number; newSlot: number; count: number } | undefined;

  /** @param firstBlock - the block of the first of these pages */
  constructor(builder: PageFileBuilder, firstBlock: number, onMoved: (run: MovedRun) => void | Promise<void>) {
    this.#builder = builder;
    this.#firstBlock = firstBlock;
    this.#onMoved = onMoved;
  }

  /** Adds the node `bytes[start, start + nodeBytes)`, which fits in an empty page of this format. */
  async add(
    block: number,
    slot: number,
    format: PageFormat,
    bytes: Uint8Array,
    start: number,
    nodeBytes: number,
  ): Promise<void> {
    if (this.#format !== format || !this.#builder.add(bytes, start, start + nodeBytes)) {
      await this.#endPage();
      await this.#builder.beginPage(format, Math.max(this.#firstBlock, this.#builder.block));
      this.#format = format;
      this.#builder.add(bytes, start, start + nodeBytes);
    }
    const [newBlock, newSlot] = [this.#builder.block, this.#builder.slotCount - 1];
    const run = this.#run;
    const goesOn = run?.block === block && run.slot + run.count === slot && run.newBlock === newBlock;
    if (run && goesOn) {
      run.count++;
    } else {
      await this.#endRun();
      this.#run = { block, slot, newBlock, newSlot, count: 1 };
    }
  }

  async end(): Promise<void> {
    await this.#endRun();
    await this.#endPage();
  }

  async #endRun(): Promise<void> {
    if (this.#run) await this.#onMoved(this.#run);
    this.#run = undefined;
  }

  async #endPage(): Promise<void> {
    if (this.#format !== undefined) await this.#builder.endPage(false);
    this.#format = undefined;
  }
}

/** The report on block 0. */
function headerReport(found: FoundHeader): BlockReport {
  return reportOf(0, 'header', { source: found.source, problems: tallyProblems(headerProblems(found)) });
}

function* headerProblems({ head, header, source, fileBytes }: FoundHeader): Generator<Problem> {
  yield* fileHeaderProblems(FILE_HEADER.read(head));
  if (source !== 'lost') yield* fileSizeProblems(header, fileBytes);
  yield* headerCopyProblems(head);
}

/** Missing blocks at the end of the file become empty pages: as many as the file has blocks, or this many. */
const MIN_MISSING_BLOCKS = 16;

/** One recovery, from the first block to the last. */
export class FileRecovery {
  readonly #found: FoundHeader;
  readonly #fileBytes: number;
  readonly #target: BlockFile;
  readonly #builder: PageFileBuilder;
  readonly #blocks: BlockRecovery;
  readonly #options: RecoverOptions;
  readonly #free: BlockSet;
  /** Blocks with nodes that do not fit at their refs. */
  readonly #crowded: BlockSet;
  readonly #totals = new RecoveryTotals();
  #lastFormat: PageFormat = 'v1';
  readonly #rootBlock: number | undefined;
  #rootPageSlots = -1;

  private constructor(
    found: FoundHeader,
    target: BlockFile,
    builder: PageFileBuilder,
    options: RecoverOptions,
    free: BlockSet,
  ) {
    this.#found = found;
    this.#fileBytes = found.fileBytes;
    this.#target = target;
    this.#builder = builder;
    this.#blocks = new BlockRecovery(found);
    this.#options = options;
    this.#free = free;
    this.#rootBlock = rootPage(found)?.block;
    this.#crowded = new BlockSet(Math.ceil(found.fileBytes / BLOCK_BYTES));
  }

  static async run(found: FoundHeader, target: BlockFile, options: RecoverOptions): Promise<RecoverReport> {
    const builder = await PageFileBuilder.begin(target);
    const blocks = Math.min(countedBlocks(found), Math.ceil(found.fileBytes / BLOCK_BYTES));
    const free = await findLikelyFreeBlocks(found.view, found.header.freeListHead, blocks, options.signal);
    return new FileRecovery(found, target, builder, options, free).#run();
  }

  async #run(): Promise<RecoverReport> {
    const { header, source, isCountProven } = this.#found;
    const started = Math.ceil(this.#fileBytes / BLOCK_BYTES);
    const counted = countedBlocks(this.#found);
    await this.#options.onBlock?.(headerReport(this.#found));
    for (let block = 1; block < Math.min(counted, started); block++) {
      await this.#pause(block, started);
      // Under a header that may be older, blocks after its count are still read for what they are.
      const isUncounted = !isCountProven && source !== 'lost' && block >= header.blockCount;
      await this.#recoverBlock(block, isUncounted ? `after the blocks that the ${source} counts` : undefined, false);
    }
    for (let block = counted; fileOffset(block + 1) <= this.#fileBytes; block++) {
      await this.#pause(block, started);
      await this.#recoverUncounted(block);
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

  /** @param isDoubtful - whether nothing proves that the block is part of the file */
  async #recoverBlock(block: number, note: string | undefined, isDoubtful: boolean): Promise<void> {
    if (this.#free.has(block)) {
      await this.#report(block, 'free');
      return;
    }
    const found = await this.#blocks.recover(block, isDoubtful);
    if (found.kind === 'unwritten') {
      await this.#builder.skipBlock(block);
      await this.#report(block, 'unwritten');
    } else if (found.kind === 'unknown') {
      await this.#writeEmptyPage(block);
      await this.#report(block, 'unknown', { isSealed: true, lostBytes: found.lostBytes, problems: found.problems });
    } else {
      await this.#recoverPage(block, found, note);
    }
  }

  async #recoverPage(block: number, found: PageFound, note: string | undefined): Promise<void> {
    const { recovered, problems } = found;
    const { bytes, slots } = this.#blocks;
    const { format, basis, isValid, lostBytes, flippedBit } = recovered;
    this.#lastFormat = format;
    let movedNodes = 0;
    if (isValid) {
      await this.#builder.addBlock(bytes, slots.count, block);
    } else {
      await this.#builder.beginPage(format, block);
      const add = this.#builder.add.bind(this.#builder);
      for (const _ of placeNodes(bytes, format, slots, add)) movedNodes++;
    }
    if (block === this.#rootBlock) this.#rootPageSlots = isValid ? slots.count : this.#builder.slotCount;
    // A new node must not get the ref of a lost one, and it is not certain how many were lost.
    if (!isValid) await this.#builder.endPage(true);
    if (movedNodes > 0) this.#crowded.add(block);
    await this.#report(block, 'page', {
      format,
      basis,
      slots: slots.counts(),
      runs: () => slots.runs(),
      lostBytes,
      movedNodes,
      isSealed: !isValid,
      problems,
      ...(flippedBit === undefined ? {} : { flippedBit }),
      ...(note === undefined ? {} : { note }),
    });
  }

  /** A block after the last one that is counted: part of the file only if another program wrote it, which counts blocks later. */
  async #recoverUncounted(block: number): Promise<void> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.#found.view.read(head, fileOffset(block));
    if (pageFormatOf(head) !== undefined && (PAGE_HEADER.read(head).flags & PAGE_FLAG.hasChecksum) === 0) {
      await this.#recoverBlock(block, 'of another program, after the blocks that the file header counts', true);
      return;
    }
    await this.#report(block, 'uncounted');
  }

  async #addMissing(first: number, count: number): Promise<void> {
    this.#totals.lostBlocks += count;
    const end = first + Math.min(count, Math.max(first, MIN_MISSING_BLOCKS));
    this.#totals.unreservedBlocks = first + count - end;
    for (let block = first; block < end; block++) {
      this.#options.signal?.throwIfAborted();
      await this.#writeEmptyPage(block);
      await this.#report(block, 'missing', { isSealed: true });
    }
  }

  /** A finalized empty page, so that no node that is appended later gets the ref of a lost one. */
  async #writeEmptyPage(block: number): Promise<void> {
    await this.#builder.beginPage(this.#lastFormat, block);
    await this.#builder.endPage(true);
  }

  /** Writes the nodes that do not fit at their refs to pages after all others. */
  async #move(firstBlock: number): Promise<void> {
    const moved = new MovedNodes(this.#builder, firstBlock, (run) => this.#options.onMoved?.(run));
    for (let block = 1; block < firstBlock && this.#crowded.size > 0; block++) {
      if (!this.#crowded.has(block)) continue;
      this.#options.signal?.throwIfAborted();
      const found = await this.#blocks.recover(block, true);
      if (found.kind !== 'page') continue;
      const { bytes, slots } = this.#blocks;
      const { format } = found.recovered;
      const writer = newPageWriter(format);
      for (const slot of placeNodes(bytes, format, slots, writer.add.bind(writer))) {
        await moved.add(block, slot, format, bytes, slots.nodeOffset(slot), slots.nodeBytes(slot));
      }
    }
    await moved.end();
  }

  async #finish(blocks: number): Promise<RecoverReport> {
    const { header, source, view } = this.#found;
    const totals = this.#totals;
    const { outcome, reason, root } = decideRoot({
      found: this.#found,
      isWhole: totals.isWhole,
      unverifiedNodes: totals.slots.unverified,
      blocks,
      rootPageSlots: this.#rootPageSlots,
      keepRoot: this.#options.keepRoot === true,
    });
    const blockCount = Math.max(blocks, this.#builder.block);
    await this.#builder.finish(blockCount, root);
    await this.#options.onDurable?.();
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

  async #report(block: number, kind: BlockKind, fields?: Partial<BlockReport>): Promise<void> {
    const report = reportOf(block, kind, fields);
    this.#totals.add(report);
    await this.#options.onBlock?.(report);
  }
}

/** How many blocks the file should have, block 0 included. */
function countedBlocks({ source, header, isCountProven, fileBytes }: FoundHeader): number {
  const started = Math.max(1, Math.ceil(fileBytes / BLOCK_BYTES));
  const counted = Math.min(header.blockCount, MAX_BLOCKS);
  return source === 'lost' ? started : isCountProven ? counted : Math.max(started, counted);
}
