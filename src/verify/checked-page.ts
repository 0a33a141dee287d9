import type { FlippedBit, Problem } from '../format/problem.ts';
import { fileOffset } from '../format/layout.ts';
import type { PageFacts } from '../format/page-checks.ts';
import { flippedPageBit, type NamedBit } from '../salvage/flipped-page-bit.ts';

/** What is asked of pages beyond being sound. */
export interface Demands {
  /** A page without a checksum is an error. */
  readonly checksums: boolean;
  /** A page that is not finalized is an error. */
  readonly finalized: boolean;
}

/** A page as the rules look at it. Valid until its bytes change. */
export class CheckedPage {
  readonly facts: PageFacts;
  readonly demands: Demands;
  /** The magic that the block begins with, where that is the one of the other format; the facts are those of its own. */
  readonly wrongMagic: bigint | undefined;
  #flippedBit: NamedBit | undefined | 'unknown' = 'unknown';

  constructor(facts: PageFacts, demands: Demands, wrongMagic?: bigint) {
    this.facts = facts;
    this.demands = demands;
    this.wrongMagic = wrongMagic;
  }

  /** The one bit that explains every error of the page, looked for when it is first asked for. */
  get flippedBit(): NamedBit | undefined {
    if (this.#flippedBit === 'unknown') this.#flippedBit = flippedPageBit(this.facts);
    return this.#flippedBit;
  }
}

/** Names the bit that explains an error of a page, where there is one. */
export function withFlippedBit(problem: Problem, page: CheckedPage): Problem {
  const found = page.flippedBit;
  if (found === undefined) return problem;
  const flippedBit = { offset: fileOffset(page.facts.blockId, found.bit >> 3), bit: found.bit & 7 };
  // Other errors of the page may be many, and all come of that bit: once is enough.
  const isSaid = problem.code === 'PAGE_CHECKSUM' || problem.code === 'PAGE_CHECKSUM_FIELDS';
  const message = isSaid ? `${problem.message}; ${flippedBitText(flippedBit, found.name)}` : problem.message;
  return { ...problem, flippedBit, message };
}

/** Says which bit it is. @param name - what it is a part of */
export function flippedBitText({ offset, bit }: FlippedBit, name: string): string {
  return `bit ${bit} of byte ${offset} (${name}) flipped back would make it right`;
}
