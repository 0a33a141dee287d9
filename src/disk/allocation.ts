import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { PAGE_HEADER_BYTES } from '../format/layout.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import type { DiskManager } from './disk-manager.ts';
import { freedBlockHead, nextFree } from './free-list.ts';

/**
 * Takes `count` blocks: from the free list first, a commit for each, then by growth, one commit for all.
 * @param head - the first 64 bytes of each, such as the header of an empty page
 * @returns their ids, in the order in which they were taken; each is durable
 * @throws {@link PageStoreError} `FILE_FULL`, `IO`, and the codes of a damaged free list
 */
export async function allocateBlocks(disk: DiskManager, count: number, head: Uint8Array): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < count) {
    const block = await reuseBlock(disk, head);
    if (block === undefined) break;
    taken.push(block);
  }
  const first = disk.blockCount;
  const added = count - taken.length;
  if (added === 0) return taken;
  let headsCrc = 0;
  await disk.undoOnFailure(async () => {
    await disk.lengthen(added);
    for (let block = first; block < first + added; block++) {
      await disk.write(block, head);
      headsCrc = crc32(head, headsCrc);
    }
  });
  await disk.commit({ added: { count: added, headsCrc } });
  for (let block = first; block < first + added; block++) taken.push(block);
  return taken;
}

/** Takes the first block of the free list and gives it these first 64 bytes, durably. @returns undefined where the list is empty */
export async function reuseBlock(disk: DiskManager, head: Uint8Array): Promise<number | undefined> {
  const block = decodeFreeLink(disk.header.freeListHead);
  if (block === 0) return undefined;
  const firstFree = await nextFree(disk, block);
  await disk.commit({ changed: { block, head, oldHead: await headOf(disk, block) }, firstFree });
  return block;
}

/**
 * Puts a block on the free list, durably. Its first 64 bytes become a link and zeros; the rest stays until it is used again.
 * @param nodes - nodes that were in it
 * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, and the codes of a damaged free list
 */
export async function freeBlock(disk: DiskManager, block: number, nodes: number): Promise<void> {
  disk.assertBlock(block);
  if ((await disk.freeBlocks()).has(block)) {
    throw new PageStoreError('BLOCK_FREE', `block ${block} is free already`, { file: disk.name, block });
  }
  const head = freedBlockHead(disk.header.freeListHead);
  const changed = { block, head, oldHead: await headOf(disk, block), isLink: true };
  await disk.commit({ changed, firstFree: block, nodes: -nodes });
}

async function headOf(disk: DiskManager, block: number): Promise<Uint8Array> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  await disk.read(block, head);
  return head;
}
