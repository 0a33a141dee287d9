import { crc32 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { encodeFileHeader, FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { type BlockFile, readOnlyError } from './block-file.ts';
import { type Commit, CommitLog, headerChange, type ReplacedHead } from './commit-log.ts';
import { CommittedView } from './committed-view.ts';
import { writeHeaderCopy } from './file-head.ts';
import { FreeBlocks, freedBlockHead, nextFree } from './free-list.ts';
import type { Access } from './node-block-file.ts';
import { journalOf, type Overwrite, overwrite } from './overwrite.ts';
import { assertCountable, noBlockError, refuseHeader, refuseToWrite } from './refusal.ts';

/** Whether a handle may be used: not after it was closed, nor after a failure that leaves the file's state unknown. */
export class HandleState {
  readonly #file: string;
  /** Why it may not. */
  #over: PageStoreError | undefined;
  /** A failure behind an acknowledgement, not told yet. */
  #untold: PageStoreError | undefined;

  /** @param file - what messages call it */
  constructor(file: string) {
    this.#file = file;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  get isClosed(): boolean {
    return this.#over?.code === 'FILE_CLOSED';
  }

  /** @throws {@link PageStoreError} `FILE_CLOSED`, or `IO` after a failure */
  assertUsable(): void {
    if (this.#over === undefined) return;
    this.#untold = undefined;
    throw this.#over;
  }

  close(): void {
    this.#over = new PageStoreError('FILE_CLOSED', 'the file has been closed', { file: this.#file });
  }

  /** Does writes or syncs, after a failure of which nobody knows what the file holds. */
  async orFail(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** As {@link orFail}, where what was to be done has been acknowledged: the next one to come is told. */
  async orFailUntold(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#fail(error);
      this.#untold = this.#over;
    }
  }

  #fail(error: unknown): void {
    const message =
      'an earlier write or sync failed, and nothing more is done through this handle; open the file again';
    this.#over ??= new PageStoreError('IO', message, { file: this.#file }, error);
  }

  /** @throws {@link PageStoreError} `IO` for a failure that nobody has been told of */
  tell(): void {
    if (this.#untold !== undefined) throw this.#untold;
  }
}

/** Keeps reads of a writer apart from bytes that it is overwriting: between two writes a page is a mixture of before and after. */
export class OverwriteGate {
  #begun = 0;
  #underWay: Promise<void> | undefined;

  /** Overwrites; one at a time. */
  async run(overwrite: () => Promise<void>): Promise<void> {
    this.#begun++;
    this.#underWay = overwrite();
    try {
      await this.#underWay;
    } finally {
      this.#underWay = undefined;
    }
  }

  /** Reads once more where an overwrite has begun meanwhile. */
  async read(read: () => Promise<void>): Promise<void> {
    let begun: number;
    do {
      await this.#underWay?.catch(() => undefined); // whoever overwrites is told
      begun = this.#begun;
      await read();
    } while (begun !== this.#begun);
  }
}

/**
 * Reads and writes the blocks of one page file and keeps its file header and free list. It knows nothing of
 * what is in a page. One manager at a time may write to a file.
 */
export class DiskManager {
  readonly #file: BlockFile;
  /** What a writer makes commits through; a reader has a {@link CommittedView} for its file instead. */
  readonly #log: CommitLog | undefined;
  #header: FileHeader;
  #headerBytes: Uint8Array;
  #blockCount: number;
  #free: FreeBlocks | undefined;
  #copyIsOld = false;
  /** Behind the last block that has been written to: behind `#blockCount` while a batch is under way, or was given up. */
  #writtenEnd = 0;
  readonly #state: HandleState;
  readonly #overwrites = new OverwriteGate();

  private constructor(file: BlockFile, log: CommitLog | undefined, header: FileHeader, fileBytes: number) {
    this.#file = file;
    this.#log = log;
    this.#state = new HandleState(file.name);
    this.#header = header;
    this.#headerBytes = encodeFileHeader(header);
    this.#blockCount = Math.min(header.blockCount, Math.floor(fileBytes / BLOCK_BYTES));
  }

  /**
   * Opens a page file. A reader is refused a file whose magic or version it does not understand; a writer, every
   * file whose header or size has an error, and one with pages of another program behind its block count. What a
   * crash left unfinished a writer finishes, and a reader sees as if it were.
   * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_MAGIC` and the other codes of file headers, `FILE_SIZE`,
   * `BLOCK_COUNT_BEYOND_FILE`, `BLOCKS_UNCOUNTED`, `FREE_LIST_LINK`, `JOURNAL_MISMATCH`, `IO`
   */
  static async open(file: BlockFile, access: Access): Promise<DiskManager> {
    const view = await CommittedView.open(file);
    const header = await view.readFileHeader();
    refuseHeader(file, header, access);
    if (access === 'read') return new DiskManager(view, undefined, header, await file.size());
    const fileBytes = await file.size();
    await refuseToWrite(view, header, fileBytes);
    const log = await CommitLog.open(file, view);
    // What is behind the last block now was never acknowledged.
    if (fileBytes > fileOffset(header.blockCount)) await file.truncate(fileOffset(header.blockCount));
    return new DiskManager(file, log, header, fileBytes);
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
    this.#state.assertUsable();
    this.assertBlock(block);
    const bytes = await this.#file.read(target, fileOffset(block, offset));
    this.#assertHas(block, bytes, target.length);
  }

  /**
   * Reads a block whole; for a reader, again while it is not sound and still changes: a writer may be at work on it.
   * @param isSound - judges what `target` holds; asked after every read that has changed it
   */
  async readSettled(block: number, target: Uint8Array, isSound: () => boolean): Promise<void> {
    if (this.#file instanceof CommittedView) {
      this.#state.assertUsable();
      this.assertBlock(block);
      this.#assertHas(block, await this.#file.readSettled(block, target, isSound), target.length);
    } else {
      await this.#overwrites.read(() => this.read(block, target));
      isSound();
    }
  }

  /** Lets a reader see what has been committed since it opened the file. @returns whether anything has; false for a writer */
  async refresh(): Promise<boolean> {
    this.#state.assertUsable();
    if (!(this.#file instanceof CommittedView)) return false;
    const header = await this.#file.refreshHeader(this.#header);
    if (header === undefined) return false;
    refuseHeader(this.#file, header, 'read');
    this.#header = header;
    this.#free = undefined;
    this.#blockCount = Math.min(header.blockCount, Math.floor((await this.#file.size()) / BLOCK_BYTES));
    return true;
  }

  /**
   * Writes into space that no committed header covers: free space of a page, or a block behind the last one.
   * It is part of the file, and durable, once a commit says so.
   */
  async write(block: number, source: Uint8Array, offset = 0): Promise<void> {
    this.#writable();
    assertCountable(this, block);
    this.#writtenEnd = Math.max(this.#writtenEnd, block + 1);
    await this.#file.write(source, fileOffset(block, offset));
  }

  /** Adds room for so many blocks behind the last one, zero throughout; the next commit may make them part of the file. */
  async lengthen(blocks: number): Promise<void> {
    this.#writable();
    assertCountable(this, this.#blockCount + blocks - 1);
    await this.#cutUncounted();
    this.#writtenEnd = this.#blockCount + blocks;
    await this.#file.truncate(fileOffset(this.#writtenEnd));
  }

  /**
   * Makes a batch part of the file, by one sync: when it resolves, what was written and the headers that cover it
   * are durable. A failure kills the manager; then the batch is not in the file, or, after a power cut, all of it may be.
   */
  async commit(commit: Commit): Promise<void> {
    const log = this.#writable();
    const change = headerChange(this.#header, this.#headerBytes, commit);
    await this.#state.orFail(() => log.record(change));
    this.#header = FILE_HEADER.read((this.#headerBytes = change.fileHeader));
    this.#blockCount = this.#header.blockCount;
    this.#free?.follow(commit);
    this.#copyIsOld = true;
    // The batch is acknowledged: no failure from here on may take that back.
    await this.#state.orFailUntold(async () => {
      await log.writeHeaders(change);
      if (commit.added) await writeHeaderCopy(this.#file);
    });
  }

  /** The free blocks as of the last commit. The list is read when they are first asked for, and by a reader when something has been committed. */
  async freeBlocks(): Promise<FreeBlocks> {
    this.#state.assertUsable();
    if (this.#free) return this.#free;
    const header = this.#header;
    const free = await FreeBlocks.read(this);
    // A list that changed while it was read may have been read in part before, in part after.
    if (header === this.#header) this.#free = free;
    return free;
  }

  /** Syncs what commits have left to the next sync: from here on, bytes that only older headers cover may be changed. */
  async settle(): Promise<void> {
    const log = this.#writable();
    if (log.unsynced) await this.#state.orFail(() => log.sync());
  }

  /** Writes new headers of many pages between two syncs: of what was written before, and of themselves. */
  async commitHeads(heads: readonly ReplacedHead[]): Promise<void> {
    const log = this.#writable();
    await this.#state.orFail(() => log.replaceHeads(heads));
  }

  /**
   * Overwrites bytes that committed headers cover, durably and as a whole. A failure kills the manager, and the next open
   * decides; but where the journal cannot be written, as on a full disk, all is as it was.
   */
  async overwrite(change: Overwrite): Promise<void> {
    const log = this.#writable();
    const head = change.image.subarray(0, PAGE_HEADER_BYTES);
    // The header as it was read may be in the system's memory alone: the journal is of a block that is on the device.
    await this.#state.orFail(() => log.writeAgain(head, change.block));
    await this.#file.journal.write(journalOf(change));
    await this.#overwrites.run(() => this.#state.orFail(() => overwrite(this.#file, change)));
  }

  /** Runs what writes behind the last block; where it fails, cuts the file back to the blocks it had. */
  async undoOnFailure(grow: () => Promise<void>): Promise<void> {
    this.#writable();
    try {
      await grow();
    } catch (error) {
      await this.#state.orFail(() => this.#cutUncounted());
      throw error;
    }
  }

  /** Cuts off what was written behind the last block, for a batch that was given up. */
  async #cutUncounted(): Promise<void> {
    if (this.#writtenEnd <= this.#blockCount) return;
    await this.#file.truncate(fileOffset(this.#blockCount));
    this.#writtenEnd = this.#blockCount;
  }

  /** Syncs what is left to sync, writes the header copy where it is out of date, and closes the file. Once closed, nothing happens. */
  async close(): Promise<void> {
    if (this.#state.isClosed) return;
    const log = this.#state.isOver ? undefined : this.#log;
    this.#state.close();
    try {
      if (log) await this.#cutUncounted();
      if (log && this.#copyIsOld) await writeHeaderCopy(this.#file);
      if (log && (this.#copyIsOld || log.unsynced)) await log.sync();
    } finally {
      await this.#file.close();
    }
    this.#state.tell();
  }

  /** @throws {@link PageStoreError} `BLOCK_RANGE` for what is not one of blocks 1..blockCount-1; `BLOCK_COUNT_BEYOND_FILE` for what should be */
  assertBlock(block: number): void {
    if (block >= 1 && block < this.#blockCount) return;
    throw noBlockError(this.#file, block, this.#blockCount, this.#header.blockCount);
  }

  /** @throws {@link PageStoreError} `FILE_READ_ONLY`, and whatever keeps the file from being used at all */
  assertWritable(): void {
    this.#writable();
  }

  #assertHas(block: number, bytes: number, expected: number): void {
    if (bytes < expected) throw noBlockError(this.#file, block, block, this.#header.blockCount);
  }

  /** The log that commits go through. */
  #writable(): CommitLog {
    this.#state.assertUsable();
    if (this.#log) return this.#log;
    throw readOnlyError(this);
  }
}

/**
 * Takes `count` blocks: from the free list first, a commit for each, then by growth, one commit for all.
 * @param head - the first 64 bytes of each, such as the header of an empty page
 * @returns their ids, in the order in which they were taken; each is durable
 * @throws {@link PageStoreError} `FILE_FULL`, `IO`, and the codes of a damaged free list
 */
export async function allocateBlocks(disk: DiskManager, count: number, head: Uint8Array): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < count) {
    const block = await reuseBlock(disk, head);
    if (block === undefined) break;
    taken.push(block);
  }
  const first = disk.blockCount;
  const added = count - taken.length;
  if (added === 0) return taken;
  let headsCrc = 0;
  await disk.undoOnFailure(async () => {
    await disk.lengthen(added);
    for (let block = first; block < first + added; block++) {
      await disk.write(block, head);
      headsCrc = crc32(head, headsCrc);
    }
  });
  await disk.commit({ added: { count: added, headsCrc } });
  for (let block = first; block < first + added; block++) taken.push(block);
  return taken;
}

/** Takes the first block of the free list and gives it these first 64 bytes, durably. @returns undefined where the list is empty */
export async function reuseBlock(disk: DiskManager, head: Uint8Array): Promise<number | undefined> {
  const block = decodeFreeLink(disk.header.freeListHead);
  if (block === 0) return undefined;
  const firstFree = await nextFree(disk, block);
  await disk.commit({ changed: { block, head, oldHead: await headOf(disk, block) }, firstFree });
  return block;
}

/**
 * Puts a block on the free list, durably. Its first 64 bytes become a link and zeros; the rest stays until it is used again.
 * @param nodes - nodes that were in it
 * @throws {@link PageStoreError} `BLOCK_RANGE`, `BLOCK_FREE`, and the codes of a damaged free list
 */
export async function freeBlock(disk: DiskManager, block: number, nodes: number): Promise<void> {
  disk.assertBlock(block);
  if ((await disk.freeBlocks()).has(block)) {
    throw new PageStoreError('BLOCK_FREE', `block ${block} is free already`, { file: disk.name, block });
  }
  const head = freedBlockHead(disk.header.freeListHead);
  const changed = { block, head, oldHead: await headOf(disk, block), isLink: true };
  await disk.commit({ changed, firstFree: block, nodes: -nodes });
}

async function headOf(disk: DiskManager, block: number): Promise<Uint8Array> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  await disk.read(block, head);
  return head;
}
