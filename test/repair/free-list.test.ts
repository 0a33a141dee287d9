import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { BlockSet } from '../../src/disk/free-list.ts';
import { COMMIT_SLOT_BYTES } from '../../src/format/commit-record.ts';
import { COMMIT_RECORD_OFFSETS, encodeFreeLink, fileOffset } from '../../src/format/layout.ts';
import { FreeListPlan } from '../../src/repair/block0-plan.ts';
import { NO_LINK, NonPages } from '../../src/salvage/block-kind.ts';
import { damaged, fileWithFreeList, withHeader } from '../support/damage.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { hexOf } from '../support/nodes.ts';
import { repairsFully } from '../support/repair-expectations.ts';
import { repaired } from '../support/repair.ts';
import { specFreeList } from '../support/spec-reader.ts';

/** Free list 2, 4, 3. */
let original: Uint8Array;

beforeAll(async () => {
  const bytes = await fileWithFreeList();
  // Else a list of an earlier commit would be brought up to date by the records.
  original = damaged(bytes, (copy) =>
    COMMIT_RECORD_OFFSETS.forEach((offset) => copy.fill(0, offset, offset + COMMIT_SLOT_BYTES)),
  );
});

const freeBlocks = (bytes: Uint8Array): number[] => [...specFreeList(Buffer.from(bytes))].toSorted((a, b) => a - b);

const withLink = (bytes: Uint8Array, block: number, link: bigint): Uint8Array =>
  damaged(bytes, (_, view) => view.setBigUint64(fileOffset(block), link, true));

describe('a free list', () => {
  test.each([
    ['with bytes that are not a link', () => withLink(original, 2, 0x1234_5678n)],
    ['that leads to a page', () => withLink(original, 2, encodeFreeLink(5))],
    ['that leads out of the file', () => withLink(original, 2, encodeFreeLink(77))],
    ['with a cycle', () => withLink(original, 3, encodeFreeLink(2))],
    ['in which a block leads to itself', () => withLink(original, 2, encodeFreeLink(2))],
    ['that was lost', () => withHeader(original, { freeListHead: 0n })],
    ['that begins at a page', () => withHeader(original, { freeListHead: encodeFreeLink(1) })],
    ['that begins nowhere', () => withHeader(original, { freeListHead: 0x77n })],
    ['that begins too late', () => withHeader(original, { freeListHead: encodeFreeLink(3) })],
  ])('%s has all its blocks again', async (_, damage) => {
    const { bytes } = await repairsFully(damage());
    expect(freeBlocks(bytes)).toEqual([2, 3, 4]);
  });

  test('with one damaged link has that link changed, and no other', async () => {
    const { bytes } = await repairsFully(withLink(original, 2, 0x1234_5678n), ['free-list 2:0 link']);
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('gets its last block back if the link to it is gone: only then do the headers add up to the digest', async () => {
    const { bytes } = await repairsFully(withLink(original, 4, 0x1234_5678n), ['free-list 4:0 link']);
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('loses its last block in a file without a digest: it looks like one that was never written', async () => {
    const bare = withoutDigest(withLink(original, 4, 0x1234_5678n));
    const { bytes } = await repairsFully(bare, ['free-list 4:0 link']);
    expect(freeBlocks(bytes)).toEqual([2, 4]);
  });

  test('is not changed if a page is lost too: a block that looks free may be a page', async () => {
    const bytes = damaged(withLink(original, 2, encodeFreeLink(5)), (copy) =>
      copy.fill(0, fileOffset(1), fileOffset(2)),
    );
    const result = await repaired(bytes);
    expect(result.changes).toEqual([]);
    expect(result.left.map(({ code, block }) => `${code} ${block}`)).toContain('FREE_LIST_LINK 2');
    expect(result.left[0]?.message).toContain('do not add up to their digest');
  });

  test('gets no block that could be a page', async () => {
    const lost = damaged(withHeader(original, { freeListHead: 0n }), (copy, view) => {
      // Block 5 begins with a link, and goes on as a page does.
      view.setBigUint64(fileOffset(5), encodeFreeLink(2), true);
      // Block 1 begins with 64 zeros, and has nodes behind them.
      copy.fill(0, fileOffset(1), fileOffset(1, 64));
      copy.fill(1, fileOffset(1, 64), fileOffset(1, 100));
    });
    const { bytes, left } = await repaired(lost);
    expect(freeBlocks(bytes)).toEqual([2, 3, 4]);
    expect(left.map(({ code, block }) => `${code} ${block}`)).toEqual(['BLOCK_UNKNOWN 5']);
    for (const block of [1, 5]) {
      const place = [fileOffset(block), fileOffset(block + 1)] as const;
      expect(hexOf(bytes.subarray(...place))).toBe(hexOf(lost.subarray(...place)));
    }
  });
});

/** Blocks 1 to n, each a free block with a link, or with something else, or a page. */
const BLOCKS = 12;
const BLOCK = fc.record({
  kind: fc.constantFrom('page', 'marked', 'marked', 'unmarked', 'no link'),
  link: fc.nat({ max: BLOCKS + 2 }),
});

test('whatever the links, the plan is one list without a cycle of every block that is marked as free', () => {
  fc.assert(
    fc.property(
      fc.array(BLOCK, { minLength: 1, maxLength: BLOCKS }),
      fc.integer({ min: -1, max: BLOCKS + 1 }),
      (kinds, head) => {
        const blocks = kinds.length + 1;
        const [others, isMarked] = [new NonPages(), new BlockSet(blocks)];
        const links = new Map<number, number>();
        for (const [index, { kind, link }] of kinds.entries()) {
          if (kind === 'page') continue;
          others.add(index + 1, kind === 'no link' ? NO_LINK : link);
          links.set(index + 1, kind === 'no link' ? NO_LINK : link);
          if (kind === 'marked') isMarked.add(index + 1);
        }
        const plan = new FreeListPlan(head, others, isMarked, blocks);
        let first = head;
        for (const { block, next } of plan.changes()) {
          if (block === 0) first = next;
          else links.set(block, next);
        }
        const onList = new Set<number>();
        for (let block = first; block !== 0; block = links.get(block) ?? -1) {
          expect(links.has(block) && !onList.has(block)).toBe(true);
          onList.add(block);
        }
        expect(onList.size).toBe(plan.free.size);
        for (const [index, { kind, link }] of kinds.entries()) {
          if (kind === 'marked' && link > 0 && link < blocks) expect(onList.has(index + 1)).toBe(true);
          if (kind === 'no link' || kind === 'page') expect(onList.has(index + 1)).toBe(false);
        }
        const again = new FreeListPlan(first, relinked(others, links), isMarked, blocks);
        expect([...again.changes()]).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
});

function relinked(others: NonPages, links: ReadonlyMap<number, number>): NonPages {
  const copy = new NonPages();
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    copy.add(block, links.get(block) ?? NO_LINK);
  }
  return copy;
}
