import {
  assertBlockFile,
  assertOneOf,
  assertWholeNumber,
  checkOptions,
  showAs,
  valueText,
  wrongType,
} from '../arguments.ts';
import { copyOf, pooledBytes } from '../bytes/buffer.ts';
import { crc32, Hash64 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { addHash, addHead, type DigestState, FILE_START_BYTES, subtractHead, writeDigest } from '../format/digest.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { setJournalFileId } from '../format/journal.ts';
import { BLOCK_BYTES, decodeFreeLink, FILE_HEADER_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import {
  commitOf,
  encodeEmptyPageHeader,
  PAGE_VERSION,
  type PageFormat,
  pageFormatOf,
  type PageStamp,
} from '../format/page-header.ts';
import {
  assertBytes,
  assertCommit,
  assertCountable,
  assertFunction,
  assertInBlock,
  assertOverwrite,
  assertPageHead,
  assertReplacedHead,
  noBlockError,
  type OpenFile,
} from './arguments.ts';
import { type Access, type BlockFile, readOnlyError } from './block-file.ts';
import { type Commit, CommitLog, headerChange, type ReplacedHead, writeHead } from './commit-log.ts';
import { CommittedView, readHead, readStart } from './committed-view.ts';
import { FreeBlocks, freedBlockHead, nextFree } from './free-list.ts';
import { AddedSum, HeadDigest } from './head-digest.ts';
import { HandleState } from './handle-state.ts';
import { betweenBlocks, type LongWork } from './long-work.ts';
import { assertAllPages, type ScannedHeads } from './missing-pages.ts';
import { encodeOverwriteJournal, type Overwrite, overwrite } from './journal.ts';
import {
  assertNotNewer,
  assertUsableHeader,
  assertUsableRecords,
  assertWritableFile,
  ensureFileId,
  writeHeaderCopy,
} from './page-file.ts';

/**
 * Reads and writes blocks of a page file, and maintains its header and free list; it does not interpret pages.
 * Writing calls must not overlap, and only one manager at a time may write to a file.
 *
 * ```ts
 * const disk = await DiskManager.open(await openBlockFile('words.part', 'write'), 'write');
 * const [block] = await disk.allocate(1, 'v2');
 * await disk.free(block);
 * await disk.close();
 * ```
 */
export class DiskManager {
  readonly #file: BlockFile;
  /** Undefined for a reader, whose file is a {@link CommittedView}. */
  readonly #log: CommitLog | undefined;
  readonly #state: HandleState;
  /** @internal Stops work on many blocks. */
  readonly signal: AbortSignal | undefined;
  #header: FileHeader;
  /** @internal The first 128 bytes of the file, with the digest as it was last written. */
  start: Uint8Array;
  readonly #digest: HeadDigest;
  readonly #added: AddedSum;
  #blockCount: number;
  #free: FreeBlocks | undefined;
  /** End of the blocks that a write may have changed, by this batch or one that was given up. */
  #touchedBlocks: number;
  #writtenBytes: number;
  #isUnsynced = false;
  #hasCommitted = false;
  #lastOverwrite: Promise<void> | undefined;

  private constructor(
    file: BlockFile,
    log: CommitLog | undefined,
    start: Uint8Array,
    fileBytes: number,
    signal: AbortSignal | undefined,
  ) {
    this.#file = file;
    this.signal = signal;
    this.#log = log;
    this.#state = new HandleState(file.name);
    this.start = start;
    this.#header = FILE_HEADER.read(start);
    this.#digest = new HeadDigest(file, start, signal);
    this.#blockCount = Math.min(this.#header.blockCount, Math.floor(fileBytes / BLOCK_BYTES));
    this.#touchedBlocks = this.#blockCount;
    this.#added = new AddedSum(file, this.#blockCount);
    this.#writtenBytes = fileOffset(this.#blockCount);
  }

  /**
   * Opens a page file. A writer recovers it after a crash; a reader sees it recovered. For reading, only magic and version
   * are checked; for writing, the whole header, the size, the commit records, and that the header counts all pages of
   * other programs.
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_MAGIC` and the other codes of file headers, `FILE_SIZE`,
   * `BLOCK_COUNT_BEYOND_FILE`, `BLOCKS_UNCOUNTED`, `FREE_LIST_LINK`, `COMMIT_RECORD`, `JOURNAL_MISMATCH`, `IO`; the reason of
   * `work.signal`, which later also stops calls that read many blocks, such as {@link freeBlocks}
   */
  static async open(file: BlockFile, access: Access, work: LongWork = {}): Promise<DiskManager> {
    assertBlockFile('DiskManager.open', 'file', file);
    assertOneOf('DiskManager.open', 'access', access ?? 'undefined', ['read', 'write']);
    checkOptions('DiskManager.open', work, { signal: 'signal', onProgress: 'function' });
    const { signal } = work;
    const view = await CommittedView.open(file, signal);
    const start = await readStart(view);
    const header = FILE_HEADER.read(start);
    assertUsableHeader(file, header, access);
    const fileBytes = await file.size();
    if (access === 'read') return new DiskManager(view, undefined, start, fileBytes, signal);
    await assertWritableFile(view, header, fileBytes, work);
    assertUsableRecords(file, view.recovery.head);
    const log = await CommitLog.open(file, view, signal);
    // Blocks after the last one belong to a batch that was never acknowledged.
    if (fileBytes > fileOffset(header.blockCount)) await file.truncate(fileOffset(header.blockCount));
    return new DiskManager(file, log, start, fileBytes, signal);
  }

  get name(): string {
    return this.#file.name;
  }

  /** As of the last commit; for a reader, of the last {@link refresh}. */
  get header(): Readonly<FileHeader> {
    return this.#header;
  }

  /** Readable blocks, block 0 included: fewer than the header says if the file has been cut. */
  get blockCount(): number {
    return this.#blockCount;
  }

  /**
   * Fills `target` from byte `offset` of a block; the read must end within the block.
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `IO`; `BLOCK_COUNT_BEYOND_FILE` for a counted block that the file does not
   * have. RangeError, TypeError for invalid arguments
   */
  async read(block: number, target: Uint8Array, offset: number = 0): Promise<void> {
    this.#state.assertUsable();
    assertInBlock('read', 'target', target, offset);
    this.assertBlock(block);
    const bytes = await this.#file.read(target, fileOffset(block, offset));
    if (bytes < target.length) throw noBlockError(this.name, this.#forArguments, block);
  }

  /**
   * Reads a whole block. A reader repeats this while the block is invalid and changes: a writer may be changing it.
   * @param isValid - checks `target`, 262,144 bytes, after each read that changed it
   * @throws as {@link read}
   */
  async readStable(block: number, target: Uint8Array, isValid: () => boolean): Promise<void> {
    this.#state.assertUsable();
    assertBytes('readStable', 'target', target, BLOCK_BYTES);
    assertFunction('readStable: isValid', isValid);
    if (this.#file instanceof CommittedView) {
      this.assertBlock(block);
      const bytes = await this.#file.readStable(block, target, isValid);
      if (bytes < target.length) throw noBlockError(this.name, this.#forArguments, block);
      return;
    }
    // During an overwrite the page may be a mixture of old and new bytes.
    let overwrite: Promise<void> | undefined;
    do {
      overwrite = this.#lastOverwrite;
      await overwrite?.catch(() => undefined); // the caller of `overwrite` gets the error
      await this.read(block, target);
    } while (overwrite !== this.#lastOverwrite);
    isValid();
  }

  /** Makes new commits of a concurrent writer visible to a reader. @returns whether there are any; false for a writer */
  async refresh(): Promise<boolean> {
    this.#state.assertUsable();
    if (!(this.#file instanceof CommittedView)) return false;
    const hasChanged = await this.#file.refresh();
    const start = await readStart(this.#file);
    // The view may have refreshed while it read a block.
    if (!hasChanged && Buffer.compare(start, this.start) === 0) return false;
    const header = FILE_HEADER.read(start);
    assertUsableHeader(this.#file, header, 'read');
    this.#header = header;
    this.start = start;
    this.#free = undefined;
    this.#blockCount = Math.min(header.blockCount, Math.floor((await this.#file.size()) / BLOCK_BYTES));
    return true;
  }

  /**
   * For the end of a scan of all blocks. @internal
   * @param scanned - sum of their headers, which are read again if it differs from the digest
   * @returns false if nothing is known: without a digest, and while a writer keeps changing it
   * @throws {@link PageStoreError} `PAGES_DIGEST`, `FILE_HEADER_OLD`, `IO`; the reason of the signal of {@link open}
   */
  async assertAllPages(scanned?: ScannedHeads): Promise<boolean> {
    this.#state.assertUsable();
    return assertAllPages(this.#file, scanned, { signal: this.signal });
  }

  /**
   * Writes bytes that no committed header covers: free space of a page, or blocks after the last one, in order. They
   * become part of the file, and durable, with the next {@link commit}. Headers and links are protected; what is free
   * space of a page the caller must know, since nothing here decodes pages. `source` is copied before the call returns.
   * @param block - at least 1; at most the number of blocks, those written since the last commit included
   * @param offset - in the block, at least 64 in a page or free block; the write must end within the block
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async write(block: number, source: Uint8Array, offset: number = 0): Promise<void> {
    this.#writable();
    assertInBlock('write', 'source', source, offset);
    await this.writeUncopied(block, copyOf(source), offset);
  }

  /** As {@link write}, for bytes that do not change until it resolves: copying every page would cost time. @internal */
  async writeUncopied(block: number, source: Uint8Array, offset: number = 0): Promise<void> {
    this.#writable();
    assertInBlock('write', 'source', source, offset);
    assertWholeNumber('write', 'block', block, 1);
    assertCountable(this.name, block);
    if (block > this.#touchedBlocks)
      throw new RangeError(`write: block must be at most ${this.#touchedBlocks}, the next new block, not ${block}`);
    const isHead = offset < PAGE_HEADER_BYTES;
    if (isHead && block < this.#blockCount) {
      await this.#assertNoHeader(block);
      await this.#leaveOut(block);
    }
    this.#touchedBlocks = Math.max(this.#touchedBlocks, block + 1);
    this.#isUnsynced = true;
    if (isHead && block >= this.#blockCount) await this.#added.write(block, source, offset);
    else await this.#file.write(source, fileOffset(block, offset));
    this.#writtenBytes = Math.max(this.#writtenBytes, fileOffset(block, offset + source.length));
  }

  /**
   * Adds zeroed blocks (at least 1) after the last one, for the next {@link commit}.
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`; RangeError for an invalid number
   */
  async lengthen(blocks: number): Promise<void> {
    this.#writable();
    assertWholeNumber('lengthen', 'blocks', blocks, 1);
    assertCountable(this.name, this.#blockCount + blocks - 1);
    await this.#cutUncounted();
    this.#touchedBlocks = this.#blockCount + blocks;
    this.#isUnsynced = true;
    this.#added.reset(this.#blockCount);
    await this.#file.truncate(fileOffset(this.#touchedBlocks));
    this.#writtenBytes = fileOffset(this.#touchedBlocks);
  }

  /** If `work` fails, cuts off the blocks that it wrote after the last one. */
  async truncateOnFailure(work: () => Promise<void>): Promise<void> {
    this.#writable();
    assertFunction('truncateOnFailure: work', work);
    try {
      await work();
    } catch (error) {
      await this.#state.run(() => this.#cutUncounted());
      throw error;
    }
  }

  /** Cuts off the blocks of a batch that was given up. */
  async #cutUncounted(): Promise<void> {
    if (this.#touchedBlocks <= this.#blockCount) return;
    this.#writtenBytes = fileOffset(this.#blockCount);
    await this.#file.truncate(this.#writtenBytes);
    this.#touchedBlocks = this.#blockCount;
    this.#added.reset(this.#blockCount);
  }

  /** Keeps a header that is written without a commit out of the digest until the next one: a crash may leave it or not. */
  async #leaveOut(block: number): Promise<void> {
    if (!this.#digest.isOfFile) return;
    const state = await this.#digest.complete(this.#header);
    const head = await readHead(this.#file, block);
    await this.#state.run(async () => {
      await this.#writeStart(await this.#digest.without(state, [{ block, head, oldHead: head }]));
      await this.#file.sync();
    });
  }

  /** Without a sync. */
  async #writeStart(state: DigestState): Promise<void> {
    const start = this.start.slice();
    writeDigest(state, start);
    this.start = start;
    this.#digest.set(state);
    await this.#file.write(start, 0);
  }

  /**
   * Sums up the headers of a file without a digest; does nothing in others, so calls need not wait for it twice.
   * @internal
   * @throws {@link PageStoreError} `ENTRY_COUNT` if the file counts more nodes than its pages have; `IO`; the reason of a signal
   */
  async takeUpDigest(work: LongWork = {}): Promise<void> {
    this.#writable();
    if (this.#digest.current === undefined) await this.#digest.complete(this.#header, work);
  }

  /** What the header of a page says that the next commit writes to `block`. Needs {@link takeUpDigest}. @internal */
  stampOf(block: number): PageStamp {
    const commit = this.#digest.current?.commit;
    return { home: block, commit: commit === undefined ? 0n : BigInt(commit + 1) };
  }

  /**
   * Makes a batch part of the file, durably, with one sync. `commit` is copied before the call returns. After an `IO` error the manager is unusable and the batch is not
   * in the file; only after a power failure it may be, as a whole.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; `FILE_REPLACED` if the name leads to another file by now, then
   * the batch may be in the old one; RangeError, TypeError for a commit that would damage the file
   */
  async commit(commit: Commit): Promise<void> {
    const log = this.#writable();
    assertCommit(commit, this.#forArguments);
    const added = commit.added && { ...commit.added };
    const change = headerChange(this.#header, this.start.subarray(0, FILE_HEADER_BYTES), commit);
    const changed = commit.changed && { ...commit.changed, head: change.blockHead };
    const copy: Commit = { ...commit, changed };
    const replacedCommit = commit.changed === undefined ? 0 : commitOf(commit.changed.oldHead);
    const difference = new Hash64();
    if (commit.changed) {
      subtractHead(difference, change.block, commit.changed.oldHead);
      addHead(difference, change.block, change.blockHead);
    }
    const { sum, commit: number } = this.#digest.current ?? (await this.#digest.complete(this.#header));
    assertNotNewer(this.#file, change.block, replacedCommit, number);
    if (added) addHash(difference, await this.#added.sumOf(added.count, this.#touchedBlocks));
    addHash(difference, sum);
    const digest = { sum: difference, commit: number + 1, openFrom: 0, openEnd: 0 };
    change.digest = digest;
    await this.#state.run(async () => {
      await log.record(change);
      await this.#file.assertNamed?.();
    });
    const start = pooledBytes(FILE_START_BYTES);
    start.set(this.start);
    start.set(change.fileHeader);
    writeDigest(digest, start);
    this.start = start;
    this.#digest.set(digest);
    this.#header = FILE_HEADER.read(change.fileHeader);
    this.#blockCount = this.#header.blockCount;
    this.#added.reset(this.#blockCount, this.#touchedBlocks > this.#blockCount);
    this.#free?.follow(copy);
    this.#isUnsynced = this.#hasCommitted = true;
    // The batch is durable, so this call must not report later errors.
    await this.#state.runDeferred(async () => {
      await writeHead(this.#file, change, start);
      if (added) await writeHeaderCopy(this.#file);
    });
  }

  /**
   * Replaces many page headers with two syncs: of what was written before, and of the headers. `heads` is copied before
   * the call returns.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async commitHeads(heads: readonly ReplacedHead[]): Promise<void> {
    const log = this.#writable();
    if (!Array.isArray(heads)) throw wrongType('commitHeads: heads', 'an array', heads);
    const copies: ReplacedHead[] = [];
    for (const replaced of heads as readonly ReplacedHead[]) {
      assertReplacedHead('commitHeads', 'heads', replaced, this.#forArguments);
      assertPageHead('commitHeads: heads', replaced);
      const { block, head, oldHead } = replaced;
      copies.push({ block, head: copyOf(head), oldHead: copyOf(oldHead) });
    }
    if (copies.length === 0) return this.sync();
    const state = this.#digest.current ?? (await this.#digest.complete(this.#header));
    for (const { block, oldHead } of copies) assertNotNewer(this.#file, block, commitOf(oldHead), state.commit);
    const open = await this.#digest.without(state, copies);
    const closed = await this.#digest.with(open, copies);
    await this.#state.run(async () => {
      await this.#writeStart(open);
      await log.replaceHeads(copies);
      await this.#file.assertNamed?.();
    });
    this.#isUnsynced = this.#hasCommitted = true;
    await this.#state.runDeferred(() => this.#writeStart(closed));
  }

  /**
   * Overwrites committed bytes of a page, durably and atomically. `change` is copied before the call returns. If the journal
   * cannot be written, nothing has changed.
   * After another `IO` error the manager is unusable; the next open completes or undoes the change.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async overwrite(change: Overwrite): Promise<void> {
    this.#writable();
    assertOverwrite(change, this.#forArguments);
    // The journal has its own copy of the image.
    const journal = encodeOverwriteJournal(change);
    const { block } = change;
    const head = copyOf(change.image.subarray(0, PAGE_HEADER_BYTES));
    const copy = { block, bytes: copyOf(change.bytes), changed: { ...change.changed }, head: copyOf(change.head) };
    const replaced = [{ block, head: copy.head, oldHead: head }];
    const state = this.#digest.current ?? (await this.#digest.complete(this.#header));
    assertNotNewer(this.#file, block, commitOf(head), state.commit);
    const open = await this.#digest.without(state, replaced);
    const closed = await this.#digest.with(open, replaced);
    const fileId = await this.#state.run(async () => {
      await this.#writeStart(open);
      const record = await ensureFileId(this.#file);
      // The header that was read may be only in the page cache; the journal's image must be of a durable block.
      await this.#file.write(head, fileOffset(block));
      await this.#file.sync();
      // The journal would belong to the file that has the name now.
      await this.#file.assertNamed?.();
      return record;
    });
    this.#isUnsynced = false;
    setJournalFileId(journal, fileId);
    await this.#file.journal.write(journal);
    this.#lastOverwrite = this.#state.run(async () => {
      await overwrite(this.#file, copy);
      await this.#file.assertNamed?.();
    });
    await this.#lastOverwrite;
    this.#isUnsynced = this.#hasCommitted = true;
    await this.#state.runDeferred(() => this.#writeStart(closed));
  }

  /**
   * Takes blocks durably, as empty pages: from the free list with a commit each, then by growth with one commit.
   * @returns their ids, in the order in which they were taken; fewer if the signal of {@link open} was aborted meanwhile
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`, and the codes of a damaged free list
   */
  async allocate(count: number, pageFormat: PageFormat = 'v1'): Promise<number[]> {
    this.#writable();
    assertWholeNumber('allocate', 'count', count, 1);
    assertOneOf('allocate', 'pageFormat', pageFormat, Object.keys(PAGE_VERSION));
    const taken: number[] = [];
    for (let block: number | undefined = 0; taken.length < count && block !== undefined;) {
      if (this.signal?.aborted === true) return this.#takenUntilNow(taken);
      block = await this.takeFreeBlock(pageFormat);
      if (block !== undefined) taken.push(block);
    }
    if (taken.length === count) return taken;
    try {
      return [...taken, ...(await this.#grow(count - taken.length, pageFormat))];
    } catch (error) {
      if (this.signal?.aborted !== true || error !== this.signal.reason) throw error;
      return this.#takenUntilNow(taken);
    }
  }

  /** Without their ids, the caller could never use these blocks. @throws the reason of the signal if there are none */
  #takenUntilNow(taken: number[]): number[] {
    if (taken.length === 0) this.signal?.throwIfAborted();
    return taken;
  }

  /** Adds empty pages with one commit. @returns their ids */
  async #grow(added: number, pageFormat: PageFormat): Promise<number[]> {
    const blocks: number[] = [];
    let headsCrc = 0;
    await this.takeUpDigest();
    await this.truncateOnFailure(async () => {
      const first = this.#blockCount;
      await this.lengthen(added);
      for (let block = first; block < first + added; block++) {
        const pause = betweenBlocks(block - first, added, { signal: this.signal });
        if (pause) await pause;
        const head = encodeEmptyPageHeader(pageFormat, BLOCK_BYTES, this.stampOf(block));
        await this.writeUncopied(block, head);
        headsCrc = crc32(head, headsCrc);
        blocks.push(block);
      }
    });
    await this.commit({ added: { count: added, headsCrc } });
    return blocks;
  }

  /** Takes the first free block, as {@link allocate}. @returns its id, undefined if there is none */
  async takeFreeBlock(pageFormat: PageFormat): Promise<number | undefined> {
    this.#writable();
    assertOneOf('takeFreeBlock', 'pageFormat', pageFormat ?? 'undefined', Object.keys(PAGE_VERSION));
    const block = decodeFreeLink(this.#header.freeListHead);
    if (block === 0) return undefined;
    const firstFree = await nextFree(this, block);
    await this.takeUpDigest();
    const head = encodeEmptyPageHeader(pageFormat, BLOCK_BYTES, this.stampOf(block));
    await this.commit({ changed: { block, head, oldHead: await readHead(this.#file, block) }, firstFree });
    return block;
  }

  /**
   * Puts a block on the free list, durably; only its first 64 bytes are overwritten.
   * @param nodes - number of nodes that the header stops counting
   * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, `FILE_READ_ONLY`, `IO`, and the codes of a damaged free list
   */
  async free(block: number, nodes: number = 0): Promise<void> {
    this.#writable();
    this.assertBlock(block);
    assertWholeNumber('free', 'nodes', nodes);
    if ((await this.freeBlocks()).has(block)) {
      throw new PageStoreError('BLOCK_FREE', `block ${block} is already free`, { file: this.name, block });
    }
    const head = freedBlockHead(this.#header.freeListHead);
    const changed = { block, head, oldHead: await readHead(this.#file, block), isLink: true };
    await this.commit({ changed, firstFree: block, nodes: -nodes });
  }

  /** The free blocks as of the last commit. The first call reads the list; a reader's also after new commits. */
  async freeBlocks(): Promise<FreeBlocks> {
    this.#state.assertUsable();
    if (this.#free) return this.#free;
    const header = this.#header;
    const free = await FreeBlocks.read(this, this.signal);
    // If the list changed meanwhile, the result may be a mixture and is not kept.
    if (header === this.#header) this.#free = free;
    return free;
  }

  /**
   * Makes everything written durable: needed before overwriting bytes that only older headers cover, not before a commit.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`
   */
  async sync(): Promise<void> {
    this.#writable();
    if (this.#isUnsynced) await this.#state.run(() => this.#file.sync());
    this.#isUnsynced = false;
  }

  /**
   * Syncs, updates the header copy, and closes the file. A second call does nothing.
   * @throws {@link PageStoreError} `IO`, also for an error after the last commit that no other call has reported
   */
  async close(): Promise<void> {
    if (this.#state.isClosed) return;
    const isWriter = this.#log !== undefined && !this.#state.isUnusable;
    this.#state.close();
    try {
      if (isWriter) await this.#cutUncounted();
      if (isWriter && this.#hasCommitted) {
        await writeHeaderCopy(this.#file);
        await this.#file.sync();
      }
    } finally {
      await this.#file.close();
    }
    this.#state.throwDeferred();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_COUNT_BEYOND_FILE`; RangeError unless it is a whole number */
  assertBlock(block: number): void {
    if (Number.isInteger(block) && block >= 1 && block < this.#blockCount) return;
    if (!Number.isSafeInteger(block)) throw new RangeError(`block must be a whole number, not ${valueText(block)}`);
    throw noBlockError(this.name, this.#forArguments, block);
  }

  /** @throws {@link PageStoreError} `FILE_READ_ONLY`, `FILE_CLOSED`, or `IO` after an earlier failure */
  assertWritable(): void {
    this.#writable();
  }

  #writable(): CommitLog {
    this.#state.assertUsable();
    if (this.#log) return this.#log;
    throw readOnlyError(this);
  }

  get #forArguments(): OpenFile {
    const newBlocks = Math.floor(this.#writtenBytes / BLOCK_BYTES) - this.#blockCount;
    return { header: this.#header, blockCount: this.#blockCount, newBlocks };
  }

  async #assertNoHeader(block: number): Promise<void> {
    if (pageFormatOf(await readHead(this.#file, block)) === undefined && !(await this.freeBlocks()).has(block)) return;
    const least = PAGE_HEADER_BYTES;
    throw new RangeError(`write: offset must be at least ${least}: the header of block ${block} is committed`);
  }

  static {
    showAs(this, (disk) => {
      const access = disk.#log ? 'write' : 'read';
      const state = disk.#state.isClosed ? ', closed' : disk.#state.isUnusable ? ', failed' : '';
      return `DiskManager { '${disk.name}', ${access}${state}, ${disk.#blockCount} blocks }`;
    });
  }
}
