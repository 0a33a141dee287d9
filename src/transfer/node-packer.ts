import { PageStoreError } from '../errors.ts';
import { maxNodeBytes } from '../format/page.ts';
import { isFinalized, type PageFormat } from '../format/page-header.ts';
import { isLostEntry } from '../format/slots.ts';
import type { DistinctNodes } from '../store/dedupe.ts';
import type { PageFileBuilder } from '../store/page-file-builder.ts';
import type { PageBlock } from './block-walk.ts';

/**
 * New refs: `block`:`slot` becomes `newBlocks[slot]`:`newSlots[slot]`; block 0 for a lost slot, which has none. Valid until the next page is packed.
 */
export interface MovedPage {
  readonly block: number;
  /** Slots of the page; the arrays may be longer. */
  readonly count: number;
  readonly newBlocks: Uint32Array;
  readonly newSlots: Uint32Array;
}

interface PackerOptions {
  readonly file: string;
  /** Without any nodes; set to pack equal nodes once. */
  readonly known: DistinctNodes | undefined;
  /** Called for each page with nodes, once they are packed. */
  readonly onMoved: ((moved: MovedPage) => void | Promise<void>) | undefined;
}

/** Packs nodes into pages of a new file, in order, without gaps, and without an allocation per node. */
export class NodePacker {
  /** Nodes left out because of an equal one before them. */
  duplicateNodes = 0;
  finalizedPages = 0;
  /** Slots of the source whose nodes were lost before; they are left out. */
  lostSlots = 0;
  readonly #builder: PageFileBuilder;
  readonly #format: PageFormat;
  readonly #file: string;
  readonly #onMoved: PackerOptions['onMoved'];
  /** The packed nodes, and their refs if they are recorded. */
  readonly #known: DistinctNodes | undefined;
  /** Whether all nodes in the current page come from finalized pages; then it is finalized too. */
  #isFinalized = true;
  #lengths = new Uint32Array(0);
  #newBlocks = new Uint32Array(0);
  #newSlots = new Uint32Array(0);

  constructor(builder: PageFileBuilder, format: PageFormat, { file, known, onMoved }: PackerOptions) {
    this.#builder = builder;
    this.#format = format;
    this.#file = file;
    this.#onMoved = onMoved;
    this.#known = known;
  }

  async add(source: PageBlock): Promise<void> {
    const { count } = source.page.directory;
    this.#reserve(count);
    let runStart = -1;
    let runEnd = -1;
    let from = 0;
    for (let slot = 0; slot < count; slot++) {
      if (isLostEntry(source.page.directory, slot)) {
        await this.#addRun(source, Math.max(runStart, 0), from, slot);
        this.#record(slot, 1, 0, 0);
        this.lostSlots++;
        from = slot + 1;
        runStart = -1;
        continue;
      }
      const bytes = source.page.directory.nodeBytes(slot);
      this.#lengths[slot] = bytes;
      // An empty node may have any offset, so it belongs to the current run.
      if (bytes === 0) continue;
      const offset = source.page.directory.nodeOffset(slot);
      if (runStart < 0) runStart = offset;
      else if (offset !== runEnd) {
        await this.#addRun(source, runStart, from, slot);
        from = slot;
        runStart = offset;
      }
      runEnd = offset + bytes;
    }
    await this.#addRun(source, Math.max(runStart, 0), from, count);
    const [newBlocks, newSlots] = [this.#newBlocks, this.#newSlots];
    if (count > 0) await this.#onMoved?.({ block: source.block, count, newBlocks, newSlots });
  }

  /** Without any nodes, the last page is empty. */
  async end(): Promise<void> {
    if (this.#builder.slotCount > 0) return this.#endPage(this.#isFinalized ? 'full' : 'open');
    await this.#beginPage();
    this.#isFinalized = false;
    return this.#endPage('open');
  }

  /** Adds slots [first, to), whose nodes follow each other from `start` on, as many at once as fit. */
  async #addRun(source: PageBlock, start: number, first: number, to: number): Promise<void> {
    if (this.#known) return this.#addDistinct(this.#known, source, start, first, to);
    let at = start;
    for (let slot = first; slot < to;) {
      if (this.#builder.slotCount === 0) await this.#beginPage();
      const { block: newBlock, slotCount } = this.#builder;
      const added = this.#builder.addMany(source.page.block, at, this.#lengths, slot, to);
      this.#isFinalized &&= added === 0 || isFinalized(source.page.header);
      for (const end = slot + added; slot < end; slot++) at += this.#lengths[slot] as number; // slot < to <= length
      this.#record(slot - added, added, newBlock, slotCount);
      if (slot < to) await this.#makeRoom(source, slot);
    }
  }

  async #addDistinct(known: DistinctNodes, source: PageBlock, start: number, first: number, to: number): Promise<void> {
    let at = start;
    for (let slot = first; slot < to; slot++) {
      const end = at + (this.#lengths[slot] as number); // slot < to <= length
      const knownNodes = known.size;
      const entry = known.entryOf(source.page.block, at, end);
      if (known.size === knownNodes) {
        this.duplicateNodes++;
        const ref = known.valueAt(entry) ?? 0;
        this.#record(slot, 1, known.blockOf(ref), known.slotOf(ref));
      } else {
        if (this.#builder.slotCount === 0) await this.#beginPage();
        while (!this.#builder.add(source.page.block, at, end)) {
          await this.#makeRoom(source, slot);
          await this.#beginPage();
        }
        this.#isFinalized &&= isFinalized(source.page.header);
        const [newBlock, newSlot] = [this.#builder.block, this.#builder.slotCount - 1];
        if (this.#onMoved) known.setRef(entry, newBlock, newSlot);
        this.#record(slot, 1, newBlock, newSlot);
      }
      at = end;
    }
  }

  #record(slot: number, count: number, newBlock: number, newSlot: number): void {
    if (!this.#onMoved) return;
    this.#newBlocks.fill(newBlock, slot, slot + count);
    for (let index = 0; index < count; index++) this.#newSlots[slot + index] = newSlot + index;
  }

  /** Ends the current page if it has no room for a node. */
  async #makeRoom({ page, block }: PageBlock, slot: number): Promise<void> {
    if (this.#builder.slotCount > 0) return this.#endPage('full');
    const bytes = page.directory.nodeBytes(slot);
    const format = this.#format.toUpperCase();
    const message = `node ${block}:${slot} has ${bytes} bytes, more than the ${maxNodeBytes(this.#format)} that a ${format} page can hold; keep format ${page.format}`;
    throw new PageStoreError('NODE_TOO_LARGE', message, { file: this.#file, block, slot });
  }

  async #beginPage(): Promise<void> {
    await this.#builder.beginPage(this.#format);
    this.#isFinalized = true;
  }

  async #endPage(outlook: 'open' | 'full'): Promise<void> {
    await this.#builder.endPage(this.#isFinalized, outlook);
    if (this.#isFinalized) this.finalizedPages++;
  }

  #reserve(count: number): void {
    if (count <= this.#lengths.length) return;
    const capacity = Math.max(count, 2 * this.#lengths.length);
    this.#lengths = new Uint32Array(capacity);
    if (!this.#onMoved) return;
    this.#newBlocks = new Uint32Array(capacity);
    this.#newSlots = new Uint32Array(capacity);
  }
}
