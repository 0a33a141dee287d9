import { type BlockFile, OverlaidFile } from '../disk/block-file.ts';
import { type CommittedView, isCheckpointed, recordFitsHeaders } from '../disk/committed-view.ts';
import type { BlockSet } from '../disk/free-list.ts';
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
import {
  BLOCK_BYTES,
  decodeFreeLink,
  encodeFreeLink,
  FILE_HEADER_BYTES,
  fileOffset,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import type { Problem } from '../format/problem.ts';
import type { NonPages } from '../salvage/block-kind.ts';
import { checkFreeList, isListKnown } from '../salvage/free-blocks.ts';
import { noRootRecordMessage, rootDescriptorOf, type RootPlace, rootPlaceOf } from '../salvage/root-evidence.ts';
import { entryCountProblems, whyNotCounted } from '../verify/whole-rules.ts';
import { BlockScan } from './block-scan.ts';
import { Block0Plan, planFreeList } from './block0-plan.ts';
import { type FileState, type RepairedHeader, repairFileState } from './header-repair.ts';
import { differingFields, PlanOutput, type PlanSink, type RepairReport, type RepairScanOptions } from './repairs.ts';

/**
 * Whether a page was repaired whose commit record may have been invalid only for that damage. Then no header may change
 * before the record is checked again.
 * @param repairedHeader - the file header that the repair writes
 */
async function mayHaveValidatedRecord(
  view: CommittedView,
  scan: BlockScan,
  repairedHeader: RepairedHeader | undefined,
): Promise<boolean> {
  const { records, validRecords } = view.recovery;
  const invalid = records.filter((record) => !validRecords.includes(record) && scan.repaired.has(record.block));
  if (invalid.length === 0) return false;
  const isHeaderCurrent =
    repairedHeader?.checkpointsRecords !== true && fileHeaderProblems(await view.readFileHeader()).next().done === true;
  // A header from another source, or a lost one, does not show which records fit it.
  if (!isHeaderCurrent) return true;
  const file = new OverlaidFile(view, scan.repairedHeads);
  for (const record of invalid) {
    if ((await recordFitsHeaders(file, record)) && !(await isCheckpointed(file, record))) return true;
  }
  return false;
}

/** The result of planning. */
export interface PlanResult {
  readonly report: RepairReport;
  /** Commit records that the plan checkpoints: the blocks that they cover have to be written again first. */
  readonly checkpointed: readonly CommitRecord[];
}

/**
 * Reads a whole file, and outputs every change that repairs something, those of block 0 last.
 * @param file - with its journal applied
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION` for a file of a newer version, `IO`
 */
export async function planRepair(file: BlockFile, sink: PlanSink, options: RepairScanOptions): Promise<PlanResult> {
  const { view, state } = await repairFileState(file, options.signal);
  return new Planner(file, view, new PlanOutput(sink), options, state).run();
}

class Planner {
  readonly #file: BlockFile;
  readonly #view: CommittedView;
  readonly #output: PlanOutput;
  readonly #options: RepairScanOptions;
  readonly #state: FileState;

  constructor(file: BlockFile, view: CommittedView, output: PlanOutput, options: RepairScanOptions, state: FileState) {
    this.#file = file;
    this.#view = view;
    this.#output = output;
    this.#options = options;
    this.#state = state;
  }

  async run(): Promise<PlanResult> {
    const { head, fileBytes, repairedHeader, whyLost, lostPages } = this.#state;
    const isKnown = whyLost === undefined;
    const header = await this.#view.readFileHeader();
    const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
    const blocks = isKnown ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
    const { pendingRecords } = this.#view.recovery;
    const scan = new BlockScan(this.#view, blocks, this.#output, { ...this.#options, lostPages });
    const root = isKnown ? rootPlaceOf(header, rootDescriptorOf(head), wholeBlocks) : undefined;
    for (let block = 1; block < blocks; block++) {
      this.#options.signal?.throwIfAborted();
      const isPending = pendingRecords.some((record) => record.block === block);
      await scan.look(block, isPending, block === root?.block);
      await this.#options.onProgress?.(block + 1, blocks);
    }
    await this.#view.refresh();
    const changed = this.#view.hasChanged;
    if (isKnown && !changed) await scan.restoreZeroed(header, blocks);
    const again = await mayHaveValidatedRecord(this.#view, scan, repairedHeader);
    // Emptying the records would lose the only header of such a page.
    const keepsRecords = again || lostPages.some((block) => !scan.repaired.has(block));
    let checkpointed: readonly CommitRecord[] = [];
    await this.#restoreHeads();
    if (!isKnown) {
      await this.#leaveHeader(whyLost);
    } else if (!changed && !(keepsRecords && repairedHeader?.checkpointsRecords === true)) {
      // A header from another source may turn out to be older than a record that becomes valid.
      const plan = new Block0Plan(this.#output, { ...this.#state, header }, pendingRecords, !keepsRecords);
      for (const problem of fileSizeProblems(header, fileBytes)) await this.#leave(problem);
      if (!keepsRecords) await this.#planCounts(plan, scan, blocks);
      else if (!again) await this.#leaveUnknown(scan.others, checkFreeList(header, scan.others, blocks).free);
      await plan.emit(blocks, (block) => this.#readHead(block));
      if (plan.checkpointsRecords) checkpointed = pendingRecords;
      if (root && root.slot >= scan.rootSlots) await this.#leaveRoot(root, scan.rootSlots);
    }
    const { changes, errors: left, warnings } = this.#output;
    const { stalePages } = scan;
    const report = { file: this.#file.name, blocks, changes, left, warnings, stalePages, again, changed };
    return { checkpointed, report };
  }

  async #planCounts(plan: Block0Plan, scan: BlockScan, blocks: number): Promise<void> {
    const { others, nodes, damagedPages } = scan;
    const { header } = plan;
    const { fileBytes } = this.#state;
    const free = await this.#planFreeList(plan, scan, blocks);
    await this.#leaveUnknown(others, free);
    for (const problem of entryCountProblems(header, nodes)) {
      const hasLostRecord = commitRecordProblems(this.#repairedHead()).next().done !== true;
      const why = whyNotCounted({ header, fileBytes, damagedPages, others, free, hasLostRecord });
      if (why === undefined) plan.setEntryCount(nodes);
      else await this.#output.left({ ...problem, message: `${problem.message}; not repaired, since ${why}` });
    }
  }

  async #leaveUnknown(others: NonPages, free: BlockSet): Promise<void> {
    for (let index = 0; index < others.count; index++) {
      const block = others.idAt(index);
      if (free.has(block) || others.linkAt(index) === 0) continue;
      const message = `block ${block} is neither a page nor on the free list`;
      await this.#leave({ code: 'BLOCK_UNKNOWN', severity: 'error', block, offset: fileOffset(block), message });
    }
  }

  /** @returns the blocks that will be on the free list */
  async #planFreeList(plan: Block0Plan, { others, withZerosAfterLink }: BlockScan, blocks: number): Promise<BlockSet> {
    const { header } = plan;
    const wholeBlocks = Math.floor(this.#state.fileBytes / BLOCK_BYTES);
    if (!isListKnown(header, others, wholeBlocks)) {
      const why =
        header.blockCount > 0 && header.blockCount <= wholeBlocks
          ? 'the header may count too few blocks'
          : 'the file is not whole';
      const list = checkFreeList(header, others, blocks);
      for (const problem of [...freeListHeadProblems(header, blocks), ...list.problems]) {
        await this.#leave({ ...problem, message: `${problem.message}; not repaired, since ${why}` });
      }
      return list.free;
    }
    const list = planFreeList(decodeFreeLink(header.freeListHead), others, withZerosAfterLink, blocks);
    for (const { block, next } of list.changes()) {
      if (block === 0) plan.setFirstFree(next);
      else await this.#changeLink(plan, block, next);
    }
    return list.free;
  }

  /** The first 12,800 bytes of block 0, with its commit records repaired. */
  #repairedHead(): Uint8Array {
    const head = this.#state.head.slice();
    for (const { position, bytes } of this.#state.repairedRecords) head.set(bytes, position);
    return head;
  }

  async #changeLink(plan: Block0Plan, block: number, next: number): Promise<void> {
    const after = new Uint8Array(8);
    new DataView(after.buffer).setBigUint64(0, encodeFreeLink(next), true);
    if (plan.setPendingLink(block, after)) return;
    const before = (await this.#readHead(block)).subarray(0, 8);
    await this.#output.change({ repair: 'free-list', offset: fileOffset(block), before, after });
  }

  /** Restores page headers that are in commit records alone. */
  async #restoreHeads(): Promise<void> {
    for (const { record, found } of this.#state.restoredPages) {
      for (const field of differingFields(PAGE_HEADER.fields, found, record.blockHead)) {
        await this.#output.change({ repair: 'page-record', ...field, offset: fileOffset(record.block, field.at) });
      }
    }
  }

  /** The first 64 bytes of a block in the file, after the changes so far. */
  async #readHead(block: number): Promise<Uint8Array> {
    const restored = this.#state.restoredPages.find(({ record }) => record.block === block);
    if (restored) return restored.record.blockHead.slice();
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.#file.read(head, fileOffset(block));
    return head;
  }

  async #leaveHeader(why: string): Promise<void> {
    const { head } = this.#state;
    let reason = `; nothing proves what the header was: ${why}`;
    for (const problem of fileHeaderProblems(FILE_HEADER.read(head.subarray(0, FILE_HEADER_BYTES)))) {
      await this.#leave({ ...problem, message: problem.message + reason });
      // Only with the first problem.
      reason = '';
    }
    for (const problem of headerCopyProblems(head)) await this.#leave(problem);
  }

  async #leaveRoot(place: RootPlace, slots: number): Promise<void> {
    const { offset } = rootDescriptorFieldRange('rootRecord');
    const message = noRootRecordMessage(place, slots);
    await this.#leave({ code: 'ROOT_DESCRIPTOR', severity: 'error', block: 0, offset, message });
  }

  async #leave(problem: Problem): Promise<void> {
    if (problem.severity === 'error') await this.#output.left(problem);
  }
}
