import { NODE_AREA_OFFSET } from './layout.ts';

/**
 * The decoded slot directory of a page. Nothing is validated: an offset or a length may point anywhere, and a number above
 * 2^32 - 1 reads as 2^32 - 1, which is outside every block.
 */
export interface SlotDirectory {
  /** Slots that could be decoded: the header's node count in a valid page, possibly fewer in a damaged one. */
  readonly count: number;
  /** Offset in the block of the lowest byte of the directory. */
  readonly start: number;
  /** Offset in the block after the highest byte of the directory. */
  readonly end: number;
  /** Offset in the block of the node in `slot`, 0 <= slot < count. */
  nodeOffset(slot: number): number;
  /** Length in bytes of the node in `slot`, 0 <= slot < count. */
  nodeBytes(slot: number): number;
  /** Offset in the block of the directory's own entry for `slot`, 0 <= slot < count. */
  entryOffset(slot: number): number;
  /** Checks all slots in one pass. @param freeOffset - end of the node area */
  scan(freeOffset: number): SlotScan;
}

/** The result of one pass over the slots of a page. */
export interface SlotScan {
  /** The first slot whose node is not within the node area; -1 if there is none. */
  readonly firstOutside: number;
  /** Whether the nodes are stored in slot order, so that none can overlap. */
  readonly isAscending: boolean;
}

/** A range of bytes in a block; `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Slots in memory as pairs of little-endian words: the offset of a node and its length. */
interface SlotWords {
  readonly view: DataView;
  /** Offset in the view of slot 0. */
  readonly first: number;
  /** Bytes from one slot to the next; negative if they grow down. */
  readonly step: number;
  readonly count: number;
}

/** All nodes are in slot order within the node area. */
export const IN_ORDER: SlotScan = { firstOutside: -1, isAscending: true };

/** See {@link SlotDirectory.scan}. */
export function scanSlots(slots: SlotWords, freeOffset: number): SlotScan {
  return isInOrder(slots, freeOffset) ? IN_ORDER : scanAnySlots(slots, freeOffset);
}

/** Whether no node begins before the previous one ends and all are within the node area, as writers place them. */
function isInOrder({ view, first, step, count }: SlotWords, freeOffset: number): boolean {
  let end = NODE_AREA_OFFSET;
  for (let slot = 0, at = first; slot < count; slot++, at += step) {
    const offset = view.getUint32(at, true);
    const bytes = view.getUint32(at + 4, true);
    // Each is compared on its own first, so that the sum stays a small integer.
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

/** More than any slot number, so that offset and slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

/** The slots of a directory in ascending order of their node offsets. */
export function slotsByOffset(directory: SlotDirectory): Uint32Array {
  const keys = new Float64Array(directory.count);
  for (let slot = 0; slot < directory.count; slot++) keys[slot] = directory.nodeOffset(slot) * SLOT_RADIX + slot;
  keys.sort();
  return Uint32Array.from(keys, (key) => key % SLOT_RADIX);
}
