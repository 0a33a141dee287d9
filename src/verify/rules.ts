import { shellPath } from '../bytes/text.ts';
import { pathBeside } from '../disk/node-names.ts';
import type { ProblemCode } from '../errors.ts';
import type { Problem, Severity } from '../format/problem.ts';
import type { NonPage } from '../salvage/block-kind.ts';
import { HEAD_RULES, type HeadFacts } from './head-rules.ts';
import { type Check, type CheckedPage, NON_PAGE_RULES, PAGE_RULES } from './page-rules.ts';
import { WHOLE_RULES, type WholeFacts } from './whole-rules.ts';

/** The command that helps; only `finalize` changes the file. */
export type NextStep =
  | 'dump file'
  | 'dump block'
  | 'dump bytes'
  | 'repair'
  | 'repair stale checksum'
  | 'repair likely bit'
  | 'recover'
  | 'finalize';

const COMMAND_LINES: Readonly<Record<NextStep, (path: string, block: number) => string>> = {
  'dump file': (path) => `artrie-pages dump ${shellPath(path)}`,
  'dump block': (path, block) => `artrie-pages dump ${shellPath(path)} --block ${block}`,
  'dump bytes': (path, block) => `artrie-pages dump ${shellPath(path)} --block ${block} --hex`,
  repair: (path) => `artrie-pages repair --dry-run ${shellPath(path)}`,
  'repair stale checksum': (path) => `artrie-pages repair --dry-run --stale-checksums ${shellPath(path)}`,
  'repair likely bit': (path) => `artrie-pages repair --dry-run --likely-bits ${shellPath(path)}`,
  recover: (path) => `artrie-pages recover ${shellPath(path)} ${shellPath(pathBeside(path, '.recovered'))}`,
  finalize: (path) => `artrie-pages finalize ${shellPath(path)}`,
};

/** Quoted for a shell. @param path - of the page file */
export function commandLine(step: NextStep, path: string, { block = 0 }: Pick<Problem, 'block'>): string {
  return COMMAND_LINES[step](path, block);
}

/** One thing that verify checks. docs/findings has a page for each `id`, which is never reused. */
export interface Rule {
  readonly id: ProblemCode;
  /** The highest severity of its findings. */
  readonly severity: Severity;
  /** The finding in one line. */
  readonly summary: string;
  readonly next: (problem: Problem) => NextStep;
  /** Runs before any page is read. */
  readonly head: Check<HeadFacts> | undefined;
  readonly page: Check<CheckedPage> | undefined;
  readonly nonPage: Check<NonPage> | undefined;
  /** Runs after the last block; skipped if a writer changed the file. */
  readonly whole: Check<WholeFacts> | undefined;
}

const always = (step: NextStep) => (): NextStep => step;

const repairOr =
  (otherwise: NextStep) =>
  ({ isBeyondRepair, isLikely }: Problem): NextStep => {
    if (isBeyondRepair === true) return otherwise;
    return isLikely === true ? 'repair likely bit' : 'repair';
  };

const repairOrRecover = repairOr('recover');

const repairBitOr =
  (otherwise: NextStep) =>
  (problem: Problem): NextStep =>
    problem.flippedBit ? repairOr(otherwise)(problem) : otherwise;

const repairBitOrRecover = repairBitOr('recover');

const versionStep = (problem: Problem): NextStep =>
  problem.isBeyondRepair === true ? 'recover' : repairBitOr('dump block')(problem);

const reservedFieldStep = (problem: Problem): NextStep =>
  problem.severity === 'error' ? repairOrRecover(problem) : 'dump block';

const recordStep = (problem: Problem): NextStep =>
  problem.isBeyondRepair === true ? 'recover' : repairBitOr('dump bytes')(problem);

const fileSizeStep = ({ severity }: Problem): NextStep => (severity === 'error' ? 'recover' : 'dump file');

/** Only a block with a page header in a commit record can be repaired; isBeyondRepair is set accordingly. */
const unknownBlockStep = (problem: Problem): NextStep =>
  problem.isBeyondRepair === undefined ? 'dump bytes' : repairOrRecover(problem);

/** Without a flipped bit, only an older page whose last header is proved can be repaired. */
const digestStep = (problem: Problem): NextStep =>
  problem.isBeyondRepair === false ? 'repair' : repairBitOrRecover(problem);

function rule(id: ProblemCode, severity: Severity, summary: string, next: Rule['next'] = repairOrRecover): Rule {
  const checks = { head: HEAD_RULES[id], page: PAGE_RULES[id], nonPage: NON_PAGE_RULES[id], whole: WHOLE_RULES[id] };
  return { id, severity, summary, next, ...checks };
}

/** In the order of the checks: block 0, pages, all blocks together. */
export const RULES: readonly Rule[] = [
  rule('FILE_HEADER_MAGIC', 'error', 'the file does not start with the page file magic'),
  rule('FILE_HEADER_VERSION', 'error', 'the file version is not supported', versionStep),
  rule('FILE_HEADER_CHECKSUM', 'error', 'the checksum of the file header does not match'),
  rule('FILE_HEADER_RESERVED', 'error', 'a field of the file header that must be 0 is not', reservedFieldStep),
  rule('FILE_SIZE', 'error', 'the file does not end at a block boundary', fileSizeStep),
  rule(
    'BLOCK_COUNT_BEYOND_FILE',
    'error',
    'the file header counts more blocks than the file has, or none',
    repairBitOrRecover,
  ),
  rule('BLOCKS_UNCOUNTED', 'warning', 'the file has more blocks than its header counts', repairOr('dump file')),
  rule('ROOT_POINTER', 'error', 'the root pointer is invalid', repairBitOr('dump block')),
  rule('ROOT_DESCRIPTOR', 'error', 'the root descriptor has invalid fields', repairBitOr('dump block')),
  rule(
    'TRIE_ARENA_COUNT',
    'error',
    'the root descriptor of a trie counts too few arenas, so it opens empty',
    repairBitOr('dump block'),
  ),
  rule(
    'TRIE_BLOCK_COUNT',
    'error',
    'a file with a trie has blocks that are no arenas of it, so it will lose terms',
    repairBitOr('dump file'),
  ),
  rule('TRIE_FREE_BLOCKS', 'error', 'a file with a trie has free blocks, so it will lose terms', always('dump file')),
  rule('FILE_HEADER_OLD', 'error', 'the file header is older than something that a later commit has written'),
  rule('FILE_HEADER_COPY', 'error', 'the checksum of the file header copy does not match'),
  rule('COMMIT_RECORD', 'error', 'a commit record has a wrong checksum or impossible fields', recordStep),
  rule('JOURNAL_MISMATCH', 'error', 'the journal next to the file does not belong to it', always('dump block')),
  rule(
    'JOURNAL_PENDING',
    'info',
    'a journal is present; the next writer completes or removes it',
    always('dump block'),
  ),
  rule('PAGE_MAGIC', 'error', 'a page does not start with its magic'),
  rule('PAGE_VERSION', 'error', 'the version of a page does not match its magic', repairBitOrRecover),
  rule('PAGE_FLAGS', 'error', 'a page has unknown flags, or not the flags of its format', repairBitOrRecover),
  rule('PAGE_BOUNDS', 'error', 'a page header has a field that is out of range', repairBitOrRecover),
  rule('NODES_WITHOUT_DIRECTORY', 'warning', 'a page has node bytes but no slot directory', always('dump block')),
  rule('DIRECTORY_TRUNCATED', 'error', 'the slot directory of a page extends past the block', repairBitOrRecover),
  rule(
    'DIRECTORY_LENGTH',
    'error',
    'the slot directory of a page does not have the length in its header',
    repairBitOrRecover,
  ),
  rule('SLOT_BOUNDS', 'error', 'a slot points outside the node area', repairBitOrRecover),
  rule('SLOT_OVERLAP', 'error', 'two slots point to the same bytes', repairBitOrRecover),
  rule('SLOT_LOST', 'info', 'the node of a slot was lost before the file was made', always('dump block')),
  rule('PAGE_CHECKSUM', 'error', 'the checksum of a page does not match', repairBitOrRecover),
  rule(
    'PAGE_CHECKSUM_STALE',
    'warning',
    'another program has appended to a page since its checksum was computed',
    always('repair stale checksum'),
  ),
  rule(
    'PAGE_CHECKSUM_FIELDS',
    'error',
    'a page without a checksum has checksum fields that are not 0',
    repairBitOr('dump block'),
  ),
  rule('PAGE_MISPLACED', 'error', 'a page is in the place of another one', always('recover')),
  rule('PAGE_CHECKSUM_ABSENT', 'error', 'a page has no checksum', always('finalize')),
  rule('PAGE_NOT_FINALIZED', 'error', 'a page is not finalized', always('finalize')),
  rule(
    'TRIE_PAGE_FORMAT',
    'error',
    'a file with a trie has a V2 page, in which no term is found',
    always('dump block'),
  ),
  rule('FREE_LIST_LINK', 'error', 'the free list has a link to something other than a free block'),
  rule('FREE_LIST_CYCLE', 'error', 'the free list has a cycle'),
  rule('BLOCK_UNKNOWN', 'error', 'a block is neither a page nor free', unknownBlockStep),
  rule('BLOCK_UNWRITTEN', 'warning', 'a block was allocated but never written', always('dump block')),
  rule(
    'PAGES_DIGEST',
    'error',
    'a page is lost, old, or in another place: the page headers do not add up to their digest',
    digestStep,
  ),
  rule(
    'DIGEST_FOREIGN',
    'warning',
    'another program has written since the last commit, so lost pages are not noticed',
    always('dump file'),
  ),
  rule('ENTRY_COUNT', 'error', 'the file header and the pages disagree about the number of nodes'),
];

const BY_ID: ReadonlyMap<ProblemCode, Rule> = new Map(RULES.map((each) => [each.id, each]));

export function ruleOf({ code }: Pick<Problem, 'code'>): Rule {
  const found = BY_ID.get(code);
  if (found === undefined) throw new Error(`no rule for ${code}`);
  return found;
}
