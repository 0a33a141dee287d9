import { crc32 } from '../bytes/checksum.ts';
import { reuseBlock } from '../disk/allocation.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import type { ChangedHead } from '../disk/header-change.ts';
import { PageStoreError } from '../errors.ts';
import { PAGE_HEADER_BYTES } from '../format/layout.ts';
import { clearUnused, emptyPageHead, maxNodeBytes, newPage, planHeader } from '../format/page.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { PageOutlook, PageWriter } from '../format/page-writer.ts';
import type { EntryCount } from './entry-count.ts';
import type { NodeAppender } from './node-appender.ts';
import type { RefRun } from './page-ref.ts';
import { findTail } from './tail.ts';

/** Most new pages in one batch, and so what it takes in memory: 4 x 256 KiB. */
const MAX_NEW_PAGES = 4;

interface OpenPage {
  readonly block: number;
  readonly writer: PageWriter;
  /** Slots that the page had when the batch began. */
  firstSlot: number;
  /** Whether the file has the page already: then only what changes in it is written. */
  inFile: boolean;
}

/** Packs nodes into pages in memory. */
export class Appender implements NodeAppender {
  readonly #disk: DiskManager;
  readonly #entryCount: EntryCount;
  readonly #wanted: PageFormat | undefined;
  /** Given to new pages; known once the last page of the file has been looked at. */
  #format: PageFormat | undefined;
  /** The pages of this batch in the order of their nodes; the last one takes the next node. */
  #pages: OpenPage[] = [];
  /** Writers of pages that are full, kept for their memory. */
  #spareWriters: PageWriter[] = [];
  #stagedNodes = 0;
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
    return this.#pages.at(-1)?.block ?? 0;
  }

  /** The slot of the node that was staged last. */
  get lastSlot(): number {
    return (this.#pages.at(-1)?.writer.nodeCount ?? 0) - 1;
  }

  stage(source: Uint8Array, start: number, end: number): boolean {
    const last = this.#pages.at(-1);
    if (!last?.writer.add(source, start, end)) {
      if (last === undefined || !this.#addPage(end - start)) return false;
      const added = this.#pages.at(-1) as OpenPage; // just added, and empty
      if (!added.writer.add(source, start, end)) return false;
    }
    this.#stagedNodes++;
    return true;
  }

  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    let next = from;
    let at = start;
    while (next < to) {
      const taken = this.#pages.at(-1)?.writer.addMany(source, at, lengths, next, to) ?? 0;
      for (const end = next + taken; next < end; next++) at += lengths[next] as number; // next < end <= to
      this.#stagedNodes += taken;
      if (next < to && !this.#mayGoOn(lengths[next] as number)) break; // next < to
    }
    return next - from;
  }

  /** Takes a new page, where that needs no {@link makeRoom}, which tells of a node that is too large as well. */
  #mayGoOn(nodeBytes: number): boolean {
    return this.#pages.length > 0 && nodeBytes <= maxNodeBytes(this.#format ?? 'v1') && this.#addPage(nodeBytes);
  }

  async makeRoom(nodeBytes: number): Promise<RefRun[]> {
    const [first] = this.#pages;
    if (first === undefined || !this.#lookedBack) {
      const inUse = first?.inFile === true ? first.block : undefined;
      const tail = await findTail(this.#disk, nodeBytes, this.#wanted ?? this.#format, inUse);
      this.#format = tail.format;
      this.#assertNodeFits(nodeBytes);
      if (tail.page && this.#stagedNodes > 0) return this.commit();
      if (tail.page) {
        this.#continueIn(tail.page.block, tail.page.writer, true);
        return [];
      }
      this.#lookedBack = true;
    }
    if (first !== undefined && this.#addPage(nodeBytes)) return [];
    this.#assertNodeFits(nodeBytes);
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
    try {
      return await this.#commit((await this.#entryCount.isOurs()) ? this.#stagedNodes : 0);
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  reset(): void {
    this.#pages = [];
    this.#format = undefined;
    this.#lookedBack = false;
    this.#stagedNodes = 0;
  }

  async #commit(counted: number): Promise<RefRun[]> {
    const disk = this.#disk;
    const runs: RefRun[] = [];
    let changed: ChangedHead | undefined;
    const added = { count: 0, headsCrc: 0 };
    const lastPage = this.#pages.at(-1);
    await disk.undoOnFailure(async () => {
      for (const page of this.#pages) {
        const { block, writer, firstSlot, inFile } = page;
        const count = writer.nodeCount - firstSlot;
        if (count === 0) continue;
        runs.push({ block, slot: firstSlot, count });
        const head = await this.#writePage(page, page === lastPage ? 'open' : 'full');
        if (inFile) {
          changed = { block, head, oldHead: writer.block.subarray(0, PAGE_HEADER_BYTES) };
        } else {
          added.count++;
          added.headsCrc = crc32(head, added.headsCrc);
        }
      }
    });
    await disk.commit({ ...(changed && { changed }), ...(added.count > 0 && { added }), nodes: counted });
    this.#continueAfterCommit(changed?.head);
    return runs;
  }

  /** Writes what a page has gained, but for the header of a page that the file has already; returns that header. */
  async #writePage({ block, writer, inFile }: OpenPage, outlook: PageOutlook): Promise<Uint8Array> {
    const plan = writer.plan(outlook);
    const head = planHeader(writer.format, writer.block, plan);
    if (inFile) {
      for (const { start, end } of plan.written) {
        if (end > start) await this.#disk.write(block, writer.block.subarray(start, end), start);
      }
    } else {
      clearUnused(writer.block, plan);
      writer.block.set(head);
      await this.#disk.write(block, writer.block);
    }
    return head;
  }

  #continueAfterCommit(changedHead: Uint8Array | undefined): void {
    const last = this.#pages.pop() as OpenPage; // a batch has at least one page
    for (const { writer } of this.#pages) {
      writer.committed();
      this.#spareWriters.push(writer);
    }
    // A page that room was made in, and that got no node, is no part of the file yet.
    if (last.writer.nodeCount > last.firstSlot) {
      if (last.inFile && changedHead) last.writer.block.set(changedHead);
      last.writer.committed();
      last.inFile = true;
      last.firstSlot = last.writer.nodeCount;
    }
    this.#pages = [last];
    this.#stagedNodes = 0;
  }

  /** Goes on in a new page behind the last block, if the batch may take one more and no free block is to be used first. */
  #addPage(nodeBytes: number): boolean {
    if (!this.#lookedBack) return false;
    this.#assertNodeFits(nodeBytes);
    const newPages = this.#pages.filter((page) => !page.inFile).length;
    if (newPages >= MAX_NEW_PAGES || this.#disk.header.freeListHead !== 0n) return false;
    const block = this.#disk.blockCount + newPages;
    this.#pages.push({ block, writer: this.#newWriter(), firstSlot: 0, inFile: false });
    return true;
  }

  #continueIn(block: number, writer: PageWriter, inFile: boolean): void {
    for (const page of this.#pages) this.#spareWriters.push(page.writer);
    this.#pages = [{ block, writer, firstSlot: writer.nodeCount, inFile }];
  }

  #newWriter(): PageWriter {
    return newPage(this.#format ?? 'v1', this.#spareWriters.pop());
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
