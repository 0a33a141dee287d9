import { PageStoreError } from '../errors.ts';
import { hex } from '../format/invariants.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import type { BlockFile } from './block-file.ts';

/**
 * The block that follows `block` in the free list, 0 at the end.
 * @param blocks - blocks that the file has
 * @throws {@link PageStoreError} `FREE_LIST_LINK` where `block` is a page, or what it holds is no link
 */
export async function nextFree(file: BlockFile, block: number, blocks: number): Promise<number> {
  const bytes = new Uint8Array(8);
  await file.read(bytes, fileOffset(block));
  const link = new DataView(bytes.buffer).getBigUint64(0, true);
  const target = decodeFreeLink(link);
  if (target >= 0 && target < blocks && target !== block) return target;
  const what = pageFormatOf(bytes) === undefined ? `holds ${hex(link)}, which is no link` : 'is a page';
  throw new PageStoreError('FREE_LIST_LINK', `block ${block} is on the free list and ${what}`, {
    file: file.name,
    block,
    offset: fileOffset(block),
    found: hex(link),
  });
}

/**
 * Whether `wanted` is on the free list that begins at `head`. Reads every link before it.
 * @throws {@link PageStoreError} `FREE_LIST_LINK`, `FREE_LIST_CYCLE`
 */
export async function isFree(file: BlockFile, head: number, wanted: number, blocks: number): Promise<boolean> {
  let steps = 0;
  for (let block = head; block !== 0; block = await nextFree(file, block, blocks)) {
    if (block === wanted) return true;
    if (++steps >= blocks) {
      throw new PageStoreError('FREE_LIST_CYCLE', `the free list runs in a circle through block ${block}`, {
        file: file.name,
        block,
        offset: fileOffset(block),
      });
    }
  }
  return false;
}

/** The first 64 bytes of a freed block: a link, and zeros. */
export function freedBlockHead(link: bigint): Uint8Array {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  new DataView(head.buffer).setBigUint64(0, link, true);
  return head;
}
