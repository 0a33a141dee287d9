import { LARGEST_ONE_BYTE, readVarint, varintBytesFrom } from '../bytes/varint.ts';
import type { SlotDirectory, SlotScan } from './directory.ts';
import { BLOCK_BYTES, V2_MAX_SLOTS } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import { scanSlots } from './slot-scan.ts';

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
  /** Where each entry begins, and behind the last where it ends. */
  entryOffsets: Uint32Array = new Uint32Array(1);
  slots: DataView = new DataView(new ArrayBuffer(0));

  /** Makes room for so many slots; what was in it is gone. */
  reserve(slots: number): void {
    const hadRoom = this.entryOffsets.length - 1;
    if (slots <= hadRoom) return;
    const room = Math.max(slots, 2 * hadRoom);
    this.entryOffsets = new Uint32Array(room + 1);
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

  /** @param scratch - what holds the decoded slots: until it is used for another page, the directory is valid */
  constructor(block: Uint8Array, header: PageHeader, scratch: DirectoryScratch) {
    this.start = Math.min(header.directoryStart, BLOCK_BYTES);
    // A pair takes two bytes at the least, which bounds what a damaged node count can ask for.
    const capacity = Math.min(header.nodeCount, V2_MAX_SLOTS, (BLOCK_BYTES - this.start) >> 1);
    scratch.reserve(capacity);
    this.#entryOffsets = scratch.entryOffsets;
    this.#slots = scratch.slots;
    this.count = decodePairs(block, this.start, scratch, capacity);
    this.end = scratch.entryOffsets[this.count] as number; // decodePairs has set it
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
    return scanSlots({ view: this.#slots, first: 0, step: DECODED_BYTES, count: this.count }, freeOffset);
  }
}

/** Decodes pairs up to the first that runs past the block. @returns how many; where the next would begin is in entryOffsets */
function decodePairs(block: Uint8Array, start: number, scratch: DirectoryScratch, capacity: number): number {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  scratch.entryOffsets[0] = start;
  let count = 0;
  while (count < capacity) {
    count = decodeUsualPairs(view, scratch, count, capacity);
    if (count === capacity || !decodeAnyPair(block, scratch, count)) break;
    count++;
  }
  return count;
}

/**
 * Decodes pairs of the sizes that nearly all have, up to the first that is another: an offset of three or four bytes, a
 * length of one or three. Each size has a branch of its own: the processor guesses it, and reads on.
 * @param from - slot of the first
 * @returns the slot behind the last
 */
function decodeUsualPairs(
  view: DataView,
  { entryOffsets, slots }: DirectoryScratch,
  from: number,
  capacity: number,
): number {
  let slot = from;
  let at = entryOffsets[slot] as number; // slot < capacity <= room
  while (slot < capacity && at <= LAST_PAIR_OF_WORDS) {
    const word = view.getUint32(at, true);
    let nodeOffset: number;
    if ((word & 0xff) === THREE_MORE) {
      nodeOffset = word >>> 8;
      at += 4;
    } else if ((word & 0xff) === TWO_MORE) {
      nodeOffset = (word >>> 8) & 0xffff;
      at += 3;
    } else {
      break;
    }
    const lengthWord = view.getUint32(at, true);
    let nodeBytes = lengthWord & 0xff;
    if (nodeBytes <= LARGEST_ONE_BYTE) {
      at += 1;
    } else if (nodeBytes === TWO_MORE) {
      nodeBytes = (lengthWord >>> 8) & 0xffff;
      at += 3;
    } else {
      break;
    }
    slots.setUint32(DECODED_BYTES * slot, nodeOffset, true);
    slots.setUint32(DECODED_BYTES * slot + 4, nodeBytes, true);
    entryOffsets[++slot] = at;
  }
  return slot;
}

/** Decodes any pair. @returns whether the block has all of it */
function decodeAnyPair(block: Uint8Array, { entryOffsets, slots }: DirectoryScratch, slot: number): boolean {
  const at = entryOffsets[slot] as number; // the pair before has set it
  const nodeOffset = readVarint(block, at, BLOCK_BYTES);
  if (nodeOffset < 0) return false;
  const lengthAt = at + varintBytesFrom(block[at] as number); // readVarint found the byte
  const nodeBytes = readVarint(block, lengthAt, BLOCK_BYTES);
  if (nodeBytes < 0) return false;
  slots.setUint32(DECODED_BYTES * slot, Math.min(nodeOffset, U32_MAX), true);
  slots.setUint32(DECODED_BYTES * slot + 4, Math.min(nodeBytes, U32_MAX), true);
  entryOffsets[slot + 1] = lengthAt + varintBytesFrom(block[lengthAt] as number); // readVarint found the byte
  return true;
}
