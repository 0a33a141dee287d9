import type { ProblemCode } from '../errors.ts';
import { fileOffset, firstU64 } from '../format/layout.ts';
import { PAGE_CHECKS, type PageFacts, pageFieldProblem, pageFieldRange } from '../format/page-checks.ts';
import { PAGE_FLAG, PAGE_MAGIC } from '../format/page-header.ts';
import { type FlippedBit, hex, NO_PROBLEMS, type Problem } from '../format/problem.ts';
import { triePageProblem } from '../format/trie-checks.ts';
import type { NonPage } from '../salvage/block-kind.ts';
import { chanceOf, flippedPageBit, MAX_CHANCE, type NamedBit } from '../salvage/flipped-bit.ts';

/** Optional requirements: a page that does not meet them is still valid. */
export interface Requirements {
  readonly checksums: boolean;
  readonly finalized: boolean;
  /** Whether the file has a trie, whose pages have to be V1. */
  readonly trie: boolean;
}

/** Valid until the bytes of the page change. */
export class CheckedPage {
  readonly facts: PageFacts;
  readonly requirements: Requirements;
  /** The magic in the block, if it is that of the other format; `facts` are then of the right one. */
  readonly wrongMagic: bigint | undefined;
  #flippedBit: NamedBit | undefined | 'unknown' = 'unknown';

  constructor(facts: PageFacts, requirements: Requirements, wrongMagic?: bigint) {
    this.facts = facts;
    this.requirements = requirements;
    this.wrongMagic = wrongMagic;
  }

  /** The one bit that explains every error of the page. Searched for on first use. */
  get flippedBit(): NamedBit | undefined {
    if (this.#flippedBit === 'unknown') this.#flippedBit = flippedPageBit(this.facts);
    return this.#flippedBit;
  }
}

/** Must end on any input. */
export type Check<Facts> = (facts: Facts) => Iterable<Problem>;

export type Checks<Facts> = Readonly<Partial<Record<ProblemCode, Check<Facts>>>>;

/** The invariants that opening a page checks, and what verify requires in addition. */
export const PAGE_RULES: Checks<CheckedPage> = {
  ...Object.fromEntries(Object.entries(PAGE_CHECKS).map(([code, check]) => [code, withFlippedBits(check)])),
  PAGE_MAGIC: wrongMagicProblems,
  PAGE_CHECKSUM_ABSENT: absentChecksumProblems,
  PAGE_NOT_FINALIZED: notFinalizedProblems,
  TRIE_PAGE_FORMAT: triePageProblems,
};

export const NON_PAGE_RULES: Checks<NonPage> = { PAGE_MAGIC: lostMagicProblems };

function withFlippedBits(check: Check<PageFacts>): Check<CheckedPage> {
  return (page) => {
    const problems = check(page.facts);
    return problems === NO_PROBLEMS ? problems : eachWithFlippedBit(problems, page);
  };
}

/** One by one, since memory may not hold all errors of a page. */
function* eachWithFlippedBit(problems: Iterable<Problem>, page: CheckedPage): Generator<Problem> {
  for (const problem of problems) yield problem.severity === 'error' ? withFlippedBit(problem, page) : problem;
}

function withFlippedBit(problem: Problem, { flippedBit, facts }: CheckedPage): Problem {
  if (flippedBit === undefined) return problem;
  const { bit, name } = flippedBit;
  const start = fileOffset(facts.blockId);
  const likely = chanceOf(flippedBit) > MAX_CHANCE ? { ...problem, isLikely: true } : problem;
  // If a page has many errors caused by this bit, only one message names it.
  const isNamed = problem.code === 'PAGE_CHECKSUM' || problem.code === 'PAGE_CHECKSUM_FIELDS';
  return isNamed ? withBit(likely, start, bit, name) : { ...likely, flippedBit: bitAt(start, bit) };
}

/**
 * Adds the flipped bit to a problem and its message.
 * @param start - file offset that `index` counts bits from
 * @param name - the field or node that contains the bit
 */
export function withBit(problem: Problem, start: number, index: number, name: string): Problem {
  const flippedBit = bitAt(start, index);
  const fix = `flipping bit ${flippedBit.bit} of byte ${flippedBit.offset} (${name}) would fix it`;
  return { ...problem, flippedBit, message: `${problem.message}; ${fix}` };
}

const bitAt = (start: number, index: number): FlippedBit => ({ offset: start + (index >> 3), bit: index & 7 });

function absentChecksumProblems({ facts, requirements }: CheckedPage): Iterable<Problem> {
  const problems = PAGE_CHECKS.PAGE_CHECKSUM_ABSENT(facts);
  if (problems === NO_PROBLEMS || !requirements.checksums) return problems;
  return Array.from(problems, (problem) => ({ ...problem, severity: 'error' }));
}

function notFinalizedProblems({ facts, requirements }: CheckedPage): readonly Problem[] {
  const { flags } = facts.page.header;
  if (!requirements.finalized || (flags & PAGE_FLAG.finalized) !== 0) return NO_PROBLEMS;
  const expected = `${hex(PAGE_FLAG.finalized, 4)} (FINALIZED) set`;
  const problem = pageFieldProblem(facts.blockId, 'PAGE_NOT_FINALIZED', 'flags', hex(flags, 4), expected);
  return [{ ...problem, message: `page ${facts.blockId}: not finalized` }];
}

function triePageProblems({ facts, requirements }: CheckedPage): readonly Problem[] {
  return requirements.trie && facts.page.format === 'v2' ? [triePageProblem(facts.blockId)] : NO_PROBLEMS;
}

function wrongMagicProblems({ wrongMagic, facts }: CheckedPage): readonly Problem[] {
  if (wrongMagic === undefined) return NO_PROBLEMS;
  const { blockId, page } = facts;
  const [found, expected] = [hex(wrongMagic, 16), hex(PAGE_MAGIC[page.format], 16)];
  const [own, other] = page.format === 'v1' ? ['V1', 'V2'] : ['V2', 'V1'];
  const message = `page ${blockId}: magic is ${found} (${other}), expected ${expected}; the rest of the block is a valid ${own} page`;
  return [{ code: 'PAGE_MAGIC', severity: 'error', ...pageFieldRange(blockId, 'magic'), found, expected, message }];
}

function* lostMagicProblems({ id, lostPage }: NonPage): Generator<Problem> {
  if (lostPage === undefined) return;
  const { isValid, flippedBit: bit } = lostPage;
  const [found, expected] = [hex(firstU64(lostPage.found), 16), hex(firstU64(lostPage.expected), 16)];
  const rest = isValid ? 'the rest of the block is a valid page' : 'the page is damaged elsewhere too';
  const message = `block ${id}: magic is ${found}, expected ${expected}; ${rest}`;
  const problem: Problem = {
    code: 'PAGE_MAGIC',
    severity: 'error',
    ...pageFieldRange(id, 'magic'),
    found,
    expected,
    message,
    isBeyondRepair: !isValid,
  };
  yield bit === undefined ? problem : withBit(problem, fileOffset(id), bit, 'magic');
}
