import type { ProblemCode } from '../errors.ts';
import type { FileHeader } from '../format/file-header.ts';
import type { Problem, Severity } from '../format/problem.ts';
import type { OtherBlock, OtherBlocks, RootPlace } from '../salvage/block-kind.ts';
import type { FreeList } from '../salvage/free-list.ts';
import type { RecordedPage } from '../salvage/recorded-pages.ts';
import type { CheckedPage } from './checked-page.ts';
import type { JournalStanding } from './journal-check.ts';
import type { NextStep } from './next-command.ts';

/** One thing that verify checks. Its id is never given to another rule, also when this one is gone. */
export interface Rule {
  /** The code of its findings; docs/findings has a page of that name. */
  readonly id: ProblemCode;
  /** The highest severity of its findings. */
  readonly severity: Severity;
  /** What is wrong where it finds something, in one line. */
  readonly summary: string;
  readonly check: RuleCheck;
  /** What to run after a finding. */
  readonly next: NextStep;
}

/** What a rule looks at, each part at its time. Every member gives what is wrong, and ends on any bytes. */
export interface RuleCheck {
  /** Block 0, and the file around it, before all else. */
  readonly head?: (head: HeadFacts) => Iterable<Problem>;
  /** Each page. */
  readonly page?: (page: CheckedPage) => Iterable<Problem>;
  /** Each block that is no page. */
  readonly other?: (block: OtherBlock) => Iterable<Problem>;
  /** What the blocks say together, after the last; not asked where a writer has changed the file meanwhile. */
  readonly whole?: (whole: WholeFacts) => Iterable<Problem>;
}

/** What is known of a file before its pages are read. */
export interface HeadFacts {
  readonly header: FileHeader;
  /** The 262,144 bytes of block 0. */
  readonly block0: Uint8Array;
  readonly fileBytes: number;
  /** Blocks that the file has whole. */
  readonly wholeBlocks: number;
  /** Blocks that are looked at, block 0 counted. */
  readonly blocks: number;
  /** What is said of the first page of another program behind the blocks that the header counts. */
  readonly foreignBlock: Problem | undefined;
  readonly journal: JournalStanding | undefined;
  /** Damaged blocks, or free ones, of which a commit record has a page header. */
  readonly recordedPages: readonly RecordedPage[];
  /**
   * Of the file header: `sound`; `mendable` where its checksum, a commit record or its copy may say what it was; `lost`
   * where nothing does; `newer` for one of a version to come.
   */
  readonly headerState: 'sound' | 'mendable' | 'lost' | 'newer';
}

/** What is known of a file when its last block has been read. */
export interface WholeFacts {
  readonly head: HeadFacts;
  readonly others: OtherBlocks;
  readonly freeList: FreeList;
  readonly nodes: number;
  /** Where the root descriptor says that the root record is. */
  readonly rootPlace: RootPlace | undefined;
  /** Slots of the page that should have the root record; -1 where that is no page. */
  readonly rootPageSlots: number;
  /** Whether what was found so far is an error, or can be mended. */
  readonly found: { readonly errors: number; readonly isMendable: boolean };
}

/** Something that verify has to say about a file. */
export interface Finding extends Problem {
  /** The file, as the caller named it. */
  readonly file: string;
  /** The command line to run next, as a shell takes it. */
  readonly next: string;
}

export interface VerifyOptions {
  /** Makes a page without a checksum an error. */
  readonly requireChecksums?: boolean;
  /** Makes a page that is not finalized an error. */
  readonly requireFinalized?: boolean;
  /** Called after each block, or after some at once. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops the check between two blocks: it resolves all the same, with what was found so far. */
  readonly signal?: AbortSignal;
}

/** What was looked at, and how much was found. */
export interface VerifySummary {
  readonly file: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Blocks that were read, block 0 counted. */
  readonly blocks: number;
  readonly pages: number;
  readonly freeBlocks: number;
  readonly unwrittenBlocks: number;
  readonly nodes: number;
  /** Whether a writer was at work: then what needs all blocks as of one moment (free list, counts) was not checked. */
  readonly changed: boolean;
  /** Whether the signal has stopped it: then the blocks from `blocks` on were not read, and free list and counts not checked. */
  readonly interrupted: boolean;
  readonly findings: Readonly<Record<Severity, number>>;
}

/** Receives findings as they are made, so that none has to be kept. */
export type FindingSink = (finding: Finding) => void | Promise<void>;

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };

/** How many findings are at or above a severity. */
export function countFrom(severity: Severity, findings: Readonly<Record<Severity, number>>): number {
  let count = 0;
  for (const [each, found] of Object.entries(findings)) if (RANK[each as Severity] >= RANK[severity]) count += found;
  return count;
}
