import { allocateBlocks, freeBlock } from '../disk/allocation.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { assertEmpty, writeNewFile } from '../disk/new-file.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import { emptyPageHead, type Page } from '../format/page.ts';
import type { PageFormat } from '../format/page-header.ts';
import { appendAll, AppendQueue } from './append-queue.ts';
import { Appender } from './appender.ts';
import { assertAllocation, assertBlockId, assertBytes, assertOpening, assertRange, assertRef } from './arguments.ts';
import { EntryCount } from './entry-count.ts';
import { type FinalizedPageSink, Finalizer } from './finalizer.ts';
import { Mutex } from './mutex.ts';
import { NodeReader } from './node-reader.ts';
import { updateNode } from './node-update.ts';
import { assertNoTrie, soundPages } from './page-reader.ts';
import type { CreateOptions, OpenOptions } from './store-options.ts';
import { lastPageFormat } from './tail.ts';
import type { PageRef, RefRun } from './page-ref.ts';

/**
 * The nodes of one page file. Calls may overlap, but for {@link PageStore.stage}: those that write are carried out one
 * after the other, appends that wait together in one go, and each resolves when what it did is durable. The file's damage
 * is an error of the call that meets it.
 */
export class PageStore {
  readonly #disk: DiskManager;
  readonly #appender: Appender;
  readonly #queue: AppendQueue;
  readonly #writer = new Mutex();
  readonly #reader: NodeReader;
  readonly #entryCount: EntryCount;

  private constructor(disk: DiskManager, pageFormat: PageFormat | undefined) {
    this.#disk = disk;
    this.#reader = new NodeReader(disk);
    this.#entryCount = new EntryCount(disk);
    this.#appender = new Appender(disk, this.#entryCount, pageFormat);
    this.#queue = new AppendQueue(
      this.#appender,
      (work) => this.#exclusive(work),
      (runs) => this.#changed(runs),
    );
  }

  /**
   * Opens a page file.
   * @param file - a path, or any other implementation of BlockFile, which the store then closes
   * @throws {@link PageStoreError} `FILE_LOCKED` while another writer has the file, and as {@link DiskManager.open}
   */
  static async open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
    const access = options.access ?? 'write';
    assertOpening(file, access, options.pageFormat);
    const blockFile = typeof file === 'string' ? await openPageFile(file, access, options) : file;
    try {
      return new PageStore(await DiskManager.open(blockFile, access), options.pageFormat);
    } catch (error) {
      await blockFile.close();
      throw error;
    }
  }

  /**
   * Makes a file of two blocks, the header and an empty page, and opens it. The file appears whole or not at all.
   * @param file - a path, or a BlockFile, which is to be empty as well unless it is to be replaced
   * @throws {@link PageStoreError} `FILE_EXISTS`, `FILE_LOCKED`, `IO`
   */
  static async create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
    const { pageFormat = 'v1', replace = false } = options;
    assertOpening(file, 'write', pageFormat);
    const format = (target: BlockFile): Promise<void> => writeNewFile(target, [emptyPageHead(pageFormat)]);
    if (typeof file === 'string') return PageStore.open(await createBlockFile(file, replace, format, options));
    await assertEmpty(file, replace);
    await format(file);
    return PageStore.open(file);
  }

  /** The blocks below the pages. Its writing methods are the store's to call. */
  get disk(): DiskManager {
    return this.#disk;
  }

  /**
   * Appends one node. Its bytes are copied at once. Calls that wait at the same time share one sync.
   * @returns where it is, once it is durable
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, `FILE_FULL`, `IO`, and the code of what is wrong with the last page
   */
  async append(node: Uint8Array): Promise<PageRef> {
    assertBytes(node);
    return this.#queue.append(node.slice());
  }

  /**
   * Appends nodes in their order, in batches of a few MiB. Where it fails, earlier batches stay, and the rest is not
   * appended; who has to know which nodes those are uses {@link stage}. The bytes must not change until it resolves.
   * @returns where they are, once all of them are durable
   * @throws {@link PageStoreError} as {@link append}; TypeError for what is no Uint8Array
   */
  async appendMany(nodes: Iterable<Uint8Array>): Promise<RefRun[]> {
    return this.#exclusive(() => appendAll(this.#appender, nodes, (runs) => this.#changed(runs)));
  }

  /**
   * Packs `source[start, end)` for the next {@link commit}: for streams. Other writes are a TypeError until then, and so
   * is this while another write is under way.
   * @returns false, with nothing changed, where `makeRoom(end - start)` has to come first
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, `FILE_READ_ONLY`, `FILE_CLOSED`; RangeError for a range that is not within `source`
   */
  stage(source: Uint8Array, start: number = 0, end: number = source.length): boolean {
    assertRange(source, start, end);
    if (this.#writer.isBusy) throw new TypeError('a write is under way: await it before nodes are staged');
    this.#disk.assertWritable();
    return this.#appender.stage(source, start, end);
  }

  /** Nodes staged and not committed. */
  get stagedNodes(): number {
    return this.#appender.stagedNodes;
  }

  /**
   * Makes room for a node of so many bytes, see {@link stage}.
   * @returns where the nodes are that it had to commit first; then it may have to be called again
   */
  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    return this.#writing(() => this.#appender.makeRoom(nodeBytes));
  }

  /** Makes the staged nodes durable. @returns where they are, in the order in which they were staged */
  async commit(): Promise<RefRun[]> {
    return this.#writing(() => this.#appender.commit());
  }

  /**
   * Reads one node. In a file opened for reading that may also be one that a writer has committed since.
   * @returns a copy of its bytes
   * @throws {@link PageStoreError} `SLOT_RANGE`, `BLOCK_RANGE`, `BLOCK_FREE`, `IO`, and the code of what is wrong with the page
   */
  async read(ref: PageRef): Promise<Uint8Array> {
    assertRef(ref);
    return this.#reader.read(ref);
  }

  /**
   * Reads one page; a few are kept. The page that was given does not change, even when its block does.
   * @throws {@link PageStoreError} as {@link read}
   */
  async readPage(block: number): Promise<Page> {
    assertBlockId(block);
    return this.#reader.readPage(block);
  }

  /** Reads all pages in the order of their blocks. A page is valid until the next one is asked for. */
  pages(): AsyncGenerator<{ block: number; page: Page }> {
    return soundPages(this.#disk);
  }

  /**
   * Replaces a node by one of the same length.
   * @throws {@link PageStoreError} `NODE_LENGTH`, and as {@link read}
   */
  async update(ref: PageRef, node: Uint8Array): Promise<void> {
    assertRef(ref);
    assertBytes(node);
    await this.#exclusive(async () => {
      this.#changing();
      await updateNode(this.#disk, ref, node);
    });
  }

  /** Takes `count` blocks, from the free list first, and makes each an empty page, of the last page's format unless told. @returns their ids, once durable */
  async allocate(count: number, pageFormat?: PageFormat): Promise<number[]> {
    assertAllocation(count, pageFormat);
    return this.#exclusive(async () => {
      this.#changing();
      const format = pageFormat ?? (await lastPageFormat(this.#disk));
      return allocateBlocks(this.#disk, count, emptyPageHead(format));
    });
  }

  /**
   * Puts a block on the free list: its nodes are gone.
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`; `BLOCK_IN_USE` in a file with a trie, which owns its pages
   */
  async free(block: number): Promise<void> {
    assertBlockId(block);
    await this.#exclusive(async () => {
      this.#disk.assertBlock(block);
      assertNoTrie(this.#disk, block);
      const nodes = await this.#entryCount.nodesIn(block);
      this.#changing();
      await freeBlock(this.#disk, block, nodes);
    });
  }

  /**
   * Seals pages: they take no more nodes. Damaged ones are left as they are.
   * @param blocks - which; all pages by default
   * @param report - hears what became of each page, in order, once it is durable
   * @param signal - stops it between two pages
   */
  async finalize(
    blocks?: readonly number[],
    report: FinalizedPageSink = () => {},
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#exclusive(async () => {
      this.#changing();
      await new Finalizer(this.#disk, report).run(blocks, signal);
    });
  }

  /** Closes the file. What is staged and not committed is dropped. */
  async close(): Promise<void> {
    this.#reader.clear();
    await this.#writer.run(() => this.#disk.close());
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#writer.run(async () => {
      if (this.#appender.stagedNodes > 0) throw new TypeError('nodes are staged: commit them first');
      return work();
    });
  }

  async #writing(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    return this.#writer.run(async () => {
      this.#disk.assertWritable();
      return this.#changed(await work());
    });
  }

  #changed(runs: RefRun[]): RefRun[] {
    for (const run of runs) this.#reader.drop(run.block);
    return runs;
  }

  /** Pages are about to change behind the appender's back. */
  #changing(): void {
    this.#appender.reset();
    this.#reader.clear();
  }
}
