import { PageStoreError } from '../errors.ts';
import type { FileHeader } from '../format/file-header.ts';
import { freeListHeadProblems, hex } from '../format/invariants.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import type { Commit } from './header-change.ts';
import { BlockSet } from './raw-blocks.ts';
import { problemError } from './refusal.ts';

/** What a free list is read from: a DiskManager is one. */
interface ListedBlocks {
  readonly name: string;
  readonly header: Readonly<FileHeader>;
  /** Blocks that can be read, block 0 counted. */
  readonly blockCount: number;
  /** Reads from the beginning of a block. */
  read(block: number, target: Uint8Array): Promise<void>;
}

/**
 * The block that follows `block` in the free list, 0 at the end.
 * @throws {@link PageStoreError} `FREE_LIST_LINK` where `block` is a page, or what it holds is no link; `IO`
 */
export async function nextFree(disk: ListedBlocks, block: number): Promise<number> {
  const bytes = new Uint8Array(8);
  await disk.read(block, bytes);
  const link = new DataView(bytes.buffer).getBigUint64(0, true);
  const target = decodeFreeLink(link);
  if (target >= 0 && target < disk.blockCount && target !== block) return target;
  const what = pageFormatOf(bytes) === undefined ? `holds ${hex(link)}, which is no link` : 'is a page';
  throw new PageStoreError('FREE_LIST_LINK', `block ${block} is on the free list and ${what}`, {
    file: disk.name,
    block,
    offset: fileOffset(block),
    found: hex(link),
  });
}

/** The free blocks of a file: its list is followed once, and from then on each commit. */
export class FreeBlocks {
  /** As far as the list can be followed. */
  readonly blocks: BlockSet;
  /** What ends the list before its end. */
  readonly error: PageStoreError | undefined;

  private constructor(blocks: BlockSet, error: PageStoreError | undefined) {
    this.blocks = blocks;
    this.error = error;
  }

  /** Follows the free list, for a bit a block. @throws {@link PageStoreError} `IO` */
  static async read(disk: ListedBlocks): Promise<FreeBlocks> {
    const { header, blockCount } = disk;
    const free = new BlockSet(blockCount);
    for (const problem of freeListHeadProblems(header, blockCount)) {
      return new FreeBlocks(free, problemError(disk, problem));
    }
    try {
      for (let block = decodeFreeLink(header.freeListHead); block !== 0; block = await nextFree(disk, block)) {
        if (!free.add(block)) return new FreeBlocks(free, cycleError(disk, block));
      }
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      return new FreeBlocks(free, error);
    }
    return new FreeBlocks(free, undefined);
  }

  /** @throws {@link PageStoreError} `FREE_LIST_LINK`, `FREE_LIST_CYCLE` where the list ends before its end, and the block is not on it until there */
  has(block: number): boolean {
    if (this.blocks.has(block)) return true;
    if (this.error !== undefined) throw this.error;
    return false;
  }

  /** Takes a commit into account. */
  follow({ changed, firstFree }: Commit): void {
    if (changed === undefined || firstFree === undefined) return;
    if (changed.isLink === true) this.blocks.add(changed.block);
    else this.blocks.delete(changed.block);
  }
}

function cycleError(file: { readonly name: string }, block: number): PageStoreError {
  const message = `the free list runs in a circle through block ${block}`;
  return new PageStoreError('FREE_LIST_CYCLE', message, { file: file.name, block, offset: fileOffset(block) });
}

/** The first 64 bytes of a freed block: a link, and zeros. */
export function freedBlockHead(link: bigint): Uint8Array {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  new DataView(head.buffer).setBigUint64(0, link, true);
  return head;
}
