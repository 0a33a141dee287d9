import { KeyMap } from '../arena/key-map.ts';
import { PageStoreError } from '../errors.ts';
import { maxNodeBytes, type Page } from '../format/page.ts';
import { PAGE_FLAG, type PageFormat } from '../format/page-header.ts';
import type { PageFileBuilder } from '../store/page-file-builder.ts';

/** More slots than any page has: a ref is kept as one number, block times this plus slot. */
const SLOTS_PER_BLOCK = 262_144;

/** Where the nodes of one page have gone: node `slot` of block `block` is now at `newBlocks[slot]`, `newSlots[slot]`. Valid until the next page is packed. */
export interface MovedPage {
  readonly block: number;
  /** Slots of the page. */
  readonly count: number;
  readonly newBlocks: Uint32Array;
  readonly newSlots: Uint32Array;
}

/** What a packer does beside packing. */
interface PackerOptions {
  readonly dedupe: boolean;
  /** Whether {@link NodePacker.moved} will be asked for. */
  readonly tellsRefs: boolean;
}

/**
 * Packs the nodes of pages into the pages of a new file, in their order and without gaps. Nodes that stand end to end are
 * copied together, and there is no object for each.
 */
export class NodePacker {
  readonly #builder: PageFileBuilder;
  readonly #format: PageFormat;
  readonly #tellsRefs: boolean;
  /** With dedupe, the nodes that have been packed, with their refs where those will be asked for. */
  readonly #known: KeyMap<number> | undefined;
  #isBegun = false;
  /** Whether all nodes in the page at hand are of finalized pages: then it is to be finalized as well. */
  #isSealed = true;
  #duplicateNodes = 0;
  #finalizedPages = 0;
  #lengths = new Uint32Array(0);
  #newBlocks = new Uint32Array(0);
  #newSlots = new Uint32Array(0);

  constructor(builder: PageFileBuilder, format: PageFormat, { dedupe, tellsRefs }: PackerOptions) {
    this.#builder = builder;
    this.#format = format;
    this.#tellsRefs = tellsRefs;
    this.#known = dedupe ? new KeyMap() : undefined;
  }

  /** Nodes that were not packed, since one before had the same bytes. */
  get duplicateNodes(): number {
    return this.#duplicateNodes;
  }

  get finalizedPages(): number {
    return this.#finalizedPages;
  }

  /** @throws {@link PageStoreError} `NODE_TOO_LARGE`, `FILE_FULL`, `IO` */
  async add(page: Page, block: number, file: string): Promise<void> {
    const { count } = page.directory;
    this.#reserve(count);
    const sealed = (page.header.flags & PAGE_FLAG.finalized) !== 0;
    let runStart = -1;
    let runEnd = -1;
    let from = 0;
    for (let slot = 0; slot < count; slot++) {
      const bytes = page.directory.nodeBytes(slot);
      this.#lengths[slot] = bytes;
      // An empty node may stand anywhere, and so belongs to whatever run it comes in.
      if (bytes === 0) continue;
      const offset = page.directory.nodeOffset(slot);
      if (runStart < 0) runStart = offset;
      else if (offset !== runEnd) {
        await this.#addRun({ page, block, file, sealed }, runStart, from, slot);
        from = slot;
        runStart = offset;
      }
      runEnd = offset + bytes;
    }
    await this.#addRun({ page, block, file, sealed }, Math.max(runStart, 0), from, count);
  }

  /** Where the nodes of the page that was added last have gone. */
  moved(block: number, count: number): MovedPage {
    return { block, count, newBlocks: this.#newBlocks, newSlots: this.#newSlots };
  }

  /** Ends the last page; where there were no nodes, that is an empty page. */
  async end(): Promise<void> {
    if (!this.#isBegun) {
      await this.#beginPage();
      this.#isSealed = false;
    }
    await this.#endPage(this.#isSealed ? 'full' : 'open');
  }

  async #addRun(from: Source, start: number, first: number, to: number): Promise<void> {
    if (this.#known) return this.#addDistinct(this.#known, from, start, first, to);
    let at = start;
    for (let slot = first; slot < to;) {
      if (!this.#isBegun) await this.#beginPage();
      const { block: newBlock, slotCount } = this.#builder;
      const taken = this.#builder.addMany(from.page.block, at, this.#lengths, slot, to);
      this.#isSealed &&= taken === 0 || from.sealed;
      for (const end = slot + taken; slot < end; slot++) at += this.#lengths[slot] as number; // slot < to <= length
      if (this.#tellsRefs) this.#tell(slot - taken, taken, newBlock, slotCount);
      if (slot < to) await this.#makeRoom(from, slot);
    }
  }

  async #addDistinct(known: KeyMap<number>, from: Source, start: number, first: number, to: number): Promise<void> {
    let at = start;
    for (let slot = first; slot < to; slot++) {
      const end = at + (this.#lengths[slot] as number); // slot < to <= length
      const knownNodes = known.size;
      const entry = known.entryOf(from.page.block, at, end);
      if (known.size === knownNodes) {
        this.#duplicateNodes++;
        const ref = known.valueAt(entry) ?? 0;
        if (this.#tellsRefs) this.#tell(slot, 1, Math.floor(ref / SLOTS_PER_BLOCK), ref % SLOTS_PER_BLOCK);
      } else {
        if (!this.#isBegun) await this.#beginPage();
        while (!this.#builder.add(from.page.block, at, end)) {
          await this.#makeRoom(from, slot);
          await this.#beginPage();
        }
        this.#isSealed &&= from.sealed;
        const [newBlock, newSlot] = [this.#builder.block, this.#builder.slotCount - 1];
        if (this.#tellsRefs) {
          known.setValueAt(entry, newBlock * SLOTS_PER_BLOCK + newSlot);
          this.#tell(slot, 1, newBlock, newSlot);
        }
      }
      at = end;
    }
  }

  #tell(slot: number, count: number, newBlock: number, newSlot: number): void {
    this.#newBlocks.fill(newBlock, slot, slot + count);
    for (let index = 0; index < count; index++) this.#newSlots[slot + index] = newSlot + index;
  }

  /** Ends the page at hand, which has no room for a node. */
  async #makeRoom({ page, block, file }: Source, slot: number): Promise<void> {
    if (this.#builder.slotCount > 0) return this.#endPage('full');
    const bytes = page.directory.nodeBytes(slot);
    const most = maxNodeBytes(this.#format);
    const format = this.#format.toUpperCase();
    const message = `node ${block}:${slot} has ${bytes} bytes, and a page of format ${format} holds at most ${most}: keep format ${page.format}`;
    throw new PageStoreError('NODE_TOO_LARGE', message, { file, block, slot });
  }

  async #beginPage(): Promise<void> {
    await this.#builder.beginPage(this.#format);
    this.#isBegun = true;
    this.#isSealed = true;
  }

  async #endPage(outlook: 'open' | 'full'): Promise<void> {
    await this.#builder.endPage(this.#isSealed, outlook);
    if (this.#isSealed) this.#finalizedPages++;
    this.#isBegun = false;
  }

  #reserve(count: number): void {
    if (count <= this.#lengths.length) return;
    const room = Math.max(count, 2 * this.#lengths.length);
    this.#lengths = new Uint32Array(room);
    if (!this.#tellsRefs) return;
    this.#newBlocks = new Uint32Array(room);
    this.#newSlots = new Uint32Array(room);
  }
}

/** The page that nodes come from. */
interface Source {
  readonly page: Page;
  readonly block: number;
  readonly file: string;
  readonly sealed: boolean;
}
