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
  FILE_HEAD_BYTES,
  FILE_HEADER_BYTES,
  fileOffset,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { fileHeaderProblems, fileSizeProblems, freeListHeadProblems } from '../format/header-checks.ts';
import { PAGE_FLAG, PAGE_HEADER, pageFormatOf } from '../format/page-header.ts';
import { hex, type Problem } from '../format/problem.ts';
import type { Access, BlockFile } from './block-file.ts';

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

/** @throws {@link PageStoreError} for a wrong size, a damaged free-list head, or pages that the header does not count */
export async function assertWritableFile(file: BlockFile, header: FileHeader, fileBytes: number): Promise<void> {
  for (const problem of fileSizeProblems(header, fileBytes)) {
    if (problem.severity === 'error') throw problemError(file, problem);
  }
  for (const problem of freeListHeadProblems(header, header.blockCount)) throw problemError(file, problem);
  const foreign = await foreignBlockAfter(file, header.blockCount, fileBytes);
  if (foreign) throw problemError(file, foreign);
}

/** The first page of another program after the last counted block: it may count pages by the file size. */
export async function foreignBlockAfter(
  file: BlockFile,
  blockCount: number,
  fileBytes: number,
  signal?: AbortSignal,
): Promise<Problem | undefined> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  for (let block = blockCount; fileOffset(block + 1) <= fileBytes; block++) {
    signal?.throwIfAborted();
    await file.read(head, fileOffset(block));
    // A page that an interrupted batch of this program left has a checksum.
    if (pageFormatOf(head) === undefined || (PAGE_HEADER.read(head).flags & PAGE_FLAG.hasChecksum) !== 0) continue;
    const message = `block ${block} is a page of another program, after the ${counted(blockCount, 'block')} that the header counts; let that program sync the file first`;
    const offset = fileOffset(block);
    return { code: 'BLOCKS_UNCOUNTED', severity: 'error', block, offset, bytes: PAGE_HEADER_BYTES, message };
  }
  return undefined;
}

/** Empties the file. @throws {@link PageStoreError} `FILE_EXISTS` if it has content and `replace` is false */
export async function assertEmpty(file: BlockFile, replace: boolean): Promise<void> {
  if ((await file.size()) === 0) return;
  if (!replace) throw new PageStoreError('FILE_EXISTS', 'the file is not empty', { file: file.name });
  await file.truncate(0);
  await file.journal.remove();
}

/**
 * Writes a new file durably: block 0, then one block per 64-byte head. The file header is written only after a sync of
 * the rest, so an interrupted file is not a page file.
 */
export async function writeNewFile(file: BlockFile, heads: readonly Uint8Array[]): Promise<void> {
  await file.truncate(fileOffset(1 + heads.length));
  for (const [index, head] of heads.entries()) await file.write(head, fileOffset(1 + index));
  // Written, not left as a hole: a commit on a full disk must have space for its record.
  await file.write(new Uint8Array(FILE_HEAD_BYTES), 0);
  await file.sync();
  await file.write(encodeFileHeader(newFileHeader(1 + heads.length)), 0);
  await writeHeaderCopy(file);
  await file.sync();
}

/** Writes the copy of the file header and root descriptor in block 0, without a sync. */
export async function writeHeaderCopy(file: BlockFile): Promise<void> {
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await file.read(start, 0);
  await file.write(encodeHeaderCopy(start), HEADER_COPY_OFFSET);
}
