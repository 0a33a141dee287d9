import { type BlockFile, OverlaidFile, type Overlay } from '../disk/block-file.ts';
import { isCheckpointed, readStart, recordFitsHeaders } from '../disk/committed-view.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { lostWrites } from '../disk/page-file.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { commitRecordProblems } from '../format/commit-record-checks.ts';
import { digestIn } from '../format/digest.ts';
import { digestProblems } from '../format/digest-checks.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import {
  entryCountProblems,
  fileHeaderProblems,
  fileSizeProblems,
  freeListHeadProblems,
  headerCopyProblems,
  rootDescriptorFieldRange,
} from '../format/header-checks.ts';
import type { Patch } from '../format/journal.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { commitOf, encodeEmptyPageHeader, PAGE_HEADER } from '../format/page-header.ts';
import { orphanedBytes, type Page, recomputePageHeader } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { hasTrie, trieProblems, triePageProblem } from '../format/trie-checks.ts';
import { BlockReader, hasZerosAfterLink, NonPages } from '../salvage/block-kind.ts';
import { lostPageProblem } from '../salvage/evidence.ts';
import { checkFreeList, isListKnown, isZeroedPage } from '../salvage/free-blocks.ts';
import { provenCommit } from '../salvage/proven-commit.ts';
import { noRootRecordMessage, rootDescriptorOf, rootPlaceOf } from '../salvage/evidence.ts';
import { digestMismatch, newerPages } from '../verify/digest-rules.ts';
import { whyNotCounted } from '../verify/whole-rules.ts';
import { Block0Plan, FreeListPlan, type LinkChange } from './block0-plan.ts';
import { DigestPlan } from './digest-plan.ts';
import { type FileState, repairFileState } from './header-repair.ts';
import { isProven, type PageRepair, repairBlock, restoreMagic } from './page-repair.ts';
import {
  fieldPatches,
  type LeftProblem,
  type PlanOutput,
  type RepairReport,
  type RepairScanOptions,
} from './repairs.ts';

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
  const { view, header, head, fileBytes, repairedHeader, lostPages } = state;
  let { whyLost } = state;
  let isKnown = whyLost === undefined;
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  const blocks = isKnown ? Math.min(header.blockCount, wholeBlocks) : wholeBlocks;
  const root = isKnown ? rootPlaceOf(header, rootDescriptorOf(head), wholeBlocks) : undefined;
  let rootSlots = -1;
  const scan = new BlockScan(state, await DigestPlan.open(state), blocks, output, options);
  for (let block = 1; block < blocks; block++) {
    const pause = betweenBlocks(block, blocks, { signal: options.signal });
    if (pause) await pause;
    options.signal?.throwIfAborted();
    const page = await scan.check(block);
    if (page?.format === 'v2' && isKnown && hasTrie(header)) await output.left(triePageProblem(block));
    if (page && block === root?.block) rootSlots = page.directory.count;
    await options.onProgress?.(block + 1, blocks);
  }
  await view.refresh();
  const changed = view.hasChanged;
  whyLost ??= changed ? undefined : whyOlder(scan);
  if (isKnown && whyLost !== undefined) {
    isKnown = false;
    for (const { record, found } of state.restoredPages) await output.left(lostPageProblem(record.block, found));
  }
  const isOld = isKnown && (await isHeaderOld(scan));
  if (isKnown && !changed && !isOld) await scan.restoreZeroed();
  const hasValidated = await mayHaveValidatedRecord(scan);
  for (const { record, found } of isKnown ? state.restoredPages : []) {
    await output.changeFields('page-record', PAGE_HEADER, fileOffset(record.block), found, record.blockHead);
  }
  // Emptying the records would lose the only header of such a page, or the only trace of a newer file header.
  const hasLostPage = lostPages.some((block) => !scan.repaired.has(block));
  const keepsRecords = hasValidated || isOld || hasLostPage;
  const plan = new Block0Plan(state, scan.digest, output, !keepsRecords);
  for (const problem of commitRecordProblems(head)) await output.left(problem);
  let checkpointed: readonly CommitRecord[] = [];
  if (whyLost !== undefined) {
    await leaveHeader(head, whyLost, output);
    scan.leaveStale();
  } else if (!changed && !(keepsRecords && repairedHeader?.checkpointsRecords === true)) {
    // A header from another source may be older than a record that becomes valid.
    for (const problem of fileSizeProblems(header, fileBytes)) await output.left(problem);
    const count = keepsRecords ? undefined : await planCounts(scan, plan);
    // A new checksum in a file that lost a page would keep it from ever fitting its digest again.
    if (keepsRecords || scan.digest.isContradicted) scan.leaveStale();
    else scan.planRenewals();
    if (keepsRecords && !hasValidated) await leaveUnknown(scan, checkFreeList(header, scan.others, blocks).free);
    const image = await plan.emit(blocks, scan.newest.commit > 0);
    await output.changeLater();
    if (plan.checkpointsRecords) checkpointed = state.pendingRecords;
    scan.hasMore ||= plan.hasMendedCopy || (state.isOld && scan.digest.isBitRepaired);
    if (root && root.slot >= rootSlots) {
      const { offset } = rootDescriptorFieldRange('rootRecord');
      const message = noRootRecordMessage(root, rootSlots);
      await output.left({ code: 'ROOT_DESCRIPTOR', severity: 'error', block: 0, offset, message });
    }
    for (const problem of trieProblems(FILE_HEADER.read(image), image)) await output.left(problem);
    await leaveLostPages(scan, image);
    if (count) await output.left(asVerified(count, scan));
  } else {
    scan.leaveStale();
  }
  // With page headers repaired, a newer file header may be proved, or that the record of a lost page took effect.
  const mayProve = (state.isOld && scan.repaired.size > 0) || (hasLostPage && scan.repairedHeads.length > 0);
  const again = hasValidated || scan.hasMore || mayProve;
  const { changes, errors: left, warnings } = output;
  const { stalePages } = scan;
  return { checkpointed, report: { file: file.name, blocks, changes, left, warnings, stalePages, again, changed } };
}

/** The first 12,800 bytes of block 0 with the commit records repaired. */
function headWithRecords({ head, repairedRecords }: FileState): Uint8Array {
  const repaired = head.slice();
  for (const { position, bytes } of repairedRecords) repaired.set(bytes, position);
  return repaired;
}

/** Why a header from a record or the copy is not that of the last commit; undefined if nothing is newer. */
function whyOlder({ state, digest, newest }: BlockScan): string | undefined {
  const { commit, checkpointsRecords } = state.repairedHeader ?? {};
  if (checkpointsRecords !== true || commit === undefined) return undefined;
  const inBlock0 = provenCommit(headWithRecords(state));
  const proven = Math.max(inBlock0, newest.commit);
  // Of an older copy, only the block count is used, if all page headers are those of the last commit.
  if (commit >= proven || (digest.provenCommit ?? 0) >= proven) return undefined;
  const source = newest.commit > inBlock0 ? `block ${newest.block} is of commit` : 'there was a commit';
  return `the newest that fits is of commit ${commit}, and ${source} ${proven}`;
}

/** Whether the file header is older than a trace of another one in block 0, or than a page. */
async function isHeaderOld({ state, newest }: BlockScan): Promise<boolean> {
  if (state.isOld) return true;
  const digest = digestIn(await readStart(state.view));
  // A header from the copy is older than the pages, and the only one that there is.
  if (state.repairedHeader?.checkpointsRecords === true) return false;
  return digest.kind === 'valid' && digest.state !== undefined && newest.commit > digest.state.commit;
}

/** A new checksum, whose header the digest has to follow. */
interface Renewal {
  readonly block: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly patches: readonly Patch[];
}

/** What fits in one journal, about. */
const MAX_RENEWALS = 4096;

/** Reads each block, plans the repair of pages, and collects what the file header is checked against. */
class BlockScan {
  readonly state: FileState;
  readonly blocks: number;
  readonly digest: DigestPlan;
  readonly output: PlanOutput;
  readonly others: NonPages = new NonPages();
  readonly withZerosAfterLink: BlockSet;
  readonly repaired: BlockSet;
  /** New page headers of repaired blocks with a commit record: two at most. */
  readonly repairedHeads: Overlay[] = [];
  nodes = 0;
  damagedPages = 0;
  stalePages = 0;
  /** Whether changes have to wait for another repair, as the journal with the digest has no room for them. */
  hasMore = false;
  /** Highest commit number in a page without errors, and its block. */
  newest = { block: 0, commit: 0 };
  misplacedPages = 0;
  /** Whether a page has nodes and no slots. */
  hasOrphans = false;
  readonly #renewals: Renewal[] = [];
  /** With no room in the journal. */
  #unplannedRenewals = 0;
  readonly #options: RepairScanOptions;
  readonly #reader = new BlockReader();

  constructor(state: FileState, digest: DigestPlan, blocks: number, output: PlanOutput, options: RepairScanOptions) {
    this.state = state;
    this.digest = digest;
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
    this.digest.sums.add(block, bytes);
    // A block whose header is still only in a commit record is valid.
    const isPending = pendingRecords.some((record) => record.block === block);
    let page = found?.page;
    if (found && found.error === undefined) {
      if (found.checksumState === 'stale' && !isPending) {
        if (this.#options.staleChecksums === true) await this.#renew(block, found.page);
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
    this.#note(block, page ?? found?.page, page !== undefined);
    return page;
  }

  #note(block: number, page: Page | undefined, isValid: boolean): void {
    if (page === undefined) return;
    if (!isValid) return;
    this.hasOrphans ||= orphanedBytes(page) > 0;
    const commit = commitOf(page.block);
    if (commit > this.newest.commit) this.newest = { block, commit };
  }

  /** New checksums that the digest follows, in the same journal. */
  planRenewals(): void {
    for (const renewal of this.#renewals.splice(0)) {
      if (this.output.keep(renewal.patches)) {
        this.#noteRepaired(renewal.block, renewal.after);
        this.digest.sums.change('renewed', renewal.block, renewal.before, renewal.after);
      } else {
        this.#unplannedRenewals++;
      }
    }
    this.stalePages += this.#unplannedRenewals;
    this.hasMore ||= this.#unplannedRenewals > 0;
  }

  leaveStale(): void {
    this.stalePages += this.#renewals.splice(0).length + this.#unplannedRenewals;
  }

  async #renew(block: number, page: Page): Promise<void> {
    const before = page.block.slice(0, PAGE_HEADER_BYTES);
    const after = recomputePageHeader(page);
    const patches = fieldPatches('page-checksum', PAGE_HEADER, fileOffset(block), before, after);
    if (!this.digest.isBinding) {
      await this.output.changeNow(patches);
      this.digest.sums.change('renewed', block, before, after);
      this.#noteRepaired(block, after);
    } else if (this.#renewals.length < MAX_RENEWALS) {
      this.#renewals.push({ block, before, after, patches });
    } else {
      this.#unplannedRenewals++;
    }
  }

  #noteRepaired(block: number, head: Uint8Array): void {
    this.repaired.add(block);
    if (this.state.view.recovery.records.some((record) => record.block === block))
      this.repairedHeads.push({ position: fileOffset(block), bytes: head });
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
      this.#note(block, repair.page, true);
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
    if (error.code === 'PAGE_MISPLACED') this.misplacedPages++;
    if (likely === undefined) return this.output.left(error);
    const pages = Math.round(1 / likely.chance).toLocaleString('en');
    const why = `; flipping one bit at byte ${fileOffset(error.block ?? 0, likely.start)} would fix it, but so would a bit in one in ${pages} pages with other damage; --likely-bits flips it`;
    await this.output.left({ ...error, message: error.message + why, isLikely: true });
  }

  async #change(block: number, { repair, start, before, page }: PageRepair): Promise<void> {
    const head = page.block.slice(0, PAGE_HEADER_BYTES);
    this.#noteRepaired(block, head);
    const position = fileOffset(block, start);
    const after = page.block.subarray(start, start + before.length);
    if (start > 0) return this.output.change(repair, position, before, after);
    this.digest.sums.change('restored', block, before, head);
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

/** @returns a wrong entry count that stays */
async function planCounts(scan: BlockScan, plan: Block0Plan): Promise<LeftProblem | undefined> {
  const { others, nodes, damagedPages, state } = scan;
  const { header, fileBytes } = state;
  const free = await planFreeList(scan, plan);
  await leaveUnknown(scan, free);
  const [problem] = entryCountProblems(header, nodes);
  if (problem === undefined) return undefined;
  const hasLostRecord = commitRecordProblems(headWithRecords(state)).next().done !== true;
  const why = whyNotCounted({ header, fileBytes, damagedPages, others, free, hasLostRecord }) ?? whyKept(scan, problem);
  if (why !== undefined) return { ...problem, message: `${problem.message}; not repaired, since ${why}` };
  plan.setEntryCount(nodes);
  return undefined;
}

/** Why a count stays although every node is counted; undefined if it may change. */
function whyKept({ digest }: BlockScan, { severity }: Problem): string | undefined {
  if (severity === 'error') return 'a count above the nodes may be the last trace of those that are lost';
  return digest.isContradicted ? CONTRADICTED : undefined;
}

const CONTRADICTED = 'the page headers do not add up to their digest';

/** As verify judges a count: an error that explains it makes it a warning. */
function asVerified(problem: LeftProblem, { hasOrphans, output }: BlockScan): LeftProblem {
  return hasOrphans || output.otherErrors > 0 ? { ...problem, severity: 'warning' } : problem;
}

async function planFreeList(scan: BlockScan, plan: Block0Plan): Promise<BlockSet> {
  const { others, withZerosAfterLink, blocks, output } = scan;
  const { header, fileBytes } = scan.state;
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  const isListed = isListKnown(header, others, wholeBlocks);
  const planned = new FreeListPlan(decodeFreeLink(header.freeListHead), others, withZerosAfterLink, blocks);
  const links = isListed ? await trustedLinks(scan, plan, planned) : undefined;
  if (links) {
    for (const change of links.changes) {
      if (await plan.setLink(change)) continue;
      scan.hasMore = true;
      break;
    }
    return links.free;
  }
  const isWhole = header.blockCount > 0 && header.blockCount <= wholeBlocks;
  const why = isListed ? CONTRADICTED : isWhole ? 'the header may count too few blocks' : 'the file is not whole';
  const list = checkFreeList(header, others, blocks);
  for (const problem of [...freeListHeadProblems(header, blocks), ...list.problems]) {
    await output.left({ ...problem, message: `${problem.message}; not repaired, since ${why}` });
  }
  return list.free;
}

/** With more changes than this, nothing is searched: one link was lost, or much more than that. */
const MAX_SEARCHED_CHANGES = 8;

/**
 * The changes that do not contradict the digest: else a page that is in the state of an earlier commit, in which it was
 * free, would be free again. A free block that only a lost link led to is found by the digest.
 */
async function trustedLinks(
  { digest, others, blocks, state }: BlockScan,
  plan: Block0Plan,
  planned: FreeListPlan,
): Promise<{ readonly changes: Iterable<LinkChange>; readonly free: BlockSet } | undefined> {
  if (!digest.isBinding || (await plan.isProvenWith(planned.changes()))) {
    return { changes: planned.changes(), free: planned.free };
  }
  const changes: LinkChange[] = [];
  for (const change of planned.changes()) if (changes.push(change) > MAX_SEARCHED_CHANGES) return undefined;
  for (const lost of changes.filter(({ block }) => block !== 0)) {
    const found = await plan.findTarget(changes, lost, notFree(others, planned.free));
    if (found === undefined) continue;
    const proven = changes.map((change) => (change === lost ? found : change));
    const linkOf = (block: number): number =>
      proven.find((change) => change.block === block)?.next ?? others.linkAt(others.indexOf(block));
    const first = proven.find(({ block }) => block === 0)?.next ?? decodeFreeLink(state.header.freeListHead);
    const walk = new FreeListWalk(first, blocks);
    while (walk.block !== 0) {
      if (others.indexOf(walk.block) < 0) return undefined;
      walk.follow(linkOf(walk.block));
    }
    return walk.break === undefined ? { changes: proven, free: walk.blocks } : undefined;
  }
  return undefined;
}

function* notFree(others: NonPages, free: BlockSet): Generator<number> {
  for (let index = 0; index < others.count; index++) if (!free.has(others.idAt(index))) yield others.idAt(index);
}

/** What the digest says of pages that are lost, and of an old file header. @param image - block 0 after the repair */
async function leaveLostPages(scan: BlockScan, image: Uint8Array): Promise<void> {
  const { state, digest, output, newest, misplacedPages, repaired } = scan;
  const inBlock0 = [...digestProblems(image)].filter(({ severity }) => severity === 'error');
  for (const problem of inBlock0) await output.left(problem);
  for (const problem of await lostWrites(state.view, image))
    if (problem.block !== undefined && !repaired.has(problem.block)) await output.left(problem);
  const found = digestIn(image);
  const sum = found.state && digest.sums.after(found.state);
  if (sum === undefined) return;
  const facts = { digest: found, sum, newest, misplacedPages, emptyBlocks: [], otherErrors: output.otherErrors };
  // That a page is newer too adds nothing to what block 0 shows.
  const newer = inBlock0.some(({ code }) => code === 'FILE_HEADER_OLD') ? [] : newerPages(facts);
  for (const problem of [...newer, ...digestMismatch(facts)])
    if (problem.severity === 'error') await output.left(problem);
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
