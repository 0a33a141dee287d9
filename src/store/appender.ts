import { crc32 } from '../bytes/checksum.ts';
import type { ChangedHead } from '../disk/commit-log.ts';
import { type DiskManager, reuseBlock } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES, V1_RESERVE_BYTES, V1_SLOT_BYTES } from '../format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, pageFormatOf, type PageHeader } from '../format/page-header.ts';
import type { PageOutlook, PageWriter } from '../format/page-writer.ts';
import {
  clearUnused,
  emptyPageHead,
  isOpen,
  maxNodeBytes,
  newPage,
  openPageWriter,
  planHeader,
} from '../format/page.ts';
import { readSoundPage } from './page-reader.ts';
import type { RefRun } from './page-ref.ts';

/**
 * How far back an open page with room is looked for. Without a bound, each start of an append to a large file
 * of full pages would read every header in it.
 */
const BLOCKS_TO_TRY = 64;

/**
 * What an earlier page than the last one must have free to be gone on in. Full pages have room for a small node or
 * two: to fill that up, page by page, would cost a commit for each.
 */
const EARLIER_PAGE_FREE_BYTES = 16_384;

/** Where appending goes on. */
export interface Tail {
  /** The format that new pages get. */
  readonly format: PageFormat;
  /** The last open page with room for the node at hand (an earlier one only with 16 KiB free), if there is one. */
  readonly page?: { readonly block: number; readonly writer: PageWriter };
}

/**
 * Looks for the page that appending goes on in, from the last block back.
 * @param wanted - only pages of this format; without it new pages take the format of the last page, v1 where there is none
 * @param inUse - a block that the appender has at hand: then the search is for another one, and passes over damage
 * @throws {@link PageStoreError} the code of what is wrong with the page, if it is damaged and none is at hand
 */
export async function findTail(
  disk: DiskManager,
  nodeBytes: number,
  wanted: PageFormat | undefined,
  inUse: number | undefined,
): Promise<Tail> {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  let format = wanted;
  let isLast = true;
  const lowest = Math.max(1, disk.blockCount - BLOCKS_TO_TRY);
  for (let block = disk.blockCount - 1; block >= lowest; block--) {
    if (block === inUse) {
      isLast = false;
      continue;
    }
    await disk.read(block, head);
    const found = pageFormatOf(head);
    if (found === undefined) continue;
    format ??= found;
    const wantedBytes = isLast ? nodeBytes : Math.max(nodeBytes, EARLIER_PAGE_FREE_BYTES);
    isLast = false;
    if (found !== format || !mayHaveRoom(found, PAGE_HEADER.read(head), wantedBytes)) continue;
    const page = await readSoundPage(disk, block).catch((error: unknown) => {
      if (inUse !== undefined && error instanceof PageStoreError && error.code !== 'IO') return undefined;
      throw error;
    });
    if (page === undefined || !isOpen(page)) continue;
    const writer = openPageWriter(page);
    if (writer.fits(nodeBytes)) return { format, page: { block, writer } };
  }
  return { format: format ?? 'v1' };
}

/** What the header alone can say: false for a page that surely has no room, before its 256 KiB are read. */
function mayHaveRoom(format: PageFormat, header: PageHeader, nodeBytes: number): boolean {
  const { flags, nodeCount, freeOffset, directoryLength } = header;
  if ((flags & PAGE_FLAG.finalized) !== 0) return false;
  const directoryBytes = format === 'v1' ? V1_SLOT_BYTES * (nodeCount + 1) + V1_RESERVE_BYTES : directoryLength + 2;
  return freeOffset + nodeBytes + directoryBytes <= BLOCK_BYTES;
}

/** The format of the file's last page, if one of its last blocks is a page; else v1. */
export async function lastPageFormat(disk: DiskManager): Promise<PageFormat> {
  const magic = new Uint8Array(8);
  const lowest = Math.max(1, disk.blockCount - BLOCKS_TO_TRY);
  for (let block = disk.blockCount - 1; block >= lowest; block--) {
    await disk.read(block, magic);
    const format = pageFormatOf(magic);
    if (format) return format;
  }
  return 'v1';
}

/** Most new pages in one batch: 4 MiB. A sync for less would take longer than what is written. */
const MAX_NEW_PAGES = 16;

interface OpenPage {
  readonly block: number;
  readonly writer: PageWriter;
  /** Slots that the page had when the batch began. */
  firstSlot: number;
  /** Whether the file has the page already: then only what changes in it is written. */
  inFile: boolean;
}

/**
 * Packs nodes into pages in memory. A new page that is full is written at once, behind the last block, where it is no part
 * of the file until the batch is committed: so a batch takes the memory of two pages, whatever its size.
 */
export class Appender implements NodeAppender {
  readonly #disk: DiskManager;
  readonly #entryCount: EntryCount;
  readonly #wanted: PageFormat | undefined;
  /** Given to new pages; known once the last page of the file has been looked at. */
  #format: PageFormat | undefined;
  /** Takes the next node. */
  #page: OpenPage | undefined;
  /** The page of the file that the batch began in, once it is full. */
  #begunIn: OpenPage | undefined;
  /** Where the nodes of new pages that are full and written are; and the sum of the headers of those pages. */
  #writtenRuns: RefRun[] = [];
  #writtenHeadsCrc = 0;
  /** A writer of a page that is full and written, kept for its memory. */
  #spareWriter: PageWriter | undefined;
  #stagedNodes = 0;
  /** Whether the file header counts nodes for us; known with the first commit. */
  #isCounting: boolean | undefined;
  /** Whether no other open page was found when the page at hand was full: then new pages follow it. */
  #lookedBack = false;

  constructor(disk: DiskManager, entryCount: EntryCount, wanted: PageFormat | undefined) {
    this.#disk = disk;
    this.#entryCount = entryCount;
    this.#wanted = wanted;
  }

  get stagedNodes(): number {
    return this.#stagedNodes;
  }

  /** The block of the node that was staged last. */
  get lastBlock(): number {
    return this.#page?.block ?? 0;
  }

  /** The slot of the node that was staged last. */
  get lastSlot(): number {
    return (this.#page?.writer.nodeCount ?? 0) - 1;
  }

  stage(source: Uint8Array, start: number, end: number): boolean {
    if (this.#page === undefined || !this.#page.writer.add(source, start, end)) return false;
    this.#stagedNodes++;
    return true;
  }

  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const taken = this.#page?.writer.addMany(source, start, lengths, from, to) ?? 0;
    this.#stagedNodes += taken;
    return taken;
  }

  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    const page = this.#page;
    if (page) this.#assertNodeFits(nodeBytes);
    // Else a caller that asks twice would leave a page behind that is empty, or has room.
    if (page?.writer.fits(nodeBytes)) return [];
    if (page === undefined || !this.#lookedBack) {
      const inUse = page?.inFile === true ? page.block : undefined;
      const tail = await this.#orReset(() => findTail(this.#disk, nodeBytes, this.#wanted ?? this.#format, inUse));
      this.#format = tail.format;
      this.#assertNodeFits(nodeBytes);
      if (tail.page && this.#stagedNodes > 0) return this.commit();
      if (tail.page) {
        this.#continueIn(tail.page.block, tail.page.writer, true);
        return [];
      }
      this.#lookedBack = true;
    }
    if (page !== undefined && this.#mayAddPage()) {
      await this.#setAside(page);
      this.#continueIn(this.#disk.blockCount + this.#writtenRuns.length, this.#newWriter(), false);
      return [];
    }
    if (this.#stagedNodes > 0) return this.commit();
    const reused = await reuseBlock(this.#disk, emptyPageHead(this.#format ?? 'v1'));
    const writer = this.#newWriter();
    // Of a page that is in the file only ranges are written; they may have gaps, which are to be zero.
    if (reused !== undefined) writer.block.fill(0, PAGE_HEADER_BYTES);
    this.#continueIn(reused ?? this.#disk.blockCount, writer, reused !== undefined);
    return [];
  }

  async commit(): Promise<RefRun[]> {
    if (this.#stagedNodes === 0) return [];
    return this.#orReset(() => this.#commit());
  }

  reset(): void {
    this.#page = this.#begunIn = undefined;
    this.#writtenRuns = [];
    this.#writtenHeadsCrc = 0;
    this.#format = undefined;
    this.#lookedBack = false;
    this.#stagedNodes = 0;
  }

  async #commit(): Promise<RefRun[]> {
    const disk = this.#disk;
    const last = this.#page as OpenPage; // nodes are staged
    this.#isCounting ??= await this.#entryCount.isOurs();
    const nodes = this.#isCounting ? this.#stagedNodes : 0;
    if (last.inFile) {
      const changed = await this.#writeChanges(last, 'open');
      await disk.commit({ changed, nodes });
      const runs = [runOf(last)];
      this.#continueAfterCommit(last, changed.head);
      return runs;
    }
    const begunIn = this.#begunIn;
    let changed: ChangedHead | undefined;
    await disk.undoOnFailure(async () => {
      if (begunIn) changed = await this.#writeChanges(begunIn, 'full');
      if (last.writer.nodeCount > 0) await this.#writeNew(last, 'open');
    });
    const newRuns = this.#writtenRuns;
    const added = newRuns.length > 0 ? { count: newRuns.length, headsCrc: this.#writtenHeadsCrc } : undefined;
    await disk.commit({ changed, added, nodes });
    this.#continueAfterCommit(last, undefined);
    return begunIn ? [runOf(begunIn), ...newRuns] : newRuns;
  }

  /** Writes what a page of the file has gained, but for its header, which is returned. */
  async #writeChanges({ block, writer }: OpenPage, outlook: PageOutlook): Promise<ChangedHead> {
    const plan = writer.plan(outlook);
    for (const { start, end } of plan.written) {
      if (end > start) await this.#disk.write(block, writer.block.subarray(start, end), start);
    }
    const oldHead = writer.block.subarray(0, PAGE_HEADER_BYTES);
    return { block, head: planHeader(writer.format, writer.block, plan), oldHead };
  }

  /** Writes a new page whole. */
  async #writeNew(page: OpenPage, outlook: PageOutlook): Promise<void> {
    const { block, writer } = page;
    const plan = writer.plan(outlook);
    const head = planHeader(writer.format, writer.block, plan);
    clearUnused(writer.block, plan);
    writer.block.set(head);
    await this.#disk.write(block, writer.block);
    this.#writtenRuns.push(runOf(page));
    this.#writtenHeadsCrc = crc32(head, this.#writtenHeadsCrc);
  }

  /** Has done with the page at hand, which is full, until the commit. */
  async #setAside(page: OpenPage): Promise<void> {
    if (page.inFile && page.writer.nodeCount > page.firstSlot) {
      this.#begunIn = page;
    } else {
      if (!page.inFile) await this.#orReset(() => this.#disk.undoOnFailure(() => this.#writeNew(page, 'full')));
      this.#release(page.writer);
    }
    this.#page = undefined;
  }

  async #orReset<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  #release(writer: PageWriter): void {
    writer.committed();
    this.#spareWriter = writer;
  }

  #continueAfterCommit(last: OpenPage, changedHead: Uint8Array | undefined): void {
    if (this.#begunIn) this.#release(this.#begunIn.writer);
    this.#begunIn = undefined;
    this.#writtenRuns = [];
    this.#writtenHeadsCrc = 0;
    this.#stagedNodes = 0;
    // A page that room was made in, and that got no node, is no part of the file yet.
    if (last.writer.nodeCount === last.firstSlot) return;
    if (changedHead) last.writer.block.set(changedHead);
    last.writer.committed();
    last.inFile = true;
    last.firstSlot = last.writer.nodeCount;
  }

  /** Whether the batch may have one more page behind the last block, and no free block is to be used first. */
  #mayAddPage(): boolean {
    const newPages = this.#writtenRuns.length + (this.#page?.inFile === false ? 1 : 0);
    return newPages < MAX_NEW_PAGES && this.#disk.header.freeListHead === 0n;
  }

  #continueIn(block: number, writer: PageWriter, inFile: boolean): void {
    if (this.#page) this.#release(this.#page.writer);
    this.#page = { block, writer, firstSlot: writer.nodeCount, inFile };
  }

  /** A writer of an empty page, in the memory of one that is no longer used where there is one. */
  #newWriter(): PageWriter {
    const spare = this.#spareWriter;
    this.#spareWriter = undefined;
    return newPage(this.#format ?? 'v1', spare);
  }

  #assertNodeFits(nodeBytes: number): void {
    const most = maxNodeBytes(this.#format ?? 'v1');
    if (nodeBytes <= most) return;
    const format = (this.#format ?? 'v1').toUpperCase();
    const message = `a node of ${nodeBytes} bytes fits no page: a ${format} page holds at most ${most}`;
    throw new PageStoreError('NODE_TOO_LARGE', message, {
      file: this.#disk.name,
      found: String(nodeBytes),
      expected: `at most ${most}`,
    });
  }
}

/** Where the nodes of a batch are in one of its pages. */
function runOf({ block, writer, firstSlot }: OpenPage): RefRun {
  return { block, slot: firstSlot, count: writer.nodeCount - firstSlot };
}

/** Takes nodes in their order, and makes them durable batch by batch. */
export interface NodeAppender {
  /** Nodes that the next commit will make durable. */
  readonly stagedNodes: number;
  /**
   * Packs the node `source[start, end)`.
   * @returns false, with nothing changed, where it needs `makeRoom` first
   */
  stage(source: Uint8Array, start: number, end: number): boolean;
  /**
   * Packs nodes that stand end to end in `source` from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes.
   * @returns how many it packed: the next one, if any is left, needs `makeRoom` first
   */
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /**
   * Finds or takes a page with room for a node of so many bytes; a page that is full may be written for that. Where staged
   * nodes have to be committed first it does that alone, so that their refs are known whatever comes after: then it has to
   * be called again.
   * @returns what it committed
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, and as {@link commit}
   */
  makeRoom(nodeBytes: number): Promise<RefRun[]>;
  /**
   * Makes all staged nodes durable.
   * @returns where they are, in the order in which they were staged
   * @throws {@link PageStoreError} `IO`, `FILE_FULL`; then none of them is in the file, unless as {@link DiskManager.commit} says
   */
  commit(): Promise<RefRun[]>;
  /** Forgets staged nodes and the page at hand, for when somebody else has changed pages. */
  reset(): void;
}

/** Says whether the header's entry count is ours to keep. Found out when it is first asked for. */
export class EntryCount {
  readonly #disk: DiskManager;
  #isOurs: boolean | undefined;

  constructor(disk: DiskManager) {
    this.#disk = disk;
  }

  /** A trie counts its own terms; and a count of 0 in a file with nodes means that nobody counts. */
  async isOurs(): Promise<boolean> {
    this.#isOurs ??= await this.#find();
    return this.#isOurs;
  }

  /** Nodes in a block that the entry count loses when the block is freed. */
  async nodesIn(block: number): Promise<number> {
    if (!(await this.isOurs())) return 0;
    return this.#nodeCount(block);
  }

  async #find(): Promise<boolean> {
    const { rootPointer, entryCount } = this.#disk.header;
    if (rootPointer !== 0n || entryCount !== 0n) return rootPointer === 0n;
    for (let block = 1; block < this.#disk.blockCount; block++) if ((await this.#nodeCount(block)) > 0) return false;
    return true;
  }

  async #nodeCount(block: number): Promise<number> {
    const head = new Uint8Array(PAGE_HEADER.bytes);
    await this.#disk.read(block, head);
    return pageFormatOf(head) === undefined ? 0 : PAGE_HEADER.read(head).nodeCount;
  }
}
