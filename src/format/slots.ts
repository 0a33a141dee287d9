import { NODE_AREA_OFFSET } from './layout.ts';

/** The decoded directory of a page, not validated: offsets and lengths may be any u32, and larger ones read as 2^32 - 1. */
export interface SlotDirectory {
  /** Slots that could be decoded: the header's node count in a valid page, possibly fewer in a damaged one. */
  readonly count: number;
  /** Offset in the block of its lowest byte. */
  readonly start: number;
  /** Offset in the block after its highest byte. */
  readonly end: number;
  /** Offset in the block of a node, 0 <= slot < count. */
  nodeOffset(slot: number): number;
  nodeBytes(slot: number): number;
  /** Offset in the block of the slot's entry in the directory. */
  entryOffset(slot: number): number;
  /**
   * Checks all slots in one pass.
   * @param freeOffset - end of the node area
   * @param sealedSlots - slots that a checksum covers: below it, a slot of zeros is a lost slot. Default: 0
   */
  scan(freeOffset: number, sealedSlots?: number): SlotScan;
}

export interface SlotScan {
  /** The first slot whose node is not within the node area; -1 if there is none. */
  readonly firstOutside: number;
  /** Whether the nodes are in slot order, so that none can overlap. */
  readonly isAscending: boolean;
  /** Slots whose nodes are lost: see {@link isLostEntry}. */
  readonly lostSlots: number;
}

/**
 * Whether a slot of a page without errors is kept for its number alone, as its node was lost: offset and length are 0.
 * @see docs/format.md#lost-slots
 */
export function isLostEntry(directory: Pick<SlotDirectory, 'nodeOffset'>, slot: number): boolean {
  // No node has this offset in a page without errors.
  return directory.nodeOffset(slot) === 0;
}

/** In a block; `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Pairs of little-endian words: the offset of a node and its length. */
interface SlotWords {
  readonly view: DataView;
  readonly first: number;
  /** Negative if the slots grow down. */
  readonly step: number;
  readonly count: number;
}

export const IN_ORDER: SlotScan = { firstOutside: -1, isAscending: true, lostSlots: 0 };

export function scanSlots(slots: SlotWords, freeOffset: number, sealedSlots: number = 0): SlotScan {
  return isInOrder(slots, freeOffset) ? IN_ORDER : scanAnySlots(slots, freeOffset, sealedSlots);
}

/** Whether all nodes are in slot order within the node area, as writers place them. */
function isInOrder({ view, first, step, count }: SlotWords, freeOffset: number): boolean {
  let end = NODE_AREA_OFFSET;
  for (let slot = 0, at = first; slot < count; slot++, at += step) {
    const offset = view.getUint32(at, true);
    const bytes = view.getUint32(at + 4, true);
    // Each is compared first, so that the sum stays a small integer.
    if (offset < end || offset > freeOffset || bytes > freeOffset) return false;
    end = offset + bytes;
  }
  return end <= freeOffset;
}

function scanAnySlots({ view, first, step, count }: SlotWords, freeOffset: number, sealedSlots: number): SlotScan {
  let firstOutside = -1;
  let lostSlots = 0;
  let highest = NODE_AREA_OFFSET;
  let isAscending = true;
  for (let slot = 0, at = first; slot < count; slot++, at += step) {
    const offset = view.getUint32(at, true);
    const bytes = view.getUint32(at + 4, true);
    if (offset === 0 && bytes === 0 && slot < sealedSlots) {
      lostSlots++;
      continue;
    }
    if (firstOutside < 0 && (offset < NODE_AREA_OFFSET || offset + bytes > freeOffset)) firstOutside = slot;
    if (bytes > 0) {
      isAscending &&= offset >= highest;
      highest = offset + bytes;
    }
  }
  return { firstOutside, isAscending, lostSlots };
}

/** Above any slot, so that offset and slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

export function slotsByOffset(directory: SlotDirectory): Uint32Array {
  const keys = new Float64Array(directory.count);
  for (let slot = 0; slot < directory.count; slot++) keys[slot] = directory.nodeOffset(slot) * SLOT_RADIX + slot;
  keys.sort();
  return Uint32Array.from(keys, (key) => key % SLOT_RADIX);
}

/** The slots of a directory whose nodes are not lost, numbered from 0. Valid as long as the directory is. */
export class PresentSlots implements Pick<SlotDirectory, 'count' | 'nodeOffset' | 'nodeBytes'> {
  readonly count: number;
  readonly #directory: SlotDirectory;
  /** Undefined if no slot is lost. */
  readonly #slots: Uint32Array | undefined;

  constructor(directory: SlotDirectory) {
    this.#directory = directory;
    let lost = 0;
    for (let slot = 0; slot < directory.count; slot++) if (isLostEntry(directory, slot)) lost++;
    this.count = directory.count - lost;
    if (lost === 0) return;
    this.#slots = new Uint32Array(this.count);
    for (let slot = 0, index = 0; slot < directory.count; slot++) {
      if (!isLostEntry(directory, slot)) this.#slots[index++] = slot;
    }
  }

  slotAt(index: number): number {
    return this.#slots === undefined ? index : (this.#slots[index] as number); // 0 <= index < count, by contract
  }

  nodeOffset(index: number): number {
    return this.#directory.nodeOffset(this.slotAt(index));
  }

  nodeBytes(index: number): number {
    return this.#directory.nodeBytes(this.slotAt(index));
  }
}
