import { crc32, Hash64 } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import {
  encodeFileHeader,
  encodeHeaderCopy,
  FILE_HEADER,
  FILE_MAGIC,
  type FileHeader,
  fileHeaderChecksum,
  headerCopyState,
  newFileHeader,
} from '../format/file-header.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEAD_BYTES,
  FILE_HEADER_BYTES,
  FILE_ID_OFFSET,
  fileOffset,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
} from '../format/layout.ts';
import { addHead, digestIn, equalHash, FILE_START_BYTES, newDigest, writeDigest } from '../format/digest.ts';
import { encodeFileId, fileIdState } from '../format/file-id.ts';
import { COMMIT_KIND, type CommitRecord } from '../format/commit-record.ts';
import { commitRecordProblems, decodeRecordInSlot } from '../format/commit-record-checks.ts';
import { digestProblems, lostWriteProblem, oldHeaderProblem } from '../format/digest-checks.ts';
import { fileHeaderProblems, fileSizeProblems, freeListHeadProblems } from '../format/header-checks.ts';
import { commitOf, PAGE_FLAG, PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';
import { hex, type Problem } from '../format/problem.ts';
import type { Access, BlockFile } from './block-file.ts';
import { assertKnownJournal, isCompleteJournal, readFileId } from './journal.ts';
import { betweenBlocks, type LongWork } from './long-work.ts';

const MAX_READS = 20;

/** Repeats a read up to 19 times until it returns true: another process may be writing the same bytes. */
export async function readAgain(read: () => Promise<boolean>): Promise<void> {
  for (let reads = 1; reads < MAX_READS; reads++) if (await read()) return;
}

/** Blocks searched for a page if the file header is damaged. */
const BLOCKS_TO_TRY = 16;

/**
 * Reads the used part of block 0, padded with zeros. `target` has at least FILE_HEAD_BYTES.
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE` if nothing identifies the file as a page file, even a damaged one
 */
export async function readFileHead(
  file: BlockFile,
  target: Uint8Array = new Uint8Array(FILE_HEAD_BYTES),
): Promise<Uint8Array> {
  const bytes = await file.read(target, 0);
  target.fill(0, bytes);
  if (bytes === 0) throw new PageStoreError('NOT_A_PAGE_FILE', 'the file is empty', { file: file.name });
  const { magic } = FILE_HEADER.read(target);
  if (bytes < FILE_HEADER_BYTES && magic === FILE_MAGIC) {
    const message = `not a page file: it ends inside the file header, after ${bytes} of ${FILE_HEADER_BYTES} bytes`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: file.name, offset: bytes });
  }
  if (bytes < FILE_HEADER_BYTES || !(await isPageFile(file, target))) {
    const found = hex(magic, 16);
    const message = `not a page file: it begins with ${found}, not ${hex(FILE_MAGIC, 16)}, and no page was found after that`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: file.name, offset: 0, found });
  }
  return target;
}

/** As {@link readFileHead}, until two reads agree: a writer may be changing the header. */
export async function readStableFileHead(file: BlockFile): Promise<Uint8Array> {
  let head = await readFileHead(file);
  await readAgain(async () => {
    const before = head;
    head = await readFileHead(file);
    return Buffer.compare(before, head) === 0;
  });
  return head;
}

async function isPageFile(file: BlockFile, head: Uint8Array): Promise<boolean> {
  const header = FILE_HEADER.read(head);
  if (header.magic === FILE_MAGIC) return true;
  // Damage to the magic usually leaves other evidence; a file of another kind has none of it.
  if (fileHeaderChecksum({ ...header, magic: FILE_MAGIC }) === header.checksum) return true;
  if (headerCopyState(head) === 'valid') return true;
  const blocks = Math.min(BLOCKS_TO_TRY, Math.floor((await file.size()) / BLOCK_BYTES));
  const magic = new Uint8Array(8);
  for (let block = 1; block < blocks; block++) {
    await file.read(magic, fileOffset(block));
    if (pageFormatOf(magic) !== undefined) return true;
  }
  return false;
}

export function problemError(file: { readonly name: string }, problem: Problem): PageStoreError {
  const { code, message, severity: _, ...detail } = problem;
  return new PageStoreError(code, message, { file: file.name, ...detail });
}

/** For writing, checks the whole header: a writer would give damage a valid checksum. @throws {@link PageStoreError} */
export function assertUsableHeader(file: BlockFile, header: FileHeader, access: Access): void {
  for (const problem of fileHeaderProblems(header)) {
    const isUnreadable = problem.code === 'FILE_HEADER_MAGIC' || problem.code === 'FILE_HEADER_VERSION';
    if (access === 'write' || isUnreadable) throw problemError(file, problem);
  }
}

/** Refuses records that no writer can have written. @param head - as the records were read @throws `COMMIT_RECORD` */
export function assertUsableRecords(file: BlockFile, head: Uint8Array): void {
  for (const problem of commitRecordProblems(head)) if (problem.severity === 'error') throw problemError(file, problem);
}

/**
 * Refuses a damaged digest, and a header or a page that block 0 proves to be out of date: writing would cut off what newer
 * headers count, or cover it.
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 * @throws `PAGES_DIGEST`, `FILE_HEADER_OLD`
 */
async function assertNewestHeader(file: BlockFile, head: Uint8Array): Promise<void> {
  for (const problem of digestProblems(head)) if (problem.severity === 'error') throw problemError(file, problem);
  for (const problem of await lostWrites(file, head)) throw problemError(file, problem);
}

/** A page that is newer than the header shows that the header is old; its number must not be covered. @throws `FILE_HEADER_OLD` */
export function assertNotNewer(file: BlockFile, block: number, commit: number, lastCommit: number): void {
  if (commit > lastCommit) throw problemError(file, oldHeaderProblem(`block ${block}`, commit, lastCommit));
}

/**
 * Pages that are older than the last commit record of their block, although the file header has that commit.
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 */
export async function lostWrites(file: Pick<BlockFile, 'read'>, head: Uint8Array): Promise<Problem[]> {
  const problems: Problem[] = [];
  const found = new Uint8Array(PAGE_HEADER_BYTES);
  const [last, before] = committedRecords(head);
  for (const record of [last, before?.block === last?.block ? undefined : before]) {
    if (record === undefined || record.block === 0 || record.kind !== COMMIT_KIND.pageHeader) continue;
    await file.read(found, fileOffset(record.block));
    const [commit, recorded] = [commitOf(found), commitOf(record.blockHead)];
    // Without a number, another program has written the page; free blocks and damage have findings of their own.
    if (commit > 0 && commit < recorded) problems.push(lostWriteProblem(record.block, commit, recorded));
  }
  return problems;
}

/**
 * The record of the last commit and the one before it, as far as the file header has them. After a failed sync a record may
 * be on the disk whose commit was never acknowledged, and another commit has its number.
 */
function committedRecords(head: Uint8Array): CommitRecord[] {
  const { state } = digestIn(head);
  const records = COMMIT_RECORD_OFFSETS.map((_, index) => decodeRecordInSlot(head, index));
  const find = (commit: number, isWanted: (record: CommitRecord) => boolean): CommitRecord | undefined =>
    records.find((record) => record?.digest?.commit === commit && isWanted(record));
  const last = state && find(state.commit, ({ digest }) => digest !== undefined && equalHash(digest.sum, state.sum));
  if (state === undefined || last === undefined) return [];
  const before = find(state.commit - 1, ({ fileHeader }) => crc32(fileHeader) === last.oldFileHeaderCrc);
  return before ? [last, before] : [last];
}

/** @throws {@link PageStoreError} for a wrong size, a damaged free-list head, or pages that the header does not count */
export async function assertWritableFile(
  file: BlockFile,
  header: FileHeader,
  fileBytes: number,
  work: LongWork = {},
): Promise<void> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  await file.read(head, 0);
  for (const problem of fileSizeProblems(header, fileBytes)) {
    if (problem.severity === 'error') throw problemError(file, problem);
  }
  for (const problem of freeListHeadProblems(header, header.blockCount)) throw problemError(file, problem);
  const lastCommit = digestIn(head).state?.commit ?? 0;
  const uncounted = await uncountedPage(file, header.blockCount, fileBytes, lastCommit, work);
  if (uncounted) throw problemError(file, uncounted);
  await assertNewestHeader(file, head);
}

/**
 * The first page after the last counted block that no interrupted batch of this program leaves: one of another program,
 * which may count pages by the file size, or one of a commit after the next one, which shows that the header is old.
 * @param lastCommit - number of the last commit by the digest; 0 without one
 */
export async function uncountedPage(
  file: BlockFile,
  blockCount: number,
  fileBytes: number,
  lastCommit: number,
  work: LongWork = {},
): Promise<Problem | undefined> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  for (let block = blockCount; block < wholeBlocks; block++) {
    work.signal?.throwIfAborted();
    const pause = betweenBlocks(block, wholeBlocks, work);
    if (pause) await pause;
    await file.read(head, fileOffset(block));
    if (pageFormatOf(head) === undefined) continue;
    const { flags, home } = PAGE_HEADER.read(head);
    if ((flags & PAGE_FLAG.hasChecksum) !== 0) {
      // An interrupted batch leaves pages of the next commit.
      if (home !== block || commitOf(head) <= lastCommit + 1) continue;
      return oldHeaderProblem(`block ${block}, which it does not count,`, commitOf(head), lastCommit);
    }
    const message = `block ${block} is a page of another program, after the ${counted(blockCount, 'block')} that the header counts; let that program sync the file first`;
    const offset = fileOffset(block);
    return { code: 'BLOCKS_UNCOUNTED', severity: 'error', block, offset, bytes: PAGE_HEADER_BYTES, message };
  }
  return undefined;
}

/**
 * Empties the file, and fills it. If that fails, it is empty again.
 * @throws {@link PageStoreError} `FILE_EXISTS` if it has content, or a journal that is whole, and `replace` is false
 */
export async function fillEmptied<T>(file: BlockFile, replace: boolean, fill: () => Promise<T>): Promise<T> {
  await emptyFile(file, replace);
  try {
    return await fill();
  } catch (error) {
    await file.truncate(0).catch(() => undefined); // report the first error
    throw error;
  }
}

async function emptyFile(file: BlockFile, replace: boolean): Promise<void> {
  const isEmpty = (await file.size()) === 0;
  if (!isEmpty && !replace) throw new PageStoreError('FILE_EXISTS', 'the file is not empty', { file: file.name });
  const journal = await file.journal.read();
  if (journal !== undefined) {
    assertKnownJournal(file, journal);
    if (!replace && isCompleteJournal(journal)) {
      const message = 'the file is empty, but has a journal: it may belong to another file';
      throw new PageStoreError('FILE_EXISTS', message, { file: file.name });
    }
  }
  if (!isEmpty) await file.truncate(0);
  if (journal === undefined) return;
  // The old file needs its journal as long as a crash can bring the file back.
  await file.sync();
  await file.journal.remove();
}

/**
 * Writes a new file durably: block 0, then one block per 64-byte head. The file header is written only after a sync of
 * the rest, so an interrupted file is not a page file.
 */
export async function writeNewFile(file: BlockFile, heads: readonly Uint8Array[]): Promise<void> {
  const sum = new Hash64();
  await file.truncate(fileOffset(1 + heads.length));
  for (const [index, head] of heads.entries()) {
    addHead(sum, 1 + index, head);
    await file.write(head, fileOffset(1 + index));
  }
  await file.write(newFileHead(), 0);
  await file.sync();
  const start = new Uint8Array(FILE_START_BYTES);
  start.set(encodeFileHeader(newFileHeader(1 + heads.length)));
  writeDigest(newDigest(sum), start);
  await file.write(start, 0);
  await writeHeaderCopy(file);
  await file.sync();
}

/**
 * The first 12,800 bytes of a new file: its id, and no header yet. To be written, not left as a hole: a commit on a full
 * disk must have space for its record.
 */
export function newFileHead(): Uint8Array {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  head.set(newFileId(), FILE_ID_OFFSET);
  return head;
}

/** A record with a random id. */
function newFileId(): Uint8Array {
  const [id = 1n] = crypto.getRandomValues(new BigUint64Array(1));
  return encodeFileId(id === 0n ? 1n : id);
}

/** Gives a file without an id one, without a sync. @returns the record of its id */
export async function ensureFileId(file: BlockFile): Promise<Uint8Array> {
  const record = await readFileId(file);
  if (fileIdState(record) === 'valid') return record;
  const newRecord = newFileId();
  await file.write(newRecord, FILE_ID_OFFSET);
  return newRecord;
}

/** Writes the copy of file header, root descriptor and digest in block 0, without a sync. */
export async function writeHeaderCopy(file: BlockFile): Promise<void> {
  const start = new Uint8Array(FILE_START_BYTES);
  await file.read(start, 0);
  await file.write(encodeHeaderCopy(start), HEADER_COPY_OFFSET);
}
