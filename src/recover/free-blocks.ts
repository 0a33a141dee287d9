import type { CommittedView } from '../disk/committed-view.ts';
import { BlockSet } from '../disk/free-list.ts';
import { fileOffset } from '../format/layout.ts';
import { decodeFreeLink } from '../format/layout.ts';

/**
 * The free blocks, as far as list and blocks tell. Besides those that the list leads to: a block that begins with a
 * link to another block, since no page does; and where such a link leads, if a link begins there too, be it the 0 at the
 * end of the list.
 * @param head - the first free block, as the file header says
 * @param blocks - blocks that the file has
 */
export async function findFreeBlocks(
  view: CommittedView,
  head: bigint,
  blocks: number,
  signal?: AbortSignal,
): Promise<BlockSet> {
  const free = new BlockSet(blocks);
  const bytes = new Uint8Array(8);
  const number = new DataView(bytes.buffer);
  /** The block that a block leads to, 0 at the end; -1 where it begins with no link. */
  const linkOf = async (block: number): Promise<number> => {
    if ((await view.read(bytes, fileOffset(block))) < bytes.length) return -1;
    const target = decodeFreeLink(number.getBigUint64(0, true));
    return target < blocks ? target : -1;
  };
  let block = decodeFreeLink(head);
  while (block > 0 && block < blocks) {
    signal?.throwIfAborted();
    const next = await linkOf(block);
    if (next < 0 || !free.add(block)) break;
    block = next;
  }
  for (let id = 1; id < blocks; id++) {
    if ((id & 0xff) === 0) signal?.throwIfAborted();
    const next = await linkOf(id);
    if (next <= 0) continue;
    free.add(id);
    if ((await linkOf(next)) >= 0) free.add(next);
  }
  return free;
}
