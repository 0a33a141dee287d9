import type { BlockFile } from '../disk/block-file.ts';
import { freedBlockHead } from '../disk/free-list.ts';
import { writeHeaderCopy } from '../disk/file-head.ts';
import { PageStoreError } from '../errors.ts';
import { encodeFileHeader, newFileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from '../format/file-header.ts';
import {
  BLOCK_BYTES,
  FILE_HEAD_BYTES,
  FILE_HEADER_BYTES,
  fileOffset,
  MAX_BLOCKS,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { clearUnused, newPage, planHeader } from '../format/page.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat } from '../format/page-header.ts';
import { encodeFreeLink } from '../format/layout.ts';
import type { PageOutlook, PageWriter } from '../format/page-writer.ts';

/** What the header of a built file says beside its blocks. */
export interface FileRoot {
  readonly rootPointer: bigint;
  readonly rootDescriptor: RootDescriptor;
  /** Terms of the trie. */
  readonly entryCount: bigint;
  readonly imageCheckpointLsn: bigint;
}

/**
 * Writes a page file from its first block to its last: for those who know what goes where, and need nothing durable
 * before the end. One page is in memory. Until `finish` has resolved the file is no page file; `createBlockFile` gives
 * it a name only then. A builder whose method has thrown is of no more use.
 */
export class PageFileBuilder {
  readonly #file: BlockFile;
  readonly #signal: AbortSignal | undefined;
  #writer: PageWriter | undefined;
  #spare: PageWriter | undefined;
  #nextBlock = 1;
  #freeListHead = 0n;
  #freeBlocks = 0;
  #nodes = 0;
  #usedBytes = 0;

  private constructor(file: BlockFile, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#signal = signal;
  }

  /**
   * @param file - empty
   * @param signal - stops it between two blocks, of which it may have to pass over millions; it then rejects with the signal's reason
   * @throws {@link PageStoreError} `IO`
   */
  static async begin(file: BlockFile, signal?: AbortSignal): Promise<PageFileBuilder> {
    // Written, not left as a hole: on a full disk a commit must not fail for want of space for its record.
    await file.write(new Uint8Array(FILE_HEAD_BYTES), 0);
    return new PageFileBuilder(file, signal);
  }

  /** The block that comes next, or that of the page at hand. */
  get block(): number {
    return this.#nextBlock;
  }

  /** Slots of the page at hand; 0 where there is none. */
  get slotCount(): number {
    return this.#writer?.nodeCount ?? 0;
  }

  /** Blocks on the free list of the file. */
  get freeBlocks(): number {
    return this.#freeBlocks;
  }

  /** Bytes of headers, nodes and directories in all pages that have been ended; those of {@link addBlock} are not counted. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Nodes in all pages that have been ended. */
  get nodes(): number {
    return this.#nodes;
  }

  /**
   * Begins a page. The blocks that it passes over become free.
   * @param block - at least {@link block}, which it is by default
   * @param v1ReserveBytes - what a V1 page keeps free, 64 by default: less for one that takes the nodes of a page as it was
   * @throws {@link PageStoreError} `FILE_FULL`, `IO`; RangeError for a block that has been passed
   */
  async beginPage(format: PageFormat, block: number = this.#nextBlock, v1ReserveBytes?: number): Promise<void> {
    if (this.#writer) throw new TypeError('the page before has not been ended');
    await this.#passOver(block);
    this.#writer = newPage(format, this.#spare, v1ReserveBytes);
    this.#spare = undefined;
  }

  /** Adds the node `source[start, end)` in slot {@link slotCount}. @returns false, with nothing changed, where the page has no room for it */
  add(source: Uint8Array, start: number = 0, end: number = source.length): boolean {
    return this.#current().add(source, start, end);
  }

  /**
   * Adds nodes that stand end to end in `source` from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes, as long as
   * the page has room.
   * @returns how many it took
   */
  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    return this.#current().addMany(source, start, lengths, from, to);
  }

  /**
   * Writes the page at hand.
   * @param outlook - whether more nodes will come once the file is built
   * @throws {@link PageStoreError} `IO`
   */
  async endPage(finalized: boolean, outlook: PageOutlook = 'full'): Promise<void> {
    const writer = this.#current();
    const { block, format } = writer;
    if (finalized) PAGE_HEADER.set('flags', PAGE_HEADER.read(block).flags | PAGE_FLAG.finalized, block);
    const planned = writer.plan(outlook);
    // A directory without slots has no place; by the format it begins at the end of the block.
    const plan = planned.nodeCount === 0 ? { ...planned, directoryStart: BLOCK_BYTES } : planned;
    const head = planHeader(format, block, plan);
    clearUnused(block, plan);
    block.set(head);
    writer.committed();
    this.#writer = undefined;
    this.#spare = writer;
    this.#usedBytes += plan.freeOffset + (format === 'v1' ? BLOCK_BYTES - plan.directoryStart : plan.directoryLength);
    await this.#write(block, plan.nodeCount);
  }

  /**
   * Writes a block as it is, such as a page that is sound.
   * @param bytes - 262,144
   * @param nodes - how many it holds
   * @param block - as for {@link beginPage}
   */
  async addBlock(bytes: Uint8Array, nodes: number, block: number = this.#nextBlock): Promise<void> {
    if (this.#writer) throw new TypeError('the page before has not been ended');
    await this.#passOver(block);
    await this.#write(bytes, nodes);
  }

  /**
   * Leaves a block as one that was allocated and never written: zeros, for which nothing is written.
   * @param block - as for {@link beginPage}
   */
  async skipBlock(block: number = this.#nextBlock): Promise<void> {
    if (this.#writer) throw new TypeError('the page before has not been ended');
    await this.#passOver(block);
    this.#assertRoom();
    this.#nextBlock++;
  }

  /**
   * Makes all of it durable, and then a page file.
   * @param blockCount - blocks of the file, block 0 counted: those behind the last page become free
   * @throws {@link PageStoreError} `FILE_FULL`, `IO`
   */
  async finish(blockCount: number = this.#nextBlock, root?: FileRoot): Promise<void> {
    if (this.#writer) throw new TypeError('the page before has not been ended');
    await this.#passOver(blockCount);
    const file = this.#file;
    // The last block may be a free one, of which only the head has been written.
    await file.truncate(fileOffset(blockCount));
    await file.sync();
    const { rootDescriptor, ...fields } = root ?? { entryCount: BigInt(this.#nodes) };
    const header = { ...newFileHeader(blockCount), freeListHead: this.#freeListHead, ...fields };
    const start = new Uint8Array(FILE_HEADER_BYTES + ROOT_DESCRIPTOR_BYTES);
    start.set(encodeFileHeader(header));
    if (rootDescriptor) ROOT_DESCRIPTOR.write(rootDescriptor, start, ROOT_DESCRIPTOR_OFFSET);
    await file.write(start, 0);
    await writeHeaderCopy(file);
    await file.sync();
  }

  #current(): PageWriter {
    if (!this.#writer) throw new TypeError('no page has been begun');
    return this.#writer;
  }

  async #passOver(block: number): Promise<void> {
    if (!Number.isSafeInteger(block) || block < this.#nextBlock)
      throw new RangeError(`block ${block} comes before block ${this.#nextBlock}, which is next`);
    if (block > MAX_BLOCKS) {
      const message = `block ${block} is more than a file can have: ${MAX_BLOCKS} blocks`;
      throw new PageStoreError('FILE_FULL', message, { file: this.#file.name, block });
    }
    for (; this.#nextBlock < block; this.#nextBlock++) {
      this.#signal?.throwIfAborted();
      await this.#file.write(freedBlockHead(this.#freeListHead), fileOffset(this.#nextBlock));
      this.#freeListHead = encodeFreeLink(this.#nextBlock);
      this.#freeBlocks++;
    }
  }

  async #write(bytes: Uint8Array, nodes: number): Promise<void> {
    if (bytes.length !== BLOCK_BYTES) throw new RangeError(`a block has ${BLOCK_BYTES} bytes, not ${bytes.length}`);
    this.#assertRoom();
    await this.#file.write(bytes, fileOffset(this.#nextBlock));
    this.#nextBlock++;
    this.#nodes += nodes;
  }

  #assertRoom(): void {
    if (this.#nextBlock < MAX_BLOCKS) return;
    const message = `the file has ${MAX_BLOCKS} blocks, the most there can be`;
    throw new PageStoreError('FILE_FULL', message, { file: this.#file.name });
  }
}
