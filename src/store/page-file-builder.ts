import { Hash64 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { freedBlockHead } from '../disk/free-list.ts';
import { newFileHead, writeHeaderCopy } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { addHead, FILE_START_BYTES, newDigest, writeDigest } from '../format/digest.ts';
import { encodeFileHeader, newFileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from '../format/file-header.ts';
import { BLOCK_BYTES, encodeFreeLink, fileOffset, MAX_BLOCKS, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { newPageWriter } from '../format/page.ts';
import { completePage, type PageOutlook, type PageWriter } from '../format/page-writer.ts';
import { commitOf, PAGE_FLAG, PAGE_HEADER, type PageFormat } from '../format/page-header.ts';

/**
 * The trie of a built file: fields of the header that do not follow from its blocks. They come together or not at all.
 * The LSN is 0 unless the log of the trie will be beside the file: a new log begins at 1, and a higher LSN would hide its
 * first records.
 * @see docs/format.md#the-log-of-a-trie
 */
export interface FileRoot {
  readonly rootPointer: bigint;
  readonly rootDescriptor: RootDescriptor;
  /** Terms of the trie. */
  readonly entryCount: bigint;
  /** The last record of the log whose change is in the trie. */
  readonly imageCheckpointLsn: bigint;
}

/** Writes a page file from first to last block, with one page in memory. Valid only once `finish` has resolved. */
export class PageFileBuilder {
  readonly #file: BlockFile;
  readonly #signal: AbortSignal | undefined;
  #writer: PageWriter | undefined;
  #spare: PageWriter | undefined;
  #nextBlock = 1;
  #freeListHead = 0n;
  #freeBlocks = 0;
  #nodes = 0;
  #lostSlots = 0;
  #usedBytes = 0;
  readonly #sum = new Hash64();
  #lastCommit = 1;

  private constructor(file: BlockFile, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#signal = signal;
  }

  /** @param file - empty @param signal - stops between two skipped blocks, of which there may be millions */
  static async begin(file: BlockFile, signal?: AbortSignal): Promise<PageFileBuilder> {
    await file.write(newFileHead(), 0);
    return new PageFileBuilder(file, signal);
  }

  /** The block of the current page, or else the next block. */
  get block(): number {
    return this.#nextBlock;
  }

  get slotCount(): number {
    return this.#writer?.nodeCount ?? 0;
  }

  get freeBlocks(): number {
    return this.#freeBlocks;
  }

  /** Bytes of headers, nodes and directories in all ended pages; blocks of {@link addBlock} are not counted. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Slots of all ended pages, with those of lost nodes: what the entry count of a file is. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Slots of {@link addLost}, those of the current page included. */
  get lostSlots(): number {
    return this.#lostSlots;
  }

  /**
   * Begins a page at `block`, by default {@link block}. Skipped blocks become free.
   * @param v1ReserveBytes - bytes that a V1 page keeps free (default: 64): fewer to rebuild a page that is fuller
   * @throws {@link PageStoreError} `FILE_FULL`, `IO`; RangeError for a block before {@link block}
   */
  async beginPage(format: PageFormat, block: number = this.#nextBlock, v1ReserveBytes?: number): Promise<void> {
    await this.#skipTo(block);
    this.#writer = newPageWriter(format, this.#spare, v1ReserveBytes);
    this.#spare = undefined;
  }

  /** Adds the node `source[start, end)`. @returns false, with nothing changed, if there is no room */
  add(source: Uint8Array, start: number = 0, end: number = source.length): boolean {
    return this.#current().add(source, start, end);
  }

  /** Adds a slot whose node is lost. @returns false, with nothing changed, if there is no room */
  addLost(): boolean {
    const isAdded = this.#current().addLost();
    if (isAdded) this.#lostSlots++;
    return isAdded;
  }

  /** Adds nodes as `PageWriter.addMany` does. @returns how many the page had room for */
  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    return this.#current().addMany(source, start, lengths, from, to);
  }

  /** Adds nodes as `PageWriter.addRanges` does. @returns the end of the pairs that the page had room for */
  addRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    return this.#current().addRanges(source, base, words, from, to);
  }

  /** Writes the current page. @param outlook - whether nodes will be appended to the page once the file is built */
  async endPage(finalized: boolean, outlook: PageOutlook = 'full'): Promise<void> {
    const writer = this.#current();
    const { block, format } = writer;
    if (finalized) PAGE_HEADER.set('flags', PAGE_HEADER.read(block).flags | PAGE_FLAG.finalized, block);
    const plan = writer.plan(outlook);
    completePage(writer, plan, { home: this.#nextBlock, commit: 1n });
    writer.committed();
    this.#writer = undefined;
    this.#spare = writer;
    this.#usedBytes += plan.freeOffset + (format === 'v1' ? BLOCK_BYTES - plan.directoryStart : plan.directoryLength);
    await this.#write(block, plan.nodeCount);
  }

  /** Writes the 262,144 bytes of a valid page, which holds `nodes` nodes, at `block`, as for {@link beginPage}. */
  async addBlock(bytes: Uint8Array, nodes: number, block: number = this.#nextBlock): Promise<void> {
    await this.#skipTo(block);
    await this.#write(bytes, nodes);
  }

  /** Leaves a block, as for {@link beginPage}, as one that was allocated and never written: zeros, without a write. */
  async skipBlock(block: number = this.#nextBlock): Promise<void> {
    await this.#skipTo(block);
    this.#assertRoom();
    this.#nextBlock++;
  }

  /**
   * Makes everything durable, then writes the file header. Blocks after the last page, up to `blockCount`, become free.
   * @param root - by default there is no trie, and the entry count is that of the nodes
   * @throws {@link PageStoreError} `FILE_FULL`, `IO`
   */
  async finish(blockCount: number = this.#nextBlock, root?: FileRoot): Promise<void> {
    await this.#skipTo(blockCount);
    const file = this.#file;
    // Of free blocks only the first bytes are written, and the last block may be one.
    await file.truncate(fileOffset(blockCount));
    await file.sync();
    const { rootDescriptor, ...fields }: Partial<FileRoot> = root ?? { entryCount: BigInt(this.#nodes) };
    const header = { ...newFileHeader(blockCount), freeListHead: this.#freeListHead, ...fields };
    const start = new Uint8Array(FILE_START_BYTES);
    start.set(encodeFileHeader(header));
    if (rootDescriptor) ROOT_DESCRIPTOR.write(rootDescriptor, start, ROOT_DESCRIPTOR_OFFSET);
    writeDigest({ ...newDigest(this.#sum), commit: this.#lastCommit }, start);
    await file.write(start, 0);
    await writeHeaderCopy(file);
    await file.sync();
  }

  #current(): PageWriter {
    if (!this.#writer) throw new TypeError('no page has been begun');
    return this.#writer;
  }

  async #skipTo(block: number): Promise<void> {
    if (this.#writer) throw new TypeError('the current page has not been ended');
    if (!Number.isSafeInteger(block) || block < this.#nextBlock)
      throw new RangeError(`block must be at least ${this.#nextBlock}, the next block, not ${block}`);
    if (block > MAX_BLOCKS) {
      const message = `block ${block} is out of range: a file has at most ${MAX_BLOCKS} blocks`;
      throw new PageStoreError('FILE_FULL', message, { file: this.#file.name, block });
    }
    for (; this.#nextBlock < block; this.#nextBlock++) {
      this.#signal?.throwIfAborted();
      const head = freedBlockHead(this.#freeListHead);
      addHead(this.#sum, this.#nextBlock, head);
      await this.#file.write(head, fileOffset(this.#nextBlock));
      this.#freeListHead = encodeFreeLink(this.#nextBlock);
      this.#freeBlocks++;
    }
  }

  async #write(bytes: Uint8Array, nodes: number): Promise<void> {
    if (bytes.length !== BLOCK_BYTES)
      throw new RangeError(`bytes must be the ${BLOCK_BYTES} bytes of a block, not ${bytes.length}`);
    this.#assertRoom();
    addHead(this.#sum, this.#nextBlock, bytes);
    // Pages of another file keep their numbers, and no page may have a higher one than the file.
    this.#lastCommit = Math.max(this.#lastCommit, commitOf(bytes));
    await this.#file.write(bytes, fileOffset(this.#nextBlock));
    this.#nextBlock++;
    this.#nodes += nodes;
  }

  #assertRoom(): void {
    if (this.#nextBlock < MAX_BLOCKS) return;
    const message = `the file is full: it has ${MAX_BLOCKS} blocks`;
    throw new PageStoreError('FILE_FULL', message, { file: this.#file.name });
  }
}
