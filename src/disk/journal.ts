import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import {
  type BeforeImage,
  decodeJournal,
  decodePatchJournal,
  encodeJournal,
  encodePatchJournal,
  isBeforeOrAfter,
  journalKind,
  journalState,
  type JournalState,
  type Patch,
} from '../format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import type { ByteRange } from '../format/slots.ts';
import { type BlockFile, OverlaidFile, overlapOf, type Overlay } from './block-file.ts';

/** New bytes for a range and the header of one committed page. */
export interface Overwrite {
  readonly block: number;
  /** The 262,144 bytes of the block before. */
  readonly image: Uint8Array;
  /** For the range `changed`. */
  readonly bytes: Uint8Array;
  /** Range in the block, after the page header. */
  readonly changed: ByteRange;
  /** New page header, 64 bytes. */
  readonly head: Uint8Array;
}

export function encodeOverwriteJournal({ block, image, changed, head }: Overwrite): Uint8Array {
  return encodeJournal({ block, image, changed, newPageHeaderCrc: crc32(head) });
}

/** Overwrites and syncs. The journal must be durable, and is removed. */
export async function overwrite(file: BlockFile, { block, bytes, changed, head }: Overwrite): Promise<void> {
  await writeJournaled(file, [
    { position: fileOffset(block, changed.start), bytes },
    { position: fileOffset(block), bytes: head },
  ]);
}

/**
 * Writes all patches or none, durably: once the journal is written, the next writer to open the file completes them.
 * The file must contain the old or the new bytes of each. `onBegin` is called before the first byte changes.
 * @throws {@link PageStoreError} `IO`
 */
export async function applyPatches(file: BlockFile, patches: readonly Patch[], onBegin?: () => void): Promise<void> {
  try {
    await file.journal.write(encodePatchJournal(patches));
  } catch (error) {
    // The file has not changed, so the journal is not needed; report the first error.
    await file.journal.remove().catch(() => undefined);
    throw error;
  }
  onBegin?.();
  await writeJournaled(file, newBytes(patches));
}

const newBytes = (patches: readonly Patch[]): Overlay[] =>
  patches.map(({ position, after }) => ({ position, bytes: after }));

async function writeJournaled(file: BlockFile, overlays: readonly Overlay[]): Promise<void> {
  for (const { position, bytes } of overlays) await file.write(bytes, position);
  await file.sync();
  await file.journal.remove();
}

/** The image of a block before an update, or the patches of a repair. */
export interface JournalContent {
  readonly beforeImage: BeforeImage | undefined;
  readonly patches: readonly Patch[] | undefined;
}

/** Both undefined without a journal, and for an incomplete one, whose writer has not changed the file yet. */
export function decodeJournalContent(bytes: Uint8Array | undefined): JournalContent {
  return { beforeImage: bytes && decodeJournal(bytes), patches: bytes && decodePatchJournal(bytes) };
}

export async function recoverJournal(file: BlockFile): Promise<void> {
  const bytes = await file.journal.read();
  if (bytes !== undefined) await finishJournal(file, decodeJournalContent(bytes));
}

/**
 * Completes or undoes what a journal contains, and removes it.
 * @throws {@link PageStoreError} `JOURNAL_MISMATCH` if another program has changed the same bytes since; `IO`
 */
export async function finishJournal(file: BlockFile, { beforeImage, patches }: JournalContent): Promise<void> {
  if (patches) {
    await assertPatchesMatch(file, patches);
    return writeJournaled(file, newBytes(patches));
  }
  if (beforeImage === undefined) {
    const bytes = await file.journal.read();
    if (bytes === undefined) return;
    assertKnownJournal(file, bytes);
    return file.journal.remove();
  }
  const { state, bytes } = await readJournalBlock(file, beforeImage);
  // Written even if complete: after a failed sync, that may be true only of the page cache.
  const block = state === 'complete' ? bytes : beforeImage.image;
  await writeJournaled(file, [{ position: fileOffset(beforeImage.block), bytes: block }]);
}

/** The file as its journal leaves it, for reading; ignores commit records. @throws `JOURNAL_MISMATCH`, `IO` */
export async function withJournal(file: BlockFile): Promise<BlockFile> {
  const journal = await file.journal.read();
  if (journal === undefined) return file;
  const { beforeImage, patches } = decodeJournalContent(journal);
  if (patches) {
    await assertPatchesMatch(file, patches);
    return new OverlaidFile(file, newBytes(patches));
  }
  if (beforeImage === undefined) {
    assertKnownJournal(file, journal);
    return file;
  }
  const { state } = await readJournalBlock(file, beforeImage);
  if (state === 'complete') return file;
  return new OverlaidFile(file, [{ position: fileOffset(beforeImage.block), bytes: beforeImage.image }]);
}

async function readJournalBlock(
  file: BlockFile,
  beforeImage: BeforeImage,
): Promise<{ state: JournalState; bytes: Uint8Array }> {
  const bytes = new Uint8Array(BLOCK_BYTES);
  await file.read(bytes, fileOffset(beforeImage.block));
  const state = journalState(beforeImage, bytes);
  if (state === 'other') throw mismatchError(file, 'update', beforeImage.block);
  return { state, bytes };
}

async function assertPatchesMatch(file: BlockFile, patches: readonly Patch[]): Promise<void> {
  const { mismatch } = await comparePatches(file, patches);
  if (mismatch) throw mismatchError(file, 'repair', Math.floor(mismatch.position / BLOCK_BYTES));
}

/** @returns for `other`, also the first patch where the file has neither the old nor the new bytes */
export async function comparePatches(
  file: BlockFile,
  patches: Iterable<Patch>,
): Promise<{ state: JournalState; mismatch?: Patch }> {
  let [isBefore, isAfter] = [true, true];
  for (const patch of patches) {
    const target = new Uint8Array(patch.before.length);
    const bytes = target.subarray(0, await file.read(target, patch.position));
    if (!isBeforeOrAfter(patch, bytes)) return { state: 'other', mismatch: patch };
    isBefore &&= Buffer.compare(bytes, patch.before) === 0;
    isAfter &&= Buffer.compare(bytes, patch.after) === 0;
  }
  if (isAfter) return { state: 'complete' };
  return { state: isBefore ? 'before' : 'cut off' };
}

/** Applies patches to `target`, read from `from`, except where it has neither their old nor their new bytes. */
export function overlayPatches(patches: Iterable<Patch> | undefined, target: Uint8Array, from: number): Uint8Array {
  for (const { position, before, after } of patches ?? []) {
    const overlap = overlapOf(position, before.length, from, target.length);
    if (overlap === undefined) continue;
    const { start, end } = overlap;
    const found = target.subarray(start - from, end - from);
    const part = (bytes: Uint8Array): Uint8Array => bytes.subarray(start - position, end - position);
    if (isBeforeOrAfter({ before: part(before), after: part(after) }, found)) found.set(part(after));
  }
  return target;
}

export type JournalPurpose = 'update' | 'repair';

export const FOREIGN_JOURNAL_MESSAGES = {
  foreign: 'the .journal file beside it is not a journal; move it away',
  newer:
    'the .journal file beside it was made by a newer version of this program; open the file with that version, which completes the change',
} as const;

export function journalMismatchMessage(purpose: JournalPurpose, block: number): string {
  const what =
    purpose === 'update' ? `contains block ${block} before an update` : `belongs to a repair of block ${block}`;
  return `the .journal file beside it ${what}, but another program has changed the block since; check the block, then move the journal away`;
}

function mismatchError(file: { readonly name: string }, purpose: JournalPurpose, block: number): PageStoreError {
  const message = journalMismatchMessage(purpose, block);
  return new PageStoreError('JOURNAL_MISMATCH', message, { file: file.name, block, offset: fileOffset(block) });
}

/** @throws {@link PageStoreError} `JOURNAL_MISMATCH` unless it is a journal of this version, complete or cut off */
export function assertKnownJournal(file: { readonly name: string }, bytes: Uint8Array): void {
  const kind = journalKind(bytes);
  if (kind === 'known') return;
  const message = FOREIGN_JOURNAL_MESSAGES[kind === 'newer' ? 'newer' : 'foreign'];
  throw new PageStoreError('JOURNAL_MISMATCH', message, { file: file.name });
}
