import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { encodeCheckedPageHeader, PAGE_HEADER } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { nodesByRef, recoverAll } from '../support/recover.ts';

const SECTOR = 512;

/** Five pages, the last one not full. */
async function fivePages(pageFormat: 'v1' | 'v2', finalized: boolean): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(1100, 1000, 1100));
  if (finalized) await store.finalize();
  await store.close();
  expect(file.bytes.length).toBe(6 * BLOCK_BYTES);
  return file.bytes.slice();
}

const blockOf = (bytes: Uint8Array, block: number): Uint8Array => bytes.slice(fileOffset(block), fileOffset(block + 1));

const swapped = (bytes: Uint8Array, a: number, b: number): Uint8Array =>
  damaged(bytes, (copy) => {
    copy.set(blockOf(bytes, a), fileOffset(b));
    copy.set(blockOf(bytes, b), fileOffset(a));
  });

const table = (['v1', 'v2'] as const).flatMap((format) => [
  { format, finalized: false },
  { format, finalized: true },
]);

describe.each(table)('of a $format file, finalized: $finalized,', async ({ format, finalized }) => {
  const good = await fivePages(format, finalized);
  const nodes = await nodesByRef(good);
  const nodesOutside = (...blocks: number[]): [string, string][] =>
    [...nodes].filter(([ref]) => !blocks.includes(Number(ref.split(':')[0])));

  test('an undamaged copy is whole, with the same digest', async () => {
    const { summary, bytes } = await recoverAll(good);
    expect(summary).toMatchObject({ isWhole: true, digest: 'matches', restoredPages: 0 });
    expect(summary).not.toHaveProperty('missing');
    expect(Buffer.compare(bytes.subarray(BLOCK_BYTES), good.subarray(BLOCK_BYTES))).toBe(0);
    expect(await recoverAll(bytes)).toMatchObject({ summary: { isWhole: true, digest: 'matches' } });
  });

  test.each([
    ['a page', BLOCK_BYTES],
    ['the first sector of a page', SECTOR],
  ])('%s that was overwritten with zeros is missed', async (_, length) => {
    const zeroed = (copy: Uint8Array): void => void copy.fill(0, fileOffset(4), fileOffset(4) + length);
    const { summary, errors } = await recoverAll(damaged(good, zeroed));
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ isWhole: false, digest: 'differs' });
    if (length === BLOCK_BYTES)
      expect(summary.missing).toMatch(/^the page headers do not add up to the digest of the last commit/);
    // Without a digest, the count of the header is the last trace.
    const counted = await recoverAll(withoutDigest(damaged(good, zeroed)));
    expect(counted.summary).toMatchObject({ isWhole: false, digest: 'absent' });
    if (length === BLOCK_BYTES)
      expect(counted.summary.missing).toMatch(/^the file header counts 1100 nodes, and \d+ were/);
    const uncounted = withHeader(withoutDigest(damaged(good, zeroed)), { entryCount: 0n });
    expect((await recoverAll(uncounted)).summary.digest).toBe('absent');
  });

  test('a page that is an older state of itself is missed', async () => {
    const file = new MemoryBlockFile(good.slice());
    const store = await PageStore.open(file);
    await store.update({ block: 2, slot: 0 }, new Uint8Array((await store.read({ block: 2, slot: 0 })).length));
    await store.close();
    const bytes = damaged(file.bytes, (copy) => copy.set(blockOf(good, 2), fileOffset(2)));
    expect((await recoverAll(bytes)).summary).toMatchObject({ isWhole: false, digest: 'differs' });
    expect((await recoverAll(file.bytes)).summary).toMatchObject({ isWhole: true, digest: 'matches' });
  });

  test('a damaged digest proves nothing, unless the header copy has it', async () => {
    const flip = (copy: Uint8Array): void => void (copy[100]! ^= 1); // inside the file
    expect((await recoverAll(damaged(good, flip))).summary).toMatchObject({ isWhole: true, digest: 'matches' });
    const both = damaged(good, (copy) => {
      flip(copy);
      for (const start of [4096, 8192, 12_288]) copy.fill(0, start, start + SECTOR);
    });
    expect((await recoverAll(both)).summary).toMatchObject({ isWhole: false, digest: 'damaged' });
  });

  test('two swapped pages go back to their places', async () => {
    const result = await recoverAll(swapped(good, 2, 5));
    expect(result.errors).toEqual([]);
    expect(result.summary).toMatchObject({ isWhole: true, digest: 'matches', restoredPages: 2, nodes: 1100 });
    expect(result.blocks.map(({ note }) => note)).toEqual([
      undefined,
      undefined,
      'found in block 5',
      undefined,
      undefined,
      'found in block 2',
    ]);
    expect([...(await nodesByRef(result.bytes))]).toEqual([...nodes]);
    expect(Buffer.compare(result.bytes.subarray(BLOCK_BYTES), good.subarray(BLOCK_BYTES))).toBe(0);
  });

  test('swapped pages that no digest proves are all there, but not known to be the newest', async () => {
    const result = await recoverAll(withoutDigest(swapped(good, 2, 5)));
    expect(result.summary).toMatchObject({ isWhole: false, digest: 'absent', restoredPages: 2, nodes: 1100 });
    expect(result.summary.missing).toMatch(/^pages were in the place of others/);
    expect([...(await nodesByRef(result.bytes))]).toEqual([...nodes]);
  });

  test('a page in the place of another one does not get its refs', async () => {
    const bytes = damaged(good, (copy) => copy.set(blockOf(good, 2), fileOffset(4)));
    const result = await recoverAll(bytes);
    expect(result.errors).toEqual([]);
    expect(result.summary).toMatchObject({ isWhole: false, digest: 'differs', lostBlocks: 1, restoredPages: 0 });
    expect(result.blocks[4]).toMatchObject({
      kind: 'misplaced',
      isSealed: true,
      problems: [{ code: 'PAGE_MISPLACED' }],
    });
    expect(result.blocks[4]?.note).toBe('its page was left out, as block 2 has its own');
    expect([...(await nodesByRef(result.bytes))]).toEqual(nodesOutside(4));
    // No new node gets a ref of the lost page.
    const file = new MemoryBlockFile(result.bytes);
    const store = await PageStore.open(file);
    for (const { block } of await store.appendMany(makeNodes(300, 1000, 1100))) expect(block).not.toBe(4);
    await store.close();
  });

  test.each([
    ['zeros', (copy: Uint8Array): Uint8Array => copy.fill(0, fileOffset(2), fileOffset(3))],
    ['other bytes', (copy: Uint8Array): Uint8Array => copy.fill(0xaa, fileOffset(2), fileOffset(3))],
    ['a page that belongs elsewhere', (copy: Uint8Array): void => copy.set(blockOf(good, 3), fileOffset(2))],
  ])('a page is taken from the place of another one if its own has %s', async (_, change) => {
    const bytes = damaged(good, (copy) => {
      change(copy);
      copy.set(blockOf(good, 2), fileOffset(4));
    });
    const result = await recoverAll(bytes);
    expect(result.errors).toEqual([]);
    expect(result.summary).toMatchObject({ isWhole: false, lostBlocks: 1, restoredPages: 1 });
    expect(result.blocks[2]).toMatchObject({ kind: 'page', note: 'found in block 4' });
    expect(result.blocks[4]).toMatchObject({ kind: 'misplaced', note: 'its page is in block 2 of the new file' });
    expect([...(await nodesByRef(result.bytes))]).toEqual(nodesOutside(4));
  });

  test('pages that are all one block too far are all put back, but for the one that fell off', async () => {
    const bytes = damaged(good, (copy) => copy.copyWithin(fileOffset(2), fileOffset(1), fileOffset(5)));
    const result = await recoverAll(bytes);
    expect(result.summary).toMatchObject({ isWhole: false, restoredPages: 3, lostBlocks: 1 });
    expect([...(await nodesByRef(result.bytes))]).toEqual(nodesOutside(5));
  });

  test('a damaged page is preferred to an older state of it in another place, if it has more nodes', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.appendMany(makeNodes(3, 1000, 1100));
    const older = blockOf(file.bytes, 1);
    await store.appendMany(makeNodes(10, 1000, 1100));
    await store.allocate(1);
    await store.close();
    const bytes = damaged(file.bytes, (copy) => {
      copy[fileOffset(1, 20_000)]! ^= 0xff; // in a node or in free space
      copy[fileOffset(1, 5000)]! ^= 0xff; // in a node
      copy.set(older, fileOffset(2));
    });
    const { summary, blocks } = await recoverAll(bytes);
    expect(summary).toMatchObject({ isWhole: false, restoredPages: 0 });
    expect(blocks[1]?.runs.at(-1)?.to).toBe(12);
  });

  test('a page without a valid checksum is not moved to the block that it names', async () => {
    const bytes = damaged(good, (copy) => {
      copy.fill(0, fileOffset(2), fileOffset(3));
      copy[fileOffset(4, 36)] = 2; // its block id, under the checksum
    });
    const { summary, nodes: found } = await recoverAll(bytes);
    expect(summary.restoredPages).toBe(0);
    expect([...found.keys()].some((ref) => ref.startsWith('2:'))).toBe(false);
  });
});

describe.each(['v1', 'v2'] as const)('of a %s file whose header came back as it was before', (format) => {
  interface Grown {
    readonly bytes: Uint8Array;
    readonly nodes: ReadonlyMap<string, string>;
  }

  /** The first sector is of the time before a page was added. */
  async function withOldHeader(isClosed: boolean, change?: (copy: Uint8Array) => unknown): Promise<Grown> {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    const nodes = new Map<string, string>();
    const append = async (...names: string[]): Promise<void> => {
      for (const name of names) {
        const { block, slot } = await store.append(text(name));
        nodes.set(`${block}:${slot}`, hexOf(text(name)));
      }
    };
    await append('a', 'b');
    const sector = file.bytes.slice(0, SECTOR);
    await store.allocate(1);
    await append('c', 'd', 'e');
    if (isClosed) await store.close();
    return { bytes: damaged(file.bytes, (copy) => (copy.set(sector), change?.(copy))), nodes };
  }

  test.each([
    ['closed', true],
    ['not closed', false],
  ])('and that was %s, all nodes come back by the newest header, which its digest proves', async (_, isClosed) => {
    const { bytes, nodes } = await withOldHeader(isClosed);
    const result = await recoverAll(bytes);
    expect(result.errors).toEqual([]);
    expect([...(await nodesByRef(result.bytes))]).toEqual([...nodes]);
    expect(result.summary).toMatchObject({ isWhole: true, digest: 'matches', nodes: 5 });
    expect(result.blocks[0]?.problems[0]?.code).toBe('FILE_HEADER_OLD');
    expect(result.summary.header).toBe(isClosed ? 'header copy' : 'commit record');
  });

  test('and a page that its newest header counts is lost, the others come back', async () => {
    const { bytes } = await withOldHeader(true, (copy) => copy.fill(0, fileOffset(1), fileOffset(2)));
    const result = await recoverAll(bytes);
    expect(result.summary).toMatchObject({ isWhole: false, digest: 'differs', blocks: 3, nodes: 3 });
    expect(result.summary.missing).toMatch(/^the file header is out of date/);
  });

  test('and nothing but the pages is newer, they come back by their commit numbers', async () => {
    const lostCopies = (copy: Uint8Array): void => {
      for (const start of [4096, 8192, 12_288]) copy.fill(0, start, start + SECTOR);
    };
    const { bytes, nodes } = await withOldHeader(true, lostCopies);
    const result = await recoverAll(bytes);
    expect([...(await nodesByRef(result.bytes))]).toEqual([...nodes]);
    expect(result.summary).toMatchObject({ isWhole: false, digest: 'differs', nodes: 5 });
    expect(result.summary.missing).toMatch(
      /^the file header is out of date: it is of commit 3, and block 2 of commit 7/,
    );
  });

  test('a batch that was interrupted is not taken for a newer state', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.append(text('a'));
    const states: Uint8Array[] = [];
    const write = file.write.bind(file);
    file.write = async (source, position) => {
      await write(source, position);
      states.push(file.bytes.slice());
    };
    await store.allocate(1);
    for (const state of states) {
      const { summary } = await recoverAll(state);
      expect(summary).toMatchObject({ isWhole: true, digest: 'matches', nodes: 1 });
    }
    expect(states.length).toBeGreaterThan(2);
  });
});

test('a writer that is active is no lost page, but its file is not called whole', async () => {
  const file = new MemoryBlockFile(await fivePages('v1', false));
  const store = await PageStore.open(file);
  const { summary } = await recoverAll(file, {
    onBlock: async ({ block }) => void (block === 0 && (await store.append(text('x')))),
  });
  expect(summary).toMatchObject({
    digest: 'unchecked',
    isWhole: false,
    missing: expect.stringMatching(/^a writer was active/),
  });
  await store.close();
});

test('pages of another program have no place of their own, and are copied where they are', async () => {
  const good = await fivePages('v1', false);
  const foreign = damaged(withoutDigest(good), (copy) => {
    for (let block = 1; block < 6; block++) {
      const header = { ...PAGE_HEADER.read(copy, fileOffset(block)), home: 0, commit: 0n };
      copy.set(encodeCheckedPageHeader('v1', blockOf(copy, block), header), fileOffset(block));
    }
  });
  expect((await recoverAll(foreign)).summary).toMatchObject({ isWhole: true, digest: 'absent', nodes: 1100 });
  const result = await recoverAll(swapped(foreign, 2, 3));
  expect(result.summary).toMatchObject({ restoredPages: 0, nodes: 1100 });
});
