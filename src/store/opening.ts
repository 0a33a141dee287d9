import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { assertEmpty, writeNewFile } from '../disk/new-file.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import { emptyPageHead } from '../format/page.ts';
import { assertOpening } from './arguments.ts';
import type { CreateOptions, OpenOptions } from './store-options.ts';

/** Opens the blocks of a page file; a BlockFile that is none is closed. */
export async function openDisk(file: string | BlockFile, options: OpenOptions): Promise<DiskManager> {
  const access = options.access ?? 'write';
  assertOpening(file, access, options.pageFormat, options.cacheBytes);
  const blockFile = typeof file === 'string' ? await openPageFile(file, access, options) : file;
  try {
    return await DiskManager.open(blockFile, access);
  } catch (error) {
    await blockFile.close();
    throw error;
  }
}

/** Makes a file of the header and an empty page. */
export async function createPageFile(file: string | BlockFile, options: CreateOptions): Promise<BlockFile> {
  const { pageFormat = 'v1', replace = false } = options;
  assertOpening(file, 'write', pageFormat, options.cacheBytes);
  const format = (target: BlockFile): Promise<void> => writeNewFile(target, [emptyPageHead(pageFormat)]);
  if (typeof file === 'string') return createBlockFile(file, replace, format, options);
  await assertEmpty(file, replace);
  await format(file);
  return file;
}
