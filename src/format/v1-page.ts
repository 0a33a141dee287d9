import { Copier, copyViewed } from '../bytes/buffer.ts';
import { combineCrc32, crc32 } from '../bytes/checksum.ts';
import { defineRecord, type RecordLayout, u32 } from '../bytes/record.ts';
import { NODE_AREA_OFFSET, V1_RESERVE_BYTES, V1_SLOT_BYTES, v1MaxSlots } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import type { PagePlan, PageWriter } from './page-writer.ts';
import { scanSlots, type SlotDirectory, type SlotScan } from './slots.ts';

export interface V1Slot {
  offset: number;
  length: number;
}

export const V1_SLOT: RecordLayout<V1Slot> = defineRecord<V1Slot>({
  offset: u32('start of the node, from the start of the block'),
  length: u32('bytes of the node; may be 0'),
});

const LENGTH_OFFSET = V1_SLOT.offsets.length;

function slotOffset(pageBytes: number, slot: number): number {
  return pageBytes - V1_SLOT_BYTES * (slot + 1);
}

/** @see docs/format.md#v1-directory */
export class V1Directory implements SlotDirectory {
  readonly count: number;
  readonly start: number;
  readonly end: number;
  readonly #view: DataView;

  constructor(block: Uint8Array, header: PageHeader) {
    this.#view = new DataView(block.buffer, block.byteOffset, block.length);
    this.end = block.length;
    this.count = Math.min(header.nodeCount, v1MaxSlots(block.length));
    this.start = block.length - V1_SLOT_BYTES * this.count;
  }

  nodeOffset(slot: number): number {
    return this.#view.getUint32(slotOffset(this.end, slot), true);
  }

  nodeBytes(slot: number): number {
    return this.#view.getUint32(slotOffset(this.end, slot) + LENGTH_OFFSET, true);
  }

  entryOffset(slot: number): number {
    return slotOffset(this.end, slot);
  }

  scan(freeOffset: number, sealedSlots?: number): SlotScan {
    const slots = { view: this.#view, first: slotOffset(this.end, 0), step: -V1_SLOT_BYTES, count: this.count };
    return scanSlots(slots, freeOffset, sealedSlots);
  }
}

/** Nodes grow up, slots grow down. */
export class V1PageWriter implements PageWriter {
  readonly format = 'v1';
  readonly block: Uint8Array;
  readonly #copier = new Copier();
  readonly #view: DataView;
  readonly #pageBytes: number;
  readonly #reserveBytes: number;
  #nodeCount: number;
  #freeOffset: number;
  #committedFree: number;
  #committedStart: number;
  // CRCs so far, so that a commit reads only what is new.
  #nodesCrc = 0;
  #nodesCrcEnd: number = NODE_AREA_OFFSET;
  #directoryCrc = 0;
  #directoryCrcStart: number;

  /** @param reserveBytes - bytes to keep free; fewer than the default to repack a page that another program filled */
  constructor(block: Uint8Array, header: PageHeader, reserveBytes: number = V1_RESERVE_BYTES) {
    this.block = block;
    this.#view = new DataView(block.buffer, block.byteOffset, block.length);
    this.#pageBytes = this.#directoryCrcStart = block.length;
    this.#reserveBytes = reserveBytes;
    this.#nodeCount = header.nodeCount;
    this.#freeOffset = this.#committedFree = header.freeOffset;
    this.#committedStart = this.#directoryStart;
  }

  get nodeCount(): number {
    return this.#nodeCount;
  }

  get freeOffset(): number {
    return this.#freeOffset;
  }

  get directoryBytes(): number {
    return V1_SLOT_BYTES * this.#nodeCount;
  }

  get #directoryStart(): number {
    return this.#pageBytes - V1_SLOT_BYTES * this.#nodeCount;
  }

  fits(nodeBytes: number): boolean {
    return this.#directoryStart - this.#freeOffset >= nodeBytes + V1_SLOT_BYTES + this.#reserveBytes;
  }

  add(source: Uint8Array, start: number, end: number): boolean {
    const nodeBytes = end - start;
    const free = this.#freeOffset;
    const slot = slotOffset(this.#pageBytes, this.#nodeCount);
    if (slot - free < nodeBytes + this.#reserveBytes) return false;
    const view = this.#view;
    this.#copier.copy(source, start, end, this.block, view, free);
    view.setUint32(slot, free, true);
    view.setUint32(slot + LENGTH_OFFSET, nodeBytes, true);
    this.#freeOffset = free + nodeBytes;
    this.#nodeCount++;
    return true;
  }

  addLost(): boolean {
    const slot = slotOffset(this.#pageBytes, this.#nodeCount);
    if (slot - this.#freeOffset < this.#reserveBytes) return false;
    this.#view.setUint32(slot, 0, true);
    this.#view.setUint32(slot + LENGTH_OFFSET, 0, true);
    this.#nodeCount++;
    return true;
  }

  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number {
    const view = this.#view;
    const keptBytes = V1_SLOT_BYTES + this.#reserveBytes;
    const firstFree = this.#freeOffset;
    let free = firstFree;
    let slot = this.#directoryStart;
    let index = from;
    for (; index < to; index++) {
      const nodeBytes = lengths[index] as number; // from <= index < to <= lengths.length
      if (slot - free < nodeBytes + keptBytes) break;
      slot -= V1_SLOT_BYTES;
      view.setUint32(slot, free, true);
      view.setUint32(slot + LENGTH_OFFSET, nodeBytes, true);
      free += nodeBytes;
    }
    // The page stores them end to end too, so one copy is enough.
    this.#copier.copy(source, start, start + free - firstFree, this.block, view, firstFree);
    this.#freeOffset = free;
    this.#nodeCount += index - from;
    return index - from;
  }

  addRanges(source: Uint8Array, base: number, words: Int32Array, from: number, to: number): number {
    const { block } = this;
    const view = this.#view;
    const sourceView = new DataView(source.buffer, source.byteOffset, source.length);
    const keptBytes = V1_SLOT_BYTES + this.#reserveBytes;
    const firstFree = this.#freeOffset;
    let free = firstFree;
    let slot = this.#directoryStart;
    // The nodes that are not copied yet lie end to end: source[runStart, runEnd) goes to `runOffset`.
    let runStart = 0;
    let runEnd = 0;
    let runOffset = free;
    let at = from;
    for (; at < to; at += 2) {
      const start = (words[at] as number) - base; // from <= at < to <= words.length
      const nodeBytes = words[at + 1] as number;
      if (slot - free < nodeBytes + keptBytes) break;
      if (start !== runEnd) {
        copyViewed(source, sourceView, runStart, runEnd, block, view, runOffset);
        runStart = start;
        runOffset = free;
      }
      runEnd = start + nodeBytes;
      slot -= V1_SLOT_BYTES;
      view.setUint32(slot, free, true);
      view.setUint32(slot + LENGTH_OFFSET, nodeBytes, true);
      free += nodeBytes;
    }
    copyViewed(source, sourceView, runStart, runEnd, block, view, runOffset);
    this.#freeOffset = free;
    this.#nodeCount += (at - from) / 2;
    return at;
  }

  plan(): PagePlan {
    const directoryStart = this.#directoryStart;
    this.#nodesCrc = crc32(this.block.subarray(this.#nodesCrcEnd, this.#freeOffset), this.#nodesCrc);
    this.#nodesCrcEnd = this.#freeOffset;
    const addedSlots = crc32(this.block.subarray(directoryStart, this.#directoryCrcStart));
    this.#directoryCrc = combineCrc32(addedSlots, this.#directoryCrc, this.#pageBytes - this.#directoryCrcStart);
    this.#directoryCrcStart = directoryStart;
    return {
      nodeCount: this.#nodeCount,
      freeOffset: this.#freeOffset,
      directoryStart,
      directoryLength: 0,
      nodesCrc: this.#nodesCrc,
      directoryCrc: this.#directoryCrc,
      written: [
        { start: this.#committedFree, end: this.#freeOffset },
        { start: directoryStart, end: this.#committedStart },
      ],
    };
  }

  committed(): void {
    this.#copier.release();
    this.#committedFree = this.#freeOffset;
    this.#committedStart = this.#directoryStart;
  }

  releaseDirectory(): void {
    // It has a fixed place, where no node is stored.
  }
}
