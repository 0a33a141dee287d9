import { assertBytes, assertInteger, wrongType } from '../arguments.ts';
import { LARGEST_ONE_BYTE, readVarint, varintBytes, varintBytesFrom, writeVarint } from '../bytes/encodings.ts';
import { NODE_AREA_OFFSET, V2_MAX_SLOTS, v2MaxSlots } from './layout.ts';
import type { PageHeader } from './page-header.ts';
import { IN_ORDER, scanSlots, type SlotDirectory, type SlotScan } from './slots.ts';

const U32_MAX = 0xffff_ffff;

/** Offset and length, as in a V1 page. */
const DECODED_BYTES = 8;

/** First bytes of varints from 256 and from 65,536 on. */
const TWO_BYTES_FOLLOW: number = LARGEST_ONE_BYTE + 2;
const THREE_BYTES_FOLLOW: number = LARGEST_ONE_BYTE + 3;

/** A slot of a V2 page, as it was read. */
export interface V2Slot {
  /** Start of the node, from the start of the page. */
  readonly offset: number;
  /** Bytes of the node; may be 0. */
  readonly length: number;
  /** Offset after the two varints. */
  readonly end: number;
}

/**
 * One slot in the directory of a V2 page: the varints of offset and length, each a number of 0 to 2^53 - 1. Loops over
 * all slots use {@link V2Directory}, which makes no object for each. @see docs/format.md#v2-directory
 */
export const V2_SLOT = {
  /** Encoded size, 2 to 16 bytes. @throws RangeError for a number that cannot be encoded */
  bytesOf(offset: number, length: number): number {
    assertInteger('V2_SLOT.bytesOf: offset', offset, 0, Number.MAX_SAFE_INTEGER);
    assertInteger('V2_SLOT.bytesOf: length', length, 0, Number.MAX_SAFE_INTEGER);
    return varintBytes(offset) + varintBytes(length);
  },

  /**
   * Reads the slot at `bytes[at]`.
   * @returns undefined if it runs past the end of `bytes`
   * @throws RangeError if a number is 2^53 or more: such a slot is damaged, or no slot
   */
  read(bytes: Uint8Array, at: number): V2Slot | undefined {
    assertBytes('V2_SLOT.read', 'bytes', bytes);
    assertInteger('V2_SLOT.read: at', at, 0, Number.MAX_SAFE_INTEGER);
    const offset = readVarint(bytes, at);
    if (offset < 0) return undefined;
    const lengthAt = at + varintBytesFrom(bytes[at] as number); // readVarint found the byte
    const length = readVarint(bytes, lengthAt);
    if (length < 0) return undefined;
    if (offset > Number.MAX_SAFE_INTEGER || length > Number.MAX_SAFE_INTEGER)
      throw new RangeError(`V2_SLOT.read: the slot at ${at} has a number of 2^53 or more`);
    return { offset, length, end: lengthAt + varintBytesFrom(bytes[lengthAt] as number) }; // found as well
  },

  /**
   * Writes a slot to `target` at `at`. @returns the offset after it
   * @throws RangeError, with nothing written, if there is no room, or for a number that cannot be encoded
   */
  write(slot: Pick<V2Slot, 'offset' | 'length'>, target: Uint8Array, at: number): number {
    if (typeof slot !== 'object' || slot === null) throw wrongType('V2_SLOT.write: slot', 'an object', slot);
    const { offset, length } = slot;
    assertInteger('V2_SLOT.write: slot.offset', offset, 0, Number.MAX_SAFE_INTEGER);
    assertInteger('V2_SLOT.write: slot.length', length, 0, Number.MAX_SAFE_INTEGER);
    assertBytes('V2_SLOT.write', 'target', target);
    assertInteger('V2_SLOT.write: at', at, 0, target.length - V2_SLOT.bytesOf(offset, length));
    return writeVarint(length, target, writeVarint(offset, target, at));
  },
} as const;

/** Memory for decoded directories, reused for one page after the other. */
export class DirectoryScratch {
  entryOffsets: Uint32Array = new Uint32Array(0);
  slots: DataView = new DataView(new ArrayBuffer(0));

  /** Discards the content. */
  reserve(slots: number): void {
    assertInteger('reserve: slots', slots, 0, V2_MAX_SLOTS);
    if (slots <= this.entryOffsets.length) return;
    const room = Math.max(slots, 2 * this.entryOffsets.length);
    this.entryOffsets = new Uint32Array(room);
    this.slots = new DataView(new ArrayBuffer(DECODED_BYTES * room));
  }
}

/** A stream of varint pairs, the offset and length of each node, decoded on construction. @see docs/format.md#v2-directory */
export class V2Directory implements SlotDirectory {
  readonly start: number;
  count = 0;
  end: number;
  readonly #block: Uint8Array;
  readonly #entryOffsets: Uint32Array;
  readonly #slots: DataView;
  #nodesEnd: number = NODE_AREA_OFFSET;
  #isInOrder = true;

  /** @param scratch - the directory is valid until it is used for another page */
  constructor(block: Uint8Array, header: PageHeader, scratch: DirectoryScratch) {
    this.start = this.end = Math.min(header.directoryStart, block.length);
    // A pair has at least two bytes, which limits the memory that a damaged node count can demand.
    const capacity = Math.min(header.nodeCount, v2MaxSlots(block.length), (block.length - this.start) >> 1);
    scratch.reserve(capacity);
    this.#block = block;
    this.#entryOffsets = scratch.entryOffsets;
    this.#slots = scratch.slots;
    const view = new DataView(block.buffer, block.byteOffset, block.length);
    do this.#decodeCommon(view, capacity);
    while (this.count < capacity && this.#decodeAny());
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

  scan(freeOffset: number, sealedSlots?: number): SlotScan {
    if (this.#isInOrder && this.#nodesEnd <= freeOffset) return IN_ORDER;
    const slots = { view: this.#slots, first: 0, step: DECODED_BYTES, count: this.count };
    return scanSlots(slots, freeOffset, sealedSlots);
  }

  /**
   * Decodes ordered pairs of the usual sizes (offsets of 3 or 4 bytes, lengths of 1 or 3) up to the first other one. Each
   * size has its own branch, so that the processor can predict it.
   */
  #decodeCommon(view: DataView, capacity: number): void {
    const entryOffsets = this.#entryOffsets;
    const slots = this.#slots;
    const lastTwoWords = view.byteLength - 8;
    let count = this.count;
    let at = this.end;
    let nodesEnd = this.#nodesEnd;
    while (count < capacity && at <= lastTwoWords) {
      const word = view.getUint32(at, true);
      let nodeOffset: number;
      let next: number;
      if ((word & 0xff) === THREE_BYTES_FOLLOW) {
        nodeOffset = word >>> 8;
        next = at + 4;
      } else if ((word & 0xff) === TWO_BYTES_FOLLOW) {
        nodeOffset = (word >>> 8) & 0xffff;
        next = at + 3;
      } else {
        break;
      }
      const lengthWord = view.getUint32(next, true);
      let nodeBytes = lengthWord & 0xff;
      if (nodeBytes <= LARGEST_ONE_BYTE) {
        next += 1;
      } else if (nodeBytes === TWO_BYTES_FOLLOW) {
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
    this.end = at;
    this.#nodesEnd = nodesEnd;
  }

  /** @returns false if the pair runs past the block */
  #decodeAny(): boolean {
    const at = this.end;
    const nodeOffset = readVarint(this.#block, at);
    if (nodeOffset < 0) return false;
    const lengthAt = at + varintBytesFrom(this.#block[at] as number); // readVarint found the byte
    const nodeBytes = readVarint(this.#block, lengthAt);
    if (nodeBytes < 0) return false;
    this.#isInOrder &&= nodeOffset >= this.#nodesEnd;
    this.#nodesEnd = nodeOffset + nodeBytes;
    this.#entryOffsets[this.count] = at;
    this.#slots.setUint32(DECODED_BYTES * this.count, Math.min(nodeOffset, U32_MAX), true);
    this.#slots.setUint32(DECODED_BYTES * this.count + 4, Math.min(nodeBytes, U32_MAX), true);
    this.end = lengthAt + varintBytesFrom(this.#block[lengthAt] as number); // readVarint found the byte
    this.count++;
    return true;
  }
}
