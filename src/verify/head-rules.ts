import type { RecordLayout } from '../bytes/record.ts';
import type { BlockFile } from '../disk/block-file.ts';
import {
  comparePatches,
  FOREIGN_JOURNAL_MESSAGES,
  journalMismatchMessage,
  type JournalPurpose,
} from '../disk/journal.ts';
import { readAgain } from '../disk/page-file.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { FILE_HEADER, type FileHeader, HEADER_COPY } from '../format/file-header.ts';
import {
  commitRecordProblems,
  FILE_HEADER_CHECKS,
  fileHeaderFlagProblems,
  type FileHeaderProblemCode,
  freeListHeadProblems,
  headerCopyProblems,
  rootDescriptorCopyProblems,
  rootProblems,
  uncountedBlockProblems,
} from '../format/header-checks.ts';
import { decodeJournal, decodePatchJournal, journalKind, type JournalState, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset } from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';
import type { RecordedPage } from '../salvage/commit-evidence.ts';
import { flippedBitUnderCrc, flippedHeaderBit } from '../salvage/flipped-bit.ts';
import { flippedBitText } from './page-rules.ts';

/** What is known of a file before its pages are read. */
export interface HeadFacts {
  readonly header: FileHeader;
  /** The 262,144 bytes of block 0. */
  readonly block0: Uint8Array;
  readonly fileBytes: number;
  /** Number of whole blocks in the file. */
  readonly wholeBlocks: number;
  /** Number of blocks that are checked, block 0 included. */
  readonly blocks: number;
  /** The problem with the first block after `blockCount` that another program has written a page to. */
  readonly foreignBlock: Problem | undefined;
  readonly journal: FoundJournal | undefined;
  /** Damaged or free blocks for which a commit record contains a page header. */
  readonly recordedPages: readonly RecordedPage[];
  /**
   * Whether the file header is valid. `repairable`: its checksum, a commit record or its copy may prove its content; `lost`:
   * nothing does; `newer`: it has an unknown version.
   */
  readonly headerState: 'valid' | 'repairable' | 'lost' | 'newer';
}

/** Problems of the file header itself. */
export function headerProblems(code: FileHeaderProblemCode, { header, headerState }: HeadFacts): Iterable<Problem> {
  return beyondRepairIf(headerState === 'lost', FILE_HEADER_CHECKS[code](header));
}

/** Marks problems that nothing in the file can fix. */
export function* beyondRepairIf(isBeyondRepair: boolean, problems: Iterable<Problem>): Generator<Problem> {
  for (const problem of problems) yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
}

export function* reservedFieldProblems(head: HeadFacts): Generator<Problem> {
  yield* withHeaderBit(headerProblems('FILE_HEADER_RESERVED', head), head);
  yield* fileHeaderFlagProblems(head.header);
}

/** Adds to problems of the file header the one flipped bit that explains all of them, if there is one. */
export function* withHeaderBit(problems: Iterable<Problem>, { header, wholeBlocks }: HeadFacts): Generator<Problem> {
  let bit: number | undefined | 'unknown' = 'unknown';
  for (const problem of problems) {
    if (bit === 'unknown') bit = flippedHeaderBit(header, wholeBlocks);
    yield bit === undefined ? problem : withBit(problem, bit, fieldAt(FILE_HEADER, bit >> 3));
  }
}

/** Adds to problems of a record in block 0 the one flipped bit that explains a wrong CRC-32 at its end. */
function* withCrcBit<T>(problems: Iterable<Problem>, block0: Uint8Array, layout: RecordLayout<T>): Generator<Problem> {
  for (const problem of problems) {
    const bit = flippedBitUnderCrc(block0.subarray(problem.offset, problem.offset + layout.bytes));
    yield bit === undefined ? problem : withBit(problem, 8 * problem.offset + bit, fieldAt(layout, bit >> 3));
  }
}

/** @param bit - its index in block 0 */
function withBit(problem: Problem, bit: number, name: string): Problem {
  const flippedBit = { offset: bit >> 3, bit: bit & 7 };
  return { ...problem, flippedBit, message: `${problem.message}; ${flippedBitText(flippedBit, name)}` };
}

/** The name of the field at an offset of a record. */
function fieldAt<T>({ fields }: RecordLayout<T>, offset: number): string {
  return fields.findLast((field) => field.offset <= offset)?.name ?? '';
}

export function headerCopyCheck({ block0, headerState }: HeadFacts): Iterable<Problem> {
  // The copy is rebuilt from the header, so it needs one.
  return beyondRepairIf(headerState === 'lost', withCrcBit(headerCopyProblems(block0), block0, HEADER_COPY));
}

/** A crash can leave a torn record, which is harmless; a single wrong bit is damage to what may be the only trace of a commit. */
export function* commitRecordCheck({ block0 }: HeadFacts): Generator<Problem> {
  for (const problem of withCrcBit(commitRecordProblems(block0), block0, COMMIT_RECORD))
    yield problem.flippedBit ? { ...problem, severity: 'error' } : problem;
}

export function* uncountedProblems({ header, fileBytes, foreignBlock, headerState }: HeadFacts): Generator<Problem> {
  yield* beyondRepairIf(true, uncountedBlockProblems(header, fileBytes));
  // Repair changes the block count only in a header that is damaged.
  const isBeyondRepair = headerState !== 'repairable';
  if (foreignBlock) yield { ...foreignBlock, severity: 'warning', isBeyondRepair };
}

export function rootProblemsOf(
  { header, block0, blocks }: HeadFacts,
  code: 'ROOT_POINTER' | 'ROOT_DESCRIPTOR',
): Problem[] {
  return [...rootProblems(header, block0, blocks)].filter((problem) => problem.code === code);
}

export function* rootDescriptorProblems(head: HeadFacts): Generator<Problem> {
  const invalid = rootProblemsOf(head, 'ROOT_DESCRIPTOR');
  const differing = [...rootDescriptorCopyProblems(head.block0)];
  // The difference from the copy can explain an invalid field.
  const flippedBit = differing[0]?.flippedBit;
  yield* invalid.map((problem) => (flippedBit ? { ...problem, flippedBit } : problem));
  yield* differing;
}

export function freeListHeadCheck({ header, blocks, wholeBlocks, headerState }: HeadFacts): Iterable<Problem> {
  const target = decodeFreeLink(header.freeListHead);
  const isBeyondRepair =
    headerState === 'lost' ||
    (headerState === 'valid' && (header.blockCount !== blocks || (target >= blocks && target < wholeBlocks)));
  return beyondRepairIf(isBeyondRepair, freeListHeadProblems(header, blocks));
}

/**
 * The journal next to a file: `foreign` is not a journal, `newer` has an unknown version, `unfinished` was not written to its
 * end, so that nothing was overwritten yet. Any other journal is compared with the blocks that it describes.
 */
export type FoundJournal = { readonly state: 'foreign' | 'newer' | 'unfinished' } | CompleteJournal;

interface CompleteJournal {
  readonly state: JournalState;
  readonly purpose: JournalPurpose;
  /** The block to overwrite; of a repair the first one, or the first one that another program has changed. */
  readonly block: number;
}

/**
 * Reads the journal of a file and compares it with the file; changes neither.
 * @param file - the raw file, not a view of its last commit
 * @returns undefined where there is no journal
 * @throws {@link PageStoreError} `IO`
 */
export async function readJournal(file: BlockFile): Promise<FoundJournal | undefined> {
  let bytes = await file.journal.read();
  let journal = bytes && (await compareWithFile(bytes, file));
  if (journal === undefined || !isMismatch(journal)) return journal;
  // A writer may have finished, and started another overwrite, between the two reads.
  await readAgain(async () => {
    const before = bytes;
    bytes = await file.journal.read();
    if (bytes !== undefined && before !== undefined && Buffer.compare(bytes, before) === 0) return true;
    journal = bytes && (await compareWithFile(bytes, file));
    return journal === undefined || !isMismatch(journal);
  });
  return journal;
}

/** Whether writers refuse the file because of its journal. */
function isMismatch({ state }: FoundJournal): boolean {
  return state === 'foreign' || state === 'newer' || state === 'other';
}

async function compareWithFile(bytes: Uint8Array, file: BlockFile): Promise<FoundJournal> {
  const patches = decodePatchJournal(bytes);
  if (patches) {
    const { state, mismatch } = await comparePatches(file, patches);
    const { position } = mismatch ?? patches[0] ?? { position: 0 };
    return { state, purpose: 'repair', block: Math.floor(position / BLOCK_BYTES) };
  }
  const before = decodeJournal(bytes);
  if (before === undefined) return { state: STATES[journalKind(bytes)] };
  const now = new Uint8Array(BLOCK_BYTES);
  await file.read(now, fileOffset(before.block));
  return { state: journalState(before, now), purpose: 'update', block: before.block };
}

const STATES = { none: 'foreign', newer: 'newer', known: 'unfinished' } as const;

/** A journal that does not match the file, or that this version cannot read: writers refuse the file. */
export function* journalMismatchProblems(journal: FoundJournal | undefined): Generator<Problem> {
  if (journal?.state === 'foreign' || journal?.state === 'newer') {
    const message = FOREIGN_JOURNAL_MESSAGES[journal.state];
    const [found, expected] = {
      foreign: ['not a journal', 'a journal, or no such file'] as const,
      newer: ['a journal of an unknown version', 'a journal of version 1'] as const,
    }[journal.state];
    yield { code: 'JOURNAL_MISMATCH', severity: 'error', block: 0, offset: 0, found, expected, message };
  } else if (journal?.state === 'other') {
    const { block, purpose } = journal;
    const message = journalMismatchMessage(purpose, block);
    const [found, expected] = {
      update: [
        'a block that the journal does not describe',
        'the block as it was before, during or after its overwrite',
      ],
      repair: ['bytes that the repair did not write', 'the bytes before, during or after the repair'],
    }[purpose] as [string, string];
    yield { code: 'JOURNAL_MISMATCH', severity: 'error', ...wholeBlock(block), found, expected, message };
  }
}

/** A journal of a writer that is still running, or was stopped. Readers and the next writer take it into account. */
export function* journalPendingProblems(journal: FoundJournal | undefined): Generator<Problem> {
  if (journal === undefined || isMismatch(journal)) return;
  const message = pendingMessage(journal);
  const place = 'block' in journal ? wholeBlock(journal.block) : { block: 0, offset: 0 };
  const [found, expected] = [`a journal: ${journal.state}`, 'no journal'];
  yield { code: 'JOURNAL_PENDING', severity: 'info', ...place, found, expected, message };
}

function pendingMessage(journal: FoundJournal): string {
  if (!('block' in journal)) return 'the journal next to the file is incomplete, so nothing has been overwritten yet';
  const { state, purpose, block } = journal;
  if (purpose === 'repair') {
    return state === 'complete'
      ? 'a repair is complete, but its journal still exists; the next writer removes it'
      : 'a repair is in progress or was interrupted; readers see the file as repaired, and the next writer completes the repair';
  }
  if (state === 'complete')
    return `the overwrite of block ${block} is complete, but its journal still exists; the next writer removes it`;
  return state === 'before'
    ? `the journal next to the file contains block ${block}, which has not been overwritten yet`
    : `the overwrite of block ${block} is in progress or was interrupted; readers see the block in the journal, and the next writer restores it`;
}

/** The location of a problem that concerns a whole block. */
export function wholeBlock(block: number): { block: number; offset: number; bytes: number } {
  return { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
}
