import { counted } from '../bytes/encodings.ts';
import type { BlockSet } from '../disk/free-list.ts';
import type { FileHeader } from '../format/file-header.ts';
import { commitRecordProblems } from '../format/header-checks.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset } from '../format/layout.ts';
import { freeListHeadProblems, headerPlace, type Problem } from '../format/problem.ts';
import { lostPageProblem, NO_LINK, type OtherBlocks } from '../salvage/block-kind.ts';
import { isListKnown, isZeroedPage } from '../salvage/free-list.ts';
import type { RecordedPage } from '../salvage/recorded-pages.ts';
import { lookAtBlock, lookAtBytes, type NextStep, repair } from './next-command.ts';
import type { HeadFacts, Rule, WholeFacts } from './rule.ts';

/** What was found in a file, as far as it bears on the count of its nodes. */
export interface CountedFile {
  readonly header: FileHeader;
  readonly fileBytes: number;
  /** Nodes in the pages that are sound. */
  readonly nodes: number;
  readonly damagedPages: number;
  readonly others: OtherBlocks;
  /** The blocks on the free list. */
  readonly free: BlockSet;
  /** Whether a commit record is there that does not hold, and cannot be mended. */
  readonly hasLostRecord: boolean;
}

/**
 * The count of nodes, where the header has one, and it is not that of the pages. In a file with a root pointer it is of the
 * trie's terms.
 */
export function* entryCountProblems({ header, nodes }: Pick<CountedFile, 'header' | 'nodes'>): Generator<Problem> {
  const { rootPointer, entryCount } = header;
  if (rootPointer !== 0n || entryCount === 0n || entryCount === BigInt(nodes)) return;
  const [found, expected] = [String(entryCount), String(nodes)];
  const message = `entryCount is ${found}, the pages have ${counted(nodes, 'node')}`;
  yield { code: 'ENTRY_COUNT', severity: 'warning', ...headerPlace('entryCount'), found, expected, message };
}

/**
 * Why the pages do not say how many nodes there are: some may be where they cannot be read, and then the count is all
 * that tells how many. @returns undefined where every block is a sound page, or free
 */
export function whyNotCounted({
  header,
  fileBytes,
  damagedPages,
  others,
  free,
  hasLostRecord,
}: Omit<CountedFile, 'nodes'>): string | undefined {
  const { blockCount } = header;
  if (blockCount === 0) return 'the header counts no blocks';
  if (fileBytes < blockCount * BLOCK_BYTES)
    return 'the file has been cut, and the rest of its nodes may be known elsewhere';
  if (fileBytes > blockCount * BLOCK_BYTES) {
    return 'nodes may be behind the blocks that the header counts, which the next writer cuts off';
  }
  if (damagedPages > 0) return 'pages are damaged, and nodes in them may still be found';
  if (hasLostRecord) return 'a commit record is damaged, and nodes of its commit may be in no page yet';
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (!free.has(block) && !others.isMended(index))
      return `block ${block} is neither a page nor free, and may be a page that was lost`;
  }
  return undefined;
}

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
