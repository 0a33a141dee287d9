import { PageStoreError } from '../errors.ts';
import { type FileHeader } from '../format/file-header.ts';
import { freeListHeadProblems } from '../format/header-checks.ts';
import { decodeFreeLink, fileOffset, PAGE_HEADER_BYTES, firstU64 } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { hex } from '../format/problem.ts';
import type { BlockFile } from './block-file.ts';
import type { Commit } from './commit-log.ts';
import { betweenBlocks } from './long-work.ts';
import { problemError } from './page-file.ts';

const LINK_BYTES = 8;

/** A set of block ids, one bit each. */
export class BlockSet {
  #bits: Uint8Array;
  #size = 0;

  /** @param blocks - initial capacity; it grows for higher ids */
  constructor(blocks: number) {
    this.#bits = new Uint8Array(Math.ceil(blocks / 8));
  }

  get size(): number {
    return this.#size;
  }

  has(block: number): boolean {
    return ((this.#bits[block >> 3] ?? 0) & (1 << (block & 7))) !== 0;
  }

  /** @returns false if it was in the set already */
  add(block: number): boolean {
    if (this.has(block)) return false;
    if (block >> 3 >= this.#bits.length) {
      const bits = new Uint8Array(Math.max((block >> 3) + 1, 2 * this.#bits.length));
      bits.set(this.#bits);
      this.#bits = bits;
    }
    this.#bits[block >> 3] = (this.#bits[block >> 3] ?? 0) | (1 << (block & 7));
    this.#size++;
    return true;
  }

  delete(block: number): void {
    if (!this.has(block)) return;
    this.#bits[block >> 3] = (this.#bits[block >> 3] ?? 0) & ~(1 << (block & 7));
    this.#size--;
  }
}

export interface FreeListBreak {
  /** `cycle`: the link leads to a block already on the list. `not free`: the caller rejected the block. */
  readonly reason: 'no link' | 'out of range' | 'cycle' | 'not free';
  /** Block with the link, 0 for the file header. */
  readonly from: number;
  /** Target of the link; negative for none. */
  readonly to: number;
}

/** A walk along a free list; the caller supplies the link of each block. Visits every block at most once. */
export class FreeListWalk {
  readonly blocks: BlockSet;
  /** The block whose link is needed next; 0 at the end. */
  block = 0;
  break: FreeListBreak | undefined;
  readonly #blockCount: number;
  #from = 0;

  /** @param blocks - where reached blocks are added; several walks can share it */
  constructor(head: bigint | number, blockCount: number, blocks: BlockSet = new BlockSet(blockCount)) {
    this.#blockCount = blockCount;
    this.blocks = blocks;
    this.#go(0, typeof head === 'bigint' ? decodeFreeLink(head) : head);
  }

  /** @param link - that of the current block: 0 for the end of the list, negative for no link */
  follow(link: number): void {
    this.#go(this.block, link);
  }

  /** Stops at the current block, which is not free. */
  reject(): void {
    this.blocks.delete(this.block);
    this.break = { reason: 'not free', from: this.#from, to: this.block };
    this.block = 0;
  }

  /** Follows the list to its end or a break. @throws {@link PageStoreError} `IO` */
  async followIn(file: Pick<BlockFile, 'read'>, signal?: AbortSignal): Promise<void> {
    const bytes = new Uint8Array(LINK_BYTES);
    while (this.block !== 0) {
      const pause = betweenBlocks(this.blocks.size, this.#blockCount, { signal });
      if (pause) await pause;
      this.follow(await readFreeLink(file, this.block, bytes));
    }
  }

  #go(from: number, to: number): void {
    this.block = 0;
    if (to === 0) return;
    if (to < 0) this.break = { reason: 'no link', from, to };
    else if (to >= this.#blockCount) this.break = { reason: 'out of range', from, to };
    else if (!this.blocks.add(to)) this.break = { reason: 'cycle', from, to };
    else [this.#from, this.block] = [from, to];
  }
}

/** The link of a block: 0 at the end of the list, negative for none. @param bytes - 8 bytes to read into, reusable */
export async function readFreeLink(file: Pick<BlockFile, 'read'>, block: number, bytes: Uint8Array): Promise<number> {
  if ((await file.read(bytes, fileOffset(block))) < LINK_BYTES) return -1;
  return decodeFreeLink(firstU64(bytes));
}

/** What a free list is read from: a DiskManager is one. */
export interface ListedBlocks {
  readonly name: string;
  readonly header: Readonly<FileHeader>;
  /** Readable blocks, block 0 included. */
  readonly blockCount: number;
  /** Reads from the beginning of a block. */
  read(block: number, target: Uint8Array): Promise<void>;
}

/** The next free block, 0 at the end. @throws {@link PageStoreError} `FREE_LIST_LINK` for no link; `IO` */
export async function nextFree(disk: ListedBlocks, block: number): Promise<number> {
  const bytes = new Uint8Array(LINK_BYTES);
  await disk.read(block, bytes);
  const link = firstU64(bytes);
  const target = decodeFreeLink(link);
  if (target >= 0 && target < disk.blockCount && target !== block) return target;
  const what = pageFormatOf(bytes) === undefined ? `begins with ${hex(link)}, which is not a link` : 'is a page';
  throw new PageStoreError('FREE_LIST_LINK', `block ${block} is on the free list, but ${what}`, {
    file: disk.name,
    block,
    offset: fileOffset(block),
    found: hex(link),
  });
}

/** The free blocks of a file: the list is read once, then updated with each commit. */
export class FreeBlocks {
  /** As far as the list can be followed. */
  readonly blocks: BlockSet;
  /** Why the list could not be followed to its end. */
  readonly error: PageStoreError | undefined;

  private constructor(blocks: BlockSet, error: PageStoreError | undefined) {
    this.blocks = blocks;
    this.error = error;
  }

  /** Takes one bit of memory per block. @throws {@link PageStoreError} `IO` */
  static async read(disk: ListedBlocks, signal?: AbortSignal): Promise<FreeBlocks> {
    const { header, blockCount } = disk;
    const walk = new FreeListWalk(header.freeListHead, blockCount);
    for (const problem of freeListHeadProblems(header, blockCount)) {
      return new FreeBlocks(walk.blocks, problemError(disk, problem));
    }
    try {
      while (walk.block !== 0) {
        const pause = betweenBlocks(walk.blocks.size, blockCount, { signal });
        if (pause) await pause;
        walk.follow(await nextFree(disk, walk.block));
      }
    } catch (error) {
      if (!(error instanceof PageStoreError) || error.code === 'IO') throw error;
      return new FreeBlocks(walk.blocks, error);
    }
    // nextFree has checked that each link leads into the file.
    const block = walk.break?.to;
    if (block === undefined) return new FreeBlocks(walk.blocks, undefined);
    const message = `the free list has a cycle through block ${block}`;
    const detail = { file: disk.name, block, offset: fileOffset(block) };
    return new FreeBlocks(walk.blocks, new PageStoreError('FREE_LIST_CYCLE', message, detail));
  }

  /** @throws {@link PageStoreError} `FREE_LIST_LINK`, `FREE_LIST_CYCLE` if the block may be on the unreadable part */
  has(block: number): boolean {
    if (this.blocks.has(block)) return true;
    if (this.error !== undefined) throw this.error;
    return false;
  }

  follow({ changed, firstFree }: Commit): void {
    if (changed === undefined || firstFree === undefined) return;
    if (changed.isLink === true) this.blocks.add(changed.block);
    else this.blocks.delete(changed.block);
  }
}

export function freedBlockHead(link: bigint): Uint8Array {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  new DataView(head.buffer).setBigUint64(0, link, true);
  return head;
}
