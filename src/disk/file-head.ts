import { PageStoreError } from '../errors.ts';
import {
  encodeFileHeader,
  encodeHeaderCopy,
  FILE_HEADER,
  FILE_MAGIC,
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
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { hex } from '../format/problem.ts';
import type { BlockFile } from './block-file.ts';

/** Blocks whose first bytes are looked at where the file header is lost. */
const BLOCKS_TO_TRY = 16;

/**
 * Reads the part of block 0 that has a meaning, padded with zeros where the file ends before.
 * @param target - at least FILE_HEAD_BYTES long; the whole block, for who wants it
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE` where nothing in the file says that it is one, not even a damaged one
 */
export async function readFileHead(
  file: BlockFile,
  target: Uint8Array = new Uint8Array(FILE_HEAD_BYTES),
): Promise<Uint8Array> {
  const bytes = await file.read(target, 0);
  target.fill(0, bytes);
  if (bytes === 0) throw new PageStoreError('NOT_A_PAGE_FILE', 'the file is empty', { file: file.name });
  if (bytes < FILE_HEADER_BYTES && FILE_HEADER.read(target).magic === FILE_MAGIC) {
    const message = `not a page file: it ends inside the file header, after ${bytes} of ${FILE_HEADER_BYTES} bytes`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: file.name, offset: bytes });
  }
  if (bytes < FILE_HEADER_BYTES || !(await isPageFile(file, target))) {
    const found = hex(FILE_HEADER.read(target).magic, 16);
    const message = `not a page file: it begins with ${found}, not ${hex(FILE_MAGIC, 16)}, and no page was found behind that`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: file.name, offset: 0, found });
  }
  return target;
}

/** How often block 0 is read until two reads agree. */
const MAX_HEAD_READS = 20;

/** As {@link readFileHead}, again until two reads agree: a writer may be at work on the header. @returns FILE_HEAD_BYTES bytes */
export async function readSettledHead(file: BlockFile): Promise<Uint8Array> {
  let head = await readFileHead(file);
  for (let reads = 1; reads < MAX_HEAD_READS; reads++) {
    const again = await readFileHead(file);
    if (Buffer.compare(head, again) === 0) break;
    head = again;
  }
  return head;
}

async function isPageFile(file: BlockFile, head: Uint8Array): Promise<boolean> {
  const header = FILE_HEADER.read(head);
  if (header.magic === FILE_MAGIC) return true;
  // The magic is wrong. Text would be, too; but damage rarely leaves nothing else to know the file by.
  if (fileHeaderChecksum({ ...header, magic: FILE_MAGIC }) === header.checksum) return true;
  if (headerCopyState(head) === 'sound') return true;
  const blocks = Math.min(BLOCKS_TO_TRY, Math.floor((await file.size()) / BLOCK_BYTES));
  const magic = new Uint8Array(8);
  for (let block = 1; block < blocks; block++) {
    await file.read(magic, fileOffset(block));
    if (pageFormatOf(magic) !== undefined) return true;
  }
  return false;
}

/** Empties a file that may be replaced. @throws {@link PageStoreError} `FILE_EXISTS` for any other that is not empty */
export async function assertEmpty(file: BlockFile, replace: boolean): Promise<void> {
  if ((await file.size()) === 0) return;
  if (!replace) throw new PageStoreError('FILE_EXISTS', 'the file is not empty', { file: file.name });
  await file.truncate(0);
  await file.journal.remove();
}

/**
 * Writes a new file: the header block, and a block behind it for each head. It is synced when this resolves, and no
 * page file before its blocks are.
 * @param file - empty
 * @param heads - the first 64 bytes of each block behind block 0
 */
export async function writeNewFile(file: BlockFile, heads: readonly Uint8Array[]): Promise<void> {
  await file.truncate(fileOffset(1 + heads.length));
  for (const [index, head] of heads.entries()) await file.write(head, fileOffset(1 + index));
  // Written, not left as a hole: on a full disk a commit must not fail for want of space for its record.
  await file.write(new Uint8Array(FILE_HEAD_BYTES), 0);
  await file.sync();
  await file.write(encodeFileHeader(newFileHeader(1 + heads.length)), 0);
  await writeHeaderCopy(file);
  await file.sync();
}

/** Copies the file header and root descriptor to their other place in block 0, for the next sync. */
export async function writeHeaderCopy(file: BlockFile): Promise<void> {
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await file.read(start, 0);
  await file.write(encodeHeaderCopy(start), HEADER_COPY_OFFSET);
}
