import type { ProblemCode } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { FlippedBit, Problem } from '../format/problem.ts';
import { noSlots, SLOT_STATES, type SlotCounts, type SlotRun } from '../salvage/slot-table.ts';

/**
 * What a block was. `header`: block 0. `unwritten`: allocated, and all zero. `uncounted`: behind the last block that the
 * file header counts, and no part of the file. `missing`: counted, and the file ends before it. `unknown`: neither a page
 * nor free, or a page of which nothing is left.
 */
export type BlockKind = 'header' | 'page' | 'free' | 'unwritten' | 'uncounted' | 'missing' | 'unknown';

/**
 * Where the file header comes from. `block 0`: it stands there, sound. `derived`: from what stands there, by its
 * checksum: one field or one bit was wrong. `commit record` and `header copy`: from these in block 0. `lost`: from
 * nowhere; blocks are counted by the size of the file, and what is free is told from the blocks.
 */
export type HeaderSource = 'block 0' | 'derived' | 'commit record' | 'header copy' | 'lost';

/**
 * How the slots of a page were found. `header`: as its header says. `flipped bit`: so, with one bit put back. `new header`
 * and `commit record`: under another header, with which the checksum fits. `directory`: without a header that can be
 * right, from the directory itself.
 */
export type PageBasis = 'header' | 'flipped bit' | 'new header' | 'commit record' | 'directory';

/** What was wrong with a block, each code once. */
export interface BlockProblem {
  readonly code: ProblemCode;
  /** Of the first one. */
  readonly message: string;
  readonly count: number;
}

/** What became of one block. Valid until the sink has taken it. */
export interface BlockReport {
  readonly block: number;
  readonly kind: BlockKind;
  /** Of a page. */
  readonly format?: PageFormat;
  /** Of a page whose slots were found. */
  readonly basis?: PageBasis;
  /** Of block 0. */
  readonly source?: HeaderSource;
  /** Slots that are known of, by their state. */
  readonly slots: SlotCounts;
  /** The slots in their order, each of them in one run. */
  readonly runs: () => Iterable<SlotRun>;
  /** Bytes in which nodes were or may have been, and that no known slot speaks of. */
  readonly lostBytes: number;
  /** Nodes that had no room at their ref, and follow behind the last block: see {@link MovedRun}. */
  readonly movedNodes: number;
  /** Whether the page takes no more nodes in the new file, since a new one could get the ref of one that is lost. */
  readonly isSealed: boolean;
  readonly flippedBit?: FlippedBit;
  readonly problems: readonly BlockProblem[];
  /** One sentence for what no problem says. */
  readonly note?: string;
}

/** Nodes that follow each other in the old file and in the new one. */
export interface MovedRun {
  readonly block: number;
  readonly slot: number;
  readonly newBlock: number;
  readonly newSlot: number;
  readonly count: number;
}

/** Receives the report while the new file is written, so that nothing of it has to be kept. */
export interface RecoverSink {
  /** Every block, in ascending order, block 0 first. */
  block(report: BlockReport): void | Promise<void>;
  /** Nodes whose refs have changed, behind all blocks, in ascending order of their old refs. */
  moved(run: MovedRun): void | Promise<void>;
}

/** What became of the root pointer. `none`: there was no trie in the file. */
export type RootOutcome = 'none' | 'kept' | 'dropped' | 'lost';

export interface RecoverOptions {
  /** Keeps the root pointer also where the trie may have holes, as long as it leads to a node. */
  readonly keepRoot?: boolean;
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What was there, and what came of it. */
export interface RecoverSummary {
  readonly file: string;
  readonly target: string;
  /** Size of the old file. */
  readonly bytes: number;
  /** Blocks of the new file, block 0 counted. */
  readonly blocks: number;
  readonly header: HeaderSource;
  /** Pages of the old file of which at least the slots are known. */
  readonly pages: number;
  /** Those of them that were copied as they stood: nothing is wrong with them. */
  readonly intactPages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Blocks of which nothing could be taken and something may be lost: missing and unknown ones. */
  readonly lostBlocks: number;
  /** Of the missing ones, those for which the new file has no empty page: see {@link recoverFile}. */
  readonly unreservedBlocks: number;
  readonly uncountedBlocks: number;
  /** Slots by their state. */
  readonly slots: SlotCounts;
  /** Nodes in the new file that were in the old one. */
  readonly nodes: number;
  readonly movedNodes: number;
  readonly lostBytes: number;
  readonly root: RootOutcome;
  /** Why the root pointer was dropped. */
  readonly rootReason?: string;
  /** The root pointer that was found. */
  readonly rootPointer: bigint;
  /** Whether every node was taken and none is doubtful. */
  readonly isWhole: boolean;
}

/** A report of a block of which nothing more is to be said than these fields do. */
export function reportOf(block: number, kind: BlockKind, fields: Partial<BlockReport> = {}): BlockReport {
  return {
    block,
    kind,
    slots: noSlots(),
    runs: () => [],
    lostBytes: 0,
    movedNodes: 0,
    isSealed: false,
    problems: [],
    ...fields,
  };
}

/** What the reports of all blocks come to. */
export class RecoveryTotals {
  readonly slots: ReturnType<typeof noSlots> = noSlots();
  pages = 0;
  intactPages = 0;
  freeBlocks = 0;
  unwrittenBlocks = 0;
  lostBlocks = 0;
  unreservedBlocks = 0;
  uncountedBlocks = 0;
  lostBytes = 0;
  movedNodes = 0;

  add(report: BlockReport): void {
    const { kind, slots, lostBytes, movedNodes, isSealed, basis, note } = report;
    for (const state of SLOT_STATES) this.slots[state] += slots[state];
    this.lostBytes += lostBytes;
    this.movedNodes += movedNodes;
    if (kind === 'page') this.pages++;
    if (kind === 'page' && !isSealed && basis === 'header' && lostBytes === 0 && note === undefined) this.intactPages++;
    if (kind === 'free') this.freeBlocks++;
    if (kind === 'unwritten') this.unwrittenBlocks++;
    if (kind === 'unknown') this.lostBlocks++;
    if (kind === 'uncounted') this.uncountedBlocks++;
  }

  /** Nodes that were taken. */
  get nodes(): number {
    const { sound, mended, unverified, doubtful } = this.slots;
    return sound + mended + unverified + doubtful;
  }

  /** Whether every node was taken, is at its ref, and has nothing against it. */
  get isWhole(): boolean {
    const { mended, doubtful, lost } = this.slots;
    return mended + doubtful + lost + this.movedNodes + this.lostBlocks + this.lostBytes === 0;
  }
}

/** What is wrong with a block, each code once: a page can have 100,000 slots, and the same be wrong with each. */
export function tallyProblems(problems: Iterable<Problem>): BlockProblem[] {
  const byCode = new Map<ProblemCode, { message: string; count: number }>();
  for (const { code, severity, message } of problems) {
    if (severity === 'info') continue;
    const known = byCode.get(code);
    if (known) known.count++;
    else byCode.set(code, { message, count: 1 });
  }
  return [...byCode].map(([code, { message, count }]) => ({ code, message, count }));
}
