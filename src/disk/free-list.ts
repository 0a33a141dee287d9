import { PageStoreError } from '../errors.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { freeListHeadProblems, hex } from '../format/problem.ts';
import type { BlockFile } from './block-file.ts';
import type { Commit } from './commit-log.ts';
import { readFileHead } from './file-head.ts';
import { problemError } from './refusal.ts';

/** A page file as it is, for those who look into damage: nothing is refused but what is no page file at all. */
export class RawBlocks {
  readonly file: BlockFile;
  /** Size of the file. */
  readonly fileBytes: number;
  /** The bytes of block 0, zeros where the file ends before. */
  readonly block0: Uint8Array;
  /** The file header, right or wrong. */
  readonly header: FileHeader;

  private constructor(file: BlockFile, fileBytes: number, block0: Uint8Array) {
    this.file = file;
    this.fileBytes = fileBytes;
    this.block0 = block0;
    this.header = FILE_HEADER.read(block0);
  }

  /** @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO` */
  static async open(file: BlockFile): Promise<RawBlocks> {
    const block0 = await readFileHead(file, new Uint8Array(BLOCK_BYTES));
    return new RawBlocks(file, await file.size(), block0);
  }

  /** Blocks that are there whole, block 0 counted, whatever the header says. */
  get wholeBlocks(): number {
    return Math.floor(this.fileBytes / BLOCK_BYTES);
  }

  /** Blocks of which there is at least a byte. */
  get startedBlocks(): number {
    return Math.ceil(this.fileBytes / BLOCK_BYTES);
  }

  /** Fills `target` (262,144 bytes) with a block, and with zeros what the file does not have of it. @returns the bytes that it has */
  async read(block: number, target: Uint8Array): Promise<number> {
    const bytes = await this.file.read(target, fileOffset(block));
    target.fill(0, bytes);
    return bytes;
  }

  /** The blocks on the free list, as far as it can be followed. */
  async freeBlocks(): Promise<BlockSet> {
    const free = new BlockSet(this.wholeBlocks);
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    let block = decodeFreeLink(this.header.freeListHead);
    while (block > 0 && block < this.wholeBlocks && free.add(block)) {
      await this.file.read(bytes, fileOffset(block));
      block = decodeFreeLink(view.getBigUint64(0, true));
    }
    return free;
  }
}

/** A set of block ids: a bit for each block of the file. */
export class BlockSet {
  #bits: Uint8Array;
  #size = 0;

  /** @param blocks - how many there is room for; more is made where ids are beyond */
  constructor(blocks: number) {
    this.#bits = new Uint8Array(Math.ceil(blocks / 8));
  }

  get size(): number {
    return this.#size;
  }

  has(block: number): boolean {
    return ((this.#bits[block >> 3] ?? 0) & (1 << (block & 7))) !== 0;
  }

  /** @returns false where the block was in the set already */
  add(block: number): boolean {
    if (this.has(block)) return false;
    if (block >> 3 >= this.#bits.length) this.#grow(block);
    this.#bits[block >> 3] = (this.#bits[block >> 3] ?? 0) | (1 << (block & 7));
    this.#size++;
    return true;
  }

  delete(block: number): void {
    if (!this.has(block)) return;
    this.#bits[block >> 3] = (this.#bits[block >> 3] ?? 0) & ~(1 << (block & 7));
    this.#size--;
  }

  #grow(block: number): void {
    const bits = new Uint8Array(Math.max((block >> 3) + 1, 2 * this.#bits.length));
    bits.set(this.#bits);
    this.#bits = bits;
  }
}

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
