import type { Problem } from '../format/invariants.ts';

/** What is mended, and how what belongs there is known. */
export interface Repair {
  /** The `repair` of its changes. Never given to another one. */
  readonly id: RepairId;
  /** What is put right, and what proves it, in one line. */
  readonly summary: string;
}

export type RepairId =
  | 'header-reserved'
  | 'header-count'
  | 'header-bit'
  | 'header-field'
  | 'header-record'
  | 'header-copy'
  | 'root-descriptor'
  | 'page-field'
  | 'page-bit'
  | 'page-checksum'
  | 'commit-record'
  | 'record-bit'
  | 'free-list'
  | 'entry-count'
  | 'copy'
  | 'page-record';

/**
 * Every repair there is. Of the file header the first one that applies is made, of a page as well. The place in the list is
 * what undo files know a repair by, so new ones come last.
 */
export const REPAIRS: readonly Repair[] = [
  { id: 'header-reserved', summary: 'a field of the file header that has to be 0 is 0 again' },
  { id: 'header-count', summary: 'blockCount is set by the size of the file: the checksum holds with another count' },
  { id: 'header-bit', summary: 'a bit of the file header is flipped back: then its checksum holds' },
  { id: 'header-field', summary: 'a field of the file header is set: then its checksum holds' },
  { id: 'header-record', summary: 'the file header is taken from the last commit record' },
  { id: 'header-copy', summary: 'the file header is taken from its copy, and its counts from the blocks' },
  { id: 'root-descriptor', summary: 'the root descriptor is taken from the copy that was made of this file header' },
  { id: 'page-field', summary: 'a field of a page header is set: then the checksum of the page holds' },
  { id: 'page-bit', summary: 'a bit of a page is flipped back: then its checksum holds' },
  { id: 'page-checksum', summary: 'a page that another program has appended to gets a new checksum' },
  { id: 'commit-record', summary: 'what a commit record says is brought home, and the record is emptied' },
  { id: 'record-bit', summary: 'a bit of a commit record is flipped back: then its checksum holds' },
  { id: 'free-list', summary: 'free blocks that the free list has lost are linked to it again' },
  { id: 'entry-count', summary: 'entryCount is set to the nodes in the pages' },
  { id: 'copy', summary: 'the copy of the file header is made anew' },
  {
    id: 'page-record',
    summary: 'the header of a page is taken from the last commit record of it: then its checksum holds',
  },
];

/** Bytes that a repair puts in the place of others. */
export interface Change {
  readonly repair: RepairId;
  readonly block: number;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** The name of the field, where it is one. */
  readonly field?: string;
  readonly before: Uint8Array;
  /** As many bytes as `before`. */
  readonly after: Uint8Array;
}

/** An error, or a warning that repair is asked about, that a repair leaves as it is, and why where that is not plain. */
export interface LeftProblem extends Problem {
  /** Whether `likelyBits` would mend it. */
  readonly isLikely?: boolean;
}

/** Receives what a repair does, or would do, so that nothing has to be kept. */
export interface RepairSink {
  /** Bytes that change. In a real run, told once they have changed. */
  change(change: Change): void | Promise<void>;
  /** An error or a warning that stays. */
  left(problem: LeftProblem): void | Promise<void>;
}

export interface RepairOptions {
  /** Gives pages whose checksum is out of date a new one: nobody has checked the nodes that came since. */
  readonly staleChecksums?: boolean;
  /**
   * Flips back a bit that explains a wrong checksum also where so many bits could be it that one explains some damage of
   * another kind by chance: for a full page, in one of 2,048.
   */
  readonly likelyBits?: boolean;
  /** Called after each block that was looked at. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks, or two journals: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a repair came to. */
export interface RepairSummary {
  readonly file: string;
  /** Blocks that were looked at, block 0 counted. */
  readonly blocks: number;
  /** Changes that were, or would be, made. */
  readonly changes: number;
  /** Errors that stay. */
  readonly left: number;
  /** Warnings that stay, of those that it takes a reason to leave: a count of nodes, a root descriptor. */
  readonly warnings: number;
  /** Pages with a checksum that is out of date, which `staleChecksums` would give a new one. */
  readonly stalePages: number;
  /** Whether more may be found when it runs again: a commit that was not brought home can be judged only then. */
  readonly again: boolean;
  /** Whether a writer was at work: then what needs all blocks as of one moment was left out. */
  readonly changed: boolean;
}
