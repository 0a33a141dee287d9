import { addHash, type DigestState, digestIn, equalHash } from '../format/digest.ts';
import { digestProblems, digestProblem, oldHeaderProblem } from '../format/digest-checks.ts';
import type { Hash64 } from '../bytes/checksum.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES } from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';
import type { BlockFile } from './block-file.ts';
import { CommittedView } from './committed-view.ts';
import { type Sum, sumOfHeads } from './head-digest.ts';
import type { LongWork } from './long-work.ts';
import { problemError, uncountedPage } from './page-file.ts';

/** `unproved`: the file has no digest of its present headers. */
type PagesState = 'complete' | 'unproved' | Problem;

const MAX_TRIES = 20;

/** The headers of all blocks, as a scan has read them. */
export interface ScannedHeads {
  readonly sum: Readonly<Hash64>;
  /** Highest commit number in a page. */
  readonly commit: number;
}

/**
 * Compares the headers of all blocks with the digest. While a writer is active, it looks again, up to 20 times, and then
 * gives up.
 * @param scanned - what a scan has found; without it, and if it differs, the headers are read
 * @returns false if nothing is known
 * @throws {@link PageStoreError} `PAGES_DIGEST`, `FILE_HEADER_OLD`, `IO`; the reason of `work.signal`
 */
export async function assertAllPages(
  file: BlockFile,
  scanned: ScannedHeads | undefined,
  work: LongWork,
): Promise<boolean> {
  const state = await compareHeads(file, scanned, work);
  if (typeof state === 'string') return state === 'complete';
  const view = file instanceof CommittedView ? file : await CommittedView.open(file, work.signal);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const again = await compareHeads(view, undefined, work);
    if (typeof again === 'string') return again === 'complete';
    // Each commit changes block 0 before it changes a page header, so without a change the headers are of one moment.
    if (!(await view.refresh())) throw problemError(file, again);
  }
  return false;
}

async function compareHeads(view: BlockFile, scanned: ScannedHeads | undefined, work: LongWork): Promise<PagesState> {
  const head = new Uint8Array(FILE_HEAD_BYTES);
  await view.read(head, 0);
  for (const problem of digestProblems(head)) if (problem.severity === 'error') return problem;
  const { kind, state } = digestIn(head);
  if (kind !== 'valid' || state === undefined) return 'unproved';
  const { blockCount } = FILE_HEADER.read(head);
  const isScanned = scanned && state.openFrom === state.openEnd && equalHash(scanned.sum, state.sum);
  const { sum, commit } = isScanned ? scanned : await sumOfCovered(view, state, blockCount, work);
  if (!equalHash(sum, state.sum)) return digestProblem(sum, state.sum);
  // An old header fits the pages that it counts if they have not changed since, but for their numbers.
  if (commit > state.commit) return oldHeaderProblem('a page', commit, state.commit);
  const uncounted = await uncountedPage(view, blockCount, await view.size(), state.commit, work);
  return uncounted?.code === 'FILE_HEADER_OLD' ? uncounted : 'complete';
}

/** The sum over all blocks that a digest covers. @param blockCount - the file may have fewer blocks */
export async function sumOfCovered(
  file: BlockFile,
  { openFrom, openEnd }: Pick<DigestState, 'openFrom' | 'openEnd'>,
  blockCount: number,
  work: LongWork = {},
): Promise<Sum> {
  const end = Math.min(blockCount, Math.ceil((await file.size()) / BLOCK_BYTES));
  if (openFrom === openEnd) return sumOfHeads(file, 1, end, work);
  const before = await sumOfHeads(file, 1, Math.min(openFrom, end), work);
  const after = await sumOfHeads(file, Math.max(openEnd, 1), end, work);
  addHash(after.sum, before.sum);
  return {
    sum: after.sum,
    commit: Math.max(before.commit, after.commit),
    slots: before.slots + after.slots,
    hasOrphans: before.hasOrphans || after.hasOrphans,
    freedNodes: before.freedNodes + after.freedNodes,
  };
}
