import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import type { PageRef } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { ReadOnlyFile } from '../../src/disk/block-file.ts';
import { temporaryFolder } from '../support/files.ts';
import { hexOf, makeNodes, random, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { writeSparseFile } from '../support/sparse-file.ts';

const folder = temporaryFolder();

/** A file of some pages, and where each of its nodes is. */
async function filled(pages: number): Promise<{ file: RecordingBlockFile; nodes: Map<PageRef, Uint8Array> }> {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  const bytes = makeNodes(20 * pages, 12_000, 12_000, 5);
  const nodes = new Map<PageRef, Uint8Array>();
  for (const { block, slot, count } of await store.appendMany(bytes)) {
    for (let each = 0; each < count; each++) nodes.set({ block, slot: slot + each }, bytes[nodes.size]!);
  }
  await store.close();
  file.operations = [];
  return { file, nodes };
}

/** Blocks that were read whole since the last time, in order. */
function blocksRead(file: RecordingBlockFile): number[] {
  const blocks = file.operations.flatMap((operation) =>
    operation.kind === 'read' && operation.length === BLOCK_BYTES ? [operation.position / BLOCK_BYTES] : [],
  );
  file.operations = [];
  return blocks;
}

describe('a node', () => {
  test('is available synchronously once its page was read, as a copy or as a view of the page', async () => {
    const { file, nodes } = await filled(3);
    const store = await PageStore.open(file, { access: 'read' });
    for (const [ref, node] of nodes) {
      const isFirst = ref.slot === 0;
      expect(store.tryRead(ref) === undefined).toBe(isFirst);
      expect(store.tryView(ref) === undefined).toBe(isFirst);
      expect(hexOf(await store.view(ref))).toBe(hexOf(node));
      expect(hexOf(store.tryView(ref)!)).toBe(hexOf(node));
      const copy = store.tryRead(ref)!;
      expect(hexOf(copy)).toBe(hexOf(node));
      copy.fill(0); // the caller's own
      expect(hexOf(await store.read(ref))).toBe(hexOf(node));
    }
    await store.close();
  });

  test('costs one read of its page, whatever the number of reads', async () => {
    const { file, nodes } = await filled(8);
    const store = await PageStore.open(file, { access: 'read' });
    const refs = [...nodes.keys()];
    const next = random(3);
    for (let read = 0; read < 3000; read++) {
      const ref = refs[Math.floor(next() * refs.length)]!;
      expect((store.tryView(ref) ?? (await store.view(ref))).length).toBe(12_000);
    }
    expect(blocksRead(file).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await store.close();
  });

  test.each([
    { block: 1, slot: 20 },
    { block: 1, slot: -1 },
    { block: 1, slot: 0.5 },
    { block: 1, slot: NaN },
    { block: 99, slot: 0 },
    { block: 0, slot: 0 },
    { block: -1, slot: 0 },
  ])('that does not exist, %o, is not found by tryRead and refused by read', async (ref) => {
    const { file } = await filled(1);
    const store = await PageStore.open(file, { access: 'read' });
    await store.readPage(1);
    expect(store.tryRead(ref)).toBeUndefined();
    expect(store.tryView(ref)).toBeUndefined();
    await expect(store.read(ref)).rejects.toThrow(/slot|block/);
    await expect(store.view(ref)).rejects.toThrow(/slot|block/);
    await store.close();
  });

  test('of a damaged page is never returned', async () => {
    const { file, nodes } = await filled(1);
    file.bytes[BLOCK_BYTES + 5000]! ^= 4; // a byte that is there
    const store = await PageStore.open(file, { access: 'read' });
    for (const ref of nodes.keys()) {
      await expect(store.view(ref)).rejects.toMatchObject({ code: 'PAGE_CHECKSUM' });
      expect(store.tryRead(ref)).toBeUndefined();
    }
    await store.close();
  });

  test('is not returned any more once the store is closed', async () => {
    const { file, nodes } = await filled(1);
    const store = await PageStore.open(file);
    const [ref] = nodes.keys() as unknown as [PageRef];
    await store.read(ref);
    await store.close();
    expect(store.tryRead(ref)).toBeUndefined();
    await expect(store.read(ref)).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  });
});

describe('cached pages', () => {
  test('are not more than configured, and those that are used stay', async () => {
    const { file } = await filled(4);
    const store = await PageStore.open(file, { access: 'read', cacheBytes: 2 * BLOCK_BYTES });
    const read = async (...blocks: number[]): Promise<number[]> => {
      for (const block of blocks) await store.read({ block, slot: 0 });
      return blocksRead(file);
    };
    expect(await read(1, 2, 1, 1)).toEqual([1, 2]);
    // Block 1 was used since it came; block 2 was not.
    expect(await read(3, 1)).toEqual([3]);
    expect(await read(2)).toEqual([2]);
    expect(await read(1)).toEqual([]);
    await store.close();
    const least = await PageStore.open(file, { access: 'read', cacheBytes: 0 });
    blocksRead(file);
    for (const block of [1, 1, 2, 1]) await least.read({ block, slot: 0 });
    expect(blocksRead(file)).toEqual([1, 2, 1]);
    await least.close();
  });

  test.each([-1, NaN, '1' as unknown as number])('cannot be %s bytes', async (cacheBytes) => {
    const { file } = await filled(1);
    await expect(PageStore.open(file, { cacheBytes })).rejects.toThrow(RangeError);
  });

  test('are dropped if they have changed, and only then; a view does not change', async () => {
    const { file, nodes } = await filled(4);
    const store = await PageStore.open(file);
    for (const block of [1, 2, 3, 4]) await store.readPage(block);
    blocksRead(file);
    const ref = { block: 2, slot: 3 };
    const before = nodes.get([...nodes.keys()].find(({ block, slot }) => block === 2 && slot === 3)!)!;
    const view = store.tryView(ref)!;
    await store.update(ref, text('n'.repeat(12_000)));
    expect(store.tryRead(ref)).toBeUndefined();
    expect(hexOf(view)).toBe(hexOf(before));
    blocksRead(file);
    expect(hexOf(await store.read(ref))).toBe('6e'.repeat(12_000));
    for (const block of [1, 3, 4]) expect(store.tryRead({ block, slot: 0 })).toBeDefined();
    expect(blocksRead(file)).toEqual([2]);

    await store.free(3);
    expect(store.tryRead({ block: 3, slot: 0 })).toBeUndefined();
    expect(store.tryRead({ block: 2, slot: 0 })).toBeDefined();
    await expect(store.read({ block: 3, slot: 0 })).rejects.toMatchObject({ code: 'BLOCK_FREE' });

    const added = await store.append(text('one more'));
    expect(store.tryRead(added)).toBeUndefined();
    expect(hexOf(await store.read(added))).toBe(hexOf(text('one more')));
    await store.finalize();
    expect(store.tryRead(added)).toBeUndefined();
    await store.close();
  });
});

/** Counts what is asked of a file. */
class CountingFile extends ReadOnlyFile {
  reads = 0;
  bytes = 0;

  get journal(): ReadOnlyFile['file']['journal'] {
    return this.file.journal;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.reads++;
    this.bytes += target.length;
    return this.file.read(target, position);
  }
}

test('opening a file and reading a node costs the same at 10 MiB and at 10 GiB', async () => {
  const costs: object[] = [];
  for (const blocks of [40, 40_960]) {
    const path = join(folder, `${blocks}.part`);
    writeSparseFile(path, blocks, 8);
    const file = new CountingFile(await openBlockFile(path, 'read'));
    const store = await PageStore.open(file, { access: 'read' });
    expect((await store.read({ block: 1, slot: 0 })).length).toBe(200_000);
    costs.push({ reads: file.reads, bytes: file.bytes });
    await store.close();
  }
  expect(costs[1]).toEqual(costs[0]);
});
