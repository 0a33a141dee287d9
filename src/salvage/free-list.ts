import { BlockSet } from '../disk/free-list.ts';
import { FILE_HEADER, type FileHeader } from '../format/file-header.ts';
import { decodeFreeLink, fileOffset } from '../format/layout.ts';
import { headerPlace, type Problem } from '../format/problem.ts';
import { NO_LINK, type OtherBlocks } from './block-kind.ts';

/** What the free list says of the blocks that are no pages. */
export interface FreeList {
  /** The blocks that it leads to, as far as it can be followed. */
  readonly free: BlockSet;
  /** What ends it before its end. */
  readonly problems: readonly Problem[];
  /** Whether it can be followed to its end. */
  readonly isWhole: boolean;
}

/**
 * Follows the free list through the blocks that are no pages; no input is needed for it. It ends at the first
 * thing that is wrong with it, for nothing behind that is known.
 * @param blocks - blocks that were read
 */
export function checkFreeList(header: FileHeader, others: OtherBlocks, blocks: number): FreeList {
  const free = new BlockSet(blocks);
  const problems: Problem[] = [];
  let block = decodeFreeLink(header.freeListHead);
  let from = 0;
  while (block > 0 && block < blocks) {
    const index = others.indexOf(block);
    if (index < 0) {
      problems.push(
        linkProblem(from, `block ${block}`, 'a free block', `${origin(from)} to block ${block}, which is a page`),
      );
      break;
    }
    if (!free.add(block)) {
      const message = `the free list runs in a circle: ${origin(from)} to block ${block}, which is on it already`;
      problems.push({
        ...linkProblem(from, `block ${block}`, 'a block not yet on the list', message),
        code: 'FREE_LIST_CYCLE',
      });
      break;
    }
    from = block;
    block = others.linkAt(index);
    if (block === NO_LINK || block >= blocks) {
      const found = block === NO_LINK ? 'bytes that are no link' : `block ${block}`;
      const message = `${origin(from)} to ${block === NO_LINK ? 'nowhere: its first 8 bytes are no link' : `block ${block}, which is not in the file`}`;
      problems.push(linkProblem(from, found, `0, or a block id below ${blocks} shifted left by 40`, message));
      break;
    }
  }
  return { free, problems, isWhole: problems.length === 0 && block === 0 };
}

/**
 * Whether the free list can be made anew: not where the file has been cut, which may have the rest of it; nor where a link
 * leads to a block behind those that the header counts, for then the count may be what is wrong.
 * @param wholeBlocks - blocks that the file has
 */
export function isListKnown(
  { blockCount, freeListHead }: FileHeader,
  others: OtherBlocks,
  wholeBlocks: number,
): boolean {
  if (blockCount === 0 || blockCount > wholeBlocks) return false;
  const isBehind = (link: number): boolean => link >= blockCount && link < wholeBlocks;
  if (isBehind(decodeFreeLink(freeListHead))) return false;
  for (let index = 0; index < others.count; index++) if (isBehind(others.linkAt(index))) return false;
  return true;
}

function origin(from: number): string {
  return from === 0 ? 'the free list leads' : `the link in free block ${from} leads`;
}

function linkProblem(from: number, found: string, expected: string, message: string): Problem {
  const place = from === 0 ? headerPlace('freeListHead') : { block: from, offset: fileOffset(from), bytes: LINK_BYTES };
  return { code: 'FREE_LIST_LINK', severity: 'error', ...place, found, expected, message };
}

const LINK_BYTES = FILE_HEADER.bytesOf('freeListHead');

/**
 * Whether a block is a page that lost its magic to 8 zero bytes. Nobody can say so of a file with a root pointer, nor where
 * the free list cannot be followed: another program frees a block by those bytes alone, and may take it again and never
 * write to it.
 * @param header - a sound one
 * @param index - of the block in `others`
 */
export function isZeroedPage(
  { rootPointer }: FileHeader,
  others: OtherBlocks,
  { free, isWhole }: Pick<FreeList, 'free' | 'isWhole'>,
  index: number,
): boolean {
  if (rootPointer !== 0n || !isWhole || others.zeroedFormatAt(index) === undefined) return false;
  return !free.has(others.idAt(index));
}
