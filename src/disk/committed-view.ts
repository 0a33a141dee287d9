import { isZero } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { decodeRecordInSlot } from '../format/commit-record-checks.ts';
import { COMMIT_KIND, COMMIT_RECORD, type CommitRecord, compareRecords, startAfter } from '../format/commit-record.ts';
import { digestIn, FILE_START_BYTES } from '../format/digest.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { fileIdIn } from '../format/file-id.ts';
import { fileHeaderProblems } from '../format/header-checks.ts';
import { type BeforeImage, journalState } from '../format/journal.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  fileOffset,
  NODE_AREA_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { validPage } from '../format/page-checks.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { type BlockFile, type Journal, overlapOf, ReadOnlyFile } from './block-file.ts';
import { decodeJournalContent, type JournalContent, overlayPatches } from './journal.ts';
import { betweenBlocks } from './long-work.ts';
import { readAgain, readStableFileHead } from './page-file.ts';

/** The records that a writer can have written, in the order of their commits. @param head - the first 12,800 bytes of block 0 */
export function decodeCommitRecords(head: Uint8Array): CommitRecord[] {
  const records = COMMIT_RECORD_OFFSETS.map((_, index) => decodeRecordInSlot(head, index));
  return records.filter((record) => record !== undefined).toSorted(compareRecords);
}

/** Whether a record is damaged or missing: it may have been the newest. @param head - the first 12,800 bytes of block 0 */
export function hasLostRecord(head: Uint8Array): boolean {
  const used = COMMIT_RECORD_OFFSETS.filter((at) => !isZero(head.subarray(at, at + COMMIT_RECORD.bytes)));
  const records = decodeCommitRecords(head);
  // There is one record only after the first commit of a file.
  return used.length > records.length || (records.length === 1 && records[0]?.sequence !== 1n);
}

/** Whether the headers of a record, and its digest or a later one, are in their final places. */
export async function isCheckpointed(file: BlockFile, record: CommitRecord): Promise<boolean> {
  const { fileHeader, block, blockHead, digest } = record;
  const start = await readStart(file);
  if (Buffer.compare(start.subarray(0, FILE_HEADER_BYTES), fileHeader) !== 0) return false;
  // A commit can leave the file header as it is. Damage is not covered by the digest of the record: a header that the record
  // has replaced was written with its digest.
  const { kind, state } = digestIn(start);
  const isDamaged = kind === 'damaged' || (kind === 'absent' && crc32(fileHeader) !== record.oldFileHeaderCrc);
  if (digest && !isDamaged && (state?.commit ?? 0) < digest.commit) return false;
  return block === 0 || Buffer.compare(await readHead(file, block), blockHead) === 0;
}

/**
 * Whether a record fits the file's headers and everything it covers is in `file`, as the records before it left that.
 * If not, its batch was never acknowledged, or another program has changed the file since.
 */
async function isValidRecord(file: BlockFile, record: CommitRecord, signal?: AbortSignal): Promise<boolean> {
  if (!(await recordFitsHeaders(file, record))) return false;
  const { block, kind, blockHead, fileHeader, oldBlockCount, addedHeadersCrc } = record;
  const target = new Uint8Array(BLOCK_BYTES);
  const isPage = block !== 0 && kind === COMMIT_KIND.pageHeader;
  if (isPage && !(await isValidPage(file, block, blockHead, target))) return false;
  const { blockCount } = FILE_HEADER.read(fileHeader);
  let crc = 0;
  for (let added = oldBlockCount; added < blockCount; added++) {
    const pause = betweenBlocks(added, blockCount, { signal });
    if (pause) await pause;
    const head = await readHead(file, added);
    crc = crc32(head, crc);
    if (!(await isValidPage(file, added, head, target))) return false;
  }
  return crc === addedHeadersCrc;
}

/** Whether the file has the headers that a record replaces, or already its new ones. */
export async function recordFitsHeaders(file: BlockFile, record: CommitRecord): Promise<boolean> {
  const { block, blockHead, fileHeader, oldBlockCount } = record;
  const header = FILE_HEADER.read(fileHeader);
  const wholeBlocks = Math.floor((await file.size()) / BLOCK_BYTES);
  if (fileHeaderProblems(header).next().done !== true) return false;
  if (header.blockCount < oldBlockCount || header.blockCount > wholeBlocks || block >= oldBlockCount) return false;
  if (!isOldOrNew(await readHead(file, 0), record.oldFileHeaderCrc, fileHeader)) return false;
  return block === 0 || isOldOrNew(await readHead(file, block), record.oldPageHeaderCrc, blockHead);
}

export function isOldOrNew(bytes: Uint8Array, oldCrc: number, newBytes: Uint8Array): boolean {
  return crc32(bytes) === oldCrc || Buffer.compare(bytes, newBytes) === 0;
}

async function isValidPage(file: BlockFile, block: number, head: Uint8Array, target: Uint8Array): Promise<boolean> {
  target.set(head);
  const { nodeCount, freeOffset } = PAGE_HEADER.read(head);
  // The rest of an empty page may contain anything and is not read: many can be allocated at once.
  if (nodeCount > 0 || freeOffset !== NODE_AREA_OFFSET) {
    const rest = target.subarray(PAGE_HEADER_BYTES);
    if ((await file.read(rest, fileOffset(block, PAGE_HEADER_BYTES))) < rest.length) return false;
  }
  return validPage(target, block) !== undefined;
}

/** The first 128 bytes of the file: header, root descriptor, digest. */
export async function readStart(file: Pick<BlockFile, 'read'>): Promise<Uint8Array> {
  const start = new Uint8Array(FILE_START_BYTES);
  await file.read(start, 0);
  return start;
}

export async function readHead(file: BlockFile, block: number): Promise<Uint8Array> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  await file.read(head, fileOffset(block));
  return head;
}

/** What the commit records and the journal of a file contain. */
interface Recovery extends JournalContent {
  /** The bytes that the records were read from. */
  readonly head: Uint8Array;
  readonly records: readonly CommitRecord[];
  readonly validRecords: readonly CommitRecord[];
  /** Valid and not checkpointed. */
  readonly pendingRecords: readonly CommitRecord[];
}

/**
 * A page file as of its last commit, for readers: pending records and the journal are applied to what is read.
 * Commits of a concurrent writer become visible when they are checkpointed, or with {@link refresh}.
 */
export class CommittedView extends ReadOnlyFile {
  #recovery: Recovery;
  #hasChanged = false;

  private constructor(file: BlockFile, head: Uint8Array, content: JournalContent) {
    super(file);
    // A repair may have patched a record.
    const records = decodeCommitRecords(overlayPatches(content.patches, head.slice(), 0));
    this.#recovery = { ...content, head, records, validRecords: [], pendingRecords: [] };
  }

  /** @param signal - stops the check of records that add many blocks; its reason is thrown */
  static async open(file: BlockFile, signal?: AbortSignal): Promise<CommittedView> {
    const head = await readStableFileHead(file);
    const owner = { fileId: fileIdIn(head), fileBytes: await file.size() };
    const view = new CommittedView(file, head, decodeJournalContent(await file.journal.read(), owner));
    await view.#checkRecords(signal);
    return view;
  }

  get journal(): Journal {
    return this.file.journal;
  }

  get recovery(): Readonly<Recovery> {
    return this.#recovery;
  }

  /** Whether a refresh has found a new commit. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  /** Reads the commit records and the journal again. @returns whether there was a commit since */
  async refresh(): Promise<boolean> {
    const head = await readStableFileHead(this.file);
    const hasChanged = Buffer.compare(head, this.#recovery.head) !== 0;
    this.#hasChanged ||= hasChanged;
    const journal = await this.file.journal.read();
    // Checking a record may read many blocks, so do it only if needed.
    const { beforeImage, patches } = this.#recovery;
    if (!hasChanged && journal === undefined && beforeImage === undefined && patches === undefined) return false;
    const owner = { fileId: fileIdIn(head), fileBytes: await this.file.size() };
    const fresh = new CommittedView(this.file, head, decodeJournalContent(journal, owner));
    await fresh.#checkRecords();
    this.#recovery = fresh.#recovery;
    return hasChanged;
  }

  /**
   * Reads a block until it is valid or two reads agree: a writer may be changing it.
   * @param isValid - checks the content of `target`, 262,144 bytes; called after each read that changed it
   * @returns number of bytes that the file has of the block
   */
  async readStable(block: number, target: Uint8Array, isValid: () => boolean): Promise<number> {
    let bytes = await this.read(target, fileOffset(block));
    if (isValid()) return bytes;
    await readAgain(async () => {
      const crc = crc32(target);
      await this.refresh();
      bytes = await this.read(target, fileOffset(block));
      return crc32(target) === crc || isValid();
    });
    return bytes;
  }

  async readFileHeader(): Promise<FileHeader> {
    return FILE_HEADER.read(await readHead(this, 0));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = await this.file.read(target, position);
    const { beforeImage, patches, pendingRecords } = this.#recovery;
    overlayPatches(patches, target.subarray(0, bytes), position);
    if (beforeImage) await this.#overlayImage(beforeImage, target, position);
    for (const record of pendingRecords) {
      const { block, blockHead, oldPageHeaderCrc } = record;
      await this.#overlayStart(record, target, position);
      if (block !== 0) await this.#overlayHead(fileOffset(block), blockHead, oldPageHeaderCrc, target, position);
    }
    return bytes;
  }

  /** Checks each record against what the valid ones before it left. */
  async #checkRecords(signal?: AbortSignal): Promise<void> {
    const { records } = this.#recovery;
    const last = records.at(-1);
    if (last && (await isCheckpointed(this, last))) {
      // Its sync was also of the headers of the record before. That one may look pending: if a block was taken and freed
      // again, all headers are as they were.
      this.#recovery = { ...this.#recovery, validRecords: records };
      return;
    }
    for (const record of records) {
      const isPending = !(await isCheckpointed(this, record));
      if (isPending && !(await isValidRecord(this, record, signal))) continue;
      const { validRecords, pendingRecords } = this.#recovery;
      this.#recovery = {
        ...this.#recovery,
        validRecords: [...validRecords, record],
        pendingRecords: isPending ? [...pendingRecords, record] : pendingRecords,
      };
    }
  }

  /** Puts a new file header and its digest into `target`, as {@link #overlayHead}. */
  async #overlayStart(record: CommitRecord, target: Uint8Array, from: number): Promise<void> {
    const overlap = overlapOf(0, FILE_START_BYTES, from, target.length);
    if (overlap === undefined) return;
    const found = target.subarray(overlap.start - from, overlap.end - from);
    if (found.length === FILE_START_BYTES) {
      if (isOldOrNew(found.subarray(0, FILE_HEADER_BYTES), record.oldFileHeaderCrc, record.fileHeader))
        found.set(startAfter(found, record));
    } else {
      const whole = new Uint8Array(FILE_START_BYTES);
      await this.read(whole, 0);
      found.set(whole.subarray(overlap.start, overlap.end));
    }
  }

  /** Puts a new header into `target`, read from `from`, unless the file has another than the old one by now. */
  async #overlayHead(
    position: number,
    head: Uint8Array,
    oldCrc: number,
    target: Uint8Array,
    from: number,
  ): Promise<void> {
    const overlap = overlapOf(position, head.length, from, target.length);
    if (overlap === undefined) return;
    const found = target.subarray(overlap.start - from, overlap.end - from);
    if (found.length === head.length) {
      if (crc32(found) === oldCrc) found.set(head);
    } else {
      // The CRC covers the whole header, so read all of it.
      const whole = new Uint8Array(head.length);
      await this.read(whole, position);
      found.set(whole.subarray(overlap.start - position, overlap.end - position));
    }
  }

  async #overlayImage(beforeImage: BeforeImage, target: Uint8Array, from: number): Promise<void> {
    const position = fileOffset(beforeImage.block);
    const overlap = overlapOf(position, BLOCK_BYTES, from, target.length);
    if (overlap === undefined) return;
    const found = new Uint8Array(BLOCK_BYTES);
    await this.file.read(found, position);
    const state = journalState(beforeImage, found);
    const block = state === 'cut off' || state === 'before' ? beforeImage.image : found;
    target.set(block.subarray(overlap.start - position, overlap.end - position), overlap.start - from);
  }
}
