import type { RecordLayout } from '../bytes/record.ts';
import type { BlockFile } from '../disk/block-file.ts';
import {
  comparePatches,
  decodeJournalContent,
  FOREIGN_JOURNAL_MESSAGES,
  otherFileMessage,
  journalMismatchMessage,
  type JournalPurpose,
  readJournalOwner,
  unfitJournalMessage,
} from '../disk/journal.ts';
import { readAgain } from '../disk/page-file.ts';
import type { ProblemCode } from '../errors.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { commitRecordProblems } from '../format/commit-record-checks.ts';
import { DIGEST, type FoundDigest } from '../format/digest.ts';
import { FILE_HEADER, type FileHeader, HEADER_COPY } from '../format/file-header.ts';
import {
  fileHeaderFlagProblems,
  fileHeaderProblems,
  fileSizeProblems,
  freeListHeadProblems,
  headerCopyProblems,
  rootDescriptorCopyProblems,
  rootProblems,
} from '../format/header-checks.ts';
import { trieProblems } from '../format/trie-checks.ts';
import { journalKind, type JournalState, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset } from '../format/layout.ts';
import type { FileRange, Problem } from '../format/problem.ts';
import type { RecordedPage } from '../salvage/evidence.ts';
import { flippedBitUnderCrc, flippedHeaderBit } from '../salvage/flipped-bit.ts';
import { headDigestProblems } from './digest-rules.ts';
import { type Checks, withBit } from './page-rules.ts';
import type { ProvenHead } from './repairable-head.ts';

export interface HeadFacts {
  readonly header: FileHeader;
  readonly block0: Uint8Array;
  readonly fileBytes: number;
  readonly wholeBlocks: number;
  readonly blocks: number;
  /** The first page after `blockCount` that is of another program, or of a later commit than the next one. */
  readonly uncountedPage: Problem | undefined;
  readonly journal: FoundJournal | undefined;
  /** Damaged or free blocks with a page header in a commit record. */
  readonly recordedPages: readonly RecordedPage[];
  readonly headerState: HeaderState;
  readonly digest: FoundDigest;
  /** Pages that are older than their commit record. */
  readonly lostWrites: readonly Problem[];
  /** What repair can prove if the file header or a page is older than something in block 0. */
  readonly proven: ProvenHead;
}

/**
 * `repairable`: checksum, commit record or copy may prove its content; `lost`: nothing does; `newer`: unknown version.
 */
export type HeaderState = 'valid' | 'repairable' | 'lost' | 'newer';

/** Checks block 0, and the size and journal of the file. */
export const HEAD_RULES: Checks<HeadFacts> = {
  FILE_HEADER_MAGIC: (head) => headerProblems('FILE_HEADER_MAGIC', head),
  FILE_HEADER_VERSION: (head) => withHeaderBit(headerProblems('FILE_HEADER_VERSION', head), head),
  FILE_HEADER_CHECKSUM: (head) => withHeaderBit(headerProblems('FILE_HEADER_CHECKSUM', head), head),
  *FILE_HEADER_RESERVED(head) {
    yield* withHeaderBit(headerProblems('FILE_HEADER_RESERVED', head), head);
    yield* fileHeaderFlagProblems(head.header);
  },
  FILE_SIZE: (head) => sizeProblems('FILE_SIZE', head),
  BLOCK_COUNT_BEYOND_FILE: (head) => withHeaderBit(sizeProblems('BLOCK_COUNT_BEYOND_FILE', head), head),
  *BLOCKS_UNCOUNTED(head) {
    const { uncountedPage, headerState } = head;
    yield* beyondRepairIf(true, sizeProblems('BLOCKS_UNCOUNTED', head));
    // Repair changes the block count only in a damaged header.
    const isBeyondRepair = headerState !== 'repairable';
    if (uncountedPage?.code === 'BLOCKS_UNCOUNTED') yield { ...uncountedPage, severity: 'warning', isBeyondRepair };
  },
  ROOT_POINTER: (head) => withHeaderBit(rootProblemsOf('ROOT_POINTER', head), head),
  *ROOT_DESCRIPTOR(head) {
    const differing = [...rootDescriptorCopyProblems(head.block0)];
    // The difference from the copy can explain an invalid field.
    const flippedBit = differing[0]?.flippedBit;
    for (const problem of rootProblemsOf('ROOT_DESCRIPTOR', head))
      yield flippedBit ? { ...problem, flippedBit } : problem;
    yield* differing;
  },
  TRIE_ARENA_COUNT: (head) => trieProblemsOf('TRIE_ARENA_COUNT', head),
  TRIE_BLOCK_COUNT: (head) => trieProblemsOf('TRIE_BLOCK_COUNT', head),
  TRIE_FREE_BLOCKS: (head) => trieProblemsOf('TRIE_FREE_BLOCKS', head),
  // With a damaged header the digest belongs to nothing.
  *FILE_HEADER_OLD({ block0, headerState, uncountedPage, proven }) {
    if (headerState !== 'valid') return;
    const problems = headDigestProblems('FILE_HEADER_OLD', block0);
    for (const problem of problems) yield { ...problem, isBeyondRepair: !proven.isNewerProven };
    if (problems.length === 0 && uncountedPage?.code === 'FILE_HEADER_OLD') yield uncountedPage;
  },
  *PAGES_DIGEST({ block0, headerState, lostWrites, proven }) {
    if (headerState !== 'valid') return;
    yield* withCrcBit(headDigestProblems('PAGES_DIGEST', block0), block0, DIGEST);
    for (const problem of lostWrites) {
      const isProven = proven.olderPages.some(({ record }) => record.block === problem.block);
      yield { ...problem, isBeyondRepair: !isProven };
    }
  },
  DIGEST_FOREIGN: ({ block0, headerState }) =>
    headerState === 'valid' ? headDigestProblems('DIGEST_FOREIGN', block0) : [],
  FILE_HEADER_COPY({ block0, headerState }) {
    const problems = [...headerCopyProblems(block0)];
    const isOfDigest = problems[0]?.bytes === DIGEST.bytes;
    const named = isOfDigest ? withCrcBit(problems, block0, DIGEST) : withCrcBit(problems, block0, HEADER_COPY);
    return beyondRepairIf(headerState === 'lost', named);
  },
  // A torn record is harmless after a crash; one with a single wrong bit may be the only trace of a commit.
  *COMMIT_RECORD({ block0 }) {
    const problems = [...commitRecordProblems(block0)];
    for (const problem of withCrcBit(problems.filter(isTorn), block0, COMMIT_RECORD))
      yield problem.flippedBit ? { ...problem, severity: 'error' } : problem;
    yield* problems.filter((problem) => !isTorn(problem));
    yield* headDigestProblems('COMMIT_RECORD', block0);
  },
  // Writers refuse a file with such a journal.
  *JOURNAL_MISMATCH({ journal }) {
    const common = { code: 'JOURNAL_MISMATCH', severity: 'error' } as const;
    if (journal?.state === 'unfit') {
      const message = unfitJournalMessage(journal.fault);
      yield { ...common, ...journalLocation(journal), ...MISMATCH.unfit, message };
    }
    if (journal?.state === 'foreign' || journal?.state === 'newer') {
      const message = FOREIGN_JOURNAL_MESSAGES[journal.state];
      yield { ...common, ...journalLocation(journal), ...MISMATCH[journal.state], message };
    } else if (journal?.state === 'other file') {
      yield { ...common, ...journalLocation(journal), ...MISMATCH.file, message: otherFileMessage(journal.fileId) };
    } else if (journal?.state === 'other') {
      const message = journalMismatchMessage(journal.purpose, journal.block);
      yield { ...common, ...journalLocation(journal), ...MISMATCH[journal.purpose], message };
    }
  },
  // Of a running or interrupted writer. Readers and the next writer take it into account.
  *JOURNAL_PENDING({ journal }) {
    if (journal === undefined || isMismatch(journal)) return;
    const [found, expected, message] = [`a journal: ${journal.state}`, 'no journal', pendingMessage(journal)];
    yield { code: 'JOURNAL_PENDING', severity: 'info', ...journalLocation(journal), found, expected, message };
  },
  FREE_LIST_LINK({ header, blocks, wholeBlocks, headerState }) {
    const target = decodeFreeLink(header.freeListHead);
    const isBeyondRepair =
      headerState === 'lost' ||
      (headerState === 'valid' && (header.blockCount !== blocks || (target >= blocks && target < wholeBlocks)));
    return beyondRepairIf(isBeyondRepair, freeListHeadProblems(header, blocks));
  },
};

const isTorn = ({ severity }: Problem): boolean => severity === 'info';

function headerProblems(code: ProblemCode, { header, headerState }: HeadFacts): Iterable<Problem> {
  return beyondRepairIf(headerState === 'lost', ofCode(code, fileHeaderProblems(header)));
}

function sizeProblems(code: ProblemCode, { header, fileBytes }: HeadFacts): Iterable<Problem> {
  return ofCode(code, fileSizeProblems(header, fileBytes));
}

function rootProblemsOf(code: ProblemCode, { header, block0, blocks }: HeadFacts): Iterable<Problem> {
  return ofCode(code, rootProblems(header, block0, blocks));
}

/** With a damaged header it is not known whether there is a trie. */
function* trieProblemsOf(code: ProblemCode, { header, block0, headerState }: HeadFacts): Generator<Problem> {
  if (headerState !== 'valid') return;
  // The difference from the copy can explain a count that does not fit.
  const flippedBit = code === 'TRIE_FREE_BLOCKS' ? undefined : [...rootDescriptorCopyProblems(block0)][0]?.flippedBit;
  for (const problem of ofCode(code, trieProblems(header, block0)))
    yield flippedBit ? { ...problem, flippedBit } : problem;
}

export function* ofCode(code: ProblemCode, problems: Iterable<Problem>): Generator<Problem> {
  for (const problem of problems) if (problem.code === code) yield problem;
}

export function* beyondRepairIf(isBeyondRepair: boolean, problems: Iterable<Problem>): Generator<Problem> {
  for (const problem of problems) yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
}

/** Adds the one flipped bit that explains all problems of the file header. */
function* withHeaderBit(problems: Iterable<Problem>, { header, wholeBlocks }: HeadFacts): Generator<Problem> {
  let bit: number | undefined | 'unknown' = 'unknown';
  for (const problem of problems) {
    if (bit === 'unknown') bit = flippedHeaderBit(header, wholeBlocks);
    yield bit === undefined ? problem : withBit(problem, 0, bit, fieldAt(FILE_HEADER, bit >> 3));
  }
}

/** Adds the one flipped bit that explains a wrong CRC-32 at the end of a record. */
function* withCrcBit<T>(problems: Iterable<Problem>, block0: Uint8Array, layout: RecordLayout<T>): Generator<Problem> {
  for (const problem of problems) {
    const bit = flippedBitUnderCrc(block0.subarray(problem.offset, problem.offset + layout.bytes));
    yield bit === undefined ? problem : withBit(problem, problem.offset, bit, fieldAt(layout, bit >> 3));
  }
}

function fieldAt<T>({ fields }: RecordLayout<T>, offset: number): string {
  return fields.findLast((field) => field.offset <= offset)?.name ?? '';
}

/**
 * `foreign`: not a journal; `newer`: unknown version; `unfinished`: not completely written, so nothing was overwritten;
 * `unfit`: complete, with fields that do not fit the file.
 */
export type FoundJournal =
  | { readonly state: 'foreign' | 'newer' | 'unfinished' }
  /** `fileId`: the record of the id of the file that it belongs to. */
  | { readonly state: 'other file'; readonly fileId: Uint8Array }
  | { readonly state: 'unfit'; readonly fault: string }
  | CompleteJournal;

interface CompleteJournal {
  readonly state: JournalState;
  readonly purpose: JournalPurpose;
  /** The block to overwrite; of a repair the first one, or the first that another program has changed. */
  readonly block: number;
}

/** Compares the journal with the file and changes neither. @param file - the raw file, not a view of its last commit */
export async function readJournal(file: BlockFile): Promise<FoundJournal | undefined> {
  let bytes = await file.journal.read();
  let journal = bytes && (await compareWithFile(bytes, file));
  if (journal === undefined || !isMismatch(journal)) return journal;
  // A writer may finish and start another overwrite between the two reads.
  await readAgain(async () => {
    const before = bytes;
    bytes = await file.journal.read();
    if (bytes !== undefined && before !== undefined && Buffer.compare(bytes, before) === 0) return true;
    journal = bytes && (await compareWithFile(bytes, file));
    return journal === undefined || !isMismatch(journal);
  });
  return journal;
}

function isMismatch({ state }: FoundJournal): boolean {
  return ['foreign', 'newer', 'unfit', 'other', 'other file'].includes(state);
}

async function compareWithFile(bytes: Uint8Array, file: BlockFile): Promise<FoundJournal> {
  const content = decodeJournalContent(bytes, await readJournalOwner(file));
  const { beforeImage: before, patches, otherFile, fault } = content;
  if (otherFile) return { state: 'other file', fileId: otherFile };
  if (fault !== undefined) return { state: 'unfit', fault };
  if (patches) {
    const { state, mismatch } = await comparePatches(file, patches);
    const { position } = mismatch ?? patches[0] ?? { position: 0 };
    return { state, purpose: 'repair', block: Math.floor(position / BLOCK_BYTES) };
  }
  if (before === undefined) return { state: STATES[journalKind(bytes)] };
  const now = new Uint8Array(BLOCK_BYTES);
  await file.read(now, fileOffset(before.block));
  return { state: journalState(before, now), purpose: 'update', block: before.block };
}

const STATES = { none: 'foreign', newer: 'newer', known: 'unfinished' } as const;

const MISMATCH = {
  foreign: { found: 'not a journal', expected: 'a journal, or no such file' },
  unfit: { found: 'a journal with fields that do not fit the file', expected: 'a journal of this file' },
  newer: { found: 'a journal of an unknown version', expected: 'a journal of version 1' },
  file: { found: 'a journal of another file', expected: 'a journal of this file, or no such file' },
  update: {
    found: 'a block that the journal does not describe',
    expected: 'the block as it was before, during or after its overwrite',
  },
  repair: { found: 'bytes that the repair did not write', expected: 'the bytes before, during or after the repair' },
} as const;

function journalLocation(journal: FoundJournal): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  return 'block' in journal ? wholeBlock(journal.block) : { block: 0, offset: 0 };
}

function pendingMessage(journal: FoundJournal): string {
  if (!('block' in journal)) return 'the journal next to the file is incomplete, so nothing has been overwritten yet';
  const { state, purpose, block } = journal;
  const what = purpose === 'repair' ? 'a repair' : `the overwrite of block ${block}`;
  if (state === 'complete') return `${what} is complete, but its journal still exists; the next writer removes it`;
  if (purpose === 'repair')
    return `${what} is in progress or was interrupted; readers see the file as repaired, and the next writer completes the repair`;
  return state === 'before'
    ? `the journal next to the file contains block ${block}, which has not been overwritten yet`
    : `${what} is in progress or was interrupted; readers see the block in the journal, and the next writer restores it`;
}

export function wholeBlock(block: number): FileRange {
  return { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
}
