import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import type { ByteRange } from '../format/directory.ts';
import { type BeforeImage, encodeJournal, journalKind, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import type { BlockFile } from './block-file.ts';

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
