import type { BlockFile } from '../disk/block-file.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { refuseHeader, refuseToWrite } from '../disk/refusal.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset } from '../format/layout.ts';
import { orphanedBytes, type Page } from '../format/page.ts';

/**
 * Refuses a file of which a copy of the nodes would not be all of it, for what its headers say.
 * @param file - that of `disk`
 * @throws {@link PageStoreError} `FILE_HAS_TRIE`, and the codes for which a writer is refused a file
 */
export async function assertSound(disk: DiskManager, file: BlockFile): Promise<void> {
  // A reader puts up with a block count that cannot be trusted; whoever replaces a file by a copy must not.
  refuseHeader(file, disk.header, 'write');
  await refuseToWrite(file, disk.header, await file.size());
  if (disk.header.rootPointer === 0n) return;
  const message =
    'the file holds a trie (its root pointer is set): compacting moves nodes, and pointers to them would have to be rewritten, which this version cannot do';
  throw new PageStoreError('FILE_HAS_TRIE', message, { file: disk.name });
}

/** What is wrong with a page of which the nodes cannot be told apart: a V2 page that was never finalized. */
export function noDirectoryError(disk: DiskManager, page: Page, block: number): PageStoreError | undefined {
  const bytes = orphanedBytes(page);
  if (bytes === 0) return undefined;
  const message = `page ${block} has ${bytes} node bytes and no directory: it was never finalized, and where each node begins is not known`;
  const detail = { file: disk.name, block, offset: fileOffset(block) };
  return new PageStoreError('NODES_WITHOUT_DIRECTORY', message, detail);
}
