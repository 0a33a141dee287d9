import type { LockOptions } from '../disk/node-lock.ts';
import type { ProblemCode } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { FlippedBit, Problem } from '../format/problem.ts';
import type { HeaderSource } from '../salvage/header-candidates.ts';
import { noSlots, type SlotCounts, type SlotRun } from '../salvage/page-slots.ts';

/**
 * What a block was. `header`: block 0. `unwritten`: allocated, and all zeros. `uncounted`: after the last block that the
 * file header counts, and not part of the file. `missing`: counted, but after the end of the file. `unknown`: neither a page
 * nor free, or a page of which nothing is left.
 */
export type BlockKind = 'header' | 'page' | 'free' | 'unwritten' | 'uncounted' | 'missing' | 'unknown';

/**
 * Where the file header was found. `block 0`: it was valid. `derived`: in block 0 one field or one bit was wrong, which the
 * checksum proves. `commit record`, `header copy`: in one of these. `lost`: nowhere; the blocks are counted by the size of
 * the file, and free blocks recognized by their links.
 */
export type RecoveredHeaderSource = HeaderSource | 'lost';

/**
 * How the slots of a page were found. `header`: by its header. `flipped bit`: by its header, with one bit flipped back. `new
 * header`, `commit record`: by another header, with which the checksum matches. `directory`: by the directory itself, since
 * no header can be right.
 */
export type PageBasis = 'header' | 'flipped bit' | 'new header' | 'commit record' | 'directory';

/** Problems of a block with the same code. */
export interface BlockProblem {
  readonly code: ProblemCode;
  /** The message of the first one. */
  readonly message: string;
  readonly count: number;
}

/** What was recovered of one block. Valid until `onBlock` has returned, or its promise has settled. */
export interface BlockReport {
  readonly block: number;
  readonly kind: BlockKind;
  readonly format?: PageFormat;
  readonly basis?: PageBasis;
  /** Of block 0. */
  readonly source?: RecoveredHeaderSource;
  readonly slots: SlotCounts;
  /** All slots, in order. */
  readonly runs: () => Iterable<SlotRun>;
  /** Bytes that contained nodes, or may have, and belong to no known slot. */
  readonly lostBytes: number;
  /** Nodes that did not fit at their refs and follow after the last block: see {@link MovedRun}. */
  readonly movedNodes: number;
  /** Whether the new page is finalized, since a new node could get the ref of a lost one. */
  readonly isSealed: boolean;
  readonly flippedBit?: FlippedBit;
  readonly problems: readonly BlockProblem[];
  /** One sentence about what no problem covers. */
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

/** What happened to the root pointer. `none`: the file contained no trie. */
export type RootOutcome = 'none' | 'kept' | 'dropped' | 'lost';

/** How to recover. The lock options are for the target, if it is a path. */
export interface RecoverOptions extends LockOptions {
  /** Keeps the root pointer even if nodes of the trie may be missing, as long as it leads to a node. Default: false. */
  readonly keepRoot?: boolean;
  /** Whether to replace a target that exists. Default: false. */
  readonly replace?: boolean;
  /** Called for every block, in ascending order, block 0 first. An error that it throws ends the recovery. */
  readonly onBlock?: (report: BlockReport) => void | Promise<void>;
  /** Called for nodes whose refs have changed, after all blocks, in ascending order of their old refs. */
  readonly onMoved?: (run: MovedRun) => void | Promise<void>;
  /** Called when the target is durable, before it appears at its path. An error that it throws discards the target. */
  readonly onDurable?: () => void | Promise<void>;
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link recover}. */
export interface RecoverReport {
  readonly file: string;
  readonly target: string;
  /** Size of the old file. */
  readonly bytes: number;
  /** Number of blocks in the new file, block 0 included. */
  readonly blocks: number;
  readonly header: RecoveredHeaderSource;
  /** Pages of the old file whose slots, at least, were found. */
  readonly pages: number;
  /** Those of them without an error, which were copied. */
  readonly intactPages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Blocks of which nothing was recovered and something may be lost: missing and unknown ones. */
  readonly lostBlocks: number;
  /** Missing blocks for which the new file has no empty page. */
  readonly unreservedBlocks: number;
  readonly uncountedBlocks: number;
  readonly slots: SlotCounts;
  /** Nodes of the old file that are in the new one. */
  readonly nodes: number;
  readonly movedNodes: number;
  readonly lostBytes: number;
  readonly root: RootOutcome;
  /** Why the root pointer was dropped, or why that would be safer. */
  readonly rootReason?: string;
  /** The root pointer of the old file. */
  readonly rootPointer: bigint;
  /** Whether every node was recovered, is at its ref, and none is doubtful. */
  readonly isWhole: boolean;
}

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

/** Counts problems by code: a page can have 100,000 slots with the same problem. */
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
