import { beforeAll, describe, expect, test } from 'vitest';
import { decodeCommitRecords } from '../../src/disk/committed-view.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged } from '../support/damage.ts';
import { makeNodes } from '../support/nodes.ts';
import { fileWithPendingCommit } from '../support/repair-cases.ts';
import { repairsFully } from '../support/repair-expectations.ts';
import { repaired } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';

/** Damage to a page that leaves its header alone, and some to its header. */
const DAMAGE = [
  ['a node', 100],
  ['its header', 12],
] as const;

describe.each(['v1', 'v2'] as const)('a %s page that the last two commits changed', (pageFormat) => {
  test.each(DAMAGE)('is repaired in one run if a bit of %s has flipped', async (_, at) => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    for (const seed of [1, 2, 3]) await store.appendMany(makeNodes(5, 10, 20, seed));
    expect(decodeCommitRecords(file.bytes).map(({ block }) => block)).toEqual([1, 1]);
    for (const isClosed of [false, true]) {
      if (isClosed) await store.close();
      const broken = damaged(file.bytes, (copy) => (copy[fileOffset(1, at)]! ^= 4));
      const { summary, bytes } = await repairsFully(broken);
      expect(summary.again).toBe(false);
      expect(Buffer.compare(bytes, file.bytes)).toBe(0);
    }
  });
});

describe('a page of a commit that is in its record alone', () => {
  let bytes: Uint8Array;
  let complete: Uint8Array;
  let block: number;

  beforeAll(async () => {
    ({ bytes, complete } = await fileWithPendingCommit());
    block = decodeCommitRecords(bytes).at(-1)!.block;
  });

  test.each(DAMAGE)('needs a second run if a bit of %s has flipped, and keeps the commit', async (_, at) => {
    const broken = damaged(bytes, (copy) => (copy[fileOffset(block, at)]! ^= 4));
    const first = await repaired(broken);
    expect(first.summary.again).toBe(true);
    const second = await repaired(first.bytes);
    expect(second.summary.again).toBe(false);
    const file = new MemoryBlockFile(second.bytes);
    await (await PageStore.open(file)).close();
    expect(specNodes(file.bytes)).toEqual(specNodes(complete));
  });
});
