import { assertBlockFile, assertOneOf, assertWholeNumber, showAs, wrongType } from '../arguments.ts';
import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, firstU64, MAX_BLOCKS, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { encodeEmptyPageHeader, PAGE_VERSION, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { type Access, type BlockFile, readOnlyError } from './block-file.ts';
import { type Commit, CommitLog, headerChange, type ReplacedHead, writeHeaders } from './commit-log.ts';
import { CommittedView, readHead } from './committed-view.ts';
import { FreeBlocks, freedBlockHead, nextFree } from './free-list.ts';
import { HandleState } from './handle-state.ts';
import { encodeOverwriteJournal, type Overwrite, overwrite } from './journal.ts';
import { assertUsableHeader, assertWritableFile, writeHeaderCopy } from './page-file.ts';

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
  #header: FileHeader;
  #headerBytes: Uint8Array;
  #blockCount: number;
  #free: FreeBlocks | undefined;
  /** End of the blocks that a write may have changed, by this batch or one that was given up. */
  #touchedBlocks: number;
  #writtenBytes: number;
  #isUnsynced = false;
  #hasCommitted = false;
  #lastOverwrite: Promise<void> | undefined;

  private constructor(file: BlockFile, log: CommitLog | undefined, headerBytes: Uint8Array, fileBytes: number) {
    this.#file = file;
    this.#log = log;
    this.#state = new HandleState(file.name);
    this.#headerBytes = headerBytes;
    this.#header = FILE_HEADER.read(headerBytes);
    this.#blockCount = Math.min(this.#header.blockCount, Math.floor(fileBytes / BLOCK_BYTES));
    this.#touchedBlocks = this.#blockCount;
    this.#writtenBytes = fileOffset(this.#blockCount);
  }

  /**
   * Opens a page file. A writer recovers it after a crash; a reader sees it recovered. For reading, only magic and version
   * are checked; for writing, the whole header, the size, and that the header counts all pages of other programs.
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_MAGIC` and the other codes of file headers, `FILE_SIZE`,
   * `BLOCK_COUNT_BEYOND_FILE`, `BLOCKS_UNCOUNTED`, `FREE_LIST_LINK`, `JOURNAL_MISMATCH`, `IO`
   */
  static async open(file: BlockFile, access: Access): Promise<DiskManager> {
    assertBlockFile('DiskManager.open', 'file', file);
    assertOneOf('DiskManager.open', 'access', access ?? 'undefined', ['read', 'write']);
    const view = await CommittedView.open(file);
    const headerBytes = await readHead(view, 0);
    const header = FILE_HEADER.read(headerBytes);
    assertUsableHeader(file, header, access);
    const fileBytes = await file.size();
    if (access === 'read') return new DiskManager(view, undefined, headerBytes, fileBytes);
    await assertWritableFile(view, header, fileBytes);
    const log = await CommitLog.open(file, view);
    // Blocks after the last one belong to a batch that was never acknowledged.
    if (fileBytes > fileOffset(header.blockCount)) await file.truncate(fileOffset(header.blockCount));
    return new DiskManager(file, log, headerBytes, fileBytes);
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
    if (bytes < target.length) throw this.#noBlockError(block);
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
      if (bytes < target.length) throw this.#noBlockError(block);
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
    const headerBytes = await readHead(this.#file, 0);
    // The view may have refreshed while it read a block.
    if (!hasChanged && Buffer.compare(headerBytes, this.#headerBytes) === 0) return false;
    const header = FILE_HEADER.read(headerBytes);
    assertUsableHeader(this.#file, header, 'read');
    this.#header = header;
    this.#headerBytes = headerBytes;
    this.#free = undefined;
    this.#blockCount = Math.min(header.blockCount, Math.floor((await this.#file.size()) / BLOCK_BYTES));
    return true;
  }

  /**
   * Writes bytes that no committed header covers: free space of a page, or blocks after the last one, in order. They
   * become part of the file, and durable, with the next {@link commit}. Headers and links are protected; what is free
   * space of a page the caller must know, since nothing here decodes pages.
   * @param block - at least 1; at most the number of blocks, those written since the last commit included
   * @param offset - in the block, at least 64 in a page or free block; the write must end within the block
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async write(block: number, source: Uint8Array, offset: number = 0): Promise<void> {
    this.#writable();
    assertInBlock('write', 'source', source, offset);
    assertWholeNumber('write', 'block', block, 1);
    this.#assertCountable(block);
    if (block > this.#touchedBlocks)
      throw new RangeError(`write: block must be at most ${this.#touchedBlocks}, the next new block, not ${block}`);
    if (offset < PAGE_HEADER_BYTES && block < this.#blockCount) await this.#assertNoHeader(block);
    this.#touchedBlocks = Math.max(this.#touchedBlocks, block + 1);
    this.#isUnsynced = true;
    await this.#file.write(source, fileOffset(block, offset));
    this.#writtenBytes = Math.max(this.#writtenBytes, fileOffset(block, offset + source.length));
  }

  /**
   * Adds zeroed blocks (at least 1) after the last one, for the next {@link commit}.
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`; RangeError for an invalid number
   */
  async lengthen(blocks: number): Promise<void> {
    this.#writable();
    assertWholeNumber('lengthen', 'blocks', blocks, 1);
    this.#assertCountable(this.#blockCount + blocks - 1);
    await this.#cutUncounted();
    this.#touchedBlocks = this.#blockCount + blocks;
    this.#isUnsynced = true;
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
  }

  /**
   * Makes a batch part of the file, durably, with one sync. After an `IO` error the manager is unusable and the batch is not
   * in the file; only after a power failure it may be, as a whole.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; RangeError, TypeError for a commit that would damage the file
   */
  async commit(commit: Commit): Promise<void> {
    const log = this.#writable();
    this.#assertCommit(commit);
    const change = headerChange(this.#header, this.#headerBytes, commit);
    await this.#state.run(() => log.record(change));
    this.#headerBytes = change.fileHeader;
    this.#header = FILE_HEADER.read(change.fileHeader);
    this.#blockCount = this.#header.blockCount;
    this.#free?.follow(commit);
    this.#isUnsynced = this.#hasCommitted = true;
    // The batch is durable, so this call must not report later errors.
    await this.#state.runDeferred(async () => {
      await writeHeaders(this.#file, change);
      if (commit.added) await writeHeaderCopy(this.#file);
    });
  }

  /**
   * Replaces many page headers with two syncs: of what was written before, and of the headers.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async commitHeads(heads: readonly ReplacedHead[]): Promise<void> {
    const log = this.#writable();
    if (!Array.isArray(heads)) throw wrongType('commitHeads: heads', 'an array', heads);
    for (const head of heads) {
      this.#assertReplacedHead('commitHeads', 'heads', head);
      assertPageHead('commitHeads: heads', head);
    }
    await this.#state.run(() => log.replaceHeads(heads));
    this.#isUnsynced = false;
  }

  /**
   * Overwrites committed bytes of a page, durably and atomically. If the journal cannot be written, nothing has changed.
   * After another `IO` error the manager is unusable; the next open completes or undoes the change.
   * @throws {@link PageStoreError} `FILE_READ_ONLY`, `IO`; RangeError, TypeError for invalid arguments
   */
  async overwrite(change: Overwrite): Promise<void> {
    this.#writable();
    this.#assertOverwrite(change);
    const { block, image } = change;
    // The header that was read may be only in the page cache; the journal's image must be of a durable block.
    await this.#state.run(async () => {
      await this.#file.write(image.subarray(0, PAGE_HEADER_BYTES), fileOffset(block));
      await this.#file.sync();
    });
    this.#isUnsynced = false;
    await this.#file.journal.write(encodeOverwriteJournal(change));
    await (this.#lastOverwrite = this.#state.run(() => overwrite(this.#file, change)));
  }

  /**
   * Takes blocks durably, as empty pages: from the free list with a commit each, then by growth with one commit.
   * @returns their ids, in the order in which they were taken
   * @throws {@link PageStoreError} `FILE_FULL`, `FILE_READ_ONLY`, `IO`, and the codes of a damaged free list
   */
  async allocate(count: number, pageFormat: PageFormat = 'v1'): Promise<number[]> {
    this.#writable();
    assertWholeNumber('allocate', 'count', count, 1);
    assertOneOf('allocate', 'pageFormat', pageFormat, Object.keys(PAGE_VERSION));
    const taken: number[] = [];
    while (taken.length < count) {
      const block = await this.takeFreeBlock(pageFormat);
      if (block === undefined) break;
      taken.push(block);
    }
    const added = count - taken.length;
    if (added === 0) return taken;
    const head = encodeEmptyPageHeader(pageFormat);
    let headsCrc = 0;
    await this.truncateOnFailure(async () => {
      const first = this.#blockCount;
      await this.lengthen(added);
      for (let block = first; block < first + added; block++) {
        await this.write(block, head);
        headsCrc = crc32(head, headsCrc);
        taken.push(block);
      }
    });
    await this.commit({ added: { count: added, headsCrc } });
    return taken;
  }

  /** Takes the first free block, as {@link allocate}. @returns its id, undefined if there is none */
  async takeFreeBlock(pageFormat: PageFormat): Promise<number | undefined> {
    this.#writable();
    assertOneOf('takeFreeBlock', 'pageFormat', pageFormat, Object.keys(PAGE_VERSION));
    const block = decodeFreeLink(this.#header.freeListHead);
    if (block === 0) return undefined;
    const firstFree = await nextFree(this, block);
    const head = encodeEmptyPageHeader(pageFormat);
    await this.commit({ changed: { block, head, oldHead: await this.#readHead(block) }, firstFree });
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
    const changed = { block, head, oldHead: await this.#readHead(block), isLink: true };
    await this.commit({ changed, firstFree: block, nodes: -nodes });
  }

  /** The free blocks as of the last commit. The first call reads the list; a reader's also after new commits. */
  async freeBlocks(): Promise<FreeBlocks> {
    this.#state.assertUsable();
    if (this.#free) return this.#free;
    const header = this.#header;
    const free = await FreeBlocks.read(this);
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
    if (block >= 1 && block < this.#blockCount && Number.isInteger(block)) return;
    if (!Number.isSafeInteger(block)) throw new RangeError(`block must be a whole number, not ${String(block)}`);
    throw this.#noBlockError(block);
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

  #noBlockError(block: number): PageStoreError {
    const [counted, blocks] = [this.#header.blockCount, this.#blockCount];
    if (block >= 1 && block < counted) {
      const message = `block ${block} is missing: the header counts ${counted} blocks, but the file ends before it`;
      const detail = { file: this.name, block, offset: fileOffset(block) };
      return new PageStoreError('BLOCK_COUNT_BEYOND_FILE', message, detail);
    }
    const range = blocks < 2 ? 'the file has only block 0, the header' : `the pages are in blocks 1 to ${blocks - 1}`;
    return new PageStoreError('BLOCK_RANGE', `block ${block} does not exist: ${range}`, { file: this.name, block });
  }

  #assertCountable(block: number): void {
    if (block < MAX_BLOCKS) return;
    const message = `the file would have more than ${MAX_BLOCKS} blocks, the limit of the format`;
    throw new PageStoreError('FILE_FULL', message, { file: this.name });
  }

  #assertCommit(commit: Commit): void {
    assertObject('commit: commit', commit);
    const { changed, added, firstFree, nodes = 0 } = commit;
    if (changed) this.#assertReplacedHead('commit', 'changed', changed);
    if (added) {
      assertWholeNumber('commit', 'added.count', added.count, 1);
      assertWholeNumber('commit', 'added.headsCrc', added.headsCrc);
      const complete = Math.floor(this.#writtenBytes / BLOCK_BYTES) - this.#blockCount;
      if (added.count > complete)
        throw new RangeError(`commit: added.count is ${added.count}, but only ${complete} new blocks were written`);
    }
    if (!Number.isSafeInteger(nodes))
      throw new RangeError(`commit: nodes must be a whole number, not ${String(nodes)}`);
    const listHead = decodeFreeLink(this.#header.freeListHead);
    if (changed?.isLink === true) {
      if (firstFree !== changed.block)
        throw new RangeError('commit: firstFree must be changed.block if changed.isLink is true');
      if (decodeFreeLink(firstU64(changed.head)) !== listHead)
        throw new RangeError(`commit: changed.head must begin with a link to the first free block, ${listHead}`);
      return;
    }
    if (changed) assertPageHead('commit: changed', changed);
    if (firstFree === undefined) return;
    // Other blocks leave the list only at its head, and the old bytes of that block have the link to the next one.
    if (changed?.block !== listHead || decodeFreeLink(firstU64(changed.oldHead)) !== firstFree)
      throw new RangeError(
        `commit: firstFree must be the block after changed.block on the free list, not ${firstFree}`,
      );
  }

  #assertReplacedHead(call: string, parameter: string, replaced: ReplacedHead): void {
    assertObject(`${call}: ${parameter}`, replaced);
    const { block, head, oldHead } = replaced;
    this.#assertInFile(call, `${parameter}.block`, block);
    assertBytes(call, `${parameter}.head`, head, PAGE_HEADER_BYTES);
    assertBytes(call, `${parameter}.oldHead`, oldHead, PAGE_HEADER_BYTES);
  }

  #assertOverwrite(change: Overwrite): void {
    assertObject('overwrite: change', change);
    assertObject('overwrite: change.changed', change.changed);
    const {
      block,
      image,
      bytes,
      changed: { start, end },
      head,
    } = change;
    this.#assertInFile('overwrite', 'block', block);
    assertBytes('overwrite', 'image', image, BLOCK_BYTES);
    assertBytes('overwrite', 'head', head, PAGE_HEADER_BYTES);
    assertWholeNumber('overwrite', 'changed.start', start, PAGE_HEADER_BYTES);
    assertWholeNumber('overwrite', 'changed.end', end, start);
    if (end > BLOCK_BYTES) throw new RangeError(`overwrite: changed.end must be at most ${BLOCK_BYTES}, not ${end}`);
    assertBytes('overwrite', 'bytes', bytes, end - start);
  }

  async #assertNoHeader(block: number): Promise<void> {
    if (pageFormatOf(await this.#readHead(block)) === undefined && !(await this.freeBlocks()).has(block)) return;
    const least = PAGE_HEADER_BYTES;
    throw new RangeError(`write: offset must be at least ${least}: the header of block ${block} is committed`);
  }

  #assertInFile(call: string, parameter: string, block: number): void {
    if (Number.isInteger(block) && block >= 1 && block < this.#blockCount) return;
    const range = `from 1 to ${this.#blockCount - 1}`;
    throw new RangeError(`${call}: ${parameter} must be a block of the file, ${range}, not ${String(block)}`);
  }

  async #readHead(block: number): Promise<Uint8Array> {
    const head = new Uint8Array(PAGE_HEADER_BYTES);
    await this.read(block, head);
    return head;
  }

  static {
    showAs(this, (disk) => {
      const access = disk.#log ? 'write' : 'read';
      const state = disk.#state.isClosed ? ', closed' : disk.#state.isUnusable ? ', failed' : '';
      return `DiskManager { '${disk.name}', ${access}${state}, ${disk.#blockCount} blocks }`;
    });
  }
}

/** @throws TypeError unless `bytes` is a Uint8Array with its memory; RangeError unless it has this length */
function assertBytes(call: string, parameter: string, bytes: Uint8Array, length: number = bytes.length): void {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${call}: ${parameter} must be a Uint8Array`);
  if (bytes.length === 0 && isDetached(bytes))
    throw new TypeError(`${call}: ${parameter} is detached: its buffer was transferred`);
  if (bytes.length !== length)
    throw new RangeError(`${call}: ${parameter} must have ${length} bytes, not ${bytes.length}`);
}

function assertObject(parameter: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw wrongType(parameter, 'an object', value);
}

function assertFunction(parameter: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongType(parameter, 'a function', value);
}

function assertPageHead(parameter: string, { head }: ReplacedHead): void {
  if (pageFormatOf(head) === undefined) throw new RangeError(`${parameter}.head must be a page header`);
}

function assertInBlock(call: string, parameter: string, bytes: Uint8Array, offset: number): void {
  assertBytes(call, parameter, bytes);
  assertWholeNumber(call, 'offset', offset);
  if (offset + bytes.length <= BLOCK_BYTES) return;
  const range = `the ${bytes.length} bytes of ${parameter} at offset ${offset}`;
  throw new RangeError(`${call}: ${range} go past the end of the block, which has ${BLOCK_BYTES} bytes`);
}

function isDetached({ buffer }: Uint8Array): boolean {
  try {
    buffer.slice(0, 0);
    return false;
  } catch {
    return true;
  }
}
