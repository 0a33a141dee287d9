/// <reference lib="esnext.disposable" preserve="true" />
import {
  assertOneOf,
  assertPathOrBlockFile,
  assertWholeNumber,
  checkOptions,
  lengthOf,
  type OptionKind,
  showAs,
} from '../arguments.ts';
import type { Access, BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import { LOCK_OPTION_KINDS, type LockOptions } from '../disk/node-lock.ts';
import { assertEmpty, writeNewFile } from '../disk/page-file.ts';
import { PageStoreError } from '../errors.ts';
import { fileOffset } from '../format/layout.ts';
import { encodeEmptyPageHeader, type PageFormat } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import type { Problem } from '../format/problem.ts';
import { AppendQueue } from './write-queue.ts';
import { Appender, EntryCount, lastPageFormat, type NodeAppender } from './appender.ts';
import { assertNode, assertRange, checkedNodes, nodeLengths } from './arguments.ts';
import { type FinalizeOptions, finalizePages } from './finalize.ts';
import { NodeCursor, NodeReader, readValidPages } from './page-reader.ts';
import { assertRef, assertRefObject, PageRef, type RefRun } from './page-ref.ts';
import { updateNode, WriteGate } from './write-queue.ts';

/** Options of {@link open}. Those of the lock apply to a path that is opened for writing. */
export interface OpenOptions extends LockOptions {
  /** `write` by default. A file opened to `read` is never written to. */
  readonly access?: Access;
  /** Format of new pages, and of the page that appending continues in; by default that of the last page of the file. */
  readonly pageFormat?: PageFormat;
  /**
   * Whether a node that equals one appended through this store gets its ref (default: false). The store keeps each in
   * memory, with about 40 bytes more, until `update`, `allocate`, `free` or `finalize`, and perhaps a failed append.
   */
  readonly dedupe?: boolean;
  /** Page cache in bytes (default: 64 MiB; at least one page of 256 KiB). A V2 directory adds 12 bytes per node. */
  readonly cacheBytes?: number;
}

/** Options of {@link create}. Those of the lock apply to a path. */
export interface CreateOptions extends LockOptions, Pick<OpenOptions, 'dedupe' | 'cacheBytes'> {
  /** `v1` by default, which every reader of the format reads at any time. */
  readonly pageFormat?: PageFormat;
  /** Whether to replace an existing file. False by default. */
  readonly replace?: boolean;
}

/** Options of {@link PageStore.pages}. */
export interface PagesOptions {
  /** Called for each block that is skipped although it is a page, except that its first 8 bytes are zero. */
  readonly onLostPage?: (problem: Problem) => void | Promise<void>;
}

/**
 * Opens a page file: `await using store = await open('words.part', { access: 'read' });`
 * @param file - a path, or a BlockFile, which the store closes with itself, and also if it cannot be opened
 * @throws {@link PageStoreError} `FILE_LOCKED`, and as {@link DiskManager.open}; TypeError; RangeError
 */
export async function open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
  return PageStore.open(file, options);
}

/**
 * Creates a page file with one empty page, and opens it to write. A file at a path appears complete or not at all.
 * @param file - a path, or a BlockFile, which must be empty unless `replace` is set
 * @throws {@link PageStoreError} `FILE_EXISTS`, `FILE_LOCKED`, `IO`; TypeError; RangeError
 */
export async function create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
  return PageStore.create(file, options);
}

/**
 * The nodes of one page file. Calls may overlap, except {@link PageStore.stage}: writes run one after the other,
 * waiting appends run together, and each call resolves when its change is durable.
 */
export class PageStore {
  /** @internal */
  readonly disk: DiskManager;
  readonly #reader: NodeReader;
  readonly #appender: NodeAppender;
  readonly #queue: AppendQueue;
  readonly #writes: WriteGate;
  readonly #entryCount: EntryCount;

  private constructor(
    disk: DiskManager,
    { pageFormat, cacheBytes }: OpenOptions,
    deduping: (appender: Appender) => NodeAppender = (appender) => appender,
  ) {
    this.disk = disk;
    this.#reader = new NodeReader(disk, cacheBytes);
    this.#entryCount = new EntryCount(disk);
    this.#appender = deduping(new Appender(disk, this.#entryCount, pageFormat));
    this.#writes = new WriteGate(disk, this.#appender, this.#reader);
    this.#queue = new AppendQueue(this.#appender, this.#writes);
  }

  /** @internal The implementation of {@link open}. */
  static async open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
    assertArguments('open', file, options, { access: 'any', ...STORE_OPTION_KINDS });
    const { access = 'write' } = options;
    assertOneOf('open', 'options.access', access, ['read', 'write']);
    const blockFile = typeof file === 'string' ? await openPageFile(file, access, options) : file;
    try {
      const disk = await DiskManager.open(blockFile, access);
      if (options.dedupe !== true) return new PageStore(disk, options);
      // Loaded only when needed: with the map of nodes, it is a tenth of the code.
      const { DedupingAppender } = await import('./dedupe.ts');
      return new PageStore(disk, options, (appender) => new DedupingAppender(appender));
    } catch (error) {
      await blockFile.close();
      throw error;
    }
  }

  /** @internal The implementation of {@link create}. */
  static async create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
    assertArguments('create', file, options, { replace: 'boolean', ...STORE_OPTION_KINDS });
    const { pageFormat = 'v1', replace = false, ...rest } = options;
    const format = (target: BlockFile): Promise<void> => writeNewFile(target, [encodeEmptyPageHeader(pageFormat)]);
    if (typeof file === 'string') return PageStore.open(await createBlockFile(file, replace, format, options), rest);
    await assertEmpty(file, replace);
    await format(file);
    return PageStore.open(file, rest);
  }

  /** The file as messages name it: the path, if it was opened by one. */
  get name(): string {
    return this.disk.name;
  }

  /** Number of blocks that can be read, including block 0, the header block. */
  get blockCount(): number {
    return this.disk.blockCount;
  }

  /** Nodes that were equal to one before, in a store opened with `dedupe`; else 0. */
  get duplicateNodes(): number {
    return this.#appender.duplicateNodes ?? 0;
  }

  get stagedNodes(): number {
    return this.#appender.stagedNodes;
  }

  /** @throws {@link PageStoreError} `BLOCK_RANGE`; `BLOCK_COUNT_BEYOND_FILE` if the file has been cut off */
  assertBlock(block: number): void {
    assertWholeNumber('assertBlock', 'block', block);
    this.disk.assertBlock(block);
  }

  /**
   * Reads a copy of one node; in a file opened for reading, perhaps one that a writer has committed since.
   * @throws {@link PageStoreError} `SLOT_RANGE`, `BLOCK_RANGE`, `BLOCK_FREE`, `IO`, or the first error in the page
   */
  async read(ref: PageRef): Promise<Uint8Array> {
    assertRef('read', ref);
    return (await this.#reader.view(ref)).slice();
  }

  /** A view: do not write to it. It keeps the page in memory, and does not change when the node does. */
  async view(ref: PageRef): Promise<Uint8Array> {
    assertRef('view', ref);
    return this.#reader.view(ref);
  }

  /** A copy of a node; undefined if its page is not in the cache (see `cacheBytes`), or has no such slot. */
  tryRead(ref: PageRef): Uint8Array | undefined {
    assertRefObject('tryRead', ref);
    return this.#reader.tryRead(ref);
  }

  /** As {@link tryRead}, without a copy: see {@link view}. */
  tryView(ref: PageRef): Uint8Array | undefined {
    assertRefObject('tryView', ref);
    return this.#reader.tryView(ref);
  }

  /** Copies of all nodes, in order; {@link cursor} is faster. @throws {@link PageStoreError} as {@link read} */
  async *nodes(): AsyncGenerator<{ ref: PageRef; bytes: Uint8Array }, void, undefined> {
    const cursor = this.cursor();
    while (await cursor.nextPage()) {
      while (cursor.next()) {
        const ref = new PageRef(cursor.block, cursor.slot);
        yield { ref, bytes: cursor.bytes.slice(cursor.start, cursor.end) };
      }
    }
  }

  /** A cursor before the first node: the fastest way to read all nodes. It shares nothing with other calls. */
  cursor(): NodeCursor {
    return new NodeCursor(this.disk);
  }

  /** Reads one page, through the cache. The page does not change when its block does. @throws as {@link read} */
  async readPage(block: number): Promise<Page> {
    assertWholeNumber('readPage', 'block', block);
    return this.#reader.readPage(block);
  }

  /** All pages but free and unwritten blocks, in order; each is valid until the next. @throws as {@link read} */
  pages(options: PagesOptions = {}): AsyncGenerator<{ block: number; page: Page }, void, undefined> {
    checkOptions('pages', options, { onLostPage: 'function' });
    return readValidPages(this.disk, options.onLostPage);
  }

  /**
   * Appends one node, copied at once. Concurrent calls share one sync. @returns its ref, once it is durable
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, `FILE_FULL`, `IO`, or the first error in the last page
   */
  async append(node: Uint8Array): Promise<PageRef> {
    assertNode('append', node);
    return this.#queue.append(node);
  }

  /**
   * Appends nodes in order, in batches of a few MiB. If it fails, earlier batches stay; {@link stage} shows which.
   * @param nodes - the nodes, or their bytes without gaps, with `lengths`; unchanged until this resolves
   * @returns the refs in order, once all are durable: one run per page, with `dedupe` one per run of consecutive refs
   * @throws {@link PageStoreError} as {@link append}; TypeError; RangeError
   */
  async appendMany(nodes: Iterable<Uint8Array> | Uint8Array, lengths?: ArrayLike<number>): Promise<RefRun[]> {
    if (lengths === undefined && !(nodes instanceof Uint8Array)) {
      if (typeof nodes !== 'object' || nodes === null || typeof nodes[Symbol.iterator] !== 'function')
        throw new TypeError('appendMany: nodes must be an iterable of Uint8Arrays, or one Uint8Array with lengths');
      return this.#queue.appendAll(nodes);
    }
    const checked = nodeLengths(nodes, lengths);
    return this.#queue.appendPacked(nodes as Uint8Array, checked); // nodeLengths has checked that
  }

  /**
   * Copies the node `source[start, end)` for the next {@link commit}. Until then, other writes are a TypeError.
   * @returns false, with nothing changed, if `makeRoom(end - start)` has to be called first
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `FILE_CLOSED`; RangeError; TypeError during another write
   */
  stage(source: Uint8Array, start: number = 0, end: number = lengthOf(source)): boolean {
    assertRange('stage', source, start, end);
    this.#writes.assertMayStage();
    return this.#appender.stage(source, start, end);
  }

  /**
   * As {@link stage}, for nodes that follow each other from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes.
   * @returns how many it packed; if any are left, call `makeRoom` for the next one @throws as {@link stage}
   */
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const end = checkedNodes(source, start, lengths, from, to);
    this.#writes.assertMayStage();
    return this.#appender.stageMany(source, start, lengths, from, end);
  }

  /**
   * Makes room for a node: see {@link stage}. If that still returns false, call this again.
   * @returns the refs of nodes that had to be committed first
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`; as {@link commit}: after `IO` or `FILE_FULL` nothing is staged
   */
  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    assertWholeNumber('makeRoom', 'nodeBytes', nodeBytes);
    return this.#writes.continueStaged(() => this.#appender.makeRoom(nodeBytes));
  }

  /**
   * Makes the staged nodes durable, or drops them.
   * @returns their refs, in order @throws {@link PageStoreError} `IO`, `FILE_FULL`
   */
  async commit(): Promise<RefRun[]> {
    return this.#writes.continueStaged(() => this.#appender.commit());
  }

  /**
   * Replaces a node by one of the same length. A crash leaves the old node or the new one.
   * @throws {@link PageStoreError} `NODE_LENGTH`, and as {@link read}
   */
  async update(ref: PageRef, node: Uint8Array): Promise<void> {
    assertRef('update', ref);
    assertNode('update', node);
    await this.#writes.exclusive(() => this.#writes.change(() => updateNode(this.disk, ref, node), ref.block));
  }

  /**
   * Allocates blocks, free ones first, as empty pages; by default in the format of the last page. @returns their ids
   * @throws {@link PageStoreError} `FILE_FULL`, `IO`, and the codes of a damaged free list
   */
  async allocate(count: number, pageFormat?: PageFormat): Promise<number[]> {
    assertWholeNumber('allocate', 'count', count, 1);
    assertOneOf('allocate', 'pageFormat', pageFormat, PAGE_FORMATS);
    return this.#writes.exclusive(() =>
      this.#writes.change(async () => this.disk.allocate(count, pageFormat ?? (await lastPageFormat(this.disk)))),
    );
  }

  /** Frees a block and its nodes. @throws PageStoreError `BLOCK_RANGE`, `BLOCK_FREE`; `BLOCK_IN_USE` with a trie */
  async free(block: number): Promise<void> {
    assertWholeNumber('free', 'block', block);
    await this.#writes.exclusive(async () => {
      this.disk.assertBlock(block);
      if (this.disk.header.rootPointer !== 0n) {
        const message = `block ${block} may hold nodes of the trie in this file, whose root pointer is set: blocks of such a file cannot be freed`;
        throw new PageStoreError('BLOCK_IN_USE', message, { file: this.name, block, offset: fileOffset(block) });
      }
      const nodes = await this.#entryCount.nodesIn(block);
      await this.#writes.change(() => this.disk.free(block, nodes), block);
    });
  }

  /**
   * Finalizes pages: they take no more nodes. Damaged pages are not changed, but reported.
   * @throws {@link PageStoreError} `IO`; `BLOCK_RANGE`, `BLOCK_FREE` for one of `blocks`: those before it are finalized
   */
  async finalize(options: FinalizeOptions = {}): Promise<void> {
    checkOptions('finalize', options, { blocks: 'any', onPage: 'function', signal: 'signal' });
    const { blocks } = options;
    if (blocks !== undefined && !Array.isArray(blocks))
      throw new TypeError('finalize: options.blocks must be an array');
    blocks?.forEach((block, index) => assertWholeNumber('finalize', `options.blocks[${index}]`, block));
    await this.#writes.exclusive(() => this.#writes.change(() => finalizePages(this.disk, options)));
  }

  /** Closes the file, as `await using` does. Staged nodes are dropped. A second call does nothing. */
  async close(): Promise<void> {
    await this.#writes.whenIdle(() => this.#writes.change(() => this.disk.close()));
    this.#queue.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  static {
    showAs(this, ({ name, blockCount, stagedNodes }) => {
      return `PageStore { file: '${name}', blockCount: ${blockCount}, stagedNodes: ${stagedNodes} }`;
    });
  }
}

const PAGE_FORMATS: readonly PageFormat[] = ['v1', 'v2'];

const STORE_OPTION_KINDS = { pageFormat: 'any', dedupe: 'boolean', cacheBytes: 'any', ...LOCK_OPTION_KINDS } as const;

function assertArguments<Options extends OpenOptions | CreateOptions>(
  call: string,
  file: string | BlockFile,
  options: Options,
  kinds: Readonly<Record<keyof Options, OptionKind>>,
): void {
  assertPathOrBlockFile(call, 'file', file);
  checkOptions(call, options, kinds);
  const { pageFormat, cacheBytes = 0 } = options;
  assertOneOf(call, 'options.pageFormat', pageFormat, PAGE_FORMATS);
  if (typeof cacheBytes === 'number' && cacheBytes >= 0) return;
  throw new RangeError(`${call}: options.cacheBytes must be a number of bytes of at least 0`);
}
