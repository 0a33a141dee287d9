import type { BlockFile } from '../disk/block-file.ts';
import {
  firstForeignPatch,
  FOREIGN_JOURNAL,
  type JournalPurpose,
  mismatchMessage,
  patchState,
} from '../disk/overwrite.ts';
import { decodeJournal, decodePatchJournal, journalKind, type JournalState, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';

/**
 * What lies under the journal's name beside a file: `foreign` what is no journal, `newer` one of an unknown version,
 * `unfinished` the beginning of one, of which nothing was overwritten yet; else how what it is of stands to it.
 */
export type JournalStanding = { readonly state: 'foreign' | 'newer' | 'unfinished' } | KnownJournal;

interface KnownJournal {
  readonly state: JournalState;
  readonly purpose: JournalPurpose;
  /** The block that it is of; of a repair the first one, or the first one that somebody else has changed. */
  readonly block: number;
}

/** How often a journal is looked at that changes meanwhile. */
const MAX_LOOKS = 20;

/**
 * How the journal of a file stands to it, without a change to either; undefined where there is none.
 * @param file - as it is, and not as its last commit left it
 * @throws {@link PageStoreError} `IO`
 */
export async function readJournalStanding(file: BlockFile): Promise<JournalStanding | undefined> {
  let bytes = await file.journal.read();
  for (let looks = 1; bytes !== undefined; looks++) {
    const standing = await standingOf(file, bytes);
    if (!isMismatch(standing)) return standing;
    // A writer may have come to its end, and begun anew, between the reading of the two.
    const again = await file.journal.read();
    if (again === undefined || looks === MAX_LOOKS || Buffer.compare(again, bytes) === 0) return again && standing;
    bytes = again;
  }
  return undefined;
}

/** Whether a writer refuses the file for its journal. */
export function isMismatch({ state }: JournalStanding): boolean {
  return state === 'foreign' || state === 'newer' || state === 'other';
}

async function standingOf(file: BlockFile, bytes: Uint8Array): Promise<JournalStanding> {
  const patches = decodePatchJournal(bytes);
  if (patches) {
    const position = ((await firstForeignPatch(file, patches)) ?? patches[0])?.position ?? 0;
    return { state: await patchState(file, patches), purpose: 'repair', block: Math.floor(position / BLOCK_BYTES) };
  }
  const before = decodeJournal(bytes);
  if (before === undefined) return { state: STATES[journalKind(bytes)] };
  const now = new Uint8Array(BLOCK_BYTES);
  await file.read(now, fileOffset(before.block));
  return { state: journalState(before, now), purpose: 'update', block: before.block };
}

const STATES = { none: 'foreign', newer: 'newer', known: 'unfinished' } as const;

/** A journal that says nothing of the file as it is, or nothing that this version can read: a writer refuses the file. */
export function* journalMismatchProblems(journal: JournalStanding | undefined): Generator<Problem> {
  if (journal?.state === 'foreign' || journal?.state === 'newer') {
    const message = FOREIGN_JOURNAL[journal.state];
    const [found, expected] = {
      foreign: ['bytes that are no journal', 'a journal, or no such file'] as const,
      newer: ['a journal of an unknown version', 'a journal of version 1'] as const,
    }[journal.state];
    yield { code: 'JOURNAL_MISMATCH', severity: 'error', block: 0, offset: 0, found, expected, message };
  } else if (journal?.state === 'other') {
    const { block, purpose } = journal;
    const message = mismatchMessage(purpose, block);
    const [found, expected] = {
      update: [
        'a block that is not the one of the journal',
        'the block before, during or after its overwriting',
      ] as const,
      repair: ['bytes that are not of the repair', 'the bytes before, during or after the repair'] as const,
    }[purpose];
    yield { code: 'JOURNAL_MISMATCH', severity: 'error', ...placeOf(block), found, expected, message };
  }
}

/**
 * A journal of a writer that is at work, or was stopped. Readers see a block as it was before its update, or as a repair
 * is to leave it, and the next writer makes it so.
 */
export function* journalPendingProblems(journal: JournalStanding | undefined): Generator<Problem> {
  if (journal === undefined || isMismatch(journal)) return;
  const message = pendingMessage(journal);
  const place = 'block' in journal ? placeOf(journal.block) : { block: 0, offset: 0 };
  const [found, expected] = [`a journal: ${journal.state}`, 'no journal'];
  yield { code: 'JOURNAL_PENDING', severity: 'info', ...place, found, expected, message };
}

function pendingMessage(journal: JournalStanding): string {
  if (!('block' in journal)) {
    return 'the journal beside the file was not written to its end, so nothing has been overwritten yet';
  }
  const { state, purpose, block } = journal;
  if (purpose === 'repair') {
    return state === 'complete'
      ? 'a repair has been made, and its journal is still there; the next writer removes it'
      : 'a repair was cut off, or is under way: readers see the file with the repaired bytes of the journal, and the next writer puts them in their places';
  }
  if (state === 'complete') {
    return `block ${block} has been overwritten, and its journal is still there; the next writer removes it`;
  }
  return state === 'before'
    ? `the journal beside the file is of block ${block}, which has not been overwritten yet`
    : `the overwriting of block ${block} was cut off, or is under way: readers see the block of the journal, and the next writer puts it in its place`;
}

function placeOf(block: number): { block: number; offset: number; bytes: number } {
  return { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
}
