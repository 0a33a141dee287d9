import { encodeFileHeader, encodeHeaderCopy, newFileHeader } from '../format/file-header.ts';
import { fileOffset, HEADER_COPY_OFFSET, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import type { BlockFile } from './block-file.ts';

/**
 * Writes a new file: the header block, and a block behind it for each head. It is synced when this resolves.
 * @param file - empty
 * @param heads - the first 64 bytes of each block behind block 0
 */
export async function writeNewFile(file: BlockFile, heads: readonly Uint8Array[]): Promise<void> {
  await file.truncate(fileOffset(1 + heads.length));
  for (const [index, head] of heads.entries()) await file.write(head, fileOffset(1 + index));
  await file.write(encodeFileHeader(newFileHeader(1 + heads.length)), 0);
  await writeHeaderCopy(file);
}

/** Copies the file header and root descriptor to their other place in block 0, and syncs. */
export async function writeHeaderCopy(file: BlockFile): Promise<void> {
  const start = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  await file.read(start, 0);
  await file.write(encodeHeaderCopy(start), HEADER_COPY_OFFSET);
  await file.sync();
}
