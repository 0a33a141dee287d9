import { PageStoreError } from '../errors.ts';
import { encodeFileHeader, FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset, MAX_BLOCKS } from '../format/layout.ts';
import { decodeFreeLink, encodeFreeLink } from '../format/pointer.ts';
import type { BlockFile } from './block-file.ts';
import { writeHeaderCopy } from './new-file.ts';
import { freedBlockHead, isFree, nextFree } from './free-list.ts';
import { readFileHead } from './identify.ts';
import type { Access } from './node-block-file.ts';
import { noBlockError, refuseHeader, refuseToWrite } from './refusal.ts';

/** The headers that make a batch part of the file. Everything they cover has been written before. */
export interface Commit {
  /** A block that was in the file already, and its new first 64 bytes. */
  readonly changed?: { readonly block: number; readonly head: Uint8Array };
  /** Blocks written behind the last one, whole. */
  readonly addedBlocks?: number;
  /** Id of the first free block, 0 for none; the same as before unless given. */
  readonly firstFree?: number;
  /** Nodes added (or, negative, removed); counted in the header where the header counts. */
  readonly nodes?: number;
}

/**
 * Reads and writes the blocks of one page file and keeps its file header and free list. It knows nothing of
 * what is in a page. One manager at a time may write to a file.
 */
export class DiskManager {
  readonly #file: BlockFile;
  readonly #access: Access;
  #header: FileHeader;
  #blockCount: number;
  #copyIsOld = false;
  /** Set when nothing more may be done: after `close`, or after a failure that leaves the file's state unknown. */
  #dead: PageStoreError | undefined;

  private constructor(file: BlockFile, access: Access, header: FileHeader, fileBytes: number) {
    this.#file = file;
    this.#access = access;
    this.#header = header;
    this.#blockCount = Math.min(header.blockCount, Math.floor(fileBytes / BLOCK_BYTES));
  }

  /**
   * Opens a page file. A reader is refused a file whose magic or version it does not understand; a writer, every
   * file whose header or size has an error, and one with pages of another program behind its block count.
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_MAGIC` and the other codes of file headers, `FILE_SIZE`,
   * `BLOCK_COUNT_BEYOND_FILE`, `BLOCKS_UNCOUNTED`, `FREE_LIST_LINK`, `IO`
   */
  static async open(file: BlockFile, access: Access): Promise<DiskManager> {
    const header = FILE_HEADER.read(await readFileHead(file));
    const fileBytes = await file.size();
    refuseHeader(file, header, access);
    if (access === 'write') {
      await refuseToWrite(file, header, fileBytes);
      // What is behind the last block now was never acknowledged.
      if (fileBytes > fileOffset(header.blockCount)) await file.truncate(fileOffset(header.blockCount));
    }
    return new DiskManager(file, access, header, fileBytes);
  }

  /** What messages call the file. */
  get name(): string {
    return this.#file.name;
  }

  /** The file header as of the last commit, or as it was found. */
  get header(): Readonly<FileHeader> {
    return this.#header;
  }

  /** Blocks that can be read, block 0 counted: fewer than the header says where the file has been cut. */
  get blockCount(): number {
    return this.#blockCount;
  }

  /**
   * Reads from one block, beginning at byte `offset` of it.
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_COUNT_BEYOND_FILE` for a block that the file should have, `IO`
   */
  async read(block: number, target: Uint8Array, offset = 0): Promise<void> {
    this.#assertUsable();
    this.assertBlock(block);
    const bytes = await this.#file.read(target, fileOffset(block, offset));
    if (bytes < target.length) throw noBlockError(this.#file, block, block, this.#header.blockCount);
  }

  /**
   * Writes into space that no committed header covers: free space of a page, or a block behind the last one.
   * It is part of the file, and durable, once a commit says so.
   */
  async write(block: number, source: Uint8Array, offset = 0): Promise<void> {
    this.#assertWritable();
    if (block >= MAX_BLOCKS) {
      throw new PageStoreError('FILE_FULL', `the file has ${MAX_BLOCKS} blocks, the most that the format can count`, {
        file: this.name,
      });
    }
    await this.#file.write(source, fileOffset(block, offset));
  }

  /** Makes everything written so far durable. After a failure the manager is dead: whether the bytes are on the device cannot be known. */
  async sync(): Promise<void> {
    this.#assertWritable();
    await this.#orDie(() => this.#file.sync());
  }

  /**
   * Makes a batch part of the file: syncs what was written, then writes the headers and syncs those. When it
   * resolves, the batch is durable. A failure of the first sync or later kills the manager.
   */
  async commit(commit: Commit): Promise<void> {
    await this.sync();
    const header = { ...this.#header };
    header.blockCount += commit.addedBlocks ?? 0;
    header.freeListHead = commit.firstFree === undefined ? header.freeListHead : encodeFreeLink(commit.firstFree);
    const entryCount = header.entryCount + BigInt(commit.nodes ?? 0);
    header.entryCount = entryCount < 0n ? 0n : entryCount;
    const bytes = encodeFileHeader(header);
    await this.#orDie(async () => {
      const { changed } = commit;
      if (changed) await this.#file.write(changed.head, fileOffset(changed.block));
      await this.#file.write(bytes, 0);
      await this.#file.sync();
    });
    this.#header = FILE_HEADER.read(bytes);
    this.#blockCount = header.blockCount;
    this.#copyIsOld = true;
  }

  /**
   * Takes `count` blocks: from the free list first, then by growth.
   * @param head - the first 64 bytes of each, such as the header of an empty page
   * @returns their ids, in the order in which they were taken; each is durable
   */
  async allocate(count: number, head: Uint8Array): Promise<number[]> {
    const taken: number[] = [];
    while (taken.length < count) {
      const block = await this.reuse(head);
      if (block === undefined) break;
      taken.push(block);
    }
    const first = this.#blockCount;
    const addedBlocks = count - taken.length;
    if (addedBlocks === 0) return taken;
    await this.undoOnFailure(async () => {
      if (first + addedBlocks > MAX_BLOCKS) await this.write(MAX_BLOCKS, head);
      await this.#file.truncate(fileOffset(first + addedBlocks));
      for (let block = first; block < first + addedBlocks; block++) await this.write(block, head);
    });
    await this.commit({ addedBlocks });
    for (let block = first; block < first + addedBlocks; block++) taken.push(block);
    return taken;
  }

  /** Takes the first block of the free list and gives it these first 64 bytes, durably; undefined where the list is empty. */
  async reuse(head: Uint8Array): Promise<number | undefined> {
    this.#assertWritable();
    const block = decodeFreeLink(this.#header.freeListHead);
    if (block === 0) return undefined;
    const firstFree = await nextFree(this.#file, block, this.#blockCount);
    await this.commit({ changed: { block, head }, firstFree });
    return block;
  }

  /**
   * Puts a block on the free list, durably. Its first 64 bytes become a link and zeros; the rest stays until it is used again.
   * @param nodes - nodes that were in it
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, and the codes of a damaged free list
   */
  async free(block: number, nodes: number): Promise<void> {
    this.#assertWritable();
    this.assertBlock(block);
    if (await this.isFree(block)) {
      throw new PageStoreError('BLOCK_FREE', `block ${block} is free already`, { file: this.name, block });
    }
    const head = freedBlockHead(this.#header.freeListHead);
    await this.commit({ changed: { block, head }, firstFree: block, nodes: -nodes });
  }

  /** Whether a block is on the free list. Reads the list up to it. */
  async isFree(block: number): Promise<boolean> {
    return isFree(this.#file, decodeFreeLink(this.#header.freeListHead), block, this.#blockCount);
  }

  /** Writes the first 64 bytes of many blocks between two syncs: of what was written before, and of themselves. */
  async commitHeads(heads: readonly { readonly block: number; readonly head: Uint8Array }[]): Promise<void> {
    await this.sync();
    await this.#orDie(async () => {
      for (const { block, head } of heads) await this.#file.write(head, fileOffset(block));
      await this.#file.sync();
    });
  }

  /** Runs what writes behind the last block; where it fails, cuts the file back to the blocks it had. */
  async undoOnFailure(grow: () => Promise<void>): Promise<void> {
    this.#assertWritable();
    try {
      await grow();
    } catch (error) {
      await this.#orDie(() => this.#file.truncate(fileOffset(this.#blockCount)));
      throw error;
    }
  }

  /** Writes the header copy where it is out of date, and closes the file. Once closed, nothing happens. */
  async close(): Promise<void> {
    if (this.#dead?.code === 'FILE_CLOSED') return;
    const alive = this.#dead === undefined;
    this.#dead = new PageStoreError('FILE_CLOSED', 'the file has been closed', { file: this.name });
    try {
      if (alive && this.#copyIsOld) await writeHeaderCopy(this.#file);
    } finally {
      await this.#file.close();
    }
  }

  /** @throws {@link PageStoreError} `BLOCK_RANGE` for what is not one of blocks 1..blockCount-1; `BLOCK_COUNT_BEYOND_FILE` for what should be */
  assertBlock(block: number): void {
    if (block >= 1 && block < this.#blockCount) return;
    throw noBlockError(this.#file, block, this.#blockCount, this.#header.blockCount);
  }

  async #orDie(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      const message = 'an earlier write or sync failed, and what is on the device is not known; open the file again';
      this.#dead ??= new PageStoreError('IO', message, { file: this.name }, error);
      throw error;
    }
  }

  #assertUsable(): void {
    if (this.#dead) throw this.#dead;
  }

  #assertWritable(): void {
    this.#assertUsable();
    if (this.#access === 'read') {
      throw new PageStoreError('FILE_READ_ONLY', 'the file was opened for reading', { file: this.name });
    }
  }
}
