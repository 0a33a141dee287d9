import { crc32 } from '../bytes/checksum.ts';
import type { ChangedHead } from '../disk/commit-log.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { betweenBlocks, type LongWork } from '../disk/long-work.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES, PAGE_HEADER_BYTES, V1_RESERVE_BYTES, V1_SLOT_BYTES } from '../format/layout.ts';
import { isFinalized, PAGE_HEADER, type PageFormat, pageFormatOf, type PageHeader } from '../format/page-header.ts';
import { completePage, encodePlannedHeader, type PageOutlook, type PageWriter } from '../format/page-writer.ts';
import { acceptsNodes, maxNodeBytes, newPageWriter, openPageWriter } from '../format/page.ts';
import { readValidPage } from './page-reader.ts';
import type { RefRun } from './page-ref.ts';

/** How many blocks back a page is searched for, so that the first append to a large file does not read all headers. */
const BLOCKS_TO_TRY = 64;

/** Minimum free space for an earlier page to be reused: filling up full pages would cost one commit per page. */
const EARLIER_PAGE_FREE_BYTES = 16_384;

/**
 * Searches backwards for the last open page with room for the node (an earlier one only with 16 KiB free).
 * @param inUse - the appender's current block: then another one is wanted, and damaged pages are skipped
 * @throws {@link PageStoreError} the code of the first error in a damaged page, if `inUse` is undefined
 */
async function findAppendPoint(
  disk: DiskManager,
  nodeBytes: number,
  wanted: PageFormat | undefined,
  inUse: number | undefined,
): Promise<{ format: PageFormat; page?: { block: number; writer: PageWriter } }> {
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
    const page = await readValidPage(disk, block).catch((error: unknown) => {
      if (inUse !== undefined && error instanceof PageStoreError && error.code !== 'IO') return undefined;
      throw error;
    });
    if (page === undefined || !acceptsNodes(page)) continue;
    const writer = openPageWriter(page);
    if (writer.fits(nodeBytes)) return { format, page: { block, writer } };
  }
  return { format: format ?? 'v1' };
}

/** Judged by the header alone: it saves reading the 256 KiB of full pages. */
function mayHaveRoom(format: PageFormat, header: PageHeader, nodeBytes: number): boolean {
  if (isFinalized(header)) return false;
  const { nodeCount, freeOffset, directoryLength } = header;
  const directoryBytes = format === 'v1' ? V1_SLOT_BYTES * (nodeCount + 1) + V1_RESERVE_BYTES : directoryLength + 2;
  return freeOffset + nodeBytes + directoryBytes <= BLOCK_BYTES;
}

/** The format of the file's last page; v1 if none of its last `blocksToTry` blocks is a page. */
export async function lastPageFormat(
  disk: DiskManager,
  blocksToTry: number = BLOCKS_TO_TRY,
  work: LongWork = disk,
): Promise<PageFormat> {
  const magic = new Uint8Array(8);
  const lowest = Math.max(1, disk.blockCount - blocksToTry);
  for (let block = disk.blockCount - 1; block >= lowest; block--) {
    const pause = betweenBlocks(disk.blockCount - block, blocksToTry, work);
    if (pause) await pause;
    await disk.read(block, magic);
    const format = pageFormatOf(magic);
    if (format) return format;
  }
  return 'v1';
}

/** Most new pages in one batch: with fewer, the sync would take longer than the writes. */
const MAX_NEW_PAGES = 16;

interface OpenPage {
  readonly block: number;
  readonly writer: PageWriter;
  firstSlot: number;
  /** Whether the page is part of the file: then only its changes are written. */
  inFile: boolean;
}

/** Packs nodes into pages. Full new pages are written at once, so that a batch takes the memory of two pages. */
export class Appender implements NodeAppender {
  readonly #disk: DiskManager;
  readonly #entryCount: EntryCount;
  readonly #wanted: PageFormat | undefined;
  #format: PageFormat | undefined;
  #page: OpenPage | undefined;
  /** The page of the file in which the batch began, once it is full. */
  #firstPage: OpenPage | undefined;
  /** The nodes in the new pages that are written, and the CRC of the headers of those pages. */
  #writtenRuns: RefRun[] = [];
  #writtenHeadsCrc = 0;
  #spareWriter: PageWriter | undefined;
  stagedNodes = 0;
  /** Whether a search found no earlier page with room: then new pages follow the current one. */
  #searchedEarlier = false;

  constructor(disk: DiskManager, entryCount: EntryCount, wanted: PageFormat | undefined) {
    this.#disk = disk;
    this.#entryCount = entryCount;
    this.#wanted = wanted;
  }

  get lastBlock(): number {
    return this.#page?.block ?? 0;
  }

  get lastSlot(): number {
    return (this.#page?.writer.nodeCount ?? 0) - 1;
  }

  stage(source: Uint8Array, start: number, end: number): boolean {
    if (this.#page === undefined || !this.#page.writer.add(source, start, end)) return false;
    this.stagedNodes++;
    return true;
  }

  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const taken = this.#page?.writer.addMany(source, start, lengths, from, to) ?? 0;
    this.stagedNodes += taken;
    return taken;
  }

  stageRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    const end = this.#page?.writer.addRanges(source, base, words, from, to) ?? from;
    this.stagedNodes += (end - from) / 2;
    return end;
  }

  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    const page = this.#page;
    if (page) this.#assertNodeFits(nodeBytes);
    // Without this, a second call for the same node would leave a page behind that is empty or has room.
    if (page?.writer.fits(nodeBytes)) return [];
    if (page === undefined) await this.#orReset(() => this.#disk.takeUpDigest());
    if (page === undefined || !this.#searchedEarlier) {
      const inUse = page?.inFile === true ? page.block : undefined;
      const found = await this.#orReset(() =>
        findAppendPoint(this.#disk, nodeBytes, this.#wanted ?? this.#format, inUse),
      );
      this.#format = found.format;
      this.#assertNodeFits(nodeBytes);
      if (found.page) {
        if (this.stagedNodes > 0) return this.commit();
        this.#switchTo(found.page.block, found.page.writer, true);
        return [];
      }
      this.#searchedEarlier = true;
    }
    const newPages = this.#writtenRuns.length + (page?.inFile === false ? 1 : 0);
    if (page && newPages < MAX_NEW_PAGES && this.#disk.header.freeListHead === 0n) {
      await this.#finishPage(page);
      this.#switchTo(this.#disk.blockCount + this.#writtenRuns.length, this.#newWriter(), false);
      return [];
    }
    if (this.stagedNodes > 0) return this.commit();
    const reused = await this.#disk.takeFreeBlock(this.#format ?? 'v1');
    const writer = this.#newWriter();
    // Of a page of the file only the changed ranges are written, and the gaps between them have to be zero.
    if (reused !== undefined) {
      writer.block.fill(0, PAGE_HEADER_BYTES);
      await this.#orReset(() => this.#disk.read(reused, writer.block.subarray(0, PAGE_HEADER_BYTES)));
    }
    this.#switchTo(reused ?? this.#disk.blockCount, writer, reused !== undefined);
    return [];
  }

  async commit(): Promise<RefRun[]> {
    if (this.stagedNodes === 0) return [];
    return this.#orReset(() => this.#commit());
  }

  reset(): void {
    this.#clearBatch();
    this.#page = undefined;
    this.#format = undefined;
    this.#searchedEarlier = false;
  }

  #clearBatch(): void {
    this.#firstPage = undefined;
    this.#writtenRuns = [];
    this.#writtenHeadsCrc = 0;
    this.stagedNodes = 0;
  }

  async #commit(): Promise<RefRun[]> {
    const disk = this.#disk;
    const last = this.#page as OpenPage; // nodes are staged
    const nodes = (await this.#entryCount.countsNodes()) ? this.stagedNodes : 0;
    if (last.inFile) {
      const changed = await this.#writeChanges(last, 'open');
      await disk.commit({ changed, nodes });
      const runs = [runOf(last)];
      this.#continueAfterCommit(last, changed.head);
      return runs;
    }
    const firstPage = this.#firstPage;
    let changed: ChangedHead | undefined;
    await disk.truncateOnFailure(async () => {
      if (firstPage) changed = await this.#writeChanges(firstPage, 'full');
      if (last.writer.nodeCount > 0) await this.#writeNew(last, 'open');
    });
    const newRuns = this.#writtenRuns;
    const added = newRuns.length > 0 ? { count: newRuns.length, headsCrc: this.#writtenHeadsCrc } : undefined;
    await disk.commit({ changed, added, nodes });
    this.#continueAfterCommit(last, undefined);
    return firstPage ? [runOf(firstPage), ...newRuns] : newRuns;
  }

  /** Writes the new nodes and directory of a page of the file. @returns its new header, for the commit */
  async #writeChanges({ block, writer }: OpenPage, outlook: PageOutlook): Promise<ChangedHead> {
    const plan = writer.plan(outlook);
    for (const { start, end } of plan.written) {
      if (end > start) await this.#disk.writeUncopied(block, writer.block.subarray(start, end), start);
    }
    const oldHead = writer.block.subarray(0, PAGE_HEADER_BYTES);
    return { block, head: encodePlannedHeader(writer.format, writer.block, plan, this.#disk.stampOf(block)), oldHead };
  }

  async #writeNew(page: OpenPage, outlook: PageOutlook): Promise<void> {
    const head = completePage(page.writer, page.writer.plan(outlook), this.#disk.stampOf(page.block));
    await this.#disk.writeUncopied(page.block, page.writer.block);
    this.#writtenRuns.push(runOf(page));
    this.#writtenHeadsCrc = crc32(head, this.#writtenHeadsCrc);
  }

  /** Puts the current page aside, which is full: a new page is written, one of the file waits for the commit. */
  async #finishPage(page: OpenPage): Promise<void> {
    if (page.inFile && page.writer.nodeCount > page.firstSlot) {
      this.#firstPage = page;
    } else {
      if (!page.inFile) await this.#orReset(() => this.#disk.truncateOnFailure(() => this.#writeNew(page, 'full')));
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
    if (this.#firstPage) this.#release(this.#firstPage.writer);
    this.#clearBatch();
    // A new page without nodes is not part of the file yet.
    if (last.writer.nodeCount === last.firstSlot) return;
    if (changedHead) last.writer.block.set(changedHead);
    last.writer.committed();
    last.inFile = true;
    last.firstSlot = last.writer.nodeCount;
  }

  #switchTo(block: number, writer: PageWriter, inFile: boolean): void {
    if (this.#page) this.#release(this.#page.writer);
    this.#page = { block, writer, firstSlot: writer.nodeCount, inFile };
  }

  #newWriter(): PageWriter {
    const spare = this.#spareWriter;
    this.#spareWriter = undefined;
    return newPageWriter(this.#format ?? 'v1', spare);
  }

  #assertNodeFits(nodeBytes: number): void {
    const format = this.#format ?? 'v1';
    const most = maxNodeBytes(format);
    if (nodeBytes <= most) return;
    const message = `a node of ${nodeBytes} bytes is too large: a ${format.toUpperCase()} page holds at most ${most} bytes`;
    const detail = { file: this.#disk.name, found: String(nodeBytes), expected: `at most ${most}` };
    throw new PageStoreError('NODE_TOO_LARGE', message, detail);
  }
}

function runOf({ block, writer, firstSlot }: OpenPage): RefRun {
  return { block, slot: firstSlot, count: writer.nodeCount - firstSlot };
}

/** Takes nodes in order and makes them durable in batches. `PageStore` documents the methods of the same names. */
export interface NodeAppender {
  readonly stagedNodes: number;
  readonly duplicateNodes?: number;
  stage(source: Uint8Array, start: number, end: number): boolean;
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /** Stages nodes by their places: see {@link PageWriter.addRanges}. @returns the end of the pairs that were staged */
  stageRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number;
  /** Only commits if it has to: then the refs of the staged nodes are known whatever fails later. */
  makeRoom(nodeBytes: number): Promise<RefRun[]>;
  /** If it fails, no staged node is in the file, except as {@link DiskManager.commit} documents. */
  commit(): Promise<RefRun[]>;
  /** Drops staged nodes and the current page, because other code changes pages. */
  reset(): void;
}

/** Determines whether the header's entry count is a count of nodes, which appending and freeing have to keep. */
export class EntryCount {
  readonly #disk: DiskManager;
  #countsNodes: boolean | undefined;

  constructor(disk: DiskManager) {
    this.#disk = disk;
  }

  /** False if a trie counts its own terms, and if the count is 0 in a file with nodes: then no program keeps it. */
  async countsNodes(): Promise<boolean> {
    return (this.#countsNodes ??= await this.#find());
  }

  /** By how much freeing a block lowers the entry count. */
  async nodesIn(block: number): Promise<number> {
    return (await this.countsNodes()) ? this.#nodeCount(block) : 0;
  }

  async #find(): Promise<boolean> {
    const { rootPointer, entryCount } = this.#disk.header;
    if (rootPointer !== 0n || entryCount !== 0n) return rootPointer === 0n;
    for (let block = 1; block < this.#disk.blockCount; block++) {
      const pause = betweenBlocks(block, this.#disk.blockCount, this.#disk);
      if (pause) await pause;
      if ((await this.#nodeCount(block)) > 0) return false;
    }
    return true;
  }

  async #nodeCount(block: number): Promise<number> {
    const head = new Uint8Array(PAGE_HEADER.bytes);
    await this.#disk.read(block, head);
    return pageFormatOf(head) === undefined ? 0 : PAGE_HEADER.read(head).nodeCount;
  }
}
