import { counted } from '../bytes/decimal.ts';
import type { BlockSet } from '../disk/raw-blocks.ts';
import type { FileHeader } from '../format/file-header.ts';
import { headerPlace, type Problem } from '../format/invariants.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import type { OtherBlocks } from './other-blocks.ts';

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
