import { decodeJournal, type JournalState, journalKind, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodePatchJournal } from '../format/patch.ts';
import type { BlockFile } from './block-file.ts';
import type { JournalPurpose } from './overwrite.ts';
import { firstForeignPatch, patchState } from './patching.ts';

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
