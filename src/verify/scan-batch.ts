import type { Problem } from '../format/invariants.ts';
import type { Demands } from './checked-page.ts';

/** Blocks of a file that are looked at together: `first` inclusive, `end` exclusive. */
export interface BlockRange {
  readonly first: number;
  readonly end: number;
}

/** What is looked for, and how much of what was found is handed over at once. */
export interface ScanSettings {
  readonly demands: Demands;
  /** The page whose slots are to be counted, for the root record; 0 for none. */
  readonly rootBlock: number;
  /** Most blocks in a batch. */
  readonly batchBlocks: number;
  /** Most problems in a batch. */
  readonly batchProblems: number;
}

/** What was found in some blocks, in the order of the blocks. Numbers and texts alone, so that a thread can send it. */
export interface ScanBatch {
  /** Blocks that were finished since the batch before. */
  blocks: number;
  pages: number;
  nodes: number;
  readonly problems: Problem[];
  /** Blocks that are no pages, and the link of each, as OtherBlocks takes them. */
  readonly otherIds: number[];
  readonly otherLinks: number[];
  /** Slots of the root block, where it is a page of this batch. */
  rootPageSlots?: number;
}

export function emptyBatch(): ScanBatch {
  return { blocks: 0, pages: 0, nodes: 0, problems: [], otherIds: [], otherLinks: [] };
}
