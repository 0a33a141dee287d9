import type { LockOptions } from '../disk/node-lock.ts';
import type { ProblemCode } from '../errors.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { FlippedBit, Problem } from '../format/problem.ts';
import type { HeaderSource } from '../salvage/header-candidates.ts';
import type { DigestResult } from '../verify/digest-rules.ts';
import { noSlots, type SlotCounts, type SlotRun } from '../salvage/page-slots.ts';

/**
 * `unwritten`: allocated, and all zeros. `uncounted`: after the block count, and not part of the file. `missing`:
 * counted, but after the end of the file. `unknown`: neither a page nor free, or a page of which nothing is left.
 * `misplaced`: it has the page of another block, and its own page was not found.
 */
export type BlockKind = 'header' | 'page' | 'free' | 'unwritten' | 'uncounted' | 'missing' | 'unknown' | 'misplaced';

/**
 * `block 0`: valid there. `derived`: one field or bit of block 0 was wrong, which the checksum proves. `lost`: nowhere;
 * the file size gives the block count, and links the free blocks.
 */
export type RecoveredHeaderSource = HeaderSource | 'lost';

/**
 * How slots were found: `header`, as it is or with a `flipped bit`; `new header`, `commit record`: another header that
 * matches the checksum; `directory`: the directory alone.
 */
export type PageBasis = 'header' | 'flipped bit' | 'new header' | 'commit record' | 'directory';

/** Problems of a block with the same code. */
export interface BlockProblem {
  readonly code: ProblemCode;
  /** Of the first one. */
  readonly message: string;
  readonly count: number;
}

/** The report on one block. Valid until `onBlock` has returned, or its promise has settled. */
export interface BlockReport {
  readonly block: number;
  readonly kind: BlockKind;
  readonly format?: PageFormat;
  readonly basis?: PageBasis;
  readonly source?: RecoveredHeaderSource;
  readonly slots: SlotCounts;
  /** All slots, in order. */
  readonly runs: () => Iterable<SlotRun>;
  /** Bytes that belonged, or may have belonged, to nodes without a known slot. */
  readonly lostBytes: number;
  /** Nodes that did not fit at their refs: see {@link MovedRun}. */
  readonly movedNodes: number;
  /** Whether the new page is finalized, so that no new node gets the ref of a lost one. */
  readonly isSealed: boolean;
  readonly flippedBit?: FlippedBit;
  readonly problems: readonly BlockProblem[];
  /** What no problem covers, in one sentence. */
  readonly note?: string;
}

/** Consecutive nodes of the old file that are consecutive in the new one. */
export interface MovedRun {
  readonly block: number;
  readonly slot: number;
  readonly newBlock: number;
  readonly newSlot: number;
  readonly count: number;
}

/** What happened to the root pointer. `none`: the file had no trie. */
export type RootOutcome = 'none' | 'kept' | 'dropped' | 'lost';

/** The lock options are for the target, if it is a path. */
export interface RecoverOptions extends LockOptions {
  /** Keeps the root pointer even if nodes may be missing, as long as it leads to a node. Default: false. */
  readonly keepRoot?: boolean;
  /** Whether to replace a target that exists. Default: false. */
  readonly replace?: boolean;
  /** Called for every block, in ascending order. An error that it throws ends the recovery. */
  readonly onBlock?: (report: BlockReport) => void | Promise<void>;
  /** Called for nodes with new refs, after all blocks, in ascending order of their old refs. */
  readonly onMoved?: (run: MovedRun) => void | Promise<void>;
  /** Called when the target is durable, before it appears at its path. An error that it throws discards the target. */
  readonly onDurable?: () => void | Promise<void>;
  /** Called when the target has its name. An error that it throws undoes that, and a replaced file is back. */
  readonly onPublished?: () => void | Promise<void>;
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link recover}. */
export interface RecoverReport {
  readonly file: string;
  readonly target: string;
  readonly bytes: number;
  /** Blocks in the new file, block 0 included. */
  readonly blocks: number;
  readonly header: RecoveredHeaderSource;
  /** Pages of the old file whose slots were found. */
  readonly pages: number;
  /** Those without an error, which were copied. */
  readonly intactPages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  /** Missing, unknown and misplaced blocks: nothing was recovered, and something may be lost. */
  readonly lostBlocks: number;
  /** Missing blocks without an empty page in the new file. */
  readonly unreservedBlocks: number;
  readonly uncountedBlocks: number;
  readonly slots: SlotCounts;
  readonly nodes: number;
  readonly movedNodes: number;
  readonly lostBytes: number;
  readonly root: RootOutcome;
  /** Why the root pointer was dropped, or why that would be safer. */
  readonly rootReason?: string;
  readonly rootPointer: bigint;
  /** Pages that were found in the place of another one, and put in their own. */
  readonly restoredPages: number;
  /** Whether the pages of the new file are those of the last commit, as far as the digest of their headers tells. */
  readonly digest: DigestResult;
  /** In one sentence, why nodes may be lost of which no block has a trace; absent if nothing says so. */
  readonly missing?: string;
  /** Whether every node was recovered, is at its ref, and none is doubtful; and nothing says that others are missing. */
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

/** Counts problems by code: a page can have 100,000 slots with the same one. */
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
