import type { FileHeader } from '../format/file-header.ts';
import type { FreeList } from './free-list-check.ts';
import type { OtherBlocks } from './other-blocks.ts';

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
