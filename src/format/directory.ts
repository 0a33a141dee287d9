/**
 * The slots of a page as its bytes describe them. Nothing is validated: an offset or a length may point
 * anywhere, and a number above 2^32 - 1 reads as 2^32 - 1, which is outside every block.
 */
export interface SlotDirectory {
  /** Slots that could be decoded: the header's node count in a sound page, fewer in a damaged one. */
  readonly count: number;
  /** Offset in the block of the lowest byte of the directory. */
  readonly start: number;
  /** Offset in the block behind the highest byte of the directory. */
  readonly end: number;
  /** Offset in the block of the bytes of the node in `slot`, 0 <= slot < count. */
  nodeOffset(slot: number): number;
  /** Length in bytes of the node in `slot`, 0 <= slot < count. */
  nodeBytes(slot: number): number;
  /** Offset in the block of the directory's own entry for `slot`, 0 <= slot < count. */
  entryOffset(slot: number): number;
  /** Looks at each slot once. @param freeOffset - where the node area ends */
  scan(freeOffset: number): SlotScan;
}

/** What one pass over the slots of a page tells. */
export interface SlotScan {
  /** The first slot whose node is not in the node area; -1 where all are. */
  readonly firstOutside: number;
  /** Whether the nodes are laid out in the order of their slots, so that none can overlap. */
  readonly isAscending: boolean;
}

/** A range of bytes in a block: `start` inclusive, `end` exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}
