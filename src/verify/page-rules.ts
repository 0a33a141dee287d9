import { hex, NO_PROBLEMS, type Problem, type Severity } from '../format/invariants.ts';
import { fileOffset } from '../format/layout.ts';
import { PAGE_CHECKS, type PageProblemCode } from '../format/page-invariants.ts';
import { PAGE_FLAG, PAGE_MAGIC } from '../format/page-header.ts';
import { fieldPlace, fieldProblem } from '../format/page-problem.ts';
import { zeroedMagicProblem } from '../format/page-zeroed-magic.ts';
import { type CheckedPage, flippedBitText, withFlippedBit } from './checked-page.ts';
import { finalize, lookAtBlock, type NextStep, recover, repair, repairOr, repairStale } from './next-command.ts';
import type { OtherBlock } from './other-block.ts';
import type { Rule, WholeFacts } from './rule.ts';
import { isZeroedPage } from './zeroed-pages.ts';

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
