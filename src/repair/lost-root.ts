import type { CommittedView } from '../disk/committed-view.ts';
import { BLOCK_BYTES, ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { decodePage } from '../format/page.ts';
import { checksumState } from '../format/page-checksum.ts';
import { firstPageError } from '../format/page-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { encodePointer } from '../format/layout.ts';
import { rootProblems } from '../format/header-checks.ts';
import { checkFreeList } from '../salvage/free-list.ts';
import { linkOf } from '../salvage/block-kind.ts';
import { OtherBlocks } from '../salvage/block-kind.ts';
import { copiedHeader, rootDescriptorOf } from '../salvage/header-proof.ts';

/** The root descriptor that belongs to a header. */
export interface FoundRoot {
  /** 18 bytes; undefined where those in block 0 are it. */
  readonly rootDescriptor: Uint8Array | undefined;
}

/**
 * Whether the trie is the one that another state of the header knew: its descriptor is rewritten with the header. Where the
 * descriptor was lost too, there was no trie if no program but ours has written a page, since a trie has nodes.
 * @param head - the first 12,800 bytes of block 0
 * @param view - the file with the other state of its header
 */
export async function rootOf(head: Uint8Array, view: CommittedView): Promise<FoundRoot | { readonly why: string }> {
  const header = await view.readFileHeader();
  const descriptor = rootDescriptorOf(head);
  const none = new Uint8Array(ROOT_DESCRIPTOR_BYTES);
  const copied = copiedHeader(head)?.rootDescriptor;
  const isKnown = copied !== undefined || header.rootPointer === 0n;
  if (isKnown && Buffer.compare(copied ?? none, descriptor) === 0) return { rootDescriptor: undefined };
  const then = copied === undefined ? 'was made without a trie' : 'was made with another root descriptor';
  const why = `it ${then}, and the trie may have changed since`;
  const hadNone = header.rootPointer === 0n && Buffer.compare(copied ?? none, none) === 0;
  if (!hadNone || !isDamaged(head, header.blockCount)) return { why };
  const touched = await firstForeign(view, header.blockCount);
  if (touched === undefined) return { rootDescriptor: none };
  return { why: `${why}: block ${touched} is no page with our checksum, nor free` };
}

/** Whether the root descriptor says what cannot be. */
function isDamaged(head: Uint8Array, blocks: number): boolean {
  const header = { rootPointer: encodePointer(0, ROOT_DESCRIPTOR_OFFSET, 0) };
  return rootProblems(header, head, blocks).next().done !== true;
}

/** The first block that is neither a page whose checksum is that of all that it holds, nor on the free list. */
async function firstForeign(view: CommittedView, blocks: number): Promise<number | undefined> {
  const [target, scratch, others] = [new Uint8Array(BLOCK_BYTES), new DirectoryScratch(), new OtherBlocks()];
  for (let block = 1; block < blocks; block++) {
    await view.readSettled(block, target, () => true);
    const page = decodePage(target, scratch);
    if (page === undefined) others.add(block, linkOf(target));
    else if (
      firstPageError(page, block) ||
      checksumState(page.format, target, page.header, page.directory) !== 'match'
    ) {
      return block;
    }
  }
  const { free, isWhole } = checkFreeList(await view.readFileHeader(), others, blocks);
  for (let index = 0; index < others.count; index++) if (!free.has(others.idAt(index))) return others.idAt(index);
  return isWhole ? undefined : 0;
}
