import { BLOCK_BYTES, NODE_AREA_OFFSET } from './layout.ts';

/** Offsets from here on take a byte more in a varint. */
const LONG_OFFSET = 65_536;

/** What is expected of a page before it has nodes of its own: a few of the usual length. */
const PRIOR = { nodes: 4, nodeBytes: 4 * 43, entryBytes: 4 * 5 } as const;

/**
 * Says where the directory of an open V2 page should begin, so that the nodes below it and the directory
 * itself come to their ends at about the same time.
 */
export class DirectoryForecast {
  /** Bytes of nodes and directory when the directory was placed last. */
  #placedAt: number;

  constructor(freeOffset: number, directoryBytes: number) {
    this.#placedAt = used(freeOffset, directoryBytes);
  }

  placed(freeOffset: number, directoryBytes: number): void {
    this.#placedAt = used(freeOffset, directoryBytes);
  }

  /** Where the directory should begin, by the nodes seen so far: at least `freeOffset`, and with room for what there is of it. */
  idealStart(freeOffset: number, nodeCount: number, directoryBytes: number): number {
    const nodes = nodeCount + PRIOR.nodes;
    const nodeBytes = (freeOffset - NODE_AREA_OFFSET + PRIOR.nodeBytes) / nodes;
    // Pairs to come have longer offsets than those in the first quarter of the block.
    const shortShare = Math.min(1, LONG_OFFSET / freeOffset);
    const laterEntryBytes = (directoryBytes + PRIOR.entryBytes) / nodes + shortShare;
    const room = BLOCK_BYTES - freeOffset - directoryBytes;
    const stillShort = Math.max(0, LONG_OFFSET - freeOffset) / Math.max(room, 1);
    const entryBytes = laterEntryBytes - Math.min(1, stillShort);
    return freeOffset + Math.floor((room * nodeBytes) / (nodeBytes + entryBytes));
  }

  /**
   * Whether a directory at `start` should move to `ideal` although it could stay. Moving costs as much as the
   * directory is long, so it is done when the page's content has doubled since, or when one side is about to end.
   */
  worthMoving(freeOffset: number, start: number, directoryBytes: number, ideal: number): boolean {
    const error = Math.abs(ideal - start);
    if (error < 512) return false;
    const doubled = used(freeOffset, directoryBytes) >= 2 * this.#placedAt;
    const nodeRoom = start - freeOffset;
    const directoryRoom = BLOCK_BYTES - start - directoryBytes;
    return doubled || Math.min(nodeRoom, 8 * directoryRoom) < 2 * error;
  }
}

const used = (freeOffset: number, directoryBytes: number): number => freeOffset - NODE_AREA_OFFSET + directoryBytes;
