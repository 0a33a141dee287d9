import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES, V1_RESERVE_BYTES, V1_SLOT_BYTES } from '../format/layout.ts';
import { isOpen, openPageWriter } from '../format/page.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, pageFormatOf, type PageHeader } from '../format/page-header.ts';
import type { PageWriter } from '../format/page-writer.ts';
import { readSoundPage } from './page-reader.ts';

/**
 * How far back an open page with room is looked for. Without a bound, each start of an append to a large file
 * of full pages would read every header in it.
 */
const BLOCKS_TO_TRY = 64;

/**
 * What an earlier page than the last one must have free to be gone on in. Full pages have room for a small node or
 * two: to fill that up, page by page, would cost a commit for each.
 */
const EARLIER_PAGE_FREE_BYTES = 16_384;

/** Where appending goes on. */
export interface Tail {
  /** The format that new pages get. */
  readonly format: PageFormat;
  /** The last open page with room for the node at hand (an earlier one only with 16 KiB free), if there is one. */
  readonly page?: { readonly block: number; readonly writer: PageWriter };
}

/**
 * Looks for the page that appending goes on in, from the last block back.
 * @param wanted - only pages of this format; without it new pages take the format of the last page, v1 where there is none
 * @param inUse - a block that the appender has at hand: then the search is for another one, and passes over damage
 * @throws {@link PageStoreError} the code of what is wrong with the page, if it is damaged and none is at hand
 */
export async function findTail(
  disk: DiskManager,
  nodeBytes: number,
  wanted: PageFormat | undefined,
  inUse: number | undefined,
): Promise<Tail> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  let format = wanted;
  let isLast = true;
  const lowest = Math.max(1, disk.blockCount - BLOCKS_TO_TRY);
  for (let block = disk.blockCount - 1; block >= lowest; block--) {
    if (block === inUse) {
      isLast = false;
      continue;
    }
    await disk.read(block, head);
    const found = pageFormatOf(head);
    if (found === undefined) continue;
    format ??= found;
    const wantedBytes = isLast ? nodeBytes : Math.max(nodeBytes, EARLIER_PAGE_FREE_BYTES);
    isLast = false;
    if (found !== format || !mayHaveRoom(found, PAGE_HEADER.read(head), wantedBytes)) continue;
    const page = await readSoundPage(disk, block).catch((error: unknown) => {
      if (inUse !== undefined && error instanceof PageStoreError && error.code !== 'IO') return undefined;
      throw error;
    });
    if (page === undefined || !isOpen(page)) continue;
    const writer = openPageWriter(page);
    if (writer.fits(nodeBytes)) return { format, page: { block, writer } };
  }
  return { format: format ?? 'v1' };
}

/** What the header alone can say: false for a page that surely has no room, before its 256 KiB are read. */
function mayHaveRoom(format: PageFormat, header: PageHeader, nodeBytes: number): boolean {
  const { flags, nodeCount, freeOffset, directoryLength } = header;
  if ((flags & PAGE_FLAG.finalized) !== 0) return false;
  const directoryBytes = format === 'v1' ? V1_SLOT_BYTES * (nodeCount + 1) + V1_RESERVE_BYTES : directoryLength + 2;
  return freeOffset + nodeBytes + directoryBytes <= BLOCK_BYTES;
}

/** The format of the file's last page, if one of its last blocks is a page; else v1. */
export async function lastPageFormat(disk: DiskManager): Promise<PageFormat> {
  const magic = new Uint8Array(8);
  const lowest = Math.max(1, disk.blockCount - BLOCKS_TO_TRY);
  for (let block = disk.blockCount - 1; block >= lowest; block--) {
    await disk.read(block, magic);
    const format = pageFormatOf(magic);
    if (format) return format;
  }
  return 'v1';
}
