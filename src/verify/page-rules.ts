import { fileOffset, firstU64 } from '../format/layout.ts';
import {
  PAGE_CHECKS,
  type PageFacts,
  pageFieldProblem,
  pageFieldRange,
  type PageProblemCode,
} from '../format/page-checks.ts';
import { PAGE_FLAG, PAGE_MAGIC } from '../format/page-header.ts';
import { type FlippedBit, hex, NO_PROBLEMS, type Problem } from '../format/problem.ts';
import type { NonPage } from '../salvage/block-kind.ts';
import { flippedPageBit, type NamedBit } from '../salvage/flipped-bit.ts';

/** Optional requirements on pages; a page that does not meet them is still valid. */
export interface Demands {
  /** Makes a page without a checksum an error. */
  readonly checksums: boolean;
  /** Makes a page that is not finalized an error. */
  readonly finalized: boolean;
}

/** What the rules need to know of one page. Valid until the bytes of the page change. */
export class CheckedPage {
  readonly facts: PageFacts;
  readonly demands: Demands;
  /** The magic in the block, if it is that of the other page format; then `facts` are for the right one. */
  readonly wrongMagic: bigint | undefined;
  #flippedBit: NamedBit | undefined | 'unknown' = 'unknown';

  constructor(facts: PageFacts, demands: Demands, wrongMagic?: bigint) {
    this.facts = facts;
    this.demands = demands;
    this.wrongMagic = wrongMagic;
  }

  /** The one bit that explains every error of the page, if there is one. Searched for on first use. */
  get flippedBit(): NamedBit | undefined {
    if (this.#flippedBit === 'unknown') this.#flippedBit = flippedPageBit(this.facts);
    return this.#flippedBit;
  }
}

/** Runs the check of a page invariant, and adds to each error the flipped bit that explains it. */
export function pageCheck(code: PageProblemCode): (page: CheckedPage) => Iterable<Problem> {
  return (page) => {
    const problems = PAGE_CHECKS[code](page.facts);
    return problems === NO_PROBLEMS ? problems : withFlippedBits(problems, page);
  };
}

function* withFlippedBits(problems: Iterable<Problem>, page: CheckedPage): Generator<Problem> {
  for (const problem of problems) yield problem.severity === 'error' ? withFlippedBit(problem, page) : problem;
}

function withFlippedBit(problem: Problem, { flippedBit: found, facts }: CheckedPage): Problem {
  if (found === undefined) return problem;
  const flippedBit = { offset: fileOffset(facts.blockId, found.bit >> 3), bit: found.bit & 7 };
  // A page may have many errors, all caused by this bit: the messages name it once.
  const isNamed = problem.code === 'PAGE_CHECKSUM' || problem.code === 'PAGE_CHECKSUM_FIELDS';
  const message = isNamed ? `${problem.message}; ${flippedBitText(flippedBit, found.name)}` : problem.message;
  return { ...problem, flippedBit, message };
}

/** Names a bit in a message. @param name - the field or node that it is part of */
export function flippedBitText({ offset, bit }: FlippedBit, name: string): string {
  return `flipping bit ${bit} of byte ${offset} (${name}) would fix it`;
}

export function absentChecksumProblems({ facts, demands }: CheckedPage): Iterable<Problem> {
  const problems = PAGE_CHECKS.PAGE_CHECKSUM_ABSENT(facts);
  if (problems === NO_PROBLEMS || !demands.checksums) return problems;
  return Array.from(problems, (problem) => ({ ...problem, severity: 'error' }));
}

export function notFinalizedProblems({ facts, demands }: CheckedPage): readonly Problem[] {
  const { flags } = facts.page.header;
  if (!demands.finalized || (flags & PAGE_FLAG.finalized) !== 0) return NO_PROBLEMS;
  const expected = `${hex(PAGE_FLAG.finalized, 4)} (FINALIZED) set`;
  const problem = pageFieldProblem(facts.blockId, 'PAGE_NOT_FINALIZED', 'flags', hex(flags, 4), expected);
  return [{ ...problem, message: `page ${facts.blockId}: not finalized` }];
}

/** A page with the magic of the other format. Its other fields are checked as those of its own format. */
export function wrongMagicProblems({ wrongMagic, facts }: CheckedPage): readonly Problem[] {
  if (wrongMagic === undefined) return NO_PROBLEMS;
  const { blockId, page } = facts;
  const [found, expected] = [hex(wrongMagic, 16), hex(PAGE_MAGIC[page.format], 16)];
  const [own, other] = page.format === 'v1' ? ['V1', 'V2'] : ['V2', 'V1'];
  const message = `page ${blockId}: magic is ${found} (${other}), expected ${expected}; the rest of the block is a valid ${own} page`;
  const place = pageFieldRange(blockId, 'magic');
  return [{ code: 'PAGE_MAGIC', severity: 'error', ...place, found, expected, message }];
}

/** A block that is a page except for its magic. */
export function* lostMagicProblems({ id, lostPage }: NonPage): Generator<Problem> {
  if (lostPage === undefined) return;
  const [found, expected] = [magicText(lostPage.found), magicText(lostPage.expected)];
  const rest = lostPage.isValid ? 'the rest of the block is a valid page' : 'the page is damaged elsewhere too';
  const message = `block ${id}: magic is ${found}, expected ${expected}; ${rest}`;
  const place = { block: id, offset: fileOffset(id), bytes: lostPage.found.length };
  const isBeyondRepair = !lostPage.isValid;
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

function magicText(bytes: Uint8Array): string {
  return hex(firstU64(bytes), 16);
}
