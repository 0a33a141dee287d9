import type { BlockFile } from '../disk/block-file.ts';
import { BlockSet } from '../disk/free-list.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { fileHeaderProblems, fileSizeProblems, headerCopyProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { commitOf, PAGE_FLAG, PAGE_HEADER, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { maxNodeBytes, newPageWriter } from '../format/page.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { findLikelyFreeBlocks, type LikelyFreeBlocks } from '../salvage/free-blocks.ts';
import { noSlots, SLOT_STATES, type SlotTable } from '../salvage/page-slots.ts';
import { PageFileBuilder } from '../store/page-file-builder.ts';
import { BlockRecovery, type PageFound } from './block-recovery.ts';
import type { DigestResult } from '../verify/digest-rules.ts';
import { SourceHeads } from './source-heads.ts';
import { decideRoot, type FoundHeader, rootPage } from './file-header.ts';
import {
  type BlockKind,
  type BlockReport,
  type RecoverOptions,
  type RecoverReport,
  reportOf,
  tallyProblems,
} from './report.ts';

/** Overlapping slots can contain the same bytes 100,000 times: bounds the moved nodes of one page. */
const MAX_MOVED_BYTES = BLOCK_BYTES;

/**
 * Adds each node in its slot, and a lost slot if it is lost or does not fit. Nodes too long to move become lost.
 * @param writer - its methods return false if there is no room
 * @returns the slots that did not fit, in ascending order
 */
function* placeNodes(
  bytes: Uint8Array,
  format: PageFormat,
  slots: SlotTable,
  writer: {
    add(bytes: Uint8Array, start: number, end: number): boolean;
    addLost(): boolean;
  },
): Generator<number> {
  const longest = maxNodeBytes(format);
  let movedBytes = 0;
  let isFull = false;
  for (let slot = 0; slot < slots.count; slot++) {
    if (!slots.isLost(slot)) {
      const start = slots.nodeOffset(slot);
      const nodeBytes = slots.nodeBytes(slot);
      if (!isFull && writer.add(bytes, start, start + nodeBytes)) continue;
      if (nodeBytes <= longest && movedBytes + nodeBytes <= MAX_MOVED_BYTES) {
        movedBytes += nodeBytes;
        yield slot;
      } else {
        slots.lose(slot);
      }
    }
    isFull ||= !writer.addLost();
  }
}

/** Writes nodes that cannot keep their refs after all blocks, and reports their new refs. */
class MovedNodes {
  readonly #builder: PageFileBuilder;
  readonly #firstBlock: number;
  readonly #onMoved: RecoverOptions['onMoved'];
  #format: PageFormat | undefined;
  #run: { block: number; slot: number; newBlock: number; newSlot: number; count: number } | undefined;

  constructor(builder: PageFileBuilder, firstBlock: number, onMoved: RecoverOptions['onMoved']) {
    this.#builder = builder;
    this.#firstBlock = firstBlock;
    this.#onMoved = onMoved;
  }

  async add(block: number, slot: number, format: PageFormat, bytes: Uint8Array, slots: SlotTable): Promise<void> {
    const builder = this.#builder;
    const start = slots.nodeOffset(slot);
    const end = start + slots.nodeBytes(slot);
    if (this.#format !== format || !builder.add(bytes, start, end)) {
      await this.#endPage();
      await builder.beginPage(format, Math.max(this.#firstBlock, builder.block));
      this.#format = format;
      builder.add(bytes, start, end);
    }
    const run = this.#run;
    if (run?.block === block && run.slot + run.count === slot && run.newBlock === builder.block) {
      run.count++;
      return;
    }
    if (run) await this.#onMoved?.(run);
    this.#run = { block, slot, newBlock: builder.block, newSlot: builder.slotCount - 1, count: 1 };
  }

  async end(): Promise<void> {
    if (this.#run) await this.#onMoved?.(this.#run);
    await this.#endPage();
  }

  async #endPage(): Promise<void> {
    if (this.#format !== undefined) await this.#builder.endPage(false);
  }
}

/** Missing blocks at the end become empty pages: at most as many as the file has, or this many. */
const MIN_MISSING_BLOCKS = 16;

/** Of a broken free list: to try more takes longer than a moment. */
const MAX_LINK_TARGETS = 65_536;

export class FileRecovery {
  readonly #found: FoundHeader;
  readonly #builder: PageFileBuilder;
  readonly #free: LikelyFreeBlocks;
  readonly #options: RecoverOptions;
  readonly #blocks: BlockRecovery;
  readonly #heads: SourceHeads;
  /** Reads blocks ahead, where a page is in the place of another one. */
  #ahead: BlockRecovery | undefined;
  /** Blocks with nodes that do not fit at their refs. */
  readonly #crowded = new BlockSet(0);
  readonly #totals = {
    pages: 0,
    intactPages: 0,
    freeBlocks: 0,
    unwrittenBlocks: 0,
    lostBlocks: 0,
    unreservedBlocks: 0,
    uncountedBlocks: 0,
    slots: noSlots(),
    nodes: 0,
    movedNodes: 0,
    restoredPages: 0,
    lostBytes: 0,
  };
  /** Pages with a header of the new file's own, so that the digest cannot match. */
  #rebuiltPages = 0;
  /** Highest commit number in a page, and its block. */
  #newest = { block: 0, commit: 0 };
  #lastFormat: PageFormat = 'v1';
  #rootPageSlots = -1;

  private constructor(
    found: FoundHeader,
    builder: PageFileBuilder,
    free: LikelyFreeBlocks,
    heads: SourceHeads,
    options: RecoverOptions,
  ) {
    this.#found = found;
    this.#builder = builder;
    this.#free = free;
    this.#heads = heads;
    this.#options = options;
    this.#blocks = new BlockRecovery(found);
  }

  static async run(found: FoundHeader, target: BlockFile, options: RecoverOptions): Promise<RecoverReport> {
    const { header, view, countedBlocks, startedBlocks } = found;
    const builder = await PageFileBuilder.begin(target, options.signal);
    const blocks = Math.min(countedBlocks, startedBlocks);
    const free = await findLikelyFreeBlocks(view, header.freeListHead, blocks, options);
    const heads = await SourceHeads.read(view, blocks, found.digest, options);
    return new FileRecovery(found, builder, free, heads, options).#run(target.name);
  }

  async #run(target: string): Promise<RecoverReport> {
    const { head, header, source, isCountProven, fileBytes, startedBlocks, countedBlocks } = this.#found;
    const problems = tallyProblems([
      ...fileHeaderProblems(FILE_HEADER.read(head)),
      ...this.#found.headProblems,
      ...(source === 'lost' ? [] : fileSizeProblems(header, fileBytes)),
      ...headerCopyProblems(head),
    ]);
    await this.#report(0, 'header', { source, problems });
    const presentBlocks = Math.min(countedBlocks, startedBlocks);
    for (let block = 1; block < presentBlocks; block++) {
      await this.#beginBlock(block);
      // The header may be older, so blocks after its count are recovered too.
      const isUncounted = !isCountProven && source !== 'lost' && block >= header.blockCount;
      await this.#recoverBlock(block, isUncounted ? `after the blocks that the ${source} counts` : undefined, false);
    }
    for (let block = countedBlocks; fileOffset(block + 1) <= fileBytes; block++) {
      await this.#beginBlock(block);
      await this.#recoverUncounted(block);
    }
    await this.#addMissing(startedBlocks, countedBlocks - startedBlocks);
    const blocks = Math.max(this.#builder.block, presentBlocks);
    await this.#move(blocks);
    return this.#finish(blocks, target);
  }

  async #beginBlock(block: number): Promise<void> {
    const { signal } = this.#options;
    const pause = betweenBlocks(block, this.#found.startedBlocks, { signal });
    if (pause) await pause;
    signal?.throwIfAborted();
    await this.#options.onProgress?.(block, this.#found.startedBlocks);
  }

  async #recoverBlock(block: number, note: string | undefined, isDoubtful: boolean): Promise<void> {
    const place = this.#heads.placeOf(block);
    if (place > 0 && (await this.#belongsIn(block, place)) && (await this.#placePage(block, place))) return undefined;
    if (this.#free.free.has(block)) return this.#report(block, 'free');
    const found = await this.#blocks.recover(block, isDoubtful);
    if (found.kind === 'page') return this.#recoverPage(block, found, note);
    if (found.kind === 'misplaced') {
      const { home, problems } = found;
      await this.#writeEmptyPage(block);
      const isUsed = this.#heads.placeOf(home) === block && (await this.#belongsIn(home, block));
      const outcome = isUsed
        ? `its page is in block ${home} of the new file`
        : `its page was left out, as block ${home} has its own`;
      return this.#report(block, 'misplaced', { isSealed: true, problems, note: outcome });
    }
    if (found.kind === 'unwritten') {
      await this.#builder.skipBlock(block);
      return this.#report(block, 'unwritten');
    }
    await this.#writeEmptyPage(block);
    return this.#report(block, 'unknown', { isSealed: true, lostBytes: found.lostBytes, problems: found.problems });
  }

  /** Whether the page of `block` that is in `place` is the best that there is of it. */
  async #belongsIn(block: number, place: number): Promise<boolean> {
    const { countedBlocks, startedBlocks } = this.#found;
    if (block >= Math.min(countedBlocks, startedBlocks)) return false;
    // It was freed after the page was written.
    if (this.#free.isListed(block)) return false;
    const ahead = (this.#ahead ??= new BlockRecovery(this.#found));
    const own = await ahead.recover(block, false);
    if (own.kind === 'page' && own.isValid) return false;
    const ownNodes = own.kind === 'page' ? ahead.slots.count - ahead.slots.counts().lost : 0;
    const placed = await ahead.recoverFrom(place, block);
    return placed !== undefined && ahead.slots.count >= ownNodes;
  }

  /** @returns false if the page is no longer there */
  async #placePage(block: number, place: number): Promise<boolean> {
    const found = await this.#blocks.recoverFrom(place, block);
    if (found === undefined) return false;
    this.#totals.restoredPages++;
    await this.#heads.replace(block, this.#blocks.bytes);
    await this.#recoverPage(block, found, `found in block ${place}`);
    return true;
  }

  async #recoverPage(block: number, found: PageFound, note: string | undefined): Promise<void> {
    const { kind, isValid, ...fields } = found;
    const { bytes, slots } = this.#blocks;
    this.#lastFormat = found.format;
    let movedNodes = 0;
    if (isValid) {
      // The checksum proves that a repaired header is the one that was lost.
      if (found.basis !== 'header') await this.#heads.replace(block, bytes, this.#blocks.foundHead);
      const commit = commitOf(bytes);
      if (commit > this.#newest.commit) this.#newest = { block, commit };
      await this.#builder.addBlock(bytes, slots.count, block);
    } else {
      this.#rebuiltPages++;
      await this.#builder.beginPage(found.format, block);
      for (const _ of placeNodes(bytes, found.format, slots, this.#builder)) movedNodes++;
    }
    if (block === rootPage(this.#found)?.block) this.#rootPageSlots = isValid ? slots.count : this.#builder.slotCount;
    // A new node must not get the ref of a lost one, and the number of lost ones is uncertain.
    if (!isValid) await this.#builder.endPage(true);
    if (movedNodes > 0) this.#crowded.add(block);
    await this.#report(block, kind, {
      ...fields,
      slots: slots.counts(),
      runs: () => slots.runs(),
      movedNodes,
      isSealed: !isValid,
      ...(note === undefined ? {} : { note }),
    });
  }

  async #recoverUncounted(block: number): Promise<void> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.#found.view.read(head, fileOffset(block));
    if (pageFormatOf(head) !== undefined && this.#isAfterHeader(head)) {
      return this.#recoverBlock(block, 'after the blocks that the file header counts, which is out of date', true);
    }
    if (pageFormatOf(head) === undefined || (PAGE_HEADER.read(head).flags & PAGE_FLAG.hasChecksum) !== 0) {
      return this.#report(block, 'uncounted');
    }
    return this.#recoverBlock(block, 'of another program, after the blocks that the file header counts', true);
  }

  /**
   * Whether a page that is not counted may have been committed by a newer header. An interrupted batch has the next number;
   * with another header than that of block 0, it may also be the commit whose header was lost.
   */
  #isAfterHeader(head: Uint8Array): boolean {
    const { digest, source } = this.#found;
    const { state } = digest;
    const next = source === 'block 0' ? 1 : 0;
    return state !== undefined && (this.#newest.commit > state.commit || commitOf(head) > state.commit + next);
  }

  async #addMissing(first: number, missing: number): Promise<void> {
    if (missing <= 0) return;
    const reserved = Math.min(missing, Math.max(first, MIN_MISSING_BLOCKS));
    this.#totals.lostBlocks += missing;
    this.#totals.unreservedBlocks = missing - reserved;
    for (let block = first; block < first + reserved; block++) {
      this.#options.signal?.throwIfAborted();
      await this.#writeEmptyPage(block);
      await this.#report(block, 'missing', { isSealed: true });
    }
  }

  /** A finalized empty page: no later node gets the ref of a lost one. */
  async #writeEmptyPage(block: number): Promise<void> {
    await this.#builder.beginPage(this.#lastFormat, block);
    await this.#builder.endPage(true);
  }

  /** A second pass over these blocks, to keep no node in memory. */
  async #move(firstBlock: number): Promise<void> {
    const moved = new MovedNodes(this.#builder, firstBlock, this.#options.onMoved);
    for (let block = 1; block < firstBlock && this.#crowded.size > 0; block++) {
      if (!this.#crowded.has(block)) continue;
      this.#options.signal?.throwIfAborted();
      const found = await this.#blocks.recover(block, true);
      if (found.kind !== 'page') continue;
      const { bytes, slots } = this.#blocks;
      const writer = newPageWriter(found.format);
      for (const slot of placeNodes(bytes, found.format, slots, writer)) {
        await moved.add(block, slot, found.format, bytes, slots);
      }
    }
    await moved.end();
  }

  async #finish(blocks: number, target: string): Promise<RecoverReport> {
    const { header, source, view, fileBytes } = this.#found;
    const totals = this.#totals;
    const { mended, doubtful, lost, unverified } = totals.slots;
    const digest = await this.#digestResult();
    const missing = this.#missing(digest);
    const isWhole =
      mended + doubtful + lost + totals.movedNodes + totals.lostBlocks + totals.lostBytes === 0 &&
      missing === undefined;
    const { outcome, reason, root } = decideRoot(this.#found, {
      isWhole,
      unverifiedNodes: unverified,
      blocks,
      rootPageSlots: this.#rootPageSlots,
      keepRoot: this.#options.keepRoot === true,
    });
    const blockCount = Math.max(blocks, this.#builder.block);
    await this.#builder.finish(blockCount, root);
    await this.#options.onDurable?.();
    return {
      file: view.name,
      target,
      bytes: fileBytes,
      blocks: blockCount,
      header: source,
      ...totals,
      root: outcome,
      ...(reason === undefined ? {} : { rootReason: reason }),
      rootPointer: header.rootPointer,
      digest,
      ...(missing === undefined ? {} : { missing }),
      isWhole,
    };
  }

  /** Why the header that was used may not be the newest. */
  #outdated(): string | undefined {
    const { digest, isOutdated } = this.#found;
    if (isOutdated)
      return 'the file header is out of date, and no newer one is proved by the pages, so nodes may be lost';
    const { block, commit } = this.#newest;
    const ofHeader = digest.state?.commit ?? Infinity;
    if (commit <= ofHeader) return undefined;
    return `the file header is out of date: it is of commit ${ofHeader}, and block ${block} of commit ${commit}, so nodes may be lost`;
  }

  async #digestResult(): Promise<DigestResult> {
    const { digest, view } = this.#found;
    if (digest.kind !== 'valid') return digest.kind;
    const outdated = this.#outdated();
    if (outdated === undefined && this.#heads.isMatch) return 'matches';
    await view.refresh();
    if (view.hasChanged) return 'unchecked';
    for (const block of outdated === undefined ? this.#free.suspects : [])
      if (await this.#heads.isMatchWithLink(block, this.#linkTargets())) return 'matches';
    return 'differs';
  }

  /** Where the wrong link of the free list may have led. */
  *#linkTargets(): Generator<number> {
    yield 0;
    const { countedBlocks, startedBlocks } = this.#found;
    let targets = 0;
    for (let block = 1; block < Math.min(countedBlocks, startedBlocks) && targets < MAX_LINK_TARGETS; block++) {
      if (!this.#free.free.has(block) || this.#free.isListed(block)) continue;
      targets++;
      yield block;
    }
  }

  /** Why nodes may be lost of which no block has a trace. */
  #missing(result: DigestResult): string | undefined {
    const { slots, lostBlocks, restoredPages } = this.#totals;
    const { header } = this.#found;
    if (result === 'unchecked') return 'a writer was active, so it is not known whether nodes are missing';
    const outdated = this.#outdated();
    if (outdated !== undefined) return outdated;
    if (result === 'damaged') return 'the digest of the page headers is damaged, so a lost page would leave no trace';
    // Damage that is reported, or another program, can be the reason of what follows.
    const isExplained = this.#rebuiltPages + lostBlocks > 0;
    if (result === 'differs' && !isExplained)
      return `the page headers do not add up to the digest of the last commit: a page is lost, or is an older state of itself`;
    if (result !== 'matches' && restoredPages > 0 && !isExplained)
      return `pages were in the place of others, and no digest proves that they are the newest`;
    const found = BigInt(SLOT_STATES.reduce((sum, state) => sum + slots[state], 0));
    if (header.rootPointer === 0n && header.entryCount > found && !isExplained)
      return `the file header counts ${header.entryCount} nodes, and ${found} were found`;
    return undefined;
  }

  async #report(block: number, kind: BlockKind, fields?: Partial<BlockReport>): Promise<void> {
    const report = reportOf(block, kind, fields);
    this.#count(report);
    await this.#options.onBlock?.(report);
  }

  #count({ kind, slots, lostBytes, movedNodes, isSealed, basis, note }: BlockReport): void {
    const totals = this.#totals;
    for (const state of SLOT_STATES) {
      totals.slots[state] += slots[state];
      if (state !== 'lost') totals.nodes += slots[state];
    }
    totals.lostBytes += lostBytes;
    totals.movedNodes += movedNodes;
    if (kind === 'page') totals.pages++;
    if (kind === 'page' && !isSealed && basis === 'header' && lostBytes === 0 && note === undefined)
      totals.intactPages++;
    if (kind === 'free') totals.freeBlocks++;
    if (kind === 'unwritten') totals.unwrittenBlocks++;
    if (kind === 'unknown' || kind === 'misplaced') totals.lostBlocks++;
    if (kind === 'uncounted') totals.uncountedBlocks++;
  }
}
