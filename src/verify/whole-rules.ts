import type { RecordedPage } from '../disk/recorded-pages.ts';
import { freeListHeadProblems, type Problem } from '../format/invariants.ts';
import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import { decodeFreeLink } from '../format/pointer.ts';
import { commitRecordProblems } from '../format/block0-invariants.ts';
import { entryCountProblems, whyNotCounted } from './entry-count.ts';
import { isListKnown } from './free-list-check.ts';
import { lostPageProblem } from './lost-page.ts';
import { lookAtBlock, lookAtBytes, type NextStep, repair } from './next-command.ts';
import { NO_LINK } from './other-blocks.ts';
import type { HeadFacts, Rule, WholeFacts } from './rule.ts';
import { isZeroedPage } from './zeroed-pages.ts';

/** Only a header that a commit record has can be put back. */
const repairOrLook: NextStep = (problem, file) =>
  (problem.isBeyondRepair === undefined ? lookAtBytes : repair)(problem, file);

/** The rules about what the blocks say together. */
export const WHOLE_RULES: readonly Rule[] = [
  {
    id: 'FREE_LIST_LINK',
    severity: 'error',
    summary: 'the free list leads to what is no free block',
    check: { head: headProblems, whole: (facts) => freeListProblems(facts, 'FREE_LIST_LINK') },
    next: repair,
  },
  {
    id: 'FREE_LIST_CYCLE',
    severity: 'error',
    summary: 'the free list runs in a circle',
    check: { whole: (facts) => freeListProblems(facts, 'FREE_LIST_CYCLE') },
    next: repair,
  },
  {
    id: 'BLOCK_UNKNOWN',
    severity: 'error',
    summary: 'a block is neither a page nor free',
    check: { whole: unknownBlockProblems },
    next: repairOrLook,
  },
  {
    id: 'BLOCK_UNWRITTEN',
    severity: 'warning',
    summary: 'a block was allocated and never written',
    check: { whole: unwrittenBlockProblems },
    next: lookAtBlock,
  },
  {
    id: 'ENTRY_COUNT',
    severity: 'warning',
    summary: 'the file header counts other nodes than the pages have',
    check: { whole: countProblems },
    next: repair,
  },
];

/** Where the head leads out of the file. Inside it, what it leads to has to be looked at. */
function* headProblems({ header, blocks, wholeBlocks, headerState }: HeadFacts): Generator<Problem> {
  const target = decodeFreeLink(header.freeListHead);
  const isBeyondRepair =
    headerState === 'lost' ||
    (headerState === 'sound' && (header.blockCount !== blocks || (target >= blocks && target < wholeBlocks)));
  for (const problem of freeListHeadProblems(header, blocks))
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
}

function freeListProblems(
  { head, freeList, others }: WholeFacts,
  code: 'FREE_LIST_LINK' | 'FREE_LIST_CYCLE',
): readonly Problem[] {
  const problems = freeList.problems.filter((problem) => problem.code === code);
  const isMendable = head.headerState === 'sound' && isListKnown(head.header, others, head.wholeBlocks);
  return head.headerState === 'mendable' || isMendable
    ? problems
    : problems.map((problem) => ({ ...problem, isBeyondRepair: true }));
}

/** What a commit record says of a block that is no page now. */
function recordedPage({ recordedPages }: HeadFacts, block: number): RecordedPage | undefined {
  return recordedPages.find(({ record }) => record.block === block);
}

/** Blocks that begin neither with a magic nor with zeros have to be on the free list. */
function* unknownBlockProblems({ head, others, freeList }: WholeFacts): Generator<Problem> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    const link = others.linkAt(index);
    const page = recordedPage(head, block);
    if (page && !others.isLostPage(index) && !freeList.free.has(block)) {
      const isBeyondRepair = !page.isWhole || head.headerState === 'lost';
      yield { ...lostPageProblem(block, page.found), isBeyondRepair };
      continue;
    }
    if (link === 0 || others.isLostPage(index) || freeList.free.has(block)) continue;
    const found = link === NO_LINK ? 'bytes that are neither a magic nor a link' : `a link to block ${link}`;
    const message =
      link !== NO_LINK && !freeList.isWhole
        ? `block ${block} begins as a free block does, and is not on the free list as far as that can be followed`
        : `block ${block} is neither a page nor on the free list`;
    const expected = 'the magic of a page, or a place on the free list';
    const place = { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
    yield { code: 'BLOCK_UNKNOWN', severity: 'error', ...place, found, expected, message };
  }
}

function* unwrittenBlockProblems({ head, others, freeList }: WholeFacts): Generator<Problem> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (others.linkAt(index) !== 0 || freeList.free.has(block) || recordedPage(head, block)) continue;
    if (head.headerState === 'sound' && isZeroedPage(head.header, others, freeList, index)) continue;
    // A block taken from the end of the free list and never written looks as a page does that lost its first bytes.
    const blank = others.isBlank(index);
    const why = freeList.isWhole ? '' : '; or it is free, since the free list could not be followed to its end';
    const message = blank
      ? `block ${block}: allocated, and never written${why}`
      : `block ${block} begins with 8 zero bytes and holds other bytes: taken from the free list and never written, or a page that lost its header${why}`;
    const found = blank ? 'zeros' : '8 zero bytes, then others';
    const expected = 'the magic of a page, or a place on the free list';
    const place = { block, offset: fileOffset(block), bytes: BLOCK_BYTES };
    yield { code: 'BLOCK_UNWRITTEN', severity: blank ? 'info' : 'warning', ...place, found, expected, message };
  }
}

/** With what else is mended it comes right in most cases; alone, where every node is where it can be counted. */
function* countProblems({ head, others, freeList, nodes, found }: WholeFacts): Generator<Problem> {
  const { header, block0, fileBytes } = head;
  for (const problem of entryCountProblems({ header, nodes })) {
    const hasLostRecord = commitRecordProblems(block0).next().done !== true;
    const counted = { header, fileBytes, damagedPages: found.errors, others, free: freeList.free, hasLostRecord };
    const isCut = head.headerState === 'sound' && fileBytes < header.blockCount * BLOCK_BYTES;
    const isBeyondRepair = isCut || (!found.isMendable && whyNotCounted(counted) !== undefined);
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
  }
}
