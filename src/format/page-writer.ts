import type { ByteRange } from './slots.ts';
import type { PageFormat } from './page-header.ts';

/** What the next header of a page says, and which bytes of the block have to be written before it. */
export interface PagePlan {
  readonly nodeCount: number;
  readonly freeOffset: number;
  readonly directoryStart: number;
  readonly directoryLength: number;
  /** CRC-32 of the node area, [64, freeOffset). */
  readonly nodesCrc: number;
  /** CRC-32 of the directory. */
  readonly directoryCrc: number;
  /** Ranges outside the header that changed since the last commit; some may be empty. */
  readonly written: readonly ByteRange[];
}

/** How the page goes on after a commit. `open`: more nodes will come. `full`: none will, so nothing is set aside for them. */
export type PageOutlook = 'open' | 'full';

/**
 * Appends nodes to one page in memory. It never changes a byte that a committed header covers, so the
 * ranges of a plan can be written to the file while that header still stands there.
 */
export interface PageWriter {
  readonly format: PageFormat;
  /** The 262,144 bytes of the page. The header in it is that of the last commit. */
  readonly block: Uint8Array;
  /** Slots, those included that are not committed yet. */
  readonly nodeCount: number;
  /** Whether a node of so many bytes has room. */
  fits(nodeBytes: number): boolean;
  /**
   * Copies the node `source[start, end)` into the page, in slot `nodeCount`.
   * @returns false, with nothing changed, where the page has no room for it
   */
  add(source: Uint8Array, start: number, end: number): boolean;
  /**
   * Copies nodes that stand end to end in `source` from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes, as long
   * as they have room.
   * @returns how many it took: a node that has none ends it
   */
  addMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /** Lays the directory out in `block` and says what to write. Adding nodes after it makes the plan void. */
  plan(outlook: PageOutlook): PagePlan;
  /** Tells the writer that the header of its last plan is now the committed one. */
  committed(): void;
}
