import { encodeFileHeader, encodeHeaderCopy, newFileHeader } from '../format/file-header.ts';
import {
  FILE_HEAD_BYTES,
  fileOffset,
  HEADER_COPY_OFFSET,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { PageStoreError } from '../errors.ts';
import type { BlockFile } from './block-file.ts';

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
