import { LARGEST_ONE_BYTE, readVarint, varintBytesFrom } from '../bytes/varint.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V2_MAX_SLOTS } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import { IN_ORDER, scanSlots, type SlotDirectory, type SlotScan } from './slots.ts';

const U32_MAX = 0xffff_ffff;

/** Bytes of a decoded slot: its offset and its length, as in a V1 page. */
const DECODED_BYTES = 8;

/** First bytes of numbers from 256 on, with two bytes behind it, and from 65,536 on, with three. */
const TWO_MORE: number = LARGEST_ONE_BYTE + 2;
const THREE_MORE: number = LARGEST_ONE_BYTE + 3;

/** Up to here in a block, there are two words to read a pair from. */
const LAST_PAIR_OF_WORDS: number = BLOCK_BYTES - 8;

/** Room for decoded directories, to be used for one page after the other. */
export class DirectoryScratch {
  entryOffsets: Uint32Array = new Uint32Array(0);
  slots: DataView = new DataView(new ArrayBuffer(0));

  /** Makes room for so many slots; what was in it is gone. */
  reserve(slots: number): void {
    if (slots <= this.entryOffsets.length) return;
    const room = Math.max(slots, 2 * this.entryOffsets.length);
    this.entryOffsets = new Uint32Array(room);
    this.slots = new DataView(new ArrayBuffer(DECODED_BYTES * room));
  }
}

/** A V2 directory: one stream of varint pairs (offset, length), decoded once. @see docs/format.md, "V2 directory" */
export class V2Directory implements SlotDirectory {
  readonly count: number;
  readonly start: number;
  readonly end: number;
  readonly #entryOffsets: Uint32Array;
  readonly #slots: DataView;
  /** Where the last node ends, where each begins at the end of the one before, or behind that; else Infinity. */
  readonly #orderedEnd: number;

  /** @param scratch - what holds the decoded slots: until it is used for another page, the directory is valid */
  constructor(block: Uint8Array, header: PageHeader, scratch: DirectoryScratch) {
    this.start = Math.min(header.directoryStart, BLOCK_BYTES);
    // A pair takes two bytes at the least, which bounds what a damaged node count can ask for.
    const capacity = Math.min(header.nodeCount, V2_MAX_SLOTS, (BLOCK_BYTES - this.start) >> 1);
    scratch.reserve(capacity);
    this.#entryOffsets = scratch.entryOffsets;
    this.#slots = scratch.slots;
    const decoder = new PairDecoder(block, this.start, scratch, capacity);
    decoder.decode();
    this.count = decoder.count;
    this.end = decoder.at;
    this.#orderedEnd = decoder.isInOrder ? decoder.nodesEnd : Infinity;
  }

  nodeOffset(slot: number): number {
    return this.#slots.getUint32(DECODED_BYTES * slot, true);
  }

  nodeBytes(slot: number): number {
    return this.#slots.getUint32(DECODED_BYTES * slot + 4, true);
  }

  entryOffset(slot: number): number {
    return this.#entryOffsets[slot] as number; // 0 <= slot < count, by contract
  }

  scan(freeOffset: number): SlotScan {
    if (this.#orderedEnd <= freeOffset) return IN_ORDER;
    return scanSlots({ view: this.#slots, first: 0, step: DECODED_BYTES, count: this.count }, freeOffset);
  }
}

/** Decodes pairs into a scratch, and sees on the way whether the nodes are laid out in the order of their slots. */
class PairDecoder {
  readonly #block: Uint8Array;
  readonly #view: DataView;
  readonly #scratch: DirectoryScratch;
  readonly #capacity: number;
  /** Pairs that were decoded. */
  count: number = 0;
  /** Where the next pair begins. */
  at: number;
  /** Where the node of the last pair ends. */
  nodesEnd: number = NODE_AREA_OFFSET;
  /** Whether no node begins before the one of the pair before ends. */
  isInOrder: boolean = true;

  constructor(block: Uint8Array, start: number, scratch: DirectoryScratch, capacity: number) {
    this.#block = block;
    this.#view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
    this.#scratch = scratch;
    this.#capacity = capacity;
    this.at = start;
  }

  /** Goes on to the first pair that runs past the block. */
  decode(): void {
    do this.#decodeUsual();
    while (this.count < this.#capacity && this.#decodeAny());
  }

  /**
   * Decodes pairs of the sizes that nearly all have, up to the first that is another, or not in order: an offset of three or
   * four bytes, a length of one or three. Each size has a branch of its own: the processor guesses it, and reads on.
   */
  #decodeUsual(): void {
    const view = this.#view;
    const { entryOffsets, slots } = this.#scratch;
    const capacity = this.#capacity;
    let { count, at, nodesEnd } = this;
    while (count < capacity && at <= LAST_PAIR_OF_WORDS) {
      const word = view.getUint32(at, true);
      let nodeOffset: number;
      let next: number;
      if ((word & 0xff) === THREE_MORE) {
        nodeOffset = word >>> 8;
        next = at + 4;
      } else if ((word & 0xff) === TWO_MORE) {
        nodeOffset = (word >>> 8) & 0xffff;
        next = at + 3;
      } else {
        break;
      }
      const lengthWord = view.getUint32(next, true);
      let nodeBytes = lengthWord & 0xff;
      if (nodeBytes <= LARGEST_ONE_BYTE) {
        next += 1;
      } else if (nodeBytes === TWO_MORE) {
        nodeBytes = (lengthWord >>> 8) & 0xffff;
        next += 3;
      } else {
        break;
      }
      if (nodeOffset < nodesEnd) break;
      nodesEnd = nodeOffset + nodeBytes;
      entryOffsets[count] = at;
      slots.setUint32(DECODED_BYTES * count, nodeOffset, true);
      slots.setUint32(DECODED_BYTES * count + 4, nodeBytes, true);
      at = next;
      count++;
    }
    this.count = count;
    this.at = at;
    this.nodesEnd = nodesEnd;
  }

  /** Decodes any pair. @returns whether the block has all of it */
  #decodeAny(): boolean {
    const { at } = this;
    const { entryOffsets, slots } = this.#scratch;
    const nodeOffset = readVarint(this.#block, at, BLOCK_BYTES);
    if (nodeOffset < 0) return false;
    const lengthAt = at + varintBytesFrom(this.#block[at] as number); // readVarint found the byte
    const nodeBytes = readVarint(this.#block, lengthAt, BLOCK_BYTES);
    if (nodeBytes < 0) return false;
    this.isInOrder &&= nodeOffset >= this.nodesEnd;
    this.nodesEnd = nodeOffset + nodeBytes;
    entryOffsets[this.count] = at;
    slots.setUint32(DECODED_BYTES * this.count, Math.min(nodeOffset, U32_MAX), true);
    slots.setUint32(DECODED_BYTES * this.count + 4, Math.min(nodeBytes, U32_MAX), true);
    this.at = lengthAt + varintBytesFrom(this.#block[lengthAt] as number); // readVarint found the byte
    this.count++;
    return true;
  }
}
