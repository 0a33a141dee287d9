import { describe, expect, test } from 'vitest';
import type { BlockFile } from '../../src/disk/block-file.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { encodeJournal } from '../../src/format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { recover } from '../../src/recover/recover.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, fileWithFreeList, pageOf, smallFile, withHeader } from '../support/damage.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';
import { specFreeList } from '../support/spec-reader.ts';

const good = await smallFile('v1', false, 50);
const nodes = await nodesByRef(good);

const RECORDS = [4096, 8192] as const;
const COPY = 12_288;
const lost = (copy: Uint8Array): Uint8Array => copy.fill(0, 0, 82);
const withoutRecords = (copy: Uint8Array): Uint8Array => copy.fill(0, 4096, COPY);

describe('a file header', () => {
  const cases = [
    ['with a flipped bit', 'derived', (copy: Uint8Array): void => void (copy[17]! ^= 4)],
    ['without its magic', 'derived', (copy: Uint8Array): void => void copy.fill(0xff, 0, 8)],
    ['with bytes in its padding', 'derived', (copy: Uint8Array): void => void copy.fill(0xff, 28, 32)],
    ['with another count of blocks', 'derived', (copy: Uint8Array): void => void copy.fill(0x0f, 24, 28)],
    ['that is lost', 'commit record', (copy: Uint8Array): void => void lost(copy)],
    [
      'that is lost with the commit records',
      'header copy',
      (copy: Uint8Array): void => void withoutRecords(lost(copy)),
    ],
    ['that is lost with all of block 0', 'lost', (copy: Uint8Array): void => void copy.fill(0, 0, BLOCK_BYTES)],
  ] as const;

  test.each(cases)('%s costs no node: %s', async (_, header, change) => {
    const result = await recoverAll(damaged(good, change));
    expect(result.errors).toEqual([]);
    expect(result.summary).toMatchObject({ header, blocks: 2, isWhole: true });
    expect([...result.nodes].map(([ref, { hex }]) => [ref, hex])).toEqual([...nodes]);
    expect(result.summary.slots.sound).toBe(50);
  });
});

test('other files are refused, whatever they contain', async () => {
  for (const bytes of [
    new Uint8Array(0),
    text('hello'),
    new Uint8Array(3 * BLOCK_BYTES),
    new Uint8Array(3 * BLOCK_BYTES).fill(0x41),
  ]) {
    await expect(recoverAll(bytes)).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
  }
});

test('pages alone identify a page file, even far from its start or without a magic', async () => {
  const page = good.subarray(BLOCK_BYTES);
  const far = new Uint8Array(40 * BLOCK_BYTES);
  far.set(pageOf(39, page), 39 * BLOCK_BYTES);
  expect((await recoverAll(far)).summary).toMatchObject({ header: 'lost', blocks: 40, nodes: 50, unwrittenBlocks: 38 });
  const nameless = damaged(good, (copy) => {
    copy.fill(0, 0, BLOCK_BYTES);
    copy.fill(0x11, BLOCK_BYTES, BLOCK_BYTES + 64);
  });
  expect((await recoverAll(nameless)).summary.slots).toMatchObject({ doubtful: 50, lost: 0 });
});

test('a target that is not empty is refused', async () => {
  const target = new MemoryBlockFile(new Uint8Array(1));
  await expect(recover(new MemoryBlockFile(good), target)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
});

/** A file whose last commit has reached its record, and nothing else: as a power cut may leave it. */
async function pendingCommit(): Promise<{ bytes: Uint8Array; nodes: Map<string, string> }> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.appendMany(makeNodes(10, 5, 20));
  await store.close();
  const before = file.bytes.slice();
  const again = await PageStore.open(file);
  await again.appendMany(makeNodes(10, 5, 20, 2));
  await again.close();
  const bytes = file.bytes.slice();
  const after = await nodesByRef(bytes);
  bytes.set(before.subarray(0, 64));
  bytes.set(before.subarray(BLOCK_BYTES, BLOCK_BYTES + 64), BLOCK_BYTES);
  return { bytes, nodes: after };
}

describe('a commit that is in its record alone', () => {
  test.each([
    ['with the header that it replaces', (): void => undefined],
    ['with a header that is lost', (copy: Uint8Array): void => void lost(copy)],
    ['with a flipped bit in the header', (copy: Uint8Array): void => void (copy[40]! ^= 1)],
  ])('is recovered, %s', async (_, change) => {
    const { bytes, nodes: acknowledged } = await pendingCommit();
    const result = await recoverAll(damaged(bytes, change));
    expect(result.errors).toEqual([]);
    expect(result.summary.slots).toMatchObject({ sound: 20, doubtful: 0 });
    expect([...result.nodes].map(([ref, { hex }]) => [ref, hex])).toEqual([...acknowledged]);
  });

  test('is recovered even with its page header lost', async () => {
    const { bytes, nodes: acknowledged } = await pendingCommit();
    const result = await recoverAll(damaged(bytes, (copy) => copy.fill(0xcc, BLOCK_BYTES, BLOCK_BYTES + 64)));
    expect([...result.nodes].map(([ref, { hex }]) => [ref, hex])).toEqual([...acknowledged]);
    expect(result.blocks[1]).toMatchObject({ basis: 'commit record' });
  });
});

test('a page whose overwrite was interrupted is read from the journal', async () => {
  const bytes = damaged(good, (copy) => copy.fill(0x55, fileOffset(1, 100), fileOffset(1, 120)));
  expect((await recoverAll(bytes)).summary.slots.sound).toBe(0);
  for (const change of [(): void => undefined, lost]) {
    const file = new MemoryBlockFile(damaged(bytes, change));
    const changed = { start: 100, end: 120 };
    await file.journal.write(encodeJournal({ block: 1, image: good.slice(BLOCK_BYTES), changed, newPageHeaderCrc: 1 }));
    const result = await recoverAll(file);
    expect(result.summary.slots).toMatchObject({ sound: 50 });
    expect([...result.nodes].map(([ref, { hex }]) => [ref, hex])).toEqual([...nodes]);
  }
});

test('damaged commit records are ignored', async () => {
  const bytes = damaged(good, (copy) => {
    for (const offset of RECORDS) copy[offset + 40]! ^= 0xff;
    lost(copy);
  });
  expect((await recoverAll(bytes)).summary).toMatchObject({ header: 'header copy', nodes: 50, isWhole: true });
});

describe('free blocks', () => {
  test.each([
    ['of an intact list', (): void => undefined],
    ['of a list whose head is lost', (copy: Uint8Array): void => void copy.fill(0, 0, BLOCK_BYTES)],
    ['of a list that runs in a circle', (copy: Uint8Array): void => void (copy[fileOffset(3, 5)] = 2)],
    ['of a list that leads to a page', (copy: Uint8Array): void => void (copy[fileOffset(2, 5)] = 1)],
  ])('stay free, %s', async (_, change) => {
    const result = await recoverAll(damaged(await fileWithFreeList(), change));
    expect(result.errors).toEqual([]);
    expect([...specFreeList(Buffer.from(result.bytes))].toSorted((a, b) => a - b)).toEqual([2, 3, 4]);
    expect(result.summary).toMatchObject({ pages: 3, freeBlocks: 3, isWhole: true });
  });

  test('yield none of the nodes that they had, even if the free list is lost', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.allocate(3, 'v1');
    await store.appendMany(makeNodes(5, 10, 10));
    await store.free(2);
    await store.free(3);
    await store.close();
    const bytes = damaged(file.bytes.slice(), (copy) => copy.fill(0, 0, BLOCK_BYTES));
    const { summary } = await recoverAll(bytes);
    expect(summary).toMatchObject({ freeBlocks: 2, lostBlocks: 0 });
    expect(summary.slots.doubtful).toBe(0);
  });
});

test('blocks of a batch that was never acknowledged are left out, and reported', async () => {
  const two = damaged(new Uint8Array(4 * BLOCK_BYTES), (copy) => {
    copy.set(good);
    for (const block of [2, 3]) copy.set(good.subarray(BLOCK_BYTES), fileOffset(block));
  });
  const { summary, blocks, bytes } = await recoverAll(two);
  expect(summary).toMatchObject({ uncountedBlocks: 2, isWhole: true, nodes: 50 });
  expect(blocks.slice(2).map(({ kind }) => kind)).toEqual(['uncounted', 'uncounted']);
  expect(bytes.length).toBe(2 * BLOCK_BYTES);
});

test('pages of another program after the last counted block are recovered as doubtful', async () => {
  const bytes = damaged(new Uint8Array(4 * BLOCK_BYTES), (copy, view) => {
    copy.set(good);
    copy.set(good.subarray(BLOCK_BYTES), fileOffset(3));
    view.setUint16(fileOffset(3, 10), 0, true);
    for (const at of [24, 28, 32]) view.setUint32(fileOffset(3, at), 0, true);
  });
  const result = await recoverAll(bytes);
  expect(result.errors).toEqual([]);
  expect(result.summary.slots).toMatchObject({ sound: 50, doubtful: 50 });
  expect(result.nodes.get('3:7')?.hex).toBe(nodes.get('1:7'));
});

test('missing blocks at the end of the file become empty finalized pages', async () => {
  const { summary, bytes, blocks, errors } = await recoverAll(withHeader(good, { blockCount: 5 }));
  expect(errors).toEqual([]);
  expect(summary).toMatchObject({ blocks: 5, lostBlocks: 3, nodes: 50, isWhole: false });
  expect(blocks.slice(2).map(({ kind }) => kind)).toEqual(['missing', 'missing', 'missing']);
  expect([2, 3, 4].map((block) => PAGE_HEADER.read(bytes, fileOffset(block)).flags & 4)).toEqual([4, 4, 4]);
});

test.each([2 ** 24, 2 ** 32 - 1, 0])(
  'a damaged block count of %i does not create a file of that size',
  async (blockCount) => {
    const { summary, bytes, errors } = await recoverAll(withHeader(good, { blockCount }));
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ nodes: 50, unreservedBlocks: blockCount === 0 ? 0 : 2 ** 24 - 18 });
    expect(bytes.length).toBeLessThanOrEqual(18 * BLOCK_BYTES);
  },
);

test('the source is only read', async () => {
  const refuse = async (): Promise<never> => {
    throw new Error('the source was written to');
  };
  const bytes = damaged(good, (copy) => {
    lost(copy);
    copy.fill(0xab, fileOffset(1, 500), fileOffset(1, 600));
  });
  const memory = new MemoryBlockFile(bytes.slice());
  const file: BlockFile = {
    name: 'source',
    journal: { read: async () => undefined, write: refuse, remove: refuse },
    size: () => memory.size(),
    read: (target, position) => memory.read(target, position),
    write: refuse,
    truncate: refuse,
    sync: refuse,
    close: refuse,
  };
  expect((await recoverAll(file)).summary.slots.doubtful).toBe(50);
  expect(Buffer.compare(memory.bytes, bytes)).toBe(0);
});
