import type { BlockFile, Journal } from './block-file.ts';
import { refuseForeignPatches } from './patching.ts';
import { journalMismatch, refuseForeignJournal } from './overwrite.ts';
import { readOnlyError, ReadOnlyFile } from './read-only-file.ts';
import { decodeJournal, journalState } from '../format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodePatchJournal } from '../format/patch.ts';

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
