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
import { type BlockFile, type Journal, readOnlyError, ReadOnlyFile } from './block-file.ts';

/** Bytes that take the place of committed ones in one block: a range of it, and its page header. */
export interface Overwrite {
  readonly block: number;
  /** The 262,144 bytes that the block has. */
  readonly image: Uint8Array;
  /** The new bytes of `changed`. */
  readonly bytes: Uint8Array;
  readonly changed: ByteRange;
  /** The new page header. */
  readonly head: Uint8Array;
}

/** The content of the journal that has to be kept while a block is overwritten. */
export function journalOf({ block, image, changed, head }: Overwrite): Uint8Array {
  return encodeJournal({ block, image, changed, newPageHeaderCrc: crc32(head) });
}

/**
 * Overwrites committed bytes, durably, once the journal keeps them; then removes the journal.
 * @throws {@link PageStoreError} `IO`
 */
export async function overwrite(file: BlockFile, { block, bytes, changed, head }: Overwrite): Promise<void> {
  await file.write(bytes, fileOffset(block, changed.start));
  await file.write(head, fileOffset(block));
  await file.sync();
  await file.journal.remove();
}

/** What is said of bytes under the journal's name that no writer of this version can have left there. */
export const FOREIGN_JOURNAL = {
  foreign: 'what has the name of the journal beside the file is none; move it away',
  newer:
    'the journal beside the file was made by a newer version of this program; open the file with that one, which finishes what was begun',
} as const;

/** @throws {@link PageStoreError} `JOURNAL_MISMATCH` for bytes that no writer of this version can have left under the journal's name */
export function refuseForeignJournal(file: { readonly name: string }, bytes: Uint8Array): void {
  const kind = journalKind(bytes);
  if (kind === 'known') return;
  const message = FOREIGN_JOURNAL[kind === 'newer' ? 'newer' : 'foreign'];
  throw new PageStoreError('JOURNAL_MISMATCH', message, { file: file.name });
}

/**
 * Puts a block right whose overwriting was cut off, and removes the journal.
 * @param before - what the journal holds; undefined where that is nothing, or not whole: then no byte was overwritten yet
 * @throws {@link PageStoreError} `JOURNAL_MISMATCH` where the block is no longer the one that the journal was made of
 */
export async function finishOverwrite(file: BlockFile, before: BeforeImage | undefined): Promise<void> {
  if (before === undefined) {
    const bytes = await file.journal.read();
    if (bytes === undefined) return;
    refuseForeignJournal(file, bytes);
    return file.journal.remove();
  }
  const { block, image } = before;
  const now = new Uint8Array(BLOCK_BYTES);
  await file.read(now, fileOffset(block));
  const state = journalState(before, now);
  if (state === 'other') throw journalMismatch(file, block);
  // Written again however it looks: a sync that failed may have left it so in the system's memory alone.
  await file.write(state === 'complete' ? now : image, fileOffset(block));
  await file.sync();
  await file.journal.remove();
}

/** What a journal was kept for: for `update`, which keeps the image of a block, or for `repair`, which keeps patches. */
export type JournalPurpose = 'update' | 'repair';

/** What is said of a journal of a block that somebody else has changed since. */
export function mismatchMessage(purpose: JournalPurpose, block: number): string {
  const what =
    purpose === 'update'
      ? `holds an older state of block ${block}, which another program has changed since`
      : `is of a repair, and another program has changed block ${block} since, which the repair was to change`;
  return `the journal beside the file ${what}; move the journal away once the block is known to be right`;
}

/** The error for a journal of a block that somebody else has changed since. */
export function journalMismatch(
  file: { readonly name: string },
  block: number,
  purpose: JournalPurpose = 'update',
): PageStoreError {
  const message = mismatchMessage(purpose, block);
  return new PageStoreError('JOURNAL_MISMATCH', message, { file: file.name, block, offset: fileOffset(block) });
}

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

/** Bytes that a file is to be seen with. */
export interface Piece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A file as it would be with some bytes changed, for reading: longer, where pieces are behind its end. */
export class OverlaidFile extends ReadOnlyFile {
  readonly journal: Journal;
  readonly #pieces: readonly Piece[];

  /**
   * @param pieces - few: each read looks at all of them
   * @param journal - what is seen of one; by default none
   */
  constructor(file: BlockFile, pieces: readonly Piece[], journal: Journal = NO_JOURNAL) {
    super(file);
    this.journal = journal;
    this.#pieces = pieces;
  }

  override async size(): Promise<number> {
    return Math.max(await this.file.size(), ...this.#pieces.map(({ position, bytes }) => position + bytes.length));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let bytes = await this.file.read(target, position);
    for (const piece of this.#pieces) {
      const start = Math.max(piece.position, position);
      const end = Math.min(piece.position + piece.bytes.length, position + target.length);
      if (end <= start) continue;
      // Between the end of the file and a piece behind it there is nothing.
      if (start - position > bytes) target.fill(0, bytes, start - position);
      target.set(piece.bytes.subarray(start - piece.position, end - piece.position), start - position);
      bytes = Math.max(bytes, end - position);
    }
    return bytes;
  }
}

const refuseToWrite = async (): Promise<never> => {
  throw readOnlyError({ name: 'journal' });
};
const NO_JOURNAL: Journal = { read: async () => undefined, write: refuseToWrite, remove: refuseToWrite };

/**
 * The file as its journal leaves it; commit records are not looked at.
 * @throws {@link PageStoreError} `JOURNAL_MISMATCH` where the file is no longer the one that the journal was made of
 */
export async function withJournal(file: BlockFile): Promise<BlockFile> {
  const bytes = await file.journal.read();
  if (bytes === undefined) return file;
  const patches = decodePatchJournal(bytes);
  if (patches) {
    await refuseForeignPatches(file, patches);
    return new OverlaidFile(
      file,
      patches.map(({ position, after }) => ({ position, bytes: after })),
    );
  }
  const before = decodeJournal(bytes);
  if (before === undefined) {
    refuseForeignJournal(file, bytes);
    return file;
  }
  const now = new Uint8Array(BLOCK_BYTES);
  await file.read(now, fileOffset(before.block));
  const state = journalState(before, now);
  if (state === 'other') throw journalMismatch(file, before.block);
  if (state === 'complete') return file;
  return new OverlaidFile(file, [{ position: fileOffset(before.block), bytes: before.image }]);
}
