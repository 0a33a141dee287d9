import type { BlockFile } from '../disk/block-file.ts';
import { type BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { readFileHead } from '../disk/page-file.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';

/** A page file as it is, for inspection: it is refused only if it is not a page file at all. */
export class RawBlocks {
  readonly file: BlockFile;
  /** Size of the file. */
  readonly fileBytes: number;
  /** Block 0; zeros after the end of the file. */
  readonly block0: Uint8Array;
  /** The file header as it is, valid or not. */
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

  /** Whole blocks in the file, block 0 included, whatever the header counts. */
  get wholeBlocks(): number {
    return Math.floor(this.fileBytes / BLOCK_BYTES);
  }

  /** Blocks of which the file has at least one byte. */
  get startedBlocks(): number {
    return Math.ceil(this.fileBytes / BLOCK_BYTES);
  }

  /** Reads a block into `target` (262,144 bytes), with zeros after the end of the file. @returns the bytes that the file has of it */
  async read(block: number, target: Uint8Array): Promise<number> {
    const bytes = await this.file.read(target, fileOffset(block));
    target.fill(0, bytes);
    return bytes;
  }

  /** The blocks on the free list, as far as it can be followed. */
  async freeBlocks(): Promise<BlockSet> {
    const walk = new FreeListWalk(this.header.freeListHead, this.wholeBlocks);
    await walk.followIn(this.file);
    return walk.blocks;
  }
}
