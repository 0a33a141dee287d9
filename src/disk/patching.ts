import { type BeforeImage, decodeJournal, type JournalState } from '../format/journal.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { decodePatchJournal, encodePatchJournal, isBeforeOrAfter, type Patch } from '../format/patch.ts';
import type { BlockFile } from './block-file.ts';
import { finishOverwrite, journalMismatch } from './overwrite.ts';

/**
 * Makes all of these patches or none, durably: once the journal is on the device, whoever opens the file next
 * completes them. What the patches were made of has to be what the file has.
 * @param onBegin - called before the first byte of the file changes
 * @throws {@link PageStoreError} `IO`
 */
export async function applyPatches(file: BlockFile, patches: readonly Patch[], onBegin?: () => void): Promise<void> {
  try {
    await file.journal.write(encodePatchJournal(patches));
  } catch (error) {
    // The first error is the one to tell; without a change to the file, nobody needs what there is of the journal.
    await file.journal.remove().catch(() => undefined);
    throw error;
  }
  onBegin?.();
  await writeAfter(file, patches);
}

/** How a file stands to patches, without a change to it: `other` where somebody else has changed it since. */
export async function patchState(file: BlockFile, patches: Iterable<Patch>): Promise<JournalState> {
  let [isBefore, isAfter] = [true, true];
  for (const { before, after, ...patch } of patches) {
    const now = new Uint8Array(before.length);
    const bytes = now.subarray(0, await file.read(now, patch.position));
    if (!isBeforeOrAfter({ before, after }, bytes)) return 'other';
    isBefore &&= Buffer.compare(bytes, before) === 0;
    isAfter &&= Buffer.compare(bytes, after) === 0;
  }
  if (isAfter) return 'complete';
  return isBefore ? 'before' : 'cut off';
}

/** The first patch in whose place the file has something else than its old or its new bytes. */
export async function firstForeignPatch(file: BlockFile, patches: Iterable<Patch>): Promise<Patch | undefined> {
  for (const patch of patches) {
    const now = new Uint8Array(patch.before.length);
    const bytes = await file.read(now, patch.position);
    if (!isBeforeOrAfter(patch, now.subarray(0, bytes))) return patch;
  }
  return undefined;
}

/** @throws {@link PageStoreError} `JOURNAL_MISMATCH` where the file is no longer the one that the patches were made of */
export async function refuseForeignPatches(file: BlockFile, patches: readonly Patch[]): Promise<void> {
  const foreign = await firstForeignPatch(file, patches);
  if (foreign === undefined) return;
  const { position } = foreign;
  throw journalMismatch(file, Math.floor(position / BLOCK_BYTES), 'repair');
}

/**
 * Lays the new bytes of patches over what was read of their places, where the file does not have something else by now.
 * @param from - where `target` was read from
 * @returns the same bytes
 */
export function layPatches(patches: Iterable<Patch> | undefined, target: Uint8Array, from: number): Uint8Array {
  for (const { position, before, after } of patches ?? []) {
    const start = Math.max(position, from);
    const end = Math.min(position + before.length, from + target.length);
    if (end <= start) continue;
    const part = (bytes: Uint8Array): Uint8Array => bytes.subarray(start - position, end - position);
    const now = target.subarray(start - from, end - from);
    const known = { before: part(before), after: part(after) };
    if (isBeforeOrAfter(known, now)) now.set(known.after);
  }
  return target;
}

/** Carries out what a journal holds, and removes it. @throws {@link PageStoreError} `JOURNAL_MISMATCH`, `IO` */
export async function finishJournal(
  file: BlockFile,
  { before, patches }: { readonly before: BeforeImage | undefined; readonly patches: readonly Patch[] | undefined },
): Promise<void> {
  if (patches === undefined) return finishOverwrite(file, before);
  await refuseForeignPatches(file, patches);
  await writeAfter(file, patches);
}

/** Carries out what the journal of a file holds, if there is one. @throws {@link PageStoreError} `JOURNAL_MISMATCH`, `IO` */
export async function recoverJournal(file: BlockFile): Promise<void> {
  const bytes = await file.journal.read();
  if (bytes === undefined) return;
  await finishJournal(file, { before: decodeJournal(bytes), patches: decodePatchJournal(bytes) });
}

async function writeAfter(file: BlockFile, patches: readonly Patch[]): Promise<void> {
  for (const { position, after } of patches) await file.write(after, position);
  await file.sync();
  await file.journal.remove();
}
