import { readVarint, varintBytesFrom } from '../bytes/varint.ts';
import type { SlotDirectory } from './directory.ts';
import { BLOCK_BYTES, V2_MAX_SLOTS } from './layout.ts';
import type { PageHeader } from './page-header.ts';

const U32_MAX = 0xffff_ffff;

/** Room for decoded directories, to be used for one page after the other. */
export class DirectoryScratch {
  entryOffsets: Uint32Array = new Uint32Array(0);
  nodeOffsets: Uint32Array = new Uint32Array(0);
  nodeBytes: Uint32Array = new Uint32Array(0);

  /** Makes room for so many slots; what was in it is gone. */
  reserve(slots: number): void {
    if (slots <= this.nodeBytes.length) return;
    const room = Math.max(slots, 2 * this.nodeBytes.length);
    this.entryOffsets = new Uint32Array(room);
    this.nodeOffsets = new Uint32Array(room);
    this.nodeBytes = new Uint32Array(room);
  }
}

/** A V2 directory: one stream of varint pairs (offset, length), decoded once. @see docs/format.md, "V2 directory" */
export class V2Directory implements SlotDirectory {
  readonly count: number;
  readonly start: number;
  readonly end: number;
  readonly #entryOffsets: Uint32Array;
  readonly #nodeOffsets: Uint32Array;
  readonly #nodeBytes: Uint32Array;

  /** @param scratch - what holds the decoded slots: until it is used for another page, the directory is valid */
  constructor(block: Uint8Array, header: PageHeader, scratch: DirectoryScratch) {
    this.start = Math.min(header.directoryStart, BLOCK_BYTES);
    // A pair takes two bytes at the least, which bounds what a damaged node count can ask for.
    const capacity = Math.min(header.nodeCount, V2_MAX_SLOTS, (BLOCK_BYTES - this.start) >> 1);
    scratch.reserve(capacity);
    this.#entryOffsets = scratch.entryOffsets;
    this.#nodeOffsets = scratch.nodeOffsets;
    this.#nodeBytes = scratch.nodeBytes;
    let at = this.start;
    let count = 0;
    while (count < capacity) {
      const nodeOffset = readVarint(block, at, BLOCK_BYTES);
      if (nodeOffset < 0) break;
      const lengthAt = at + varintBytesFrom(block[at] as number); // readVarint found the byte
      const nodeBytes = readVarint(block, lengthAt, BLOCK_BYTES);
      if (nodeBytes < 0) break;
      this.#entryOffsets[count] = at;
      this.#nodeOffsets[count] = Math.min(nodeOffset, U32_MAX);
      this.#nodeBytes[count] = Math.min(nodeBytes, U32_MAX);
      at = lengthAt + varintBytesFrom(block[lengthAt] as number); // readVarint found the byte
      count++;
    }
    this.count = count;
    this.end = at;
  }

  nodeOffset(slot: number): number {
    return this.#nodeOffsets[slot] as number; // 0 <= slot < count, by contract
  }

  nodeBytes(slot: number): number {
    return this.#nodeBytes[slot] as number; // 0 <= slot < count, by contract
  }

  entryOffset(slot: number): number {
    return this.#entryOffsets[slot] as number; // 0 <= slot < count, by contract
  }
}
