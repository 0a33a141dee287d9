import type { CommittedView } from '../disk/committed-view.ts';
import { BlockSet, type FreeListBreak, FreeListWalk, readFreeLink } from '../disk/free-list.ts';
import { betweenBlocks, type LongWork } from '../disk/long-work.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { fileHeaderFieldRange } from '../format/header-checks.ts';
import { decodeFreeLink, fileOffset } from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';
import { NO_LINK, type NonPages } from './block-kind.ts';

export interface FreeList {
  readonly free: BlockSet;
  readonly problems: readonly Problem[];
  readonly isWhole: boolean;
}

/** Follows the free list through blocks that were read, up to its first error: nothing after that is known. */
export function checkFreeList(header: FileHeader, others: NonPages, blocks: number): FreeList {
  const walk = new FreeListWalk(header.freeListHead, blocks);
  while (walk.block !== 0) {
    const index = others.indexOf(walk.block);
    if (index < 0) walk.reject();
    else walk.follow(others.linkAt(index));
  }
  // A head that is not a link, or leads out of the file, is reported with the file header.
  const { reason, from } = walk.break ?? {};
  const isHead = from === 0 && (reason === 'no link' || reason === 'out of range');
  const problems = walk.break && !isHead ? [breakProblem(walk.break, blocks)] : [];
  return { free: walk.blocks, problems, isWhole: walk.break === undefined };
}

function breakProblem({ reason, from, to }: FreeListBreak, blocks: number): Problem {
  const place =
    from === 0 ? fileHeaderFieldRange('freeListHead') : { block: from, offset: fileOffset(from), bytes: LINK_BYTES };
  const leads = from === 0 ? 'the free list leads' : `the link in free block ${from} leads`;
  const found = reason === 'no link' ? 'bytes that are no link' : `block ${to}`;
  const link = `0, or a block id below ${blocks} shifted left by 40`;
  const texts: Record<FreeListBreak['reason'], [expected: string, message: string]> = {
    'not free': ['a free block', `${leads} to block ${to}, which is a page`],
    cycle: [
      'a block not yet on the list',
      `the free list has a cycle: ${leads} to block ${to}, which is already on the list`,
    ],
    'out of range': [link, `${leads} to block ${to}, which is not in the file`],
    'no link': [link, `${leads} nowhere: the first 8 bytes of block ${from} are not a link`],
  };
  const [expected, message] = texts[reason];
  const code = reason === 'cycle' ? 'FREE_LIST_CYCLE' : 'FREE_LIST_LINK';
  return { code, severity: 'error', ...place, found, expected, message };
}

/**
 * False if the end of the list may be cut off with the file, or a link leads beyond the block count, which may be
 * wrong.
 */
export function isListKnown({ blockCount, freeListHead }: FileHeader, others: NonPages, wholeBlocks: number): boolean {
  if (blockCount === 0 || blockCount > wholeBlocks) return false;
  const isUncounted = (link: number): boolean => link >= blockCount && link < wholeBlocks;
  if (isUncounted(decodeFreeLink(freeListHead))) return false;
  for (let index = 0; index < others.count; index++) if (isUncounted(others.linkAt(index))) return false;
  return true;
}

const LINK_BYTES = FILE_HEADER.bytesOf('freeListHead');

/**
 * Whether a block is a page whose magic became 8 zero bytes. Unknown with a root pointer or a broken free list: another
 * program frees a block by overwriting only those bytes, and may allocate it without writing to it.
 */
export function isZeroedPage(
  { rootPointer }: FileHeader,
  others: NonPages,
  { free, isWhole }: Pick<FreeList, 'free' | 'isWhole'>,
  index: number,
): boolean {
  if (rootPointer !== 0n || !isWhole || others.zeroedFormatAt(index) === undefined) return false;
  return !free.has(others.idAt(index));
}

export interface LikelyFreeBlocks {
  readonly free: BlockSet;
  /** The last blocks of a list that cannot be followed to its end: one of their links is wrong. */
  readonly suspects: readonly number[];
  /** Whether the list leads to the block, as far as it can be followed. */
  isListed(block: number): boolean;
}

/** The blocks of the free list or, if that is damaged, of all links between blocks: pages never begin with a link. */
export async function findLikelyFreeBlocks(
  view: CommittedView,
  head: bigint,
  blocks: number,
  { signal, onProgress }: LongWork = {},
): Promise<LikelyFreeBlocks> {
  const walk = new FreeListWalk(head, blocks);
  const bytes = new Uint8Array(LINK_BYTES);
  let suspects: readonly number[] = [];
  while (walk.block !== 0) {
    const pause = betweenBlocks(walk.blocks.size, blocks, { signal });
    if (pause) await pause;
    suspects = [...suspects.slice(-1), walk.block];
    walk.follow(await readFreeLink(view, walk.block, bytes));
  }
  const listed = walk.blocks;
  const { reason, from } = walk.break ?? {};
  // A block without a valid link may not be free.
  if (from !== undefined && reason !== 'cycle') listed.delete(from);
  const free = new BlockSet(blocks);
  const linkIn = async (block: number): Promise<number> => {
    const link = await readFreeLink(view, block, bytes);
    return link < blocks ? link : NO_LINK;
  };
  for (let block = 1; block < blocks; block++) {
    const pause = betweenBlocks(block, blocks, { signal, onProgress });
    if (pause) await pause;
    if (listed.has(block)) free.add(block);
    const next = await linkIn(block);
    if (next <= 0) continue;
    free.add(block);
    if ((await linkIn(next)) >= 0) free.add(next);
  }
  return { free, suspects: walk.break ? suspects : [], isListed: (block) => listed.has(block) };
}
