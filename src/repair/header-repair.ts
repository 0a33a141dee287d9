import { type BlockFile, OverlaidFile, type Overlay } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { problemError, readFileHead, readStableFileHead, uncountedPage } from '../disk/page-file.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import {
  encodeFileHeader,
  FILE_HEADER,
  FILE_VERSION,
  type FileHeader,
  hasValidHeaderChecksum,
  headerCopyState,
} from '../format/file-header.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import {
  hasOldHeader,
  isOnFreeList,
  lostRecordedPages,
  type RecordedPage,
  repairedRecords,
  restoredHead,
  tookEffect,
} from '../salvage/evidence.ts';
import { type HeaderCandidate, HeaderEvidence, isValidHeader, resolveHeader } from '../salvage/header-candidates.ts';
import { findRootDescriptor, type Unproven } from '../salvage/evidence.ts';
import { commitOfHeader, provenCommit } from '../salvage/proven-commit.ts';
import { findNewerHeader, type ProvenHeader, provesOlder } from '../salvage/newer-header.ts';
import { isProven, repairBlock } from './page-repair.ts';
import type { RepairId } from './repairs.ts';

export interface RepairedHeader {
  readonly repair: RepairId;
  readonly bytes: Uint8Array;
  /** Whether it differs from the header that the commit records were checked against, so they are checkpointed. */
  readonly checkpointsRecords: boolean;
  /** Number of its commit; undefined if no digest belongs to it, or if it is not from a record or the copy. */
  readonly commit?: number | undefined;
  readonly rootDescriptor?: Uint8Array | undefined;
}

/** A file to repair, with everything that is proved of block 0 and of pages in commit records. */
export interface FileState {
  readonly file: BlockFile;
  /** The file with header, commit records and page headers repaired. */
  readonly view: CommittedView;
  readonly header: FileHeader;
  readonly pendingRecords: readonly CommitRecord[];
  /** The first 12,800 bytes of block 0, not repaired. */
  readonly head: Uint8Array;
  readonly fileBytes: number;
  readonly repairedHeader: RepairedHeader | undefined;
  /** Commit records with a bit flipped back. */
  readonly repairedRecords: readonly Overlay[];
  /** Why a damaged file header cannot be repaired. */
  readonly whyLost: string | undefined;
  readonly restoredPages: readonly RecordedPage[];
  /** Damaged blocks whose page header is in a commit record. */
  readonly lostPages: readonly number[];
  /** Whether block 0 contains a trace of a newer file header that nothing proves. */
  readonly isOld: boolean;
}

/**
 * Repairs everything in block 0 that is proved.
 * @param file - with its journal applied
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION` for a newer version, `IO`; the reason of
 * `signal`
 */
export async function repairFileState(file: BlockFile, signal: AbortSignal | undefined): Promise<FileState> {
  const fileBytes = await file.size();
  const head = await readStableFileHead(file);
  const stored = FILE_HEADER.read(head);
  if (stored.version > FILE_VERSION && hasValidHeaderChecksum(head)) {
    // A newer version of the format is not damage.
    for (const problem of fileHeaderProblems(stored)) throw problemError(file, problem);
  }
  const records = repairedRecords(head);
  const withRecords = new OverlaidFile(file, records);
  const lost = await lostRecordedPages(withRecords, await readFileHead(withRecords));
  let restorable: RecordedPage[] = [];
  for (const page of lost) {
    // A damaged page that proves its own header is newer than any record: it may have been finalized since.
    const isOwn = !page.isOlder && (await isRepairable(withRecords, page));
    if (page.isWhole && !page.mayBeFreed && !isOwn) restorable.push(page);
  }
  for (;;) {
    const withPages = new OverlaidFile(withRecords, restorable.map(restoredHead));
    const lostPage = lost.find((page) => !restorable.includes(page))?.record.block;
    const repaired = isValidHeader(head) ? undefined : await repairHeader(withPages, fileBytes, lostPage, signal);
    const repairedHeader = repaired && 'bytes' in repaired ? repaired : undefined;
    const whyLost = repaired && 'why' in repaired ? repaired.why : undefined;
    const headers = repairedHeader ? [{ position: 0, bytes: repairedHeader.bytes }] : [];
    const found = await CommittedView.open(new OverlaidFile(withPages, headers), signal);
    const isTaken = repairedHeader?.checkpointsRecords === true;
    const mayBeOld = whyLost === undefined && !isTaken;
    const newer = mayBeOld ? await findNewerHeader(withPages, await readFileHead(found), signal) : undefined;
    const isOld = newer === 'unproven';
    const { view, newest } =
      typeof newer === 'object'
        ? { view: newer.view, newest: asRepaired(newer) }
        : { view: found, newest: repairedHeader };
    const isProven = whyLost === undefined && (await provesOlder(restorable, view, signal));
    const [restoredPages, lostPages]: [RecordedPage[], number[]] = [[], []];
    for (const page of lost) {
      const { record, mayBeFreed } = page;
      if (mayBeFreed || (whyLost === undefined && (await isOnFreeList(view, record.block, signal)))) continue;
      const isRestored = restorable.includes(page) && tookEffect(view, record) && (isProven || !page.isOlder);
      if (isRestored && whyLost === undefined) restoredPages.push(page);
      else lostPages.push(record.block);
    }
    if (restoredPages.length === restorable.length) {
      const header = await view.readFileHeader();
      const { pendingRecords } = view.recovery;
      const block0 = { head, fileBytes, repairedHeader: newest, repairedRecords: records, whyLost, isOld };
      return { file, view, header, pendingRecords, ...block0, restoredPages, lostPages };
    }
    // Free pages, and those whose record may not have taken effect, stay as they are.
    restorable = restoredPages;
  }
}

const asRepaired = ({ bytes, rootDescriptor }: ProvenHeader): RepairedHeader => ({
  repair: 'header-newer',
  bytes,
  checkpointsRecords: false,
  rootDescriptor,
});

async function isRepairable(file: BlockFile, { record: { block } }: RecordedPage): Promise<boolean> {
  const bytes = new Uint8Array(BLOCK_BYTES);
  await file.read(bytes, fileOffset(block));
  const repair = repairBlock(bytes, block, new DirectoryScratch());
  return repair !== undefined && isProven(repair);
}

/** Takes the first header that is proved. No record may be emptied while `lostPage` has its header only there. */
async function repairHeader(
  file: BlockFile,
  fileBytes: number,
  lostPage: number | undefined,
  signal: AbortSignal | undefined,
): Promise<RepairedHeader | Unproven> {
  const evidence = new HeaderEvidence(await readFileHead(file), Math.floor(fileBytes / BLOCK_BYTES));
  let [whyNoRecord, whyNoCopy] = [whyNoRecordIn(evidence), whyNoCopyIn(evidence)];
  const repaired = await resolveHeader<RepairedHeader>(evidence, {
    order: ['derived', 'commit record', 'header copy'],
    signal,
    accept: async (candidate) => {
      const { source, part = 'field', bytes } = candidate;
      if (source === 'derived') return { repair: `header-${part}`, bytes, checkpointsRecords: false };
      const isRecord = source === 'commit record';
      const result =
        lostPage === undefined
          ? await (isRecord ? fromRecord(file, evidence, candidate, signal) : fromCopy(file, evidence, bytes, signal))
          : { why: `block ${lostPage} is damaged, and the commit record that contains its page header would be lost` };
      if (result === undefined || 'bytes' in result) return result;
      if (isRecord) whyNoRecord = result.why;
      else whyNoCopy = result.why;
      return undefined;
    },
  });
  const why = `no change of one field or bit makes its checksum match; commit records: ${whyNoRecord}; header copy: ${whyNoCopy}`;
  return repaired ?? { why };
}

function whyNoRecordIn({ records, isRecordLost }: HeaderEvidence): string {
  const last = records.at(-1);
  if (last === undefined) return isRecordLost ? 'none has a valid checksum' : 'there are none';
  if (!isValidHeader(last.fileHeader)) return 'the last contains an invalid file header';
  return `the last is not valid: block ${last.block}, or one that it adds, is not as it describes`;
}

function whyNoCopyIn({ head, copy }: HeaderEvidence): string {
  if (copy === undefined) return headerCopyState(head) === 'damaged' ? 'it is damaged' : 'there is none';
  return 'it is of an invalid file header';
}

/**
 * Takes the header in the last commit record, or the one that it replaces. It counts only if the block is as that
 * commit left or found it, and no program has changed the file since. A pending record before it takes effect too.
 */
async function fromRecord(
  file: BlockFile,
  evidence: HeaderEvidence,
  { record, bytes, isReplaced }: HeaderCandidate,
  signal: AbortSignal | undefined,
): Promise<RepairedHeader | Unproven | undefined> {
  const { records, wholeBlocks, isRecordLost } = evidence;
  if (record === undefined || record !== records.at(-1)) return undefined;
  const view = await CommittedView.open(new OverlaidFile(file, [{ position: 0, bytes }]), signal);
  const isValid = view.recovery.validRecords.at(-1)?.sequence === record.sequence;
  // An invalid record still proves which header it was to replace, if its block is unchanged.
  if (!isValid && (isReplaced !== true || !(await hasOldHeader(file, record)))) return undefined;
  const commit = commitOfHeader(evidence.head, bytes);
  const proven = provenCommit(evidence.head);
  if (commit !== undefined && commit < proven)
    return { why: `the last that fits is of commit ${commit}, and there was a commit ${proven}` };
  const { blockCount } = await view.readFileHeader();
  if (blockCount > wholeBlocks) return { why: `the last counts ${blockCount} blocks, the file has ${wholeBlocks}` };
  // The lost record may have been the newest, and have added the blocks after the count.
  if (isRecordLost && blockCount !== wholeBlocks) {
    return { why: 'one is damaged, and may have added the blocks after those that the other one counts' };
  }
  // A page of the next commit may have been acknowledged as well, with the header that was lost.
  const foreign = await uncountedPage(view, blockCount, fileOffset(wholeBlocks), (commit ?? Infinity) - 1, { signal });
  if (foreign) return { why: `the last does not count all pages: ${foreign.message}` };
  return withRoot('header-record', bytes, commit, evidence, view, signal);
}

/**
 * Takes the header copy, which may be older: counts and free list are derived again. Not while a commit is pending: it
 * would be lost.
 */
async function fromCopy(
  file: BlockFile,
  evidence: HeaderEvidence,
  copy: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<RepairedHeader | Unproven> {
  const { wholeBlocks, records } = evidence;
  const header = FILE_HEADER.read(copy);
  if (header.blockCount > wholeBlocks) {
    return { why: `it counts ${header.blockCount} blocks, the file has ${wholeBlocks}` };
  }
  for (const record of records) {
    const why = `a commit to block ${record.block} is newer and not checkpointed`;
    if (await hasOldHeader(file, record)) return { why };
  }
  const bytes = encodeFileHeader({ ...header, blockCount: wholeBlocks });
  const view = await CommittedView.open(new OverlaidFile(file, [{ position: 0, bytes }]), signal);
  return withRoot('header-copy', bytes, commitOfHeader(evidence.head, copy), evidence, view, signal);
}

async function withRoot(
  repair: RepairId,
  bytes: Uint8Array,
  commit: number | undefined,
  { head }: HeaderEvidence,
  view: CommittedView,
  signal: AbortSignal | undefined,
): Promise<RepairedHeader | Unproven> {
  const root = await findRootDescriptor(head, view, signal);
  return 'why' in root ? root : { repair, bytes, checkpointsRecords: true, commit, ...root };
}
