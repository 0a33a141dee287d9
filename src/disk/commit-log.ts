import { COMMIT_RECORD, type CommitRecord, encodeCommitRecord } from '../format/commit-record.ts';
import { COMMIT_RECORD_OFFSETS, fileOffset } from '../format/layout.ts';
import type { BlockFile } from './block-file.ts';
import type { CommittedView } from './committed-view.ts';
import { finishOverwrite } from './overwrite.ts';

/** What one commit changes in headers that the file has already. */
export type HeaderChange = Omit<CommitRecord, 'magic' | 'version' | 'checksum' | 'sequence'>;

/**
 * Makes header changes durable by one sync each: the new headers go into a commit record, and only when that is on
 * the device to their own places, where the next sync finds them.
 * @see docs/format.md, "Commit records"
 */
export class CommitLog {
  readonly #file: BlockFile;
  #sequence: bigint;
  #unsynced = false;

  private constructor(file: BlockFile, sequence: bigint) {
    this.#file = file;
    this.#sequence = sequence;
  }

  /**
   * Carries out what the journal and the records of a file say, and begins a log on it. From then on the file cannot
   * come to hold anything else than what it was found to hold.
   * @param view - of `file`, just opened
   * @throws {@link PageStoreError} `JOURNAL_MISMATCH`, `IO`
   */
  static async open(file: BlockFile, view: CommittedView): Promise<CommitLog> {
    const { lastRecord, lastIsHome, before, pending } = view.recovery;
    await finishOverwrite(file, before);
    // What is read may be in the system's memory alone: left there by a process that was killed, or by a sync that
    // failed, after which only what is written again can be synced.
    if (lastRecord && lastIsHome) await writeHeaders(file, lastRecord);
    await file.sync();
    if (lastRecord === undefined || lastIsHome) return new CommitLog(file, lastRecord?.sequence ?? 0n);
    for (const record of pending) {
      await writeHeaders(file, record);
      // One record at a time: with the second one's file header in place and not the first one's page header, the first would be void.
      await file.sync();
    }
    // A record that did not stand could come true by what is written from now on.
    for (const offset of COMMIT_RECORD_OFFSETS) await file.write(new Uint8Array(COMMIT_RECORD.bytes), offset);
    await file.sync();
    return new CommitLog(file, 0n);
  }

  /** Whether headers have been written to their places that no sync has covered yet. */
  get unsynced(): boolean {
    return this.#unsynced;
  }

  /** Makes a change durable, with all that was written before. {@link writeHeaders} has to follow. */
  async record(change: HeaderChange): Promise<void> {
    const sequence = this.#sequence + 1n;
    const offset = COMMIT_RECORD_OFFSETS[sequence % 2n === 0n ? 0 : 1];
    try {
      await this.#file.write(encodeCommitRecord({ ...change, sequence }), offset);
      await this.sync();
    } catch (error) {
      await this.#revoke(offset);
      throw error;
    }
    this.#sequence = sequence;
  }

  /** Writes the headers of the last change to their places, for the next sync. */
  async writeHeaders(change: HeaderChange): Promise<void> {
    await writeHeaders(this.#file, change);
    this.#unsynced = true;
  }

  async sync(): Promise<void> {
    await this.#file.sync();
    this.#unsynced = false;
  }

  /**
   * Takes back a record of which nobody can say whether it is on the device: what it covers may be in the system's
   * memory alone, where a later open would take it for written.
   */
  async #revoke(offset: number): Promise<void> {
    try {
      await this.#file.write(new Uint8Array(COMMIT_RECORD.bytes), offset);
    } catch {
      // The error that is told is the one that brought us here; without this write, the batch may turn out to be in the file.
    }
  }
}

async function writeHeaders(file: BlockFile, { block, blockHead, fileHeader }: HeaderChange): Promise<void> {
  if (block !== 0) await file.write(blockHead, fileOffset(block));
  await file.write(fileHeader, 0);
}
