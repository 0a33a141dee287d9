/// <reference lib="esnext.disposable" preserve="true" />
import {
  assertOneOf,
  assertPathOrBlockFile,
  assertWholeNumber,
  checkOptions,
  isBytes,
  lengthOf,
  type OptionKind,
  showAs,
  wrongType,
} from '../arguments.ts';
import { copyOf } from '../bytes/buffer.ts';
import { type ArenaHandle, type HandleSource, NodeRanges } from '../arena/handle-table.ts';
import type { Access, BlockFile } from '../disk/block-file.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import type { LongWork } from '../disk/long-work.ts';
import { openPageFile } from '../disk/node-block-file.ts';
import { createBlockFile } from '../disk/node-create.ts';
import { LOCK_OPTION_KINDS, type LockOptions } from '../disk/node-lock.ts';
import { fillEmptied, writeNewFile } from '../disk/page-file.ts';
import { ByteNodeArena, type ByteNodeArenaV1, type ByteNodeArenaV2 } from '../format/byte-node-arena.ts';
import { BLOCK_BYTES, decodeFreeLink } from '../format/layout.ts';
import { encodeEmptyPageHeader, type PageFormat } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { AppendQueue } from './write-queue.ts';
import { Appender, EntryCount, lastPageFormat, type NodeAppender } from './appender.ts';
import { assertHandles, assertNode, assertRange, checkedNodes, isHandleSource, nodeLengths } from './arguments.ts';
import { type FinalizeOptions, finalizePages } from './finalize.ts';
import { NodeCursor, NodeReader, type PagesOptions, readValidPages } from './page-reader.ts';
import { assertRef, assertRefObject, PageRef, type RefRun } from './page-ref.ts';
import { type TrieHarm, TrieGuard } from './trie-guard.ts';
import { addPage, wholePage } from './whole-page.ts';
import { updateNode, WriteGate } from './write-queue.ts';

/** Options of {@link open}. Those of the lock apply to a path that is opened for writing. */
export interface OpenOptions extends LockOptions {
  /** `write` by default. A file opened to `read` is never written to. */
  readonly access?: Access;
  /** Format of new pages, and of the page that appending continues in; by default that of the last page of the file. */
  readonly pageFormat?: PageFormat;
  /**
   * Whether a node that equals one appended through this store gets its ref instead of being stored again (default: false).
   * The store keeps each different node in memory, with about 40 bytes more. It forgets them with each `update`, `allocate`,
   * `addPage`, `free` and `finalize`, and may do so after a failed append.
   */
  readonly dedupe?: boolean;
  /**
   * Whether to append, allocate, add pages, update and free even in a file with a root pointer (default: false, then these
   * calls throw `FILE_HAS_TRIE` or `BLOCK_IN_USE`). libdictenstein may then read other terms from its trie, or none.
   */
  readonly evenIfTrie?: boolean;
  /**
   * Size of the page cache of `read`, `view` and `readPage` in bytes of blocks, 256 KiB each; 64 MiB by default, at least
   * one page. It is allocated as pages are read. The directory of a V2 page comes on top, with 12 bytes per node.
   */
  readonly cacheBytes?: number;
  /**
   * Stops opening, and later calls while they read many blocks, such as the free list or the blocks of `allocate`; they
   * reject with its reason; `allocate` resolves with the blocks that it has taken by then. A commit is not stopped.
   */
  readonly signal?: AbortSignal;
  /** Called while opening reads many blocks: those after the last one that the header counts. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
}

/** Options of {@link create}. Those of the lock apply to a path. */
export interface CreateOptions extends LockOptions, Pick<OpenOptions, 'dedupe' | 'cacheBytes'> {
  /** `v1` by default, which every reader of the format reads at any time. */
  readonly pageFormat?: PageFormat;
  /** Whether to replace an existing file. False by default. */
  readonly replace?: boolean;
}

/**
 * Opens a page file to read it, or to read and write it.
 *
 * ```ts
 * await using store = await open('words.part', { access: 'read' });
 * ```
 * @param file - a path, or a BlockFile, which the store closes with itself, and also if it cannot be opened
 * @throws {@link PageStoreError} `FILE_LOCKED` while another writer has the file, and as {@link DiskManager.open}; TypeError or
 * RangeError for a wrong parameter or option
 */
export async function open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
  return PageStore.open(file, options);
}

/**
 * Creates a page file, of a header block and one empty page, and opens it to write. A file given as a path appears complete
 * or not at all.
 * @param file - a path, or a BlockFile, which must be empty unless `replace` is set
 * @throws {@link PageStoreError} `FILE_EXISTS`, `FILE_LOCKED`, `IO`; TypeError or RangeError for a wrong parameter or option
 */
export async function create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
  return PageStore.create(file, options);
}

/**
 * The nodes of one page file; {@link open} and {@link create} return it. Calls may overlap, except {@link PageStore.stage}:
 * writes run one after the other, appends that wait at the same time run together, and each call resolves when its change is
 * durable. Damage in the file is an error of the call that reads it.
 */
export class PageStore {
  /** @internal */
  readonly disk: DiskManager;
  readonly #reader: NodeReader;
  readonly #appender: NodeAppender;
  readonly #queue: AppendQueue;
  readonly #writes: WriteGate;
  readonly #entryCount: EntryCount;
  readonly #trie: TrieGuard;
  /** The ranges of the current call of {@link stageFrom}. */
  #ranges: NodeRanges | undefined;

  private constructor(
    disk: DiskManager,
    { pageFormat, cacheBytes, evenIfTrie = false }: OpenOptions,
    deduping: (appender: Appender) => NodeAppender = (appender) => appender,
  ) {
    this.disk = disk;
    this.#reader = new NodeReader(disk, cacheBytes);
    this.#entryCount = new EntryCount(disk);
    this.#appender = deduping(new Appender(disk, this.#entryCount, pageFormat));
    this.#trie = new TrieGuard(disk, evenIfTrie);
    this.#writes = new WriteGate(disk, this.#appender, this.#reader, this.#trie);
    this.#queue = new AppendQueue(this.#appender, this.#writes);
  }

  /** @internal The implementation of {@link open}. */
  static async open(file: string | BlockFile, options: OpenOptions = {}): Promise<PageStore> {
    assertArguments('open', file, options, {
      access: 'any',
      signal: 'signal',
      onProgress: 'function',
      evenIfTrie: 'boolean',
      ...STORE_OPTION_KINDS,
    });
    const { access = 'write', signal, onProgress } = options;
    assertOneOf('open', 'options.access', access, ['read', 'write']);
    const blockFile = typeof file === 'string' ? await openPageFile(file, access, options) : file;
    try {
      return await PageStore.#openIn(blockFile, access, options, { signal, onProgress });
    } catch (error) {
      await blockFile.close();
      throw error;
    }
  }

  static async #openIn(file: BlockFile, access: Access, options: OpenOptions, work?: LongWork): Promise<PageStore> {
    const disk = await DiskManager.open(file, access, work);
    if (options.dedupe !== true) return new PageStore(disk, options);
    // Loaded only when needed: with the map of nodes, it is a tenth of the code.
    const { DedupingAppender } = await import('./dedupe.ts');
    return new PageStore(disk, options, (appender) => new DedupingAppender(appender));
  }

  /** @internal The implementation of {@link create}. */
  static async create(file: string | BlockFile, options: CreateOptions = {}): Promise<PageStore> {
    assertArguments('create', file, options, { replace: 'boolean', ...STORE_OPTION_KINDS });
    const { pageFormat = 'v1', replace = false, ...rest } = options;
    const format = (target: BlockFile): Promise<void> =>
      writeNewFile(target, [encodeEmptyPageHeader(pageFormat, BLOCK_BYTES, { home: 1, commit: 1n })]);
    const opened = async (target: BlockFile): Promise<PageStore> => PageStore.#openIn(target, 'write', rest);
    if (typeof file !== 'string') {
      return fillEmptied(file, replace, async () => {
        await format(file);
        return opened(file);
      });
    }
    let store: PageStore | undefined;
    // Opening syncs the file once more, and if that fails there must be no file.
    const onPublished = async (target: BlockFile): Promise<void> => void (store = await opened(target));
    const target = await createBlockFile(file, replace, format, { ...options, onPublished });
    return store ?? opened(target);
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

  /** Before any work for a change. @throws {@link PageStoreError} `FILE_HAS_TRIE` if the change would be refused @internal */
  assertHarmless(harm: TrieHarm): void {
    this.#trie.assertHarmless(harm);
  }

  /** Nodes that are staged and not committed. */
  get stagedNodes(): number {
    return this.#appender.stagedNodes;
  }

  /** @throws {@link PageStoreError} `BLOCK_RANGE` for no block of the file; `BLOCK_COUNT_BEYOND_FILE` if it has been cut off */
  assertBlock(block: number): void {
    assertWholeNumber('assertBlock', 'block', block);
    this.disk.assertBlock(block);
  }

  /**
   * Reads one node. In a file opened for reading it may also be one that a writer has committed since.
   * @returns a copy of its bytes
   * @throws {@link PageStoreError} `SLOT_RANGE`, `SLOT_LOST`, `BLOCK_RANGE`, `BLOCK_FREE`, `IO`, and the code of the first error in the
   * page
   */
  async read(ref: PageRef): Promise<Uint8Array> {
    assertRef('read', ref);
    return (await this.#reader.view(ref)).slice();
  }

  /** As {@link read}, but a view: do not write to it. It keeps the page in memory, and does not change when the node does. */
  async view(ref: PageRef): Promise<Uint8Array> {
    assertRef('view', ref);
    return this.#reader.view(ref);
  }

  /**
   * Reads one node synchronously, if its page is in the cache: see `cacheBytes` in {@link OpenOptions}.
   * @returns a copy of its bytes; undefined if the page is not in the cache, and if it has no such slot or its node is lost
   */
  tryRead(ref: PageRef): Uint8Array | undefined {
    assertRefObject('tryRead', ref);
    return this.#reader.tryRead(ref);
  }

  /** As {@link tryRead}, without a copy: see {@link view}. */
  tryView(ref: PageRef): Uint8Array | undefined {
    assertRefObject('tryView', ref);
    return this.#reader.tryView(ref);
  }

  /**
   * Reads all nodes in the order of their refs, without lost slots, and copies their bytes; {@link cursor} needs no allocation per node.
   * @throws {@link PageStoreError} as {@link pages}
   */
  async *nodes(): AsyncGenerator<{ ref: PageRef; bytes: Uint8Array }, void, undefined> {
    const cursor = this.cursor();
    while (await cursor.nextPage()) {
      while (cursor.next()) {
        const ref = new PageRef(cursor.block, cursor.slot);
        yield { ref, bytes: cursor.bytes.slice(cursor.start, cursor.end) };
      }
    }
  }

  /** A cursor before the first node of the file: the fastest way to read all nodes. It shares nothing with other calls. */
  cursor(): NodeCursor {
    return new NodeCursor(this.disk);
  }

  /** Reads one page, through the cache. The page does not change when its block does. @throws as {@link read} */
  async readPage(block: number): Promise<Page> {
    assertWholeNumber('readPage', 'block', block);
    return this.#reader.readPage(block);
  }

  /**
   * Reads one page as an object that a program can fill and store again: a copy, which shares nothing with the file.
   * @throws as {@link read}
   */
  async page(block: number): Promise<ByteNodeArenaV1 | ByteNodeArenaV2> {
    assertWholeNumber('page', 'block', block);
    return ByteNodeArena.from((await this.#reader.readPage(block)).block);
  }

  /**
   * Reads all pages in block order, without free and unwritten blocks. A page is valid until the next one is read.
   * @throws {@link PageStoreError} as {@link read}, at the first block that is damaged or missing. After the last page, if pages are
   * lost of which nothing is left: `PAGES_DIGEST` or `FILE_HEADER_OLD`; without a digest, for a block that begins with 8 zero
   * bytes and is neither empty nor free, `BLOCK_UNWRITTEN`. While a writer keeps changing the file, nothing is said of that.
   */
  pages(options: PagesOptions = {}): AsyncGenerator<{ block: number; page: Page }, void, undefined> {
    checkOptions('pages', options, { onLostPage: 'function', onProgress: 'function' });
    return readValidPages(this.disk, options);
  }

  /**
   * Appends one node. Its bytes are copied before the call returns. Concurrent calls share one sync.
   * @returns its ref, once it is durable
   * @throws {@link PageStoreError} `FILE_HAS_TRIE`, `NODE_TOO_LARGE`, `FILE_FULL`, `IO`, and the code of the first error in the
   * last page
   */
  async append(node: Uint8Array): Promise<PageRef> {
    assertNode('append', node);
    return this.#queue.append(node);
  }

  /**
   * Appends nodes in order, in batches of a few MiB. If it fails, earlier batches stay; use {@link stage} to know which. Do
   * not change bytes before it resolves, or other bytes may be stored; no page is damaged then. Lengths are copied at once.
   * @param nodes - the nodes; or their bytes without gaps, which needs no object per node; or an arena: see {@link appendFrom}
   * @param lengths - with bytes, the length of each node; with an arena, the handles
   * @returns where they are, in order, once all are durable: one run per page, with `dedupe` one per run of consecutive refs
   * @throws {@link PageStoreError} as {@link append}; TypeError or RangeError for wrong nodes or lengths
   */
  async appendMany(
    nodes: Iterable<Uint8Array> | Uint8Array | HandleSource,
    lengths?: ArrayLike<number>,
  ): Promise<RefRun[]> {
    if (isHandleSource(nodes)) return this.#appendFrom('appendMany', nodes, lengths);
    if (lengths === undefined && !isBytes(nodes)) {
      if (typeof nodes !== 'object' || nodes === null || typeof nodes[Symbol.iterator] !== 'function')
        throw new TypeError('appendMany: nodes must be an iterable of Uint8Arrays, or one Uint8Array with lengths');
      return this.#queue.appendAll(nodes);
    }
    const checked = nodeLengths(nodes, lengths);
    return this.#queue.appendPacked(nodes as Uint8Array, checked); // nodeLengths has checked that
  }

  /**
   * Appends the bytes of allocations, straight from the memory of their arena; those that lie end to end are copied at once.
   * They must not change, nor the arena be reset, before it resolves, or other bytes may be stored; no page is damaged then.
   * @param arena - an EpochArena, ArenaPool or ConcurrentArena with its handles, or a KeyArena with its keys
   * @param handles - in the order of the nodes; an array of numbers or a Float64Array
   * @returns as {@link appendMany}
   * @throws as {@link appendMany}; {@link PageStoreError} `STALE_EPOCH` or `STALE_KEY` for handles from before a reset
   */
  async appendFrom(arena: HandleSource, handles: ArrayLike<ArenaHandle>): Promise<RefRun[]> {
    return this.#appendFrom('appendFrom', arena, handles);
  }

  async #appendFrom(call: string, arena: HandleSource, handles: unknown): Promise<RefRun[]> {
    if (!isHandleSource(arena)) throw new TypeError(`${call}: arena must be an arena of artrie-pages/arena`);
    assertHandles(call, handles);
    return this.#queue.appendFrom(arena, handles);
  }

  /**
   * Copies the node `source[start, end)` for the next {@link commit}: for streams. Until then other writes are a TypeError, as
   * is this during another write.
   * @returns false, with nothing changed, if `makeRoom(end - start)` has to be called first
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `FILE_CLOSED`, `FILE_HAS_TRIE`; RangeError for a range that is not within `source`
   */
  stage(source: Uint8Array, start?: number, end?: number): boolean;
  /** As above, for the bytes of an allocation. @throws also as {@link appendFrom} */
  stage(arena: HandleSource, handle: ArenaHandle): boolean;
  stage(source: Uint8Array | HandleSource, start: number = 0, end?: number): boolean {
    if (!isBytes(source) && isHandleSource(source)) {
      if (typeof start !== 'number') throw wrongType('stage: handle', 'a number', start);
      return this.stageFrom(source, [start], 0, 1) === 1;
    }
    const to = end === undefined ? lengthOf(source) : end;
    assertRange('stage', source, start, to);
    this.#writes.assertMayStage();
    return this.#appender.stage(source, start, to);
  }

  /**
   * As {@link stage}, for the allocations `handles[from, to)` of an arena.
   * @returns how many it packed; if any are left, `makeRoom` for the next one has to be called first
   * @throws as {@link appendFrom}, and nothing is packed then: it may pack the handles before a wrong one, and throw when
   * that one is near
   */
  stageFrom(arena: HandleSource, handles: ArrayLike<ArenaHandle>, from: number, to: number): number {
    if (!isHandleSource(arena)) throw new TypeError('stageFrom: arena must be an arena of artrie-pages/arena');
    assertWholeNumber('stageFrom', 'from', from);
    assertWholeNumber('stageFrom', 'to', to);
    assertHandles('stageFrom', handles, from, to);
    this.#writes.assertMayStage();
    const ranges = (this.#ranges ??= new NodeRanges());
    let next = from;
    try {
      while (next < to) {
        arena.locate(handles, next, to, ranges);
        const staged = this.#appender.stageRanges(ranges.source, 0, ranges.words, 0, 2 * ranges.count) / 2;
        next += staged;
        if (staged < ranges.count) break;
      }
    } catch (error) {
      // How many are packed has to be known; the call for the next handle throws it again.
      if (next === from) throw error;
    } finally {
      ranges.clear(); // or the store would keep the memory of the arena
    }
    return next - from;
  }

  /** As {@link stageFrom}, by where the nodes are: see {@link PageWriter.addRanges}. @internal */
  stageRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    this.#writes.assertMayStage();
    return this.#appender.stageRanges(source, base, words, from, to);
  }

  /**
   * As {@link stage}, for nodes that follow each other from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes.
   * @returns how many it packed; if any are left, `makeRoom` for the next one has to be called first
   * @throws as {@link stage}; RangeError for nodes that are not within `lengths` and `source`
   */
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const end = checkedNodes(source, start, lengths, from, to);
    this.#writes.assertMayStage();
    return this.#appender.stageMany(source, start, lengths, from, end);
  }

  /**
   * Makes room for a node of `nodeBytes`: see {@link stage}.
   * @returns the refs of nodes that had to be committed first; if {@link stage} still returns false, call it again
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, and as {@link commit}; after `IO` or `FILE_FULL` nothing is staged any more
   */
  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    assertWholeNumber('makeRoom', 'nodeBytes', nodeBytes);
    return this.#writes.continueStaged(() => this.#appender.makeRoom(nodeBytes));
  }

  /**
   * Makes the staged nodes durable.
   * @returns their refs, in the order in which they were staged
   * @throws {@link PageStoreError} `IO`, `FILE_FULL`; then nothing is staged any more
   */
  async commit(): Promise<RefRun[]> {
    return this.#writes.continueStaged(() => this.#appender.commit());
  }

  /**
   * Replaces a node by one of the same length, which is copied before the call returns. A crash leaves the old node or the new one.
   * @throws {@link PageStoreError} `NODE_LENGTH`, `FILE_HAS_TRIE`, and as {@link read}
   */
  async update(ref: PageRef, node: Uint8Array): Promise<void> {
    assertRef('update', ref);
    assertNode('update', node);
    const [{ block, slot }, copy] = [ref, copyOf(node)];
    const work = (): Promise<void> => this.#writes.change(() => updateNode(this.disk, { block, slot }, copy), block);
    await this.#writes.exclusive(work, 'update');
  }

  /**
   * Allocates blocks, from the free list first, and makes each an empty page.
   * @param pageFormat - by default that of the last page of the file
   * @returns their ids, once they are durable
   * @throws {@link PageStoreError} `FILE_HAS_TRIE`, `FILE_FULL`, `IO`, and the codes of a damaged free list
   */
  async allocate(count: number, pageFormat?: PageFormat): Promise<number[]> {
    assertWholeNumber('allocate', 'count', count, 1);
    assertOneOf('allocate', 'pageFormat', pageFormat, PAGE_FORMATS);
    const work = async (): Promise<number[]> =>
      this.disk.allocate(count, pageFormat ?? (await lastPageFormat(this.disk)));
    return this.#writes.exclusive(() => this.#writes.change(work), 'allocate');
  }

  /**
   * Stores a page that was filled in memory, in the first free block or else in a new one. It is stored as it is, finalized
   * or not; a page of another program gets a checksum. It is copied before the call returns; once the copy is durable,
   * `isDirty` is false, unless the page has changed meanwhile. A call that fails, or a crash, may leave the free block as an
   * empty page.
   * @param arena - a `ByteNodeArenaV1` or `ByteNodeArenaV2` of `artrie-pages/format`, of 262,144 bytes
   * @returns its block, once it is durable
   * @throws {@link PageStoreError} `FILE_HAS_TRIE`, `FILE_FULL`, `IO`, the codes of a damaged free list, and the code of the first
   * error in a damaged page; `NODES_WITHOUT_DIRECTORY` for a V2 page of another program that was never finalized
   */
  async addPage(arena: ByteNodeArena): Promise<number> {
    const page = wholePage(this.disk, arena);
    return this.#writes.exclusive(async () => {
      const block = decodeFreeLink(this.disk.header.freeListHead) || this.blockCount;
      await this.#writes.change(() => addPage(this.disk, this.#entryCount, page), block);
      if (Buffer.compare(arena.bytes, page.given) === 0) arena.markClean();
      return block;
    }, 'addPage');
  }

  /**
   * Puts a block on the free list. Its nodes are lost.
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`; `BLOCK_IN_USE` in a file with a trie, which owns its pages
   */
  async free(block: number): Promise<void> {
    assertWholeNumber('free', 'block', block);
    await this.#writes.exclusive(async () => {
      this.disk.assertBlock(block);
      this.#trie.assertMayFree(block);
      const nodes = await this.#entryCount.nodesIn(block);
      await this.#writes.change(() => this.disk.free(block, nodes), block);
    });
  }

  /**
   * Finalizes pages: they take no more nodes. Damaged pages are not changed, but reported.
   * @throws {@link PageStoreError} `IO`, and `BLOCK_RANGE` or `BLOCK_FREE` for one of `blocks`, after those before it are finalized
   */
  async finalize(options: FinalizeOptions = {}): Promise<void> {
    checkOptions('finalize', options, { blocks: 'any', onPage: 'function', onProgress: 'function', signal: 'signal' });
    const { blocks } = options;
    if (blocks !== undefined && !Array.isArray(blocks))
      throw new TypeError('finalize: options.blocks must be an array');
    const copy = blocks && Array.from(blocks); // with undefined for a hole, which `forEach` would skip
    copy?.forEach((block, index) => assertWholeNumber('finalize', `options.blocks[${index}]`, block));
    const copied = { ...options, ...(copy && { blocks: copy }) };
    await this.#writes.exclusive(() => this.#writes.change(() => finalizePages(this.disk, copied)));
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

/** Options that {@link open} and {@link create} share. */
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
