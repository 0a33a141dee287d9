import { counted } from '../bytes/encodings.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { type CommittedView, fitsHeaders, isHome } from '../disk/committed-view.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { OverlaidFile } from '../disk/overwrite.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { FILE_HEADER, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { commitRecordProblems } from '../format/header-checks.ts';
import {
  BLOCK_BYTES,
  decodeFreeLink,
  encodeFreeLink,
  FILE_HEADER_BYTES,
  fileOffset,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import {
  fileHeaderProblems,
  fileSizeProblems,
  freeListHeadProblems,
  headerCopyProblems,
  type Problem,
} from '../format/problem.ts';
import { type OtherBlocks, type RootPlace, rootPlaceOf } from '../salvage/block-kind.ts';
import { checkFreeList, isListKnown } from '../salvage/free-list.ts';
import { entryCountProblems, whyNotCounted } from '../verify/whole-rules.ts';
import { BlockScan } from './block-scan.ts';
import { Block0Plan } from './block0-plan.ts';
import { findFile, type Found } from './found-file.ts';
import { planFreeList } from './free-list-plan.ts';
import type { MendedHeader } from './header-sources.ts';
import { differingFields, PlanOutput, type PlanSink, type RepairOptions, type RepairSummary } from './repairs.ts';

/**
 * Whether a page was mended for which a commit record may stand that did not: then no header may change before it is
 * judged.
 * @param mended - the file header that the repair puts in the place of the file's
 */
export async function mayStandNow(
  view: CommittedView,
  scan: BlockScan,
  mended: MendedHeader | undefined,
): Promise<boolean> {
  const { records, standing } = view.recovery;
  const waiting = records.filter((record) => !standing.includes(record) && scan.mended.has(record.block));
  if (waiting.length === 0) return false;
  const isFinal = mended?.settles !== true && fileHeaderProblems(await view.readFileHeader()).next().done === true;
  // A header that another source gives, or none, says nothing of which records it fits.
  if (!isFinal) return true;
  const file = new OverlaidFile(view, scan.mendedHeads);
  for (const record of waiting) {
    if ((await fitsHeaders(file, record)) && !(await isHome(file, record))) return true;
  }
  return false;
}

/** What a plan came to, and what has to be written again before it is carried out. */
export interface PlanResult {
  readonly summary: RepairSummary;
  /** Commits whose headers the plan brings home. */
  readonly settled: readonly CommitRecord[];
}

/**
 * Looks at a whole file and tells every change that would mend something, those of block 0 last.
 * @param file - as its journal leaves it
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION` for a file of a newer version, `IO`
 */
export async function makePlan(file: BlockFile, sink: PlanSink, options: RepairOptions): Promise<PlanResult> {
  const output = new PlanOutput(sink);
  const { view, found } = await findFile(file, options.signal);
  return new Planner(file, view, output, options, found).run();
}

class Planner {
  readonly #file: BlockFile;
  readonly #view: CommittedView;
  readonly #output: PlanOutput;
  readonly #options: RepairOptions;
  readonly #found: Found;

  constructor(file: BlockFile, view: CommittedView, output: PlanOutput, options: RepairOptions, found: Found) {
    this.#file = file;
    this.#view = view;
    this.#output = output;
    this.#options = options;
    this.#found = found;
  }

  async run(): Promise<PlanResult> {
    const { head, fileBytes, mended, records, whyLost, lostPages } = this.#found;
    const isKnown = whyLost === undefined;
    const header = await this.#view.readFileHeader();
    const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
    const blocks = isKnown ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
    const { pending } = this.#view.recovery;
    const scan = new BlockScan(this.#view, blocks, this.#output, { ...this.#options, lostPages });
    const root = isKnown ? rootPlaceOf(header, head, wholeBlocks) : undefined;
    for (let block = 1; block < blocks; block++) {
      this.#options.signal?.throwIfAborted();
      const isPending = pending.some((record) => record.block === block);
      await scan.look(block, isPending, block === root?.block);
      await this.#options.onProgress?.(block + 1, blocks);
    }
    await this.#view.refresh();
    const changed = this.#view.hasChanged;
    if (isKnown && !changed) await scan.mendZeroed(header, blocks);
    const again = await mayStandNow(this.#view, scan, mended);
    // Emptied, a record would take the only header of its page with it.
    const isHeld = again || lostPages.some((block) => !scan.mended.has(block));
    let settled: readonly CommitRecord[] = [];
    await this.#restoreHeads();
    if (!isKnown) {
      await this.#leaveHeader(whyLost);
    } else if (!changed && !(isHeld && mended?.settles === true)) {
      // A header that another source gives may turn out to be older than a record that stands by then.
      const plan = new Block0Plan(this.#output, { head, header, mended, records }, pending, !isHeld);
      for (const problem of fileSizeProblems(header, fileBytes)) await this.#leave(problem);
      if (!isHeld) await this.#planCounts(plan, scan, blocks);
      else if (!again) await this.#leaveUnknown(scan.others, checkFreeList(header, scan.others, blocks).free);
      await plan.emit(blocks, (block) => this.#readHead(block));
      if (plan.settles) settled = pending;
      if (root && root.slot >= scan.rootSlots) await this.#leaveRoot(root, scan.rootSlots);
    }
    const { changes, errors: left, warnings } = this.#output;
    const { stalePages } = scan;
    return { settled, summary: { file: this.#file.name, blocks, changes, left, warnings, stalePages, again, changed } };
  }

  async #planCounts(plan: Block0Plan, scan: BlockScan, blocks: number): Promise<void> {
    const { others, nodes, damagedPages } = scan;
    const { header } = plan;
    const { fileBytes } = this.#found;
    const free = await this.#planFreeList(plan, scan, blocks);
    await this.#leaveUnknown(others, free);
    for (const problem of entryCountProblems({ header, nodes })) {
      const hasLostRecord = commitRecordProblems(this.#mendedHead()).next().done !== true;
      const why = whyNotCounted({ header, fileBytes, damagedPages, others, free, hasLostRecord });
      if (why === undefined) plan.setEntryCount(nodes);
      else await this.#output.left({ ...problem, message: `${problem.message}; it stays, since ${why}` });
    }
  }

  async #leaveUnknown(others: OtherBlocks, free: BlockSet): Promise<void> {
    for (let index = 0; index < others.count; index++) {
      const block = others.idAt(index);
      if (free.has(block) || others.linkAt(index) === 0) continue;
      const message = `block ${block} is neither a page nor on the free list`;
      await this.#leave({ code: 'BLOCK_UNKNOWN', severity: 'error', block, offset: fileOffset(block), message });
    }
  }

  /** @returns the blocks that are on the free list then */
  async #planFreeList(plan: Block0Plan, { others, isMarked }: BlockScan, blocks: number): Promise<BlockSet> {
    const { header } = plan;
    const wholeBlocks = Math.floor(this.#found.fileBytes / BLOCK_BYTES);
    if (!isListKnown(header, others, wholeBlocks)) {
      const why =
        header.blockCount > 0 && header.blockCount <= wholeBlocks
          ? 'the header may count too few blocks'
          : 'the file is not whole';
      const list = checkFreeList(header, others, blocks);
      for (const problem of [...freeListHeadProblems(header, blocks), ...list.problems]) {
        await this.#leave({ ...problem, message: `${problem.message}; it stays, since ${why}` });
      }
      return list.free;
    }
    const list = planFreeList(decodeFreeLink(header.freeListHead), others, isMarked, blocks);
    for (const { block, next } of list.changes()) {
      if (block === 0) plan.setFirstFree(next);
      else await this.#changeLink(plan, block, next);
    }
    return list.free;
  }

  /** The first 12,800 bytes of block 0 with the commit records that were mended. */
  #mendedHead(): Uint8Array {
    const head = this.#found.head.slice();
    for (const { position, bytes } of this.#found.records) head.set(bytes, position);
    return head;
  }

  async #changeLink(plan: Block0Plan, block: number, next: number): Promise<void> {
    const after = new Uint8Array(8);
    new DataView(after.buffer).setBigUint64(0, encodeFreeLink(next), true);
    if (plan.setPendingLink(block, after)) return;
    const before = (await this.#readHead(block)).subarray(0, 8);
    await this.#output.change({ repair: 'free-list', offset: fileOffset(block), before, after });
  }

  /** Gives pages the headers that only commit records have. */
  async #restoreHeads(): Promise<void> {
    for (const { record, found } of this.#found.restored) {
      for (const field of differingFields(PAGE_HEADER.fields, found, record.blockHead)) {
        await this.#output.change({ repair: 'page-record', ...field, offset: fileOffset(record.block, field.at) });
      }
    }
  }

  /** The first 64 bytes of a block as they are in the file, or as they are by then. */
  async #readHead(block: number): Promise<Uint8Array> {
    const restored = this.#found.restored.find(({ record }) => record.block === block);
    if (restored) return restored.record.blockHead.slice();
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.#file.read(head, fileOffset(block));
    return head;
  }

  async #leaveHeader(why: string): Promise<void> {
    const { head } = this.#found;
    let reason = `; nothing proves what the header was: ${why}`;
    for (const problem of fileHeaderProblems(FILE_HEADER.read(head.subarray(0, FILE_HEADER_BYTES)))) {
      await this.#leave({ ...problem, message: problem.message + reason });
      // Once is enough.
      reason = '';
    }
    for (const problem of headerCopyProblems(head)) await this.#leave(problem);
  }

  async #leaveRoot({ block, slot }: RootPlace, slots: number): Promise<void> {
    const why = slots < 0 ? 'is no page' : `has ${counted(slots, 'slot')}`;
    const message = `the root record is said to be in slot ${slot} of block ${block}, which ${why}`;
    const offset = ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.offsetOf('rootRecord');
    await this.#leave({ code: 'ROOT_DESCRIPTOR', severity: 'error', block: 0, offset, message });
  }

  async #leave(problem: Problem): Promise<void> {
    if (problem.severity === 'error') await this.#output.left(problem);
  }
}
