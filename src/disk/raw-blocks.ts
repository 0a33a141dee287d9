import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import type { BlockFile } from './block-file.ts';
import { readFileHead } from './identify.ts';

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
