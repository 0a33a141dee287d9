import { type BlockFile, OverlaidFile, type Overlay } from '../disk/block-file.ts';
import { isCheckpointed, recordFitsHeaders } from '../disk/committed-view.ts';
import { BlockSet } from '../disk/free-list.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import {
  commitRecordProblems,
  fileHeaderProblems,
  fileSizeProblems,
  freeListHeadProblems,
  headerCopyProblems,
  rootDescriptorFieldRange,
} from '../format/header-checks.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { encodeEmptyPageHeader, PAGE_HEADER } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { BlockReader, hasZerosAfterLink, NonPages } from '../salvage/block-kind.ts';
import { lostPageProblem } from '../salvage/evidence.ts';
import { checkFreeList, isListKnown, isZeroedPage } from '../salvage/free-blocks.ts';
import { noRootRecordMessage, rootDescriptorOf, rootPlaceOf } from '../salvage/evidence.ts';
import { entryCountProblems, whyNotCounted } from '../verify/whole-rules.ts';
import { Block0Plan, FreeListPlan } from './block0-plan.ts';
import { type FileState, repairFileState } from './header-repair.ts';
import { isProven, type PageRepair, renewChecksum, repairBlock, restoreMagic } from './page-repair.ts';
import type { PlanOutput, RepairReport, RepairScanOptions } from './repairs.ts';

/**
 * Reads the whole file and outputs every repair, those of block 0 last.
 * @returns the report, and the checkpointed commit records: write the blocks that they cover again first
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION` for a newer version, `IO`
 */
export async function planRepair(
  file: BlockFile,
  output: PlanOutput,
  options: RepairScanOptions,
): Promise<{ readonly report: RepairReport; readonly checkpointed: readonly CommitRecord[] }> {
  const state = await repairFileState(file, options.signal);
  const { view, header, head, fileBytes, repairedHeader, whyLost, lostPages } = state;
  const isKnown = whyLost === undefined;
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  const blocks = isKnown ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
  const root = isKnown ? rootPlaceOf(header, rootDescriptorOf(head), wholeBlocks) : undefined;
  let rootSlots = -1;
  const scan = new BlockScan(state, blocks, output, options);
  for (let block = 1; block < blocks; block++) {
    options.signal?.throwIfAborted();
    const page = await scan.check(block);
    if (page && block === root?.block) rootSlots = page.directory.count;
    await options.onProgress?.(block + 1, blocks);
  }
  await view.refresh();
  const changed = view.hasChanged;
  if (isKnown && !changed) await scan.restoreZeroed();
  const again = await mayHaveValidatedRecord(scan);
  for (const { record, found } of state.restoredPages) {
    await output.changeFields('page-record', PAGE_HEADER, fileOffset(record.block), found, record.blockHead);
  }
  // Emptying the records would lose the only header of such a page.
  const keepsRecords = again || lostPages.some((block) => !scan.repaired.has(block));
  const plan = new Block0Plan(state, output, !keepsRecords);
  let checkpointed: readonly CommitRecord[] = [];
  if (!isKnown) {
    await leaveHeader(head, whyLost, output);
  } else if (!changed && !(keepsRecords && repairedHeader?.checkpointsRecords === true)) {
    // A header from another source may be older than a record that becomes valid.
    for (const problem of fileSizeProblems(header, fileBytes)) await output.left(problem);
    if (!keepsRecords) await planCounts(scan, plan);
    else if (!again) await leaveUnknown(scan, checkFreeList(header, scan.others, blocks).free);
    await plan.emit(blocks);
    if (plan.checkpointsRecords) checkpointed = state.pendingRecords;
    if (root && root.slot >= rootSlots) {
      const { offset } = rootDescriptorFieldRange('rootRecord');
      const message = noRootRecordMessage(root, rootSlots);
      await output.left({ code: 'ROOT_DESCRIPTOR', severity: 'error', block: 0, offset, message });
    }
  }
  const { changes, errors: left, warnings } = output;
  const { stalePages } = scan;
  return { checkpointed, report: { file: file.name, blocks, changes, left, warnings, stalePages, again, changed } };
}

/** Reads each block, plans the repair of pages, and collects what the file header is checked against. */
class BlockScan {
  readonly state: FileState;
  readonly blocks: number;
  readonly output: PlanOutput;
  readonly others: NonPages = new NonPages();
  readonly withZerosAfterLink: BlockSet;
  readonly repaired: BlockSet;
  /** New page headers of repaired blocks with a commit record: two at most. */
  readonly repairedHeads: Overlay[] = [];
  nodes = 0;
  damagedPages = 0;
  stalePages = 0;
  readonly #options: RepairScanOptions;
  readonly #reader = new BlockReader();

  constructor(state: FileState, blocks: number, output: PlanOutput, options: RepairScanOptions) {
    this.state = state;
    this.blocks = blocks;
    this.output = output;
    this.#options = options;
    this.withZerosAfterLink = new BlockSet(blocks);
    this.repaired = new BlockSet(blocks);
  }

  async check(block: number): Promise<Page | undefined> {
    const { view, pendingRecords, lostPages } = this.state;
    await this.#reader.read(view, block);
    const { page: found, bytes, scratch } = this.#reader;
    // A block whose header is still only in a commit record is valid.
    const isPending = pendingRecords.some((record) => record.block === block);
    let page = found?.page;
    if (found && found.error === undefined) {
      if (found.checksumState === 'stale' && !isPending) {
        if (this.#options.staleChecksums === true) await this.#change(block, renewChecksum(found.page));
        else this.stalePages++;
      }
    } else {
      const repair = isPending ? undefined : repairBlock(bytes, block, scratch);
      const isTaken = repair && (isProven(repair) || this.#options.likelyBits === true);
      page = isTaken ? repair.page : undefined;
      if (isTaken) await this.#change(block, repair);
      else if (found?.error) await this.#leave(found.error, repair);
      else if (lostPages.includes(block)) await this.#leave(lostPageProblem(block, bytes), undefined);
      else this.#addOther(block, isPending);
    }
    this.nodes += page?.directory.count ?? 0;
    return page;
  }

  /** Restores the magic of zeroed pages, after all blocks were read; the file header must be valid. */
  async restoreZeroed(): Promise<void> {
    const { others } = this;
    const { header, view } = this.state;
    const { bytes, scratch } = this.#reader;
    const list = checkFreeList(header, others, this.blocks);
    for (let index = 0; index < others.count; index++) {
      const format = others.zeroedFormatAt(index);
      if (format === undefined || !isZeroedPage(header, others, list, index)) continue;
      const block = others.idAt(index);
      await this.#reader.read(view, block);
      // Another process may have taken the block meanwhile.
      if (this.#reader.page || this.#reader.nonPage().zeroedFormat !== format) continue;
      const repair = restoreMagic(bytes, encodeEmptyPageHeader(format).subarray(0, 8), scratch);
      if (repair === undefined) continue;
      await this.#change(block, repair);
      others.setRepaired(index);
      this.nodes += repair.page.directory.count;
    }
  }

  #addOther(block: number, isPending: boolean): void {
    const { mark, zeroedFormat } = this.#reader.nonPage();
    // A block that a commit record is about to overwrite is not a zeroed page.
    this.others.add(block, isPending && zeroedFormat ? 0 : mark);
    if (hasZerosAfterLink(this.#reader.bytes)) this.withZerosAfterLink.add(block);
  }

  async #leave(error: Problem, likely: PageRepair | undefined): Promise<void> {
    this.damagedPages++;
    if (likely === undefined) return this.output.left(error);
    const pages = Math.round(1 / likely.chance).toLocaleString('en');
    const why = `; flipping one bit at byte ${fileOffset(error.block ?? 0, likely.start)} would fix it, but so would a bit in one in ${pages} pages with other damage; --likely-bits flips it`;
    await this.output.left({ ...error, message: error.message + why, isLikely: true });
  }

  async #change(block: number, { repair, start, before, page }: PageRepair): Promise<void> {
    this.repaired.add(block);
    const position = fileOffset(block, start);
    if (this.state.view.recovery.records.some((record) => record.block === block)) {
      this.repairedHeads.push({ position: fileOffset(block), bytes: page.block.slice(0, PAGE_HEADER_BYTES) });
    }
    const after = page.block.subarray(start, start + before.length);
    if (start > 0) return this.output.change(repair, position, before, after);
    await this.output.changeFields(repair, PAGE_HEADER, position, before, after);
  }
}

/** Whether a repaired page may make its commit record valid. Then check the record again before any header changes. */
async function mayHaveValidatedRecord({ state, repaired, repairedHeads }: BlockScan): Promise<boolean> {
  const { view, repairedHeader } = state;
  const { records, validRecords } = view.recovery;
  const invalid = records.filter((record) => !validRecords.includes(record) && repaired.has(record.block));
  if (invalid.length === 0) return false;
  // Without the original header it is unknown which records fit.
  if (repairedHeader?.checkpointsRecords === true) return true;
  if (fileHeaderProblems(await view.readFileHeader()).next().done !== true) return true;
  const file = new OverlaidFile(view, repairedHeads);
  for (const record of invalid) {
    if ((await recordFitsHeaders(file, record)) && !(await isCheckpointed(file, record))) return true;
  }
  return false;
}

async function planCounts(scan: BlockScan, plan: Block0Plan): Promise<void> {
  const { others, nodes, damagedPages, output, state } = scan;
  const { header, fileBytes } = state;
  const free = await planFreeList(scan, plan);
  await leaveUnknown(scan, free);
  for (const problem of entryCountProblems(header, nodes)) {
    const head = state.head.slice();
    for (const { position, bytes } of state.repairedRecords) head.set(bytes, position);
    const hasLostRecord = commitRecordProblems(head).next().done !== true;
    const why = whyNotCounted({ header, fileBytes, damagedPages, others, free, hasLostRecord });
    if (why === undefined) plan.setEntryCount(nodes);
    else await output.left({ ...problem, message: `${problem.message}; not repaired, since ${why}` });
  }
}

async function planFreeList(scan: BlockScan, plan: Block0Plan): Promise<BlockSet> {
  const { others, withZerosAfterLink, blocks, output } = scan;
  const { header, fileBytes } = scan.state;
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  if (isListKnown(header, others, wholeBlocks)) {
    const list = new FreeListPlan(decodeFreeLink(header.freeListHead), others, withZerosAfterLink, blocks);
    for (const change of list.changes()) await plan.setLink(change);
    return list.free;
  }
  const isWhole = header.blockCount > 0 && header.blockCount <= wholeBlocks;
  const why = isWhole ? 'the header may count too few blocks' : 'the file is not whole';
  const list = checkFreeList(header, others, blocks);
  for (const problem of [...freeListHeadProblems(header, blocks), ...list.problems]) {
    await output.left({ ...problem, message: `${problem.message}; not repaired, since ${why}` });
  }
  return list.free;
}

async function leaveUnknown({ others, output }: BlockScan, free: BlockSet): Promise<void> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (free.has(block) || others.linkAt(index) === 0) continue;
    const message = `block ${block} is neither a page nor on the free list`;
    await output.left({ code: 'BLOCK_UNKNOWN', severity: 'error', block, offset: fileOffset(block), message });
  }
}

async function leaveHeader(head: Uint8Array, why: string, output: PlanOutput): Promise<void> {
  let reason = `; nothing proves what the header was: ${why}`;
  for (const problem of fileHeaderProblems(FILE_HEADER.read(head))) {
    await output.left({ ...problem, message: problem.message + reason });
    reason = ''; // only with the first problem
  }
  for (const problem of headerCopyProblems(head)) await output.left(problem);
}
