import { counted } from '../bytes/encodings.ts';
import type { RecordLayout } from '../bytes/record.ts';
import type { ProblemCode } from '../errors.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { FILE_HEADER, HEADER_COPY } from '../format/file-header.ts';
import {
  commitRecordProblems,
  descriptorPlace,
  rootDescriptorCopyProblems,
  rootProblems,
} from '../format/header-checks.ts';
import { fileOffset } from '../format/layout.ts';
import {
  fieldPlace,
  fieldProblem,
  PAGE_CHECKS,
  type PageProblemCode,
  zeroedMagicProblem,
} from '../format/page-checks.ts';
import { PAGE_FLAG, PAGE_MAGIC } from '../format/page-header.ts';
import {
  cutBlockProblems,
  FILE_HEADER_CHECKS,
  fileHeaderFlagProblems,
  type FileHeaderProblemCode,
  headerCopyProblems,
  hex,
  missingBlockProblems,
  NO_PROBLEMS,
  type Problem,
  type Severity,
  uncountedBlockProblems,
} from '../format/problem.ts';
import type { OtherBlock } from '../salvage/block-kind.ts';
import { isZeroedPage } from '../salvage/free-list.ts';
import { flippedBitUnderCrc, flippedHeaderBit } from '../salvage/header-proof.ts';
import { type CheckedPage, flippedBitText, withFlippedBit } from './checked-page.ts';
import { journalMismatchProblems, journalPendingProblems } from './journal-check.ts';
import {
  finalize,
  ifBeyondRepair,
  ifError,
  lookAtBlock,
  lookAtBlocks,
  lookAtBytes,
  type NextStep,
  recover,
  repair,
  repairOr,
  repairStale,
} from './next-command.ts';
import type { HeadFacts, Rule, WholeFacts } from './rule.ts';
import { WHOLE_RULES } from './whole-rules.ts';

/** The rules about block 0, the size of the file, and the journal beside it. */
export const HEAD_RULES: readonly Rule[] = [
  {
    id: 'FILE_HEADER_MAGIC',
    severity: 'error',
    summary: 'the file does not begin with the magic of a page file',
    check: { head: (head) => inHeader('FILE_HEADER_MAGIC', head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_VERSION',
    severity: 'error',
    summary: 'the file has a version that is not known',
    check: { head: (head) => withHeaderBit(inHeader('FILE_HEADER_VERSION', head), head) },
    next: ifBeyondRepair(recover, repairOr(lookAtBlock)),
  },
  {
    id: 'FILE_HEADER_CHECKSUM',
    severity: 'error',
    summary: 'the checksum of the file header does not match',
    check: { head: (head) => withHeaderBit(inHeader('FILE_HEADER_CHECKSUM', head), head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_RESERVED',
    severity: 'error',
    summary: 'a field of the file header that has to be 0 is not',
    check: { head: reservedProblems },
    next: ifError(repair, lookAtBlock),
  },
  {
    id: 'FILE_SIZE',
    severity: 'error',
    summary: 'the file does not end with a whole block',
    check: { head: ({ header, fileBytes }) => cutBlockProblems(header, fileBytes) },
    next: ifError(recover, lookAtBlocks),
  },
  {
    id: 'BLOCK_COUNT_BEYOND_FILE',
    severity: 'error',
    summary: 'the file header counts blocks that are not there',
    check: { head: (head) => withHeaderBit(missingBlockProblems(head.header, head.fileBytes), head) },
    next: repairOr(recover),
  },
  {
    id: 'BLOCKS_UNCOUNTED',
    severity: 'warning',
    summary: 'the file has blocks that its header does not count',
    check: { head: uncountedProblems },
    next: ifBeyondRepair(lookAtBlocks, repair),
  },
  {
    id: 'ROOT_POINTER',
    severity: 'error',
    summary: 'the root pointer leads nowhere',
    check: { head: (head) => withHeaderBit(rootProblemsOf(head, 'ROOT_POINTER'), head) },
    next: repairOr(lookAtBlock),
  },
  {
    id: 'ROOT_DESCRIPTOR',
    severity: 'error',
    summary: 'the root descriptor says what cannot be',
    check: { head: rootDescriptorProblems, whole: rootRecordProblems },
    next: repairOr(lookAtBlock),
  },
  {
    id: 'FILE_HEADER_COPY',
    severity: 'error',
    summary: 'the copy of the file header does not have its checksum',
    check: { head: copyProblems },
    next: repair,
  },
  {
    id: 'COMMIT_RECORD',
    severity: 'error',
    summary: 'a commit record does not have its checksum',
    check: { head: recordProblems },
    next: repairOr(lookAtBytes),
  },
  {
    id: 'JOURNAL_MISMATCH',
    severity: 'error',
    summary: 'the journal beside the file is not of this file',
    check: { head: ({ journal }) => journalMismatchProblems(journal) },
    next: lookAtBlock,
  },
  {
    id: 'JOURNAL_PENDING',
    severity: 'info',
    summary: 'an overwriting was not finished; the next writer puts it right',
    check: { head: ({ journal }) => journalPendingProblems(journal) },
    next: lookAtBlock,
  },
];

/** A record that a crash has cut off is nothing to worry about. One wrong bit is none of that: it is damage, to what may be the only trace of a commit. */
function* recordProblems({ block0 }: HeadFacts): Generator<Problem> {
  for (const problem of withCrcBit(commitRecordProblems(block0), block0, COMMIT_RECORD))
    yield problem.flippedBit ? { ...problem, severity: 'error' } : problem;
}

/** The copy is made anew from the header. */
function* copyProblems({ block0, headerState }: HeadFacts): Generator<Problem> {
  const isBeyondRepair = headerState === 'lost';
  for (const problem of withCrcBit(headerCopyProblems(block0), block0, HEADER_COPY)) {
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
  }
}

/** What is wrong in the file header itself. */
function* inHeader(code: FileHeaderProblemCode, { header, headerState }: HeadFacts): Generator<Problem> {
  const isBeyondRepair = headerState === 'lost';
  for (const problem of FILE_HEADER_CHECKS[code](header))
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
}

function* reservedProblems(head: HeadFacts): Generator<Problem> {
  yield* withHeaderBit(inHeader('FILE_HEADER_RESERVED', head), head);
  yield* fileHeaderFlagProblems(head.header);
}

/** Names the bit that explains what is wrong in the file header, where one explains all of it. */
function* withHeaderBit(problems: Iterable<Problem>, { header, wholeBlocks }: HeadFacts): Generator<Problem> {
  let bit: number | undefined | 'unknown' = 'unknown';
  for (const problem of problems) {
    if (bit === 'unknown') bit = flippedHeaderBit(header, wholeBlocks);
    yield bit === undefined ? problem : withBit(problem, bit, nameIn(FILE_HEADER, bit >> 3));
  }
}

/** Names the bit that explains why a record in block 0 does not have the CRC-32 that it ends with. */
function* withCrcBit<T>(problems: Iterable<Problem>, block0: Uint8Array, layout: RecordLayout<T>): Generator<Problem> {
  for (const problem of problems) {
    const bit = flippedBitUnderCrc(block0.subarray(problem.offset, problem.offset + layout.bytes));
    yield bit === undefined ? problem : withBit(problem, 8 * problem.offset + bit, nameIn(layout, bit >> 3));
  }
}

/** @param bit - its index in block 0 */
function withBit(problem: Problem, bit: number, name: string): Problem {
  const flippedBit = { offset: bit >> 3, bit: bit & 7 };
  return { ...problem, flippedBit, message: `${problem.message}; ${flippedBitText(flippedBit, name)}` };
}

/** The field of a record that a byte of it is in. */
function nameIn<T>({ fields }: RecordLayout<T>, offset: number): string {
  return fields.findLast((field) => field.offset <= offset)?.name ?? '';
}

/** Only a header that is damaged for the count of blocks has that set. */
function* uncountedProblems({ header, fileBytes, foreignBlock, headerState }: HeadFacts): Generator<Problem> {
  for (const problem of uncountedBlockProblems(header, fileBytes)) yield { ...problem, isBeyondRepair: true };
  const isBeyondRepair = headerState !== 'mendable';
  if (foreignBlock) yield { ...foreignBlock, severity: 'warning', isBeyondRepair };
}

function rootProblemsOf({ header, block0, blocks }: HeadFacts, code: 'ROOT_POINTER' | 'ROOT_DESCRIPTOR'): Problem[] {
  return [...rootProblems(header, block0, blocks)].filter((problem) => problem.code === code);
}

function* rootDescriptorProblems(head: HeadFacts): Generator<Problem> {
  const broken = rootProblemsOf(head, 'ROOT_DESCRIPTOR');
  const differing = [...rootDescriptorCopyProblems(head.block0)];
  // Where a field says what cannot be, the copy tells why.
  const flippedBit = differing[0]?.flippedBit;
  yield* broken.map((problem) => (flippedBit ? { ...problem, flippedBit } : problem));
  yield* differing;
}

/** Whether the page that should have the root record has its slot. */
function* rootRecordProblems({ rootPlace, rootPageSlots }: WholeFacts): Generator<Problem> {
  if (rootPlace === undefined || rootPlace.slot < rootPageSlots) return;
  const { block, slot } = rootPlace;
  const why = rootPageSlots < 0 ? 'is no page' : `has ${counted(rootPageSlots, 'slot')}`;
  const message = `the root record is said to be in slot ${slot} of block ${block}, which ${why}`;
  const expected = rootPageSlots < 0 ? 'a slot of a page' : `a slot below ${rootPageSlots}`;
  const found = `${block}:${slot}`;
  yield { code: 'ROOT_DESCRIPTOR', severity: 'error', ...descriptorPlace('rootRecord'), found, expected, message };
}

/** The rules about a page by itself. */
export const PAGE_RULES: readonly Rule[] = [
  {
    id: 'PAGE_MAGIC',
    severity: 'error',
    summary: 'a block is a page but for the magic that it begins with',
    check: { page: wrongMagicProblems, other: magicProblems, whole: zeroedMagicProblems },
    next: repair,
  },
  rule('PAGE_VERSION', 'error', 'the version of a page is not that of its magic'),
  rule('PAGE_FLAGS', 'error', 'the flags of a page have unknown bits, or not those of its format'),
  rule('PAGE_BOUNDS', 'error', 'a page header says what does not fit in a block'),
  rule('NODES_WITHOUT_DIRECTORY', 'warning', 'a page has node bytes and no directory', lookAtBlock),
  rule('DIRECTORY_TRUNCATED', 'error', 'the directory of a page runs past the block'),
  rule('DIRECTORY_LENGTH', 'error', 'the directory of a page is not as long as its header says'),
  rule('SLOT_BOUNDS', 'error', 'a slot names bytes outside the node area'),
  rule('SLOT_OVERLAP', 'error', 'two slots name the same bytes'),
  rule('PAGE_CHECKSUM', 'error', 'the checksum of a page does not match its bytes'),
  rule('PAGE_CHECKSUM_STALE', 'warning', 'another program has appended to a page since its checksum', repairStale),
  rule('PAGE_CHECKSUM_FIELDS', 'error', 'a page without a checksum has fields of one', repairOr(lookAtBlock)),
  {
    id: 'PAGE_CHECKSUM_ABSENT',
    severity: 'error',
    summary: 'a page has no checksum',
    check: { page: absentChecksumProblems },
    next: finalize,
  },
  {
    id: 'PAGE_NOT_FINALIZED',
    severity: 'error',
    summary: 'a page is not finalized',
    check: { page: notFinalizedProblems },
    next: finalize,
  },
];

/** The rule of an invariant that opening a page holds it to as well. */
function rule(id: PageProblemCode, severity: Severity, summary: string, next: NextStep = repairOr(recover)): Rule {
  return { id, severity, summary, check: { page: (page) => explained(PAGE_CHECKS[id](page.facts), page) }, next };
}

function explained(problems: Iterable<Problem>, page: CheckedPage): Iterable<Problem> {
  return problems === NO_PROBLEMS ? problems : withExplanations(problems, page);
}

function* withExplanations(problems: Iterable<Problem>, page: CheckedPage): Generator<Problem> {
  for (const problem of problems) yield problem.severity === 'error' ? withFlippedBit(problem, page) : problem;
}

function absentChecksumProblems({ facts, demands }: CheckedPage): Iterable<Problem> {
  const problems = PAGE_CHECKS.PAGE_CHECKSUM_ABSENT(facts);
  if (problems === NO_PROBLEMS || !demands.checksums) return problems;
  return Array.from(problems, (problem) => ({ ...problem, severity: 'error' }));
}

function notFinalizedProblems({ facts, demands }: CheckedPage): readonly Problem[] {
  const { flags } = facts.page.header;
  if (!demands.finalized || (flags & PAGE_FLAG.finalized) !== 0) return NO_PROBLEMS;
  const expected = `${hex(PAGE_FLAG.finalized, 4)} (FINALIZED) set`;
  const problem = fieldProblem(facts.blockId, 'PAGE_NOT_FINALIZED', 'flags', hex(flags, 4), expected);
  return [{ ...problem, message: `page ${facts.blockId}: not finalized` }];
}

/** A page with the magic of the other format: what its rest says is looked at as that of its own. */
function wrongMagicProblems({ wrongMagic, facts }: CheckedPage): readonly Problem[] {
  if (wrongMagic === undefined) return NO_PROBLEMS;
  const { blockId, page } = facts;
  const { format } = page;
  const [found, expected] = [magicText(wrongMagic), magicText(PAGE_MAGIC[format])];
  const [is, reads] = format === 'v1' ? ['V1', 'V2'] : ['V2', 'V1'];
  const message = `page ${blockId}: magic is ${found}, that of ${reads}, expected ${expected}; all else in it is that of a sound ${is} page`;
  const place = fieldPlace(blockId, 'magic');
  return [{ code: 'PAGE_MAGIC', severity: 'error', ...place, found, expected, message }];
}

function* magicProblems({ id, lostPage }: OtherBlock): Generator<Problem> {
  if (lostPage === undefined) return;
  const [found, expected] = [magicIn(lostPage.found), magicIn(lostPage.expected)];
  const rest = lostPage.isSound ? 'all else in it is that of a sound page' : 'it is damaged elsewhere as well';
  const message = `block ${id} begins with ${found} in the place of ${expected}, the magic of a page; ${rest}`;
  const place = { block: id, offset: fileOffset(id), bytes: lostPage.found.length };
  const isBeyondRepair = !lostPage.isSound;
  const problem: Problem = {
    code: 'PAGE_MAGIC',
    severity: 'error',
    ...place,
    found,
    expected,
    message,
    isBeyondRepair,
  };
  const { flippedBit: index } = lostPage;
  const flippedBit = index === undefined ? undefined : { offset: fileOffset(id, index >> 3), bit: index & 7 };
  yield flippedBit === undefined
    ? problem
    : { ...problem, flippedBit, message: `${message}; ${flippedBitText(flippedBit, 'magic')}` };
}

/** Here, since it takes the whole free list to tell such a page from a free block. */
function* zeroedMagicProblems({ head, others, freeList }: WholeFacts): Generator<Problem> {
  if (head.headerState !== 'sound') return;
  for (let index = 0; index < others.count; index++) {
    const format = others.zeroedFormatAt(index);
    if (format === undefined || !isZeroedPage(head.header, others, freeList, index)) continue;
    const block = others.idAt(index);
    // Of those another rule tells.
    if (head.recordedPages.some(({ record }) => record.block === block)) continue;
    yield zeroedMagicProblem(block, format);
  }
}

const magicText = (magic: bigint): string => hex(magic, 16);

/** A magic as a number, in the byte order of the file. */
function magicIn(bytes: Uint8Array): string {
  return magicText(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true));
}

export type { Rule } from './rule.ts';

/** Every rule, in the order in which a file is checked: header, pages, what the blocks say together. */
export const RULES: readonly Rule[] = [...HEAD_RULES, ...PAGE_RULES, ...WHOLE_RULES];

const BY_ID: ReadonlyMap<ProblemCode, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));

/** The rule that a problem is of: there is one for every code, which a test makes sure of. */
export function ruleOf({ code }: Pick<Problem, 'code'>): Rule {
  const rule = BY_ID.get(code);
  if (rule === undefined) throw new Error(`no rule for ${code}`);
  return rule;
}
