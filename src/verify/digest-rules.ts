import type { Hash64 } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import { equalHash, type FoundDigest } from '../format/digest.ts';
import { digestProblem, digestProblems, oldHeaderProblem } from '../format/digest-checks.ts';
import type { Problem } from '../format/problem.ts';

/**
 * What the digest of the page headers says of a file; `unchecked` if a writer was active, the check was stopped, or the file
 * header is damaged.
 */
export type DigestResult = 'matches' | 'differs' | 'absent' | 'damaged' | 'foreign' | 'unchecked';

/** What is known of all blocks when the digest is compared. */
export interface DigestFacts {
  readonly digest: FoundDigest;
  /** Of the headers that the digest covers. */
  readonly sum: Hash64;
  /** Highest commit number in a page with a checksum and without errors, and its block. */
  readonly newest: { readonly block: number; readonly commit: number };
  /** Pages in the place of others. */
  readonly misplacedPages: number;
  /** Blocks that are zeros, but may have been pages; a few of them. */
  readonly emptyBlocks: readonly number[];
  /** Errors that change headers, so that the digest cannot match. */
  readonly otherErrors: number;
}

export function digestResult({ digest, sum }: Pick<DigestFacts, 'digest' | 'sum'>): DigestResult {
  if (digest.kind !== 'valid' || digest.state === undefined) return digest.kind === 'valid' ? 'damaged' : digest.kind;
  return equalHash(digest.state.sum, sum) ? 'matches' : 'differs';
}

/** A digest that the headers of all blocks do not add up to. */
export function* digestMismatch(facts: DigestFacts): Generator<Problem> {
  const { digest, sum, otherErrors } = facts;
  if (digest.state === undefined || digestResult(facts) !== 'differs' || otherErrors > 0) return;
  yield digestProblem(sum, digest.state.sum, explanation(facts));
}

function explanation({ misplacedPages, emptyBlocks }: DigestFacts): string {
  if (misplacedPages === 1) return '1 page is in the place of another one';
  if (misplacedPages > 1) return `${counted(misplacedPages, 'page')} are in the places of others`;
  const kinds = 'a page is lost, or is an older state of itself';
  if (emptyBlocks.length === 0) return kinds;
  return `${kinds}; ${emptyBlocks.length === 1 ? 'block' : 'blocks'} ${emptyBlocks.join(', ')} may have been overwritten with zeros`;
}

/** Pages that are newer than the file header, which a header that came back leaves behind. */
export function* newerPages({ digest, newest }: DigestFacts): Generator<Problem> {
  if (digest.kind !== 'valid' || digest.state === undefined || newest.commit <= digest.state.commit) return;
  yield oldHeaderProblem(`block ${newest.block}`, newest.commit, digest.state.commit);
}

/** @param block0 - the first 12,800 bytes of block 0 at least */
export function headDigestProblems(code: Problem['code'], block0: Uint8Array): Problem[] {
  return [...digestProblems(block0)].filter((problem) => problem.code === code);
}
