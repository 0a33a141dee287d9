import { copyOf } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import {
  COMMIT_KIND,
  COMMIT_SLOT_BYTES,
  type CommitRecord,
  encodeCommitRecord,
  type RecordedChange,
  startAfter,
} from '../format/commit-record.ts';
import { digestIn, newDigest } from '../format/digest.ts';
import { FILE_HEADER, type FileHeader, encodeFileHeaderWithCounts } from '../format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, encodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import type { BlockFile } from './block-file.ts';
import { type CommittedView, readStart } from './committed-view.ts';
import { finishJournal } from './journal.ts';
import { betweenBlocks } from './long-work.ts';

/** A new header for a block in the file. */
export interface ReplacedHead {
  readonly block: number;
  /** The new 64 bytes. */
  readonly head: Uint8Array;
  readonly oldHead: Uint8Array;
}

export interface ChangedHead extends ReplacedHead {
  /** Whether `head` is the link of a freed block, not a page header. */
  readonly isLink?: boolean;
}

/** Blocks written completely after the last block of the file. */
export interface AddedBlocks {
  readonly count: number;
  /** CRC-32 over the first 64 bytes of each, in order. */
  readonly headsCrc: number;
}

/** The header changes that make a batch part of the file; everything that they cover is already written. */
export interface Commit {
  readonly changed?: ChangedHead | undefined;
  readonly added?: AddedBlocks | undefined;
  /** Id of the first free block, 0 for none. Default: unchanged. */
  readonly firstFree?: number;
  /** Change of the header's entry count. */
  readonly nodes?: number;
}

const NO_HEAD = new Uint8Array(PAGE_HEADER_BYTES);

/** The result shares no memory with `commit`. */
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
    blockHead: changed ? copyOf(changed.head) : NO_HEAD,
    fileHeader: encodeFileHeaderWithCounts(headerBytes, header.version, next),
    oldBlockCount: header.blockCount,
    addedHeadersCrc: added?.headsCrc ?? 0,
  };
}

/**
 * Commits header changes with one sync each: to a commit record first; after its sync they are checkpointed.
 * @see docs/format.md#commit-records
 */
export class CommitLog {
  readonly #file: BlockFile;
  #sequence: bigint;

  private constructor(file: BlockFile, sequence: bigint) {
    this.#file = file;
    this.#sequence = sequence;
  }

  /** Recovers `file` durably from its journal and pending records, then starts a log. @throws `JOURNAL_MISMATCH`, `IO` */
  static async open(file: BlockFile, view: CommittedView, signal?: AbortSignal): Promise<CommitLog> {
    const { records, validRecords, pendingRecords } = view.recovery;
    await finishJournal(file, view.recovery);
    // What was read may be only in the page cache; after a failed sync, only bytes written again are sure to be synced.
    for (const record of pendingRecords) {
      await rewriteCoveredBlocks(file, record, signal);
      await file.write(encodeCommitRecord(record, record.sequence), recordOffset(record.sequence));
    }
    const last = records.at(-1);
    const isCheckpointed = last !== undefined && last === validRecords.at(-1) && last !== pendingRecords.at(-1);
    if (isCheckpointed) await writeHeaders(file, last);
    else await rewriteDigest(file);
    await file.sync();
    if (last === undefined || isCheckpointed) return new CommitLog(file, last?.sequence ?? 0n);
    for (const record of validRecords) {
      await writeHeaders(file, record);
      // If only the second record's file header reached the disk, the first record would be invalid.
      await file.sync();
    }
    // An invalid record could become valid after later writes.
    for (const offset of COMMIT_RECORD_OFFSETS) await file.write(new Uint8Array(COMMIT_SLOT_BYTES), offset);
    await file.sync();
    return new CommitLog(file, 0n);
  }

  /** Makes a change durable, with everything written before it. {@link writeHeaders} must follow. */
  async record(change: RecordedChange): Promise<void> {
    const sequence = this.#sequence + 1n;
    const offset = recordOffset(sequence);
    try {
      await this.#file.write(encodeCommitRecord(change, sequence), offset);
      await this.#file.sync();
    } catch (error) {
      await this.#revert(new Uint8Array(COMMIT_SLOT_BYTES), offset);
      throw error;
    }
    this.#sequence = sequence;
  }

  /** Syncs, writes the new headers and syncs them; on failure the old ones are written back. */
  async replaceHeads(heads: readonly ReplacedHead[]): Promise<void> {
    await this.#file.sync();
    try {
      for (const { block, head } of heads) await this.#file.write(head, fileOffset(block));
      await this.#file.sync();
    } catch (error) {
      for (const { block, oldHead } of heads) await this.#revert(oldHead, fileOffset(block));
      throw error;
    }
  }

  /** Writes back old bytes: the next open would find the new ones in the page cache. */
  async #revert(oldBytes: Uint8Array, position: number): Promise<void> {
    try {
      await this.#file.write(oldBytes, position);
    } catch {
      // Report the first error. Without this write, what failed may turn out to be in the file.
    }
  }
}

/** After a failed sync a digest of `finalize` or `update` may be in the cache alone, and later pages have higher numbers. */
async function rewriteDigest(file: BlockFile): Promise<void> {
  const start = await readStart(file);
  const { state } = digestIn(start);
  // A new file was synced before it got its name.
  if (state && state.commit > newDigest().commit) await file.write(start, 0);
}

function recordOffset(sequence: bigint): number {
  return COMMIT_RECORD_OFFSETS[sequence % 2n === 0n ? 0 : 1];
}

/** Writes again, unchanged, the blocks that a record makes part of the file. */
export async function rewriteCoveredBlocks(file: BlockFile, record: CommitRecord, signal?: AbortSignal): Promise<void> {
  const { block, oldBlockCount, fileHeader } = record;
  const target = new Uint8Array(BLOCK_BYTES);
  if (block !== 0) {
    await file.read(target, fileOffset(block));
    await file.write(target, fileOffset(block));
  }
  const { blockCount } = FILE_HEADER.read(fileHeader);
  for (let added = oldBlockCount; added < blockCount; added++) {
    const pause = betweenBlocks(added, blockCount, { signal });
    if (pause) await pause;
    await file.read(target, fileOffset(added));
    // Of an empty page only the header counts: many can be allocated at once.
    const isEmpty = PAGE_HEADER.read(target).nodeCount === 0;
    await file.write(isEmpty ? target.subarray(0, PAGE_HEADER_BYTES) : target, fileOffset(added));
  }
}

/** Checkpoints the headers of a change, without a sync. */
export async function writeHeaders(file: BlockFile, change: RecordedChange): Promise<void> {
  await writeHead(file, change, startAfter(await readStart(file), change));
}

/** As {@link writeHeaders}. @param start - the first 128 bytes of the file, with the change */
export async function writeHead(
  file: BlockFile,
  { block, blockHead }: RecordedChange,
  start: Uint8Array,
): Promise<void> {
  if (block !== 0) await file.write(blockHead, fileOffset(block));
  // One write in one sector, so that header and digest stay together.
  await file.write(start, 0);
}
