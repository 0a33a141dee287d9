import { BlockSet } from '../disk/free-list.ts';
import { NO_LINK, type OtherBlocks } from '../salvage/block-kind.ts';

/** A link of the free list that is to be another one. */
export interface LinkChange {
  /** The free block that holds it, or 0 for the file header. */
  readonly block: number;
  /** The block that follows, or 0 for none. */
  readonly next: number;
}

/** The free list as it should be, by as few links as can be. */
export interface FreeListPlan {
  /** Every block that is on the list then. */
  readonly free: BlockSet;
  /** The links that are others now. Made anew at each call, since there may be many. */
  changes(): Generator<LinkChange>;
}

/**
 * Links free blocks that the list has lost to its end, one chain of them after the other; what is linked already stays
 * as it is. So where one link was damaged, one link changes.
 *
 * A block is free where it says so: it holds a link to a block and zeros behind it; or, as the last one, zeros alone, where
 * such a block leads to it. Other blocks that begin with a link, or with zeros, are free only where the list leads to
 * them: they could be pages that have lost their first bytes, or blocks that were never written.
 * @param head - the block that the file header names, 0 for none, -1 for what is no link
 * @param others - the blocks that are no pages
 * @param isMarked - whether the 56 bytes behind a block's link are zero
 * @param blocks - blocks of the file
 */
export function planFreeList(head: number, others: OtherBlocks, isMarked: BlockSet, blocks: number): FreeListPlan {
  const list = new FreeBlocks(others, isMarked, blocks);
  list.addFrom(head, () => true);
  for (let index = 0; index < others.count; index++) {
    const [block, link] = [others.idAt(index), others.linkAt(index)];
    if (isMarked.has(block) && link > 0 && link < blocks) list.addFrom(block, (free) => isMarked.has(free));
  }
  return { free: list.members, changes: () => relink(head, list, others) };
}

class FreeBlocks {
  readonly members: BlockSet;
  readonly blocks: number;
  readonly #others: OtherBlocks;
  readonly #isMarked: BlockSet;

  constructor(others: OtherBlocks, isMarked: BlockSet, blocks: number) {
    this.#others = others;
    this.#isMarked = isMarked;
    this.blocks = blocks;
    this.members = new BlockSet(blocks);
  }

  /** Adds the blocks of a chain up to the first that is none of a list, or is not to be taken. */
  addFrom(start: number, isTaken: (block: number) => boolean): void {
    let block = start;
    while (this.#mayBeFree(block) && isTaken(block) && this.members.add(block)) block = this.nextOf(block);
  }

  /** What the link of a block leads to now: 0 where that is no free block. */
  nextOf(block: number): number {
    const next = this.#others.linkAt(this.#others.indexOf(block));
    return this.#mayBeFree(next) && next !== block ? next : 0;
  }

  /** The link as it stands in the block. */
  linkOf(block: number): number {
    return this.#others.linkAt(this.#others.indexOf(block));
  }

  #mayBeFree(block: number): boolean {
    if (block <= 0 || block >= this.blocks) return false;
    const index = this.#others.indexOf(block);
    if (index < 0) return false;
    const link = this.#others.linkAt(index);
    // With zeros behind it, what was a link and is none any more cannot be the beginning of a page.
    return (link !== NO_LINK && link < this.blocks) || this.#isMarked.has(block);
  }
}

function* relink(head: number, list: FreeBlocks, others: OtherBlocks): Generator<LinkChange> {
  const { members, blocks } = list;
  const isFollower = new BlockSet(blocks);
  for (const block of idsIn(members, others)) isFollower.add(list.nextOf(block));
  const visited = new BlockSet(blocks);
  let tail = 0;
  function* chain(start: number): Generator<LinkChange> {
    if (!members.has(start) || visited.has(start)) return;
    if ((tail === 0 ? head : list.linkOf(tail)) !== start) yield { block: tail, next: start };
    for (let block = start; members.has(block) && visited.add(block); block = list.nextOf(block)) tail = block;
  }
  yield* chain(head);
  for (const block of idsIn(members, others)) if (!isFollower.has(block)) yield* chain(block);
  // What is left are circles; each is opened before its first block.
  for (const block of idsIn(members, others)) yield* chain(block);
  if ((tail === 0 ? head : list.linkOf(tail)) !== 0) yield { block: tail, next: 0 };
}

/** In ascending order. */
function* idsIn(members: BlockSet, others: OtherBlocks): Generator<number> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (members.has(block)) yield block;
  }
}
