import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { ByteNodeArenaV1 } from '../../src/format/byte-node-arena.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { makeNodes } from '../support/nodes.ts';
import { recoverAll } from '../support/recover.ts';

const good = await smallFile('v1', false, 50);

const RECORDS = [4096, 8192] as const;
const COPY = 12_288;
const lost = (copy: Uint8Array): Uint8Array => copy.fill(0, 0, 82);

/** A file that has grown to two pages with its last commit, and was closed. */
async function grownFile(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.appendMany(makeNodes(20, 5, 20));
  await store.allocate(1, 'v1');
  await store.close();
  return file.bytes.slice();
}

describe('with the header and the last commit record lost', () => {
  const withoutLast = (copy: Uint8Array): Uint8Array => {
    const last = RECORDS.toSorted((a, b) => copy[b + 8]! - copy[a + 8]!)[0]!;
    return copy.fill(0xee, last, last + 172);
  };

  test('the header copy is used if it is newer than the other record', async () => {
    const { summary, errors } = await recoverAll(damaged(await grownFile(), (copy) => withoutLast(lost(copy))));
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ header: 'header copy', blocks: 3, isWhole: true });
    expect(summary.slots).toMatchObject({ sound: 20, doubtful: 0, lost: 0 });
  });

  test('and no copy, a page after the counted blocks is recovered by its checksum', async () => {
    const file = new MemoryBlockFile(await smallFile('v1', false, 20));
    const store = await PageStore.open(file);
    const page = new ByteNodeArenaV1();
    for (const node of makeNodes(20, 5, 20)) page.allocate(node);
    await store.append(makeNodes(1, 5, 20)[0]!);
    await store.addPage(page);
    await store.close();
    const bytes = damaged(file.bytes, (copy) => withoutLast(lost(copy)).fill(0, COPY, COPY + 128));
    const { summary, blocks } = await recoverAll(bytes);
    // The digest after the lost header proves that no page is missing.
    expect(summary).toMatchObject({ header: 'commit record', blocks: 3, digest: 'matches', isWhole: true });
    expect(summary.slots).toMatchObject({ sound: 41, doubtful: 0 });
    expect(blocks[2]?.note).toBe('after the blocks that the commit record counts');
    const withoutDigest = damaged(bytes, (copy) => copy.fill(0, 88, 128));
    const unproved = await recoverAll(withoutDigest);
    expect(unproved.summary).toMatchObject({ blocks: 3, digest: 'differs', isWhole: false, nodes: 41 });
    expect(unproved.summary.missing).toMatch(
      /^the file header is out of date: it is of commit 3, and block 2 of commit 4/,
    );
  });
});

test('a record is preferred to an older copy', async () => {
  const file = new MemoryBlockFile(await grownFile());
  const copy = file.bytes.slice(COPY, COPY + 86);
  const store = await PageStore.open(file);
  await store.appendMany(makeNodes(10, 5, 20));
  await store.append(makeNodes(1, 5, 20)[0]!);
  await store.close();
  const bytes = damaged(file.bytes, (all) => lost(all).set(copy, COPY));
  const { summary } = await recoverAll(bytes);
  expect(summary).toMatchObject({ header: 'commit record', isWhole: true });
  expect(summary.slots.sound).toBe(31);
});

test('a header copy with a flipped bit is used too', async () => {
  const bytes = damaged(good, (copy) => {
    lost(copy).fill(0, 4096, COPY)[COPY + 30]! ^= 8;
  });
  expect((await recoverAll(bytes)).summary).toMatchObject({ header: 'header copy', isWhole: true });
});

test('a file of which only the magic is left has nothing to recover', async () => {
  for (const length of [8, 64, BLOCK_BYTES + 100]) {
    const bytes = new Uint8Array(length);
    bytes.set(good.subarray(0, 8));
    await expect(recoverAll(bytes)).rejects.toMatchObject({
      code: 'NOT_A_PAGE_FILE',
      message: expect.stringMatching(/^nothing to recover: the file header is damaged/),
    });
  }
});
