import type { BlockSet } from '../disk/free-list.ts';
import type { ProblemCode } from '../errors.ts';
import { commitRecordProblems } from '../format/commit-record-checks.ts';
import type { FileHeader } from '../format/file-header.ts';
import { entryCountProblems, rootDescriptorFieldRange } from '../format/header-checks.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { FoundDigest } from '../format/digest.ts';
import { zeroedMagicProblem } from '../format/page-checks.ts';
import type { Problem } from '../format/problem.ts';
import { NO_LINK, type NonPages } from '../salvage/block-kind.ts';
import { lostPageProblem, type RecordedPage } from '../salvage/evidence.ts';
import { type FreeList, isListKnown, isZeroedPage } from '../salvage/free-blocks.ts';
import { noRootRecordMessage, type RootPlace } from '../salvage/evidence.ts';
import { type DigestFacts, digestMismatch, digestResult, headDigestProblems, newerPages } from './digest-rules.ts';
import { beyondRepairIf, type HeadFacts, wholeBlock } from './head-rules.ts';
import type { Checks } from './page-rules.ts';

/** What is known of a file after its last block. */
export interface WholeFacts extends Omit<DigestFacts, 'digest' | 'emptyBlocks'> {
  readonly head: HeadFacts;
  readonly others: NonPages;
  readonly freeList: FreeList;
  /** Of all pages, with those of lost nodes: what the header counts. */
  readonly slots: number;
  readonly rootPlace: RootPlace | undefined;
  /** Slots of the block in `rootPlace`; -1 if it is not a page. */
  readonly rootPageSlots: number;
  readonly errors: number;
  /** Whether any finding so far can be repaired. */
  readonly isRepairable: boolean;
  /** Whether a repair with `likelyBits` mends one. */
  readonly isLikelyRepairable: boolean;
  /** Whether a page has nodes and no slots: another program may still finalize it. */
  readonly hasOrphans: boolean;
  /** In pages that another program has freed, without lowering the entry count. */
  readonly freedNodes: number;
}

export const WHOLE_RULES: Checks<WholeFacts> = {
  ROOT_DESCRIPTOR: rootRecordProblems,
  PAGE_MAGIC: zeroedMagicProblems,
  FREE_LIST_LINK: (facts) => freeListProblems('FREE_LIST_LINK', facts),
  FREE_LIST_CYCLE: (facts) => freeListProblems('FREE_LIST_CYCLE', facts),
  BLOCK_UNKNOWN: unknownBlockProblems,
  BLOCK_UNWRITTEN: unwrittenBlockProblems,
  // One finding is enough: that a page is newer adds nothing to what block 0 shows.
  FILE_HEADER_OLD: (facts) =>
    headDigestProblems('FILE_HEADER_OLD', facts.head.block0).length > 0 ? [] : newerPages(digestFacts(facts)),
  PAGES_DIGEST: (facts) => digestMismatch(digestFacts(facts)),
  ENTRY_COUNT: countProblems,
};

interface CountedFile {
  readonly header: FileHeader;
  readonly fileBytes: number;
  readonly damagedPages: number;
  readonly others: NonPages;
  readonly free: BlockSet;
  /** Whether a damaged commit record cannot be repaired. */
  readonly hasLostRecord: boolean;
}

/** Why some nodes may not be counted; then the header's count may be their only trace. @returns undefined if all are */
export function whyNotCounted(file: CountedFile): string | undefined {
  const { header, fileBytes, damagedPages, others, free, hasLostRecord } = file;
  const { blockCount } = header;
  if (blockCount === 0) return 'the header counts no blocks';
  if (fileBytes < blockCount * BLOCK_BYTES) return 'the file is truncated, and its other nodes may exist elsewhere';
  if (fileBytes > blockCount * BLOCK_BYTES)
    return 'there may be nodes after the blocks that the header counts, which the next writer removes';
  if (damagedPages > 0) return 'pages are damaged, and some of their nodes may be recoverable';
  if (hasLostRecord) return 'a commit record is damaged, and the nodes of its commit may not be in a page yet';
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (!free.has(block) && !others.isRepaired(index))
      return `block ${block} is neither a page nor free, and may be a page that was lost`;
  }
  return undefined;
}

/** A count that is wrong only because of other damage is fixed with it; otherwise every node must be countable. */
function countProblems(facts: WholeFacts): Iterable<Problem> {
  const { head, others, freeList, slots, errors, isRepairable, isLikelyRepairable } = facts;
  const { hasOrphans, freedNodes, otherErrors } = facts;
  const { header, block0, fileBytes } = head;
  const problems = [...entryCountProblems(header, slots)];
  const [problem] = problems;
  if (problem === undefined) return problems;
  const isAbove = problem.severity === 'error';
  // Nodes that no program has finished, or that another one has freed, or of a page with an error of its own, are not lost.
  const isFreed = header.entryCount <= BigInt(slots + freedNodes);
  if (isAbove && (hasOrphans || isFreed || otherErrors > 0)) problems[0] = { ...problem, severity: 'warning' };
  const hasLostRecord = commitRecordProblems(block0).next().done !== true;
  const counted = { header, fileBytes, damagedPages: errors, others, free: freeList.free, hasLostRecord };
  const isCut = head.headerState === 'valid' && fileBytes < header.blockCount * BLOCK_BYTES;
  // To lower the count would remove the last trace of the nodes that are missing.
  const isDigestWrong = ['differs', 'damaged'].includes(digestResult(digestFacts(facts)));
  const isLost = isAbove || isDigestWrong || whyNotCounted(counted) !== undefined;
  const isLikely = isLost && !isRepairable && isLikelyRepairable;
  if (isLikely && problems[0]) problems[0] = { ...problems[0], isLikely };
  return beyondRepairIf(isCut || (!isRepairable && !isLikely && isLost), problems);
}

/** How many empty blocks a finding names. */
const EMPTY_BLOCKS = 3;

function digestFacts(facts: WholeFacts): DigestFacts {
  const emptyBlocks: number[] = [];
  for (const index of unwrittenIndexes(facts)) {
    if (emptyBlocks.push(facts.others.idAt(index)) === EMPTY_BLOCKS) break;
  }
  const { digest, headerState } = facts.head;
  const used: FoundDigest = headerState === 'valid' ? digest : { kind: 'absent' };
  return { ...facts, digest: used, emptyBlocks };
}

function* rootRecordProblems({ rootPlace, rootPageSlots }: WholeFacts): Generator<Problem> {
  if (rootPlace === undefined || rootPlace.slot < rootPageSlots) return;
  const message = noRootRecordMessage(rootPlace, rootPageSlots);
  const found = `${rootPlace.block}:${rootPlace.slot}`;
  const expected = rootPageSlots < 0 ? 'a slot of a page' : `a slot below ${rootPageSlots}`;
  const range = rootDescriptorFieldRange('rootRecord');
  yield { code: 'ROOT_DESCRIPTOR', severity: 'error', ...range, found, expected, message };
}

function* zeroedMagicProblems(facts: WholeFacts): Generator<Problem> {
  const { head, others } = facts;
  for (let index = 0; index < others.count; index++) {
    const format = others.zeroedFormatAt(index);
    if (format === undefined || !hasZeroedMagic(facts, index)) continue;
    const block = others.idAt(index);
    // BLOCK_UNKNOWN reports the pages in commit records.
    if (recordedPage(head, block) === undefined) yield zeroedMagicProblem(block, format);
  }
}

function freeListProblems(
  code: ProblemCode,
  { head, freeList, others, misplacedPages }: WholeFacts,
): Iterable<Problem> {
  const problems = freeList.problems.filter((problem) => problem.code === code);
  // A page in the place of a free block would be lost if the list went around it.
  const isWhole = misplacedPages === 0 && isListKnown(head.header, others, head.wholeBlocks);
  const isRepairable = head.headerState === 'valid' && isWhole;
  return beyondRepairIf(head.headerState !== 'repairable' && !isRepairable, problems);
}

function recordedPage({ recordedPages }: HeadFacts, block: number): RecordedPage | undefined {
  return recordedPages.find(({ record }) => record.block === block);
}

const EXPECTED = 'a page magic, or an entry in the free list';

/** Blocks that begin with neither a magic nor zeros must be on the free list. */
function* unknownBlockProblems({ head, others, freeList }: WholeFacts): Generator<Problem> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (others.isLostPage(index) || freeList.free.has(block)) continue;
    const page = recordedPage(head, block);
    const link = others.linkAt(index);
    if (page) {
      const isBeyondRepair = !page.isWhole || head.headerState === 'lost';
      yield { ...lostPageProblem(block, page.found), isBeyondRepair };
    } else if (link !== 0) {
      const found = link === NO_LINK ? 'neither a magic nor a link' : `a link to block ${link}`;
      const message =
        link !== NO_LINK && !freeList.isWhole
          ? `block ${block} starts like a free block, but is not on the part of the free list that can be followed`
          : `block ${block} is neither a page nor on the free list`;
      yield { code: 'BLOCK_UNKNOWN', severity: 'error', ...wholeBlock(block), found, expected: EXPECTED, message };
    }
  }
}

function* unwrittenBlockProblems(facts: WholeFacts): Generator<Problem> {
  const { head, others, freeList } = facts;
  for (const index of unwrittenIndexes(facts)) {
    const block = others.idAt(index);
    if (recordedPage(head, block)) continue;
    // A block that was allocated from the free list and never written looks like a page that lost its first bytes.
    const blank = others.isBlank(index);
    const why = freeList.isWhole ? '' : '; or it is free, since the free list could not be followed to its end';
    const message = blank
      ? `block ${block}: allocated but never written${why}`
      : `block ${block} starts with 8 zero bytes, but is not empty: taken from the free list and never written, or a page that lost its header${why}`;
    const found = blank ? 'zeros' : '8 zero bytes, then others';
    const severity = blank ? 'info' : 'warning';
    yield { code: 'BLOCK_UNWRITTEN', severity, ...wholeBlock(block), found, expected: EXPECTED, message };
  }
}

/** Blocks with 8 zero bytes that are neither free nor zeroed pages. */
export function countUnwritten(facts: WholeFacts): number {
  let count = 0;
  for (const _ of unwrittenIndexes(facts)) count++;
  return count;
}

function* unwrittenIndexes(facts: WholeFacts): Generator<number> {
  const { others, freeList } = facts;
  for (let index = 0; index < others.count; index++) {
    if (others.linkAt(index) !== 0 || freeList.free.has(others.idAt(index))) continue;
    if (!hasZeroedMagic(facts, index)) yield index;
  }
}

/** Only the complete free list can tell a zeroed page from a free block. */
function hasZeroedMagic({ head, others, freeList }: WholeFacts, index: number): boolean {
  return head.headerState === 'valid' && isZeroedPage(head.header, others, freeList, index);
}
