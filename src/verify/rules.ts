import { shellPath } from '../bytes/quoting.ts';
import type { ProblemCode } from '../errors.ts';
import { cutBlockProblems, missingBlockProblems } from '../format/header-checks.ts';
import type { PageProblemCode } from '../format/page-checks.ts';
import type { Problem, Severity } from '../format/problem.ts';
import type { NonPage } from '../salvage/block-kind.ts';
import {
  commitRecordCheck,
  freeListHeadCheck,
  headerCopyCheck,
  headerProblems,
  type HeadFacts,
  journalMismatchProblems,
  journalPendingProblems,
  reservedFieldProblems,
  rootDescriptorProblems,
  rootProblemsOf,
  uncountedProblems,
  withHeaderBit,
} from './head-rules.ts';
import {
  absentChecksumProblems,
  type CheckedPage,
  lostMagicProblems,
  notFinalizedProblems,
  pageCheck,
  wrongMagicProblems,
} from './page-rules.ts';
import {
  countProblems,
  freeListProblems,
  rootRecordProblems,
  unknownBlockProblems,
  unwrittenBlockProblems,
  type WholeFacts,
  zeroedMagicProblems,
} from './whole-rules.ts';

/** A command that helps with a problem. */
export type NextStep =
  | 'dump file'
  | 'dump block'
  | 'dump bytes'
  | 'repair'
  | 'repair stale checksum'
  | 'repair likely bit'
  | 'recover'
  | 'finalize';

/** The command line of each step. All of them leave the file unchanged, except `finalize`. */
const COMMAND_LINES: Readonly<Record<NextStep, (file: CommandFile, block: number) => string>> = {
  'dump file': ({ path }) => `artrie-pages dump ${path}`,
  'dump block': ({ path }, block) => `artrie-pages dump ${path} --block ${block}`,
  'dump bytes': ({ path }, block) => `artrie-pages dump ${path} --block ${block} --hex`,
  repair: ({ path }) => `artrie-pages repair --dry-run ${path}`,
  'repair stale checksum': ({ path }) => `artrie-pages repair --dry-run --stale-checksums ${path}`,
  'repair likely bit': ({ path }) => `artrie-pages repair --dry-run --likely-bits ${path}`,
  recover: ({ path, recoveredPath }) => `artrie-pages recover ${path} ${recoveredPath}`,
  finalize: ({ path }) => `artrie-pages finalize ${path}`,
};

/** The name of a page file, quoted for a shell. */
export interface CommandFile {
  readonly path: string;
  /** The name of the new file that recovery writes. */
  readonly recoveredPath: string;
}

export function commandFile(path: string): CommandFile {
  return { path: shellPath(path), recoveredPath: shellPath(`${path}.recovered`) };
}

/** The command line to run next for a problem. */
export function commandLine(step: NextStep, file: CommandFile, { block = 0 }: Pick<Problem, 'block'>): string {
  return COMMAND_LINES[step](file, block);
}

/** One thing that verify checks. */
export interface Rule {
  /** The code of its findings, never reused for another rule. docs/findings has a page with this name. */
  readonly id: ProblemCode;
  /** The highest severity of its findings. */
  readonly severity: Severity;
  /** What is wrong when the rule finds something, in one line. */
  readonly summary: string;
  readonly check: RuleCheck;
  /** What to do about a finding. */
  readonly next: (problem: Problem) => NextStep;
}

/** The checks of a rule, by what they need to know. Each yields what is wrong, and must end on any input. */
export interface RuleCheck {
  /** Checks block 0 and the size and journal of the file, before any page is read. */
  readonly head?: (head: HeadFacts) => Iterable<Problem>;
  /** Checks one page. */
  readonly page?: (page: CheckedPage) => Iterable<Problem>;
  /** Checks one block that does not start with a page magic. */
  readonly other?: (block: NonPage) => Iterable<Problem>;
  /** Checks all blocks together, after the last one. Skipped if a writer changed the file during the run. */
  readonly whole?: (whole: WholeFacts) => Iterable<Problem>;
}

const always = (step: NextStep) => (): NextStep => step;

/** Repairs what can be derived from the file; recovers the rest. */
const repair = ({ isBeyondRepair }: Problem): NextStep => (isBeyondRepair === true ? 'recover' : 'repair');

/** Repairs a problem that one flipped bit explains. */
const repairBitOr =
  (otherwise: NextStep) =>
  ({ flippedBit, isBeyondRepair }: Problem): NextStep =>
    flippedBit && isBeyondRepair !== true ? 'repair' : otherwise;

/** Every rule, in the order in which a file is checked: block 0, pages, all blocks together. */
export const RULES: readonly Rule[] = [
  {
    id: 'FILE_HEADER_MAGIC',
    severity: 'error',
    summary: 'the file does not start with the page file magic',
    check: { head: (head) => headerProblems('FILE_HEADER_MAGIC', head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_VERSION',
    severity: 'error',
    summary: 'the file version is not supported',
    check: { head: (head) => withHeaderBit(headerProblems('FILE_HEADER_VERSION', head), head) },
    next: (problem) => (problem.isBeyondRepair === true ? 'recover' : repairBitOr('dump block')(problem)),
  },
  {
    id: 'FILE_HEADER_CHECKSUM',
    severity: 'error',
    summary: 'the checksum of the file header does not match',
    check: { head: (head) => withHeaderBit(headerProblems('FILE_HEADER_CHECKSUM', head), head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_RESERVED',
    severity: 'error',
    summary: 'a field of the file header that must be 0 is not',
    check: { head: reservedFieldProblems },
    next: (problem) => (problem.severity === 'error' ? repair(problem) : 'dump block'),
  },
  {
    id: 'FILE_SIZE',
    severity: 'error',
    summary: 'the file does not end at a block boundary',
    check: { head: ({ header, fileBytes }) => cutBlockProblems(header, fileBytes) },
    next: ({ severity }) => (severity === 'error' ? 'recover' : 'dump file'),
  },
  {
    id: 'BLOCK_COUNT_BEYOND_FILE',
    severity: 'error',
    summary: 'the file header counts more blocks than the file has',
    check: { head: (head) => withHeaderBit(missingBlockProblems(head.header, head.fileBytes), head) },
    next: repairBitOr('recover'),
  },
  {
    id: 'BLOCKS_UNCOUNTED',
    severity: 'warning',
    summary: 'the file has more blocks than its header counts',
    check: { head: uncountedProblems },
    next: ({ isBeyondRepair }) => (isBeyondRepair === true ? 'dump file' : 'repair'),
  },
  {
    id: 'ROOT_POINTER',
    severity: 'error',
    summary: 'the root pointer is invalid',
    check: { head: (head) => withHeaderBit(rootProblemsOf(head, 'ROOT_POINTER'), head) },
    next: repairBitOr('dump block'),
  },
  {
    id: 'ROOT_DESCRIPTOR',
    severity: 'error',
    summary: 'the root descriptor has invalid fields',
    check: { head: rootDescriptorProblems, whole: rootRecordProblems },
    next: repairBitOr('dump block'),
  },
  {
    id: 'FILE_HEADER_COPY',
    severity: 'error',
    summary: 'the checksum of the file header copy does not match',
    check: { head: headerCopyCheck },
    next: repair,
  },
  {
    id: 'COMMIT_RECORD',
    severity: 'error',
    summary: 'the checksum of a commit record does not match',
    check: { head: commitRecordCheck },
    next: repairBitOr('dump bytes'),
  },
  {
    id: 'JOURNAL_MISMATCH',
    severity: 'error',
    summary: 'the journal next to the file does not belong to it',
    check: { head: ({ journal }) => journalMismatchProblems(journal) },
    next: always('dump block'),
  },
  {
    id: 'JOURNAL_PENDING',
    severity: 'info',
    summary: 'a journal is present; the next writer completes or removes it',
    check: { head: ({ journal }) => journalPendingProblems(journal) },
    next: always('dump block'),
  },
  {
    id: 'PAGE_MAGIC',
    severity: 'error',
    summary: 'a page does not start with its magic',
    check: { page: wrongMagicProblems, other: lostMagicProblems, whole: zeroedMagicProblems },
    next: repair,
  },
  pageRule('PAGE_VERSION', 'error', 'the version of a page does not match its magic'),
  pageRule('PAGE_FLAGS', 'error', 'a page has unknown flags, or not the flags of its format'),
  pageRule('PAGE_BOUNDS', 'error', 'a page header has a field that is out of range'),
  pageRule('NODES_WITHOUT_DIRECTORY', 'warning', 'a page has node bytes but no slot directory', always('dump block')),
  pageRule('DIRECTORY_TRUNCATED', 'error', 'the slot directory of a page extends past the block'),
  pageRule('DIRECTORY_LENGTH', 'error', 'the slot directory of a page does not have the length in its header'),
  pageRule('SLOT_BOUNDS', 'error', 'a slot points outside the node area'),
  pageRule('SLOT_OVERLAP', 'error', 'two slots point to the same bytes'),
  pageRule('PAGE_CHECKSUM', 'error', 'the checksum of a page does not match'),
  pageRule(
    'PAGE_CHECKSUM_STALE',
    'warning',
    'another program has appended to a page since its checksum was computed',
    always('repair stale checksum'),
  ),
  pageRule(
    'PAGE_CHECKSUM_FIELDS',
    'error',
    'a page without a checksum has checksum fields that are not 0',
    repairBitOr('dump block'),
  ),
  {
    id: 'PAGE_CHECKSUM_ABSENT',
    severity: 'error',
    summary: 'a page has no checksum',
    check: { page: absentChecksumProblems },
    next: always('finalize'),
  },
  {
    id: 'PAGE_NOT_FINALIZED',
    severity: 'error',
    summary: 'a page is not finalized',
    check: { page: notFinalizedProblems },
    next: always('finalize'),
  },
  {
    id: 'FREE_LIST_LINK',
    severity: 'error',
    summary: 'the free list has a link to something other than a free block',
    check: { head: freeListHeadCheck, whole: (facts) => freeListProblems(facts, 'FREE_LIST_LINK') },
    next: repair,
  },
  {
    id: 'FREE_LIST_CYCLE',
    severity: 'error',
    summary: 'the free list has a cycle',
    check: { whole: (facts) => freeListProblems(facts, 'FREE_LIST_CYCLE') },
    next: repair,
  },
  {
    id: 'BLOCK_UNKNOWN',
    severity: 'error',
    summary: 'a block is neither a page nor free',
    check: { whole: unknownBlockProblems },
    // Only a block whose page header is in a commit record can be repaired; for those isBeyondRepair is set.
    next: (problem) => (problem.isBeyondRepair === undefined ? 'dump bytes' : repair(problem)),
  },
  {
    id: 'BLOCK_UNWRITTEN',
    severity: 'warning',
    summary: 'a block was allocated but never written',
    check: { whole: unwrittenBlockProblems },
    next: always('dump block'),
  },
  {
    id: 'ENTRY_COUNT',
    severity: 'warning',
    summary: 'the file header and the pages disagree about the number of nodes',
    check: { whole: countProblems },
    next: repair,
  },
];

/** A rule that checks an invariant of a page, which opening the page checks as well. */
function pageRule(id: PageProblemCode, severity: Severity, summary: string, next = repairBitOr('recover')): Rule {
  return { id, severity, summary, check: { page: pageCheck(id) }, next };
}

const BY_ID: ReadonlyMap<ProblemCode, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));

/** The rule for a problem; every code has one. */
export function ruleOf({ code }: Pick<Problem, 'code'>): Rule {
  const rule = BY_ID.get(code);
  if (rule === undefined) throw new Error(`no rule for ${code}`);
  return rule;
}
