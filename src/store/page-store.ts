import type { BlockFile } from '../disk/block-file.ts';
import { allocateBlocks, DiskManager, freeBlock } from '../disk/disk-manager.ts';
import { assertEmpty, writeNewFile } from '../disk/file-head.ts';
import { type Access, openPageFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import type { PageFormat } from '../format/page-header.ts';
import { emptyPageHead, type Page } from '../format/page.ts';
import { appendAll, appendEndToEnd, AppendQueue } from './append-queue.ts';
import { Appender, EntryCount, lastPageFormat, type NodeAppender } from './appender.ts';
import {
  assertAllocation,
  assertBlockId,
  assertBytes,
  assertOpening,
  assertRange,
  assertRef,
  checkedNodes,
  nodeLengths,
} from './arguments.ts';
import { DedupingAppender } from './deduping-appender.ts';
import { type FinalizedPageSink, Finalizer } from './finalizer.ts';
import { assertNoTrie, NodeCursor, NodeReader, soundPages } from './page-reader.ts';
import type { PageRef, RefRun } from './page-ref.ts';
import { updateNode, WriteGate } from './write-gate.ts';

/** Opens the blocks of a page file; a BlockFile that is none is closed. */
export async function openDisk(file: string | BlockFile, options: OpenOptions): Promise<DiskManager> {
  const access = options.access ?? 'write';
  assertOpening(file, access, options.pageFormat, options.cacheBytes);
  const blockFile = typeof file === 'string' ? await openPageFile(file, access, options) : file;
  try {
    return await DiskManager.open(blockFile, access);
  } catch (error) {
    await blockFile.close();
    throw error;
  }
}

/** Makes a file of the header and an empty page. */
export async function createPageFile(file: string | BlockFile, options: CreateOptions): Promise<BlockFile> {
  const { pageFormat = 'v1', replace = false } = options;
  assertOpening(file, 'write', pageFormat, options.cacheBytes);
  const format = (target: BlockFile): Promise<void> => writeNewFile(target, [emptyPageHead(pageFormat)]);
  if (typeof file === 'string') return createBlockFile(file, replace, format, options);
  await assertEmpty(file, replace);
  await format(file);
  return file;
}

/** What can be read of a page file: the part of a {@link PageStore} that writes nothing. */
export abstract class ReadableStore {
  /** The blocks below the pages. Its writing methods are the store's to call. */
  readonly disk: DiskManager;
  readonly #reader: NodeReader;

  /** @param reader - of the same disk; who writes tells it what has changed */
  protected constructor(disk: DiskManager, reader: NodeReader) {
    this.disk = disk;
    this.#reader = reader;
  }

  /**
   * Reads one node. In a file opened for reading that may also be one that a writer has committed since.
   * @returns a copy of its bytes
   * @throws {@link PageStoreError} `SLOT_RANGE`, `BLOCK_RANGE`, `BLOCK_FREE`, `IO`, and the code of what is wrong with the page
   */
  async read(ref: PageRef): Promise<Uint8Array> {
    return (await this.view(ref)).slice();
  }

  /**
   * As {@link read}, without a copy.
   * @returns a view of the page that the node is on: not to be changed. It stays as it is, and keeps 256 KiB in memory
   */
  async view(ref: PageRef): Promise<Uint8Array> {
    assertRef(ref);
    return this.#reader.view(ref);
  }

  /**
   * Reads one node at once, where its page was read and checked before, and is kept: see `cacheBytes` in {@link OpenOptions}.
   * @returns a copy of its bytes; nothing where that is for {@link read} to find out
   */
  tryRead(ref: PageRef): Uint8Array | undefined {
    return this.#reader.tryRead(ref);
  }

  /** As {@link tryRead}, without a copy: see {@link view}. */
  tryView(ref: PageRef): Uint8Array | undefined {
    return this.#reader.tryView(ref);
  }

  /** A cursor before the first node, over all pages: the fastest way to look at every node. It shares nothing with other calls. */
  cursor(): NodeCursor {
    return new NodeCursor(this.disk);
  }

  /**
   * Reads one page, or gives the one that is kept. The page that was given does not change, even when its block does.
   * @throws {@link PageStoreError} as {@link read}
   */
  async readPage(block: number): Promise<Page> {
    assertBlockId(block);
    return this.#reader.readPage(block);
  }

  /** Reads all pages in the order of their blocks. A page is valid until the next one is asked for. */
  pages(): AsyncGenerator<{ block: number; page: Page }> {
    return soundPages(this.disk);
  }
}

/**
 * The nodes of one page file. Calls may overlap, but for {@link PageStore.stage}: those that write are carried out one
 * after the other, appends that wait together in one go, and each resolves when what it did is durable. The file's damage
 * is an error of the call that meets it.
 */
export class PageStore extends ReadableStore {
  readonly #appender: NodeAppender;
  readonly #queue: AppendQueue;
  readonly #writes: WriteGate;
  readonly #entryCount: EntryCount;

  private constructor(disk: DiskManager, { pageFormat, dedupe = false, cacheBytes }: OpenOptions) {
    const reader = new NodeReader(disk, cacheBytes);
    super(disk, reader);
    this.#entryCount = new EntryCount(disk);
    const appender = new Appender(disk, this.#entryCount, pageFormat);
    this.#appender = dedupe ? new DedupingAppender(appender) : appender;
    this.#writes = new WriteGate(disk, this.#appender, reader);
    this.#queue = new AppendQueue(this.#appender, this.#writes);
  }

  /**
   * Opens a page file.
   * @param file - a path, or any other implementation of BlockFile, which the store then closes
   * @throws {@link PageStoreError} `FILE_LOCKED` while another writer has the file, and as {@link DiskManager.open}
   */
  static async open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
    return new PageStore(await openDisk(file, options), options);
  }

  /**
   * Makes a file of two blocks, the header and an empty page, and opens it. The file appears whole or not at all.
   * @param file - a path, or a BlockFile, which is to be empty as well unless it is to be replaced
   * @throws {@link PageStoreError} `FILE_EXISTS`, `FILE_LOCKED`, `IO`
   */
  static async create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
    const created = await createPageFile(file, options);
    const { dedupe, cacheBytes } = options;
    return PageStore.open(created, {
      ...(dedupe !== undefined && { dedupe }),
      ...(cacheBytes !== undefined && { cacheBytes }),
    });
  }

  /**
   * Appends one node. Its bytes are copied at once. Calls that wait at the same time share one sync.
   * @returns where it is, once it is durable
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, `FILE_FULL`, `IO`, and the code of what is wrong with the last page
   */
  async append(node: Uint8Array): Promise<PageRef> {
    assertBytes(node);
    return this.#queue.append(node);
  }

  /**
   * Appends nodes in their order, in batches of a few MiB. Where it fails, earlier batches stay, and the rest is not
   * appended; who has to know which nodes those are uses {@link stage}. Neither the bytes nor the lengths must change
   * until it resolves.
   * @param nodes - the nodes, or all their bytes, end to end: that takes no object for each
   * @param lengths - with bytes, how many each node has
   * @returns where they are, once all of them are durable, in their order: a run for each page that got some, and with
   * `dedupe` one wherever the refs are not in a row
   * @throws {@link PageStoreError} as {@link append}; TypeError for what is no Uint8Array, RangeError for lengths that do not add up
   */
  async appendMany(nodes: Iterable<Uint8Array> | Uint8Array, lengths?: ArrayLike<number>): Promise<RefRun[]> {
    const { appended } = this.#writes;
    if (lengths === undefined && !(nodes instanceof Uint8Array))
      return this.#writes.exclusive(() => appendAll(this.#appender, nodes, appended));
    const bytes = nodes as Uint8Array; // or nodeLengths refuses them
    const checked = nodeLengths(bytes, lengths);
    return this.#writes.exclusive(() => appendEndToEnd(this.#appender, bytes, checked, appended));
  }

  /**
   * Packs `source[start, end)` for the next {@link commit}: for streams. It is copied at once. Other writes are a TypeError
   * until then, and so is this while another write is under way.
   * @returns false, with nothing changed, where `makeRoom(end - start)` has to come first
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `FILE_CLOSED`; RangeError for a range that is not within `source`
   */
  stage(source: Uint8Array, start: number = 0, end: number = source.length): boolean {
    assertRange(source, start, end);
    this.#writes.assertMayStage();
    return this.#appender.stage(source, start, end);
  }

  /**
   * Packs nodes that stand end to end in `source` from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes: see {@link stage}.
   * @returns how many; where some are left, `makeRoom` for the next one has to come first
   * @throws as {@link stage}; RangeError for lengths that are not there, or, of those that a page could take, whose bytes are not within `source`
   */
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const end = checkedNodes(source, start, lengths, from, to);
    this.#writes.assertMayStage();
    return this.#appender.stageMany(source, start, lengths, from, end);
  }

  /** Nodes that were found equal to one before, in a store that was opened with `dedupe`; else 0. */
  get duplicateNodes(): number {
    return this.#appender instanceof DedupingAppender ? this.#appender.duplicateNodes : 0;
  }

  /** Nodes staged and not committed. */
  get stagedNodes(): number {
    return this.#appender.stagedNodes;
  }

  /**
   * Makes room for a node of so many bytes, see {@link stage}.
   * @returns where the nodes are that it had to commit first; then it may have to be called again
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, and as {@link commit}; after `IO` or `FILE_FULL` nothing is staged any more
   */
  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    return this.#writes.staged(() => this.#appender.makeRoom(nodeBytes));
  }

  /** Makes the staged nodes durable. @returns where they are, in the order in which they were staged */
  async commit(): Promise<RefRun[]> {
    return this.#writes.staged(() => this.#appender.commit());
  }

  /**
   * Replaces a node by one of the same length.
   * @throws {@link PageStoreError} `NODE_LENGTH`, and as {@link read}
   */
  async update(ref: PageRef, node: Uint8Array): Promise<void> {
    assertRef(ref);
    assertBytes(node);
    await this.#writes.exclusive(() => this.#writes.change(() => updateNode(this.disk, ref, node), ref.block));
  }

  /** Takes `count` blocks, from the free list first, and makes each an empty page, of the last page's format unless told. @returns their ids, once durable */
  async allocate(count: number, pageFormat?: PageFormat): Promise<number[]> {
    assertAllocation(count, pageFormat);
    return this.#writes.exclusive(() =>
      this.#writes.change(async () => {
        const format = pageFormat ?? (await lastPageFormat(this.disk));
        return allocateBlocks(this.disk, count, emptyPageHead(format));
      }),
    );
  }

  /**
   * Puts a block on the free list: its nodes are gone.
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`; `BLOCK_IN_USE` in a file with a trie, which owns its pages
   */
  async free(block: number): Promise<void> {
    assertBlockId(block);
    await this.#writes.exclusive(async () => {
      this.disk.assertBlock(block);
      assertNoTrie(this.disk, block);
      const nodes = await this.#entryCount.nodesIn(block);
      await this.#writes.change(() => freeBlock(this.disk, block, nodes), block);
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
    await this.#writes.exclusive(() => this.#writes.change(() => new Finalizer(this.disk, report).run(blocks, signal)));
  }

  /** Closes the file. What is staged and not committed is dropped. */
  async close(): Promise<void> {
    await this.#writes.last(() => this.#writes.change(() => this.disk.close()));
    this.#queue.release();
  }
}

/** The options of the lock have a meaning for a path that is opened to write. */
export interface OpenOptions extends LockOptions {
  /** `write` by default. A file opened to `read` is never written to. */
  readonly access?: Access;
  /** The format of new pages, and of the page that appending goes on in; that of the file's last page by default. */
  readonly pageFormat?: PageFormat;
  /**
   * Whether a node that is equal to one which this store has appended before is not stored again, and gets the ref of
   * that one. False by default: the store keeps the bytes of each different node in memory, and some 40 more. It forgets
   * them with each `update`, `allocate`, `free` and `finalize`, and may where an append fails: what comes then is stored again.
   */
  readonly dedupe?: boolean;
  /**
   * Bytes of pages that are kept once they were read, for `read`, `view` and `readPage`: 64 MiB by default, and one page at the
   * least. They are taken as pages are read, 256 KiB each; the directory of a V2 page comes on top, with 12 bytes for each node.
   */
  readonly cacheBytes?: number;
}

/** The options of the lock have a meaning for a path. */
export interface CreateOptions extends LockOptions {
  /** `v1` by default: every reader of the format can read it at any time. */
  readonly pageFormat?: PageFormat;
  /** Whether to take the place of a file that exists. */
  readonly replace?: boolean;
  /** As in {@link OpenOptions}. */
  readonly dedupe?: boolean;
  /** As in {@link OpenOptions}. */
  readonly cacheBytes?: number;
}
