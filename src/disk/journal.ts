import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import {
  type BeforeImage,
  decodeJournal,
  decodePatchJournal,
  encodeJournal,
  encodePatchJournal,
  fileIdFault,
  fileIdPatch,
  imageFault,
  isBeforeOrAfter,
  isFileIdPatch,
  isKnownStart,
  isSealedPatchJournal,
  JOURNAL_BYTES,
  journalFileId,
  journalKind,
  journalState,
  type JournalState,
  type Patch,
  patchFault,
} from '../format/journal.ts';
import { FILE_ID, fileIdState, fileIdText } from '../format/file-id.ts';
import { BLOCK_BYTES, FILE_ID_OFFSET, fileOffset } from '../format/layout.ts';
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

/** The result shares no memory with the argument. @param fileId - the record of the file's id; may be set later */
export function encodeOverwriteJournal({ block, image, changed, head }: Overwrite, fileId?: Uint8Array): Uint8Array {
  return encodeJournal({ block, image, changed, newPageHeaderCrc: crc32(head) }, fileId);
}

/** Overwrites and syncs. The journal must be durable, and is removed. */
export async function overwrite(
  file: BlockFile,
  { block, bytes, changed, head }: Omit<Overwrite, 'image'>,
): Promise<void> {
  await writeJournaled(file, [
    { position: fileOffset(block, changed.start), bytes },
    { position: fileOffset(block), bytes: head },
  ]);
}

/**
 * Writes all patches or none, durably: once the journal is written, the next writer to open the file completes them.
 * The file must contain the old or the new bytes of each. `onBegin` is called before the first byte changes.
 * @throws {@link PageStoreError} `IO`, `FILE_REPLACED`
 */
export async function applyPatches(file: BlockFile, patches: readonly Patch[], onBegin?: () => void): Promise<void> {
  // The journal would belong to the file that has the name now.
  await file.assertNamed?.();
  await file.journal.write(encodePatchJournal([fileIdPatch(await readFileId(file)), ...patches]));
  onBegin?.();
  await writeJournaled(file, newBytes(patches));
  await file.assertNamed?.();
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
  readonly beforeImage?: BeforeImage | undefined;
  readonly patches?: readonly Patch[] | undefined;
  /** The record of the id of another file, which the journal belongs to; then there is nothing else. */
  readonly otherFile?: Uint8Array | undefined;
  /** Why a complete journal is not used: its fields do not fit the file. Then there is nothing else. */
  readonly fault?: string;
}

/** What the fields of a journal are compared with: the file that it is beside. */
export interface JournalOwner {
  /** The record of the file's id, or zeros. */
  readonly fileId: Uint8Array;
  /** Size of the file. */
  readonly fileBytes: number;
}

/** Empty without a journal, and for an incomplete one, whose writer has not changed the file yet. */
export function decodeJournalContent(
  bytes: Uint8Array | undefined,
  { fileId, fileBytes }: JournalOwner,
): JournalContent {
  if (bytes === undefined) return {};
  const { beforeImage, patches: all, fault } = decodeComplete(bytes);
  if (fault !== undefined) return { fault };
  if (beforeImage === undefined && all === undefined) return {};
  // First: the fields of the journal of another file need not fit this one.
  const otherFile = otherFileId(bytes, fileId);
  if (otherFile) return { otherFile };
  const patches = all?.filter((patch) => !isFileIdPatch(patch));
  const unfit = (beforeImage && imageFault(beforeImage, fileBytes)) ?? (patches && patchFault(patches, fileBytes));
  return unfit === undefined ? { beforeImage, patches } : { fault: unfit };
}

/** What a journal says of itself; `fault` if no interrupted write leaves it, but no writer makes it either. */
function decodeComplete(bytes: Uint8Array): Omit<JournalContent, 'otherFile'> {
  // The end of a journal may be missing after a crash, but nothing is added to it.
  if (bytes.length > JOURNAL_BYTES && isKnownStart(bytes)) return { fault: `it has more than ${JOURNAL_BYTES} bytes` };
  const beforeImage = decodeJournal(bytes);
  const patches = beforeImage ? undefined : decodePatchJournal(bytes);
  if (beforeImage === undefined && patches === undefined)
    return isSealedPatchJournal(bytes) ? { fault: 'its patches are not those it counts' } : {};
  const fault = fileIdFault(bytes, patches);
  return fault === undefined ? { beforeImage, patches } : { fault };
}

export async function readJournalContent(file: BlockFile): Promise<JournalContent> {
  const bytes = await file.journal.read();
  return bytes === undefined ? {} : decodeJournalContent(bytes, await readJournalOwner(file));
}

export async function readJournalOwner(file: BlockFile): Promise<JournalOwner> {
  return { fileId: await readFileId(file), fileBytes: await file.size() };
}

/** Whether all of a journal was written. */
export function isCompleteJournal(bytes: Uint8Array): boolean {
  const { beforeImage, patches, fault } = decodeComplete(bytes);
  return beforeImage !== undefined || patches !== undefined || fault !== undefined;
}

/** The record in a whole journal if it is that of another file. What the record in the file does not tell, bytes do. */
export function otherFileId(journal: Uint8Array, fileId: Uint8Array): Uint8Array | undefined {
  const recorded = journalFileId(journal);
  if (recorded === undefined || Buffer.compare(recorded, fileId) === 0) return undefined;
  return fileIdState(fileId) === 'damaged' ? undefined : recorded;
}

/** The record of the file's id, whatever its bytes are; zeros if the file has none. */
export async function readFileId(file: BlockFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(FILE_ID.bytes);
  await file.read(bytes, FILE_ID_OFFSET);
  return bytes;
}

/** @throws {@link PageStoreError} `JOURNAL_MISMATCH` if the journal beside the file belongs to another one; `IO` */
export async function assertOwnJournal(file: BlockFile): Promise<void> {
  assertNoOtherFile(file, await readJournalContent(file));
}

function assertNoOtherFile(file: { readonly name: string }, { otherFile }: JournalContent): void {
  if (otherFile === undefined) return;
  throw new PageStoreError('JOURNAL_MISMATCH', otherFileMessage(otherFile), { file: file.name });
}

export async function recoverJournal(file: BlockFile): Promise<void> {
  await finishJournal(file, await readJournalContent(file));
}

/**
 * Completes or undoes what a journal contains, and removes it.
 * @throws {@link PageStoreError} `JOURNAL_MISMATCH` if another program has changed the same bytes since; `IO`
 */
export async function finishJournal(file: BlockFile, content: JournalContent): Promise<void> {
  assertFits(file, content);
  const { beforeImage, patches } = content;
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
  const content = decodeJournalContent(journal, await readJournalOwner(file));
  assertFits(file, content);
  const { beforeImage, patches } = content;
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

/** What to do with the journal of a file that is not beside it. */
export const moveAdvice = (journal: string): string => `move ${journal} to where that file is now, or delete it`;

/** @param record - that of the file's id in the journal */
export function otherFileMessage(record: Uint8Array): string {
  const id = fileIdText(record);
  const which = id === undefined ? 'one without an id' : `the one with id ${id}`;
  return `the .journal file beside it belongs to another file, ${which}: ${moveAdvice('the journal')}`;
}

export function journalMismatchMessage(purpose: JournalPurpose, block: number): string {
  const what =
    purpose === 'update' ? `contains block ${block} before an update` : `belongs to a repair of block ${block}`;
  return `the .journal file beside it ${what}, but another program has changed the block since; check the block, then move the journal away`;
}

export function unfitJournalMessage(fault: string): string {
  return `the .journal file beside it does not fit the file: ${fault}; it is damaged or of another file; move it away`;
}

function assertFits(file: { readonly name: string }, content: JournalContent): void {
  assertNoOtherFile(file, content);
  const { fault } = content;
  if (fault !== undefined)
    throw new PageStoreError('JOURNAL_MISMATCH', unfitJournalMessage(fault), { file: file.name });
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
