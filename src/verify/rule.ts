import type { JournalStanding } from '../disk/journal-standing.ts';
import type { RecordedPage } from '../disk/recorded-pages.ts';
import type { ProblemCode } from '../errors.ts';
import type { FileHeader } from '../format/file-header.ts';
import type { Problem, Severity } from '../format/invariants.ts';
import type { CheckedPage } from './checked-page.ts';
import type { FreeList } from './free-list-check.ts';
import type { NextStep } from './next-command.ts';
import type { OtherBlock } from './other-block.ts';
import type { OtherBlocks } from './other-blocks.ts';
import type { RootPlace } from './root-place.ts';

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
