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
  /** Checks all slots in one pass. @param freeOffset - end of the node area */
  scan(freeOffset: number): SlotScan;
}

export interface SlotScan {
  /** The first slot whose node is not within the node area; -1 if there is none. */
  readonly firstOutside: number;
  /** Whether the nodes are in slot order, so that none can overlap. */
  readonly isAscending: boolean;
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

export const IN_ORDER: SlotScan = { firstOutside: -1, isAscending: true };

export function scanSlots(slots: SlotWords, freeOffset: number): SlotScan {
  return isInOrder(slots, freeOffset) ? IN_ORDER : scanAnySlots(slots, freeOffset);
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

function scanAnySlots({ view, first, step, count }: SlotWords, freeOffset: number): SlotScan {
  let firstOutside = -1;
  let highest = NODE_AREA_OFFSET;
  let isAscending = true;
  for (let slot = 0, at = first; slot < count; slot++, at += step) {
    const offset = view.getUint32(at, true);
    const bytes = view.getUint32(at + 4, true);
    if (firstOutside < 0 && (offset < NODE_AREA_OFFSET || offset + bytes > freeOffset)) firstOutside = slot;
    if (bytes > 0) {
      isAscending &&= offset >= highest;
      highest = offset + bytes;
    }
  }
  return { firstOutside, isAscending };
}

/** Above any slot, so that offset and slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

export function slotsByOffset(directory: SlotDirectory): Uint32Array {
  const keys = new Float64Array(directory.count);
  for (let slot = 0; slot < directory.count; slot++) keys[slot] = directory.nodeOffset(slot) * SLOT_RADIX + slot;
  keys.sort();
  return Uint32Array.from(keys, (key) => key % SLOT_RADIX);
}
