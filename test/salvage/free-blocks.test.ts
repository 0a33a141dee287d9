import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FreeListWalk } from '../../src/disk/free-list.ts';
import { newFileHeader } from '../../src/format/file-header.ts';
import { encodeFreeLink } from '../../src/format/layout.ts';
import { NonPages } from '../../src/salvage/block-kind.ts';
import { checkFreeList } from '../../src/salvage/free-blocks.ts';

/** Walks a list in memory. @param links - the link of each block, by its id */
function walked(head: number, links: readonly number[]): FreeListWalk {
  const walk = new FreeListWalk(head, links.length);
  while (walk.block !== 0) walk.follow(links[walk.block]!);
  return walk;
}

describe('a walk along a free list', () => {
  test.each([
    ['an empty list', 0, [0], [], undefined],
    ['a whole list', 2, [0, 0, 3, 1], [1, 2, 3], undefined],
    ['a link out of the file', 1, [0, 2, 9], [1, 2], { reason: 'out of range', from: 2, to: 9 }],
    ['bytes that are not a link', 1, [0, 2, -1], [1, 2], { reason: 'no link', from: 2, to: -1 }],
    ['a cycle', 1, [0, 2, 1], [1, 2], { reason: 'cycle', from: 2, to: 1 }],
    ['a head out of the file', 7, [0, 0], [], { reason: 'out of range', from: 0, to: 7 }],
  ])('reports %s', (_, head, links, blocks, expected) => {
    const walk = walked(head, links);
    expect(walk.break).toEqual(expected);
    expect(links.map((__, block) => block).filter((block) => walk.blocks.has(block))).toEqual(blocks);
  });

  test('stops before a block that the caller rejects', () => {
    const walk = new FreeListWalk(1, 4);
    walk.follow(3);
    walk.reject();
    expect(walk.break).toEqual({ reason: 'not free', from: 1, to: 3 });
    expect([walk.blocks.has(1), walk.blocks.has(3)]).toEqual([true, false]);
  });

  test('ends on any links', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 12 }), { minLength: 1, maxLength: 10 }), (links) => {
        const walk = walked(links[0]!, links);
        expect(walk.blocks.size).toBeLessThan(links.length);
      }),
    );
  });
});

test('a free list that leads to a page is broken there, and the page is not free', () => {
  const others = new NonPages();
  others.add(2, 3);
  const { free, problems, isWhole } = checkFreeList(
    { ...newFileHeader(4), freeListHead: encodeFreeLink(2) },
    others,
    4,
  );
  expect([free.has(2), free.has(3), isWhole]).toEqual([true, false, false]);
  expect(problems).toMatchObject([{ code: 'FREE_LIST_LINK', block: 2, found: 'block 3', expected: 'a free block' }]);
});
