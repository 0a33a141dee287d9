import { crc32 } from '../bytes/checksum.ts';
import {
  COMMIT_KIND,
  COMMIT_RECORD,
  type CommitRecord,
  encodeCommitRecord,
  type RecordedChange,
} from '../format/commit-record.ts';
import { FILE_HEADER, type FileHeader, withCounts } from '../format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, encodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import type { BlockFile } from './block-file.ts';
import type { CommittedView } from './committed-view.ts';
import { finishJournal } from './overwrite.ts';

/** New first 64 bytes of a block that is in the file already. */
export interface ChangedHead {
  readonly block: number;
  readonly head: Uint8Array;
  /** The 64 bytes that they replace. */
  readonly oldHead: Uint8Array;
  /** Whether they are the link of a freed block, and not a page header. */
  readonly isLink?: boolean;
}

/** A page header that takes the place of another one, outside of a commit record. */
export interface ReplacedHead {
  readonly block: number;
  readonly head: Uint8Array;
  readonly oldHead: Uint8Array;
}

/** Blocks written behind the last one, whole. */
export interface AddedBlocks {
  readonly count: number;
  /** CRC-32 over the first 64 bytes of each, in their order. */
  readonly headsCrc: number;
}

/** The headers that make a batch part of the file. Everything they cover has been written before. */
export interface Commit {
  readonly changed?: ChangedHead | undefined;
  readonly added?: AddedBlocks | undefined;
  /** Id of the first free block, 0 for none; the same as before unless given. */
  readonly firstFree?: number;
  /** Nodes added (or, negative, removed); counted in the header where the header counts. */
  readonly nodes?: number;
}

const NO_HEAD = new Uint8Array(PAGE_HEADER_BYTES);

/**
 * What a commit changes in the headers of a file.
 * @param header - the file header so far
 * @param headerBytes - its bytes
 */
export function headerChange(header: FileHeader, headerBytes: Uint8Array, commit: Commit): RecordedChange {
  const { changed, added, firstFree, nodes = 0 } = commit;
  const entryCount = header.entryCount + BigInt(nodes);
  const next = {
    blockCount: header.blockCount + (added?.count ?? 0),
    freeListHead: firstFree === undefined ? header.freeListHead : encodeFreeLink(firstFree),
    entryCount: entryCount < 0n ? 0n : entryCount,
  };
  return {
    block: changed?.block ?? 0,
    oldPageHeaderCrc: changed ? crc32(changed.oldHead) : 0,
    oldFileHeaderCrc: crc32(headerBytes),
    kind: changed?.isLink === true ? COMMIT_KIND.freeLink : COMMIT_KIND.pageHeader,
    blockHead: changed?.head ?? NO_HEAD,
    fileHeader: withCounts(headerBytes, header.version, next),
    oldBlockCount: header.blockCount,
    addedHeadersCrc: added?.headsCrc ?? 0,
  };
}

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
    const { lastRecord, lastIsHome, pending, standing } = view.recovery;
    await finishJournal(file, view.recovery);
    // What is read may be in the system's memory alone: left there by a process that was killed, or by a sync that
    // failed, after which only what is written again can be synced.
    for (const record of pending) await writeCovered(file, record);
    if (lastRecord && lastIsHome) await writeHeaders(file, lastRecord);
    await file.sync();
    if (lastRecord === undefined || lastIsHome) return new CommitLog(file, lastRecord?.sequence ?? 0n);
    for (const record of standing) {
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
  async record(change: RecordedChange): Promise<void> {
    const sequence = this.#sequence + 1n;
    const offset = recordOffset(sequence);
    try {
      await this.#file.write(encodeCommitRecord(change, sequence), offset);
      await this.sync();
    } catch (error) {
      await this.#takeBack(new Uint8Array(COMMIT_RECORD.bytes), offset);
      throw error;
    }
    this.#sequence = sequence;
  }

  /** Writes the headers of the last change to their places, for the next sync. */
  async writeHeaders(change: RecordedChange): Promise<void> {
    await writeHeaders(this.#file, change);
    this.#unsynced = true;
  }

  async sync(): Promise<void> {
    await this.#file.sync();
    this.#unsynced = false;
  }

  /** Writes the header that a page has once more, and syncs it with all that was written before. */
  async writeAgain(head: Uint8Array, block: number): Promise<void> {
    await this.#file.write(head, fileOffset(block));
    await this.sync();
  }

  /** Syncs what was written before, writes new headers over old ones, and syncs those; takes them back where that fails. */
  async replaceHeads(heads: readonly ReplacedHead[]): Promise<void> {
    await this.sync();
    try {
      for (const { block, head } of heads) await this.#file.write(head, fileOffset(block));
      await this.sync();
    } catch (error) {
      for (const { block, oldHead } of heads) await this.#takeBack(oldHead, fileOffset(block));
      throw error;
    }
  }

  /**
   * Writes what was in the place of bytes of which nobody can say whether they are on the device. They, or what they
   * cover, may be in the system's memory alone, where a later open would take them for written.
   */
  async #takeBack(before: Uint8Array, position: number): Promise<void> {
    try {
      await this.#file.write(before, position);
    } catch {
      // The error that is told is the one that brought us here; without this write, what failed may turn out to be in the file.
    }
  }
}

/** Where the record with a sequence number stands in block 0. */
function recordOffset(sequence: bigint): number {
  return COMMIT_RECORD_OFFSETS[sequence % 2n === 0n ? 0 : 1];
}

/** Writes a record, and the blocks that it makes part of the file, as they are read. */
async function writeCovered(file: BlockFile, record: CommitRecord): Promise<void> {
  await writeCoveredBlocks(file, record);
  await file.write(encodeCommitRecord(record, record.sequence), recordOffset(record.sequence));
}

/** Writes the blocks that a record makes part of the file, as they are read. */
export async function writeCoveredBlocks(file: BlockFile, record: CommitRecord): Promise<void> {
  const { block, oldBlockCount, fileHeader } = record;
  const target = new Uint8Array(BLOCK_BYTES);
  if (block !== 0) {
    await file.read(target, fileOffset(block));
    await file.write(target, fileOffset(block));
  }
  const { blockCount } = FILE_HEADER.read(fileHeader);
  for (let added = oldBlockCount; added < blockCount; added++) {
    await file.read(target, fileOffset(added));
    // Of an empty page the header is all that counts: many can be allocated at once.
    const isEmpty = PAGE_HEADER.read(target).nodeCount === 0;
    await file.write(isEmpty ? target.subarray(0, PAGE_HEADER_BYTES) : target, fileOffset(added));
  }
}

async function writeHeaders(file: BlockFile, { block, blockHead, fileHeader }: RecordedChange): Promise<void> {
  if (block !== 0) await file.write(blockHead, fileOffset(block));
  await file.write(fileHeader, 0);
}
