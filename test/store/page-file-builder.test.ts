import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { digestIn } from '../../src/format/digest.ts';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, MAX_BLOCKS } from '../../src/format/layout.ts';
import { commitOf, PAGE_FLAG, PAGE_HEADER, type PageFormat } from '../../src/format/page-header.ts';
import { PageFileBuilder } from '../../src/store/page-file-builder.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { specFreeList, specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

async function built(work: (builder: PageFileBuilder) => Promise<void>): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  await work(await PageFileBuilder.begin(file));
  return file.bytes.slice();
}

describe('a file that is built sequentially', () => {
  for (const format of ['v1', 'v2'] satisfies PageFormat[]) {
    test(`has its nodes where they were put, in ${format} pages`, async () => {
      const nodes = makeNodes(20, 0, 600);
      const bytes = await built(async (builder) => {
        await builder.beginPage(format);
        for (const node of nodes.slice(0, 12)) expect(builder.add(node)).toBe(true);
        await builder.endPage(false);
        await builder.beginPage(format);
        expect([builder.block, builder.slotCount]).toEqual([2, 0]);
        for (const node of nodes.slice(12)) expect(builder.add(node)).toBe(true);
        expect(builder.slotCount).toBe(8);
        await builder.endPage(true);
        await builder.finish();
      });
      expect(specNodes(bytes).map(({ ref, bytes: node }) => `${ref} ${hexOf(node)}`)).toEqual(
        nodes.map((node, index) => `${index < 12 ? `1:${index}` : `2:${index - 12}`} ${hexOf(node)}`),
      );
      const { findings, summary } = await verifyAll(bytes, { requireChecksums: true });
      expect(findings).toEqual([]);
      expect(summary).toMatchObject({ blocks: 3, pages: 2, nodes: 20 });
      const finalized = [1, 2].map((block) => PAGE_HEADER.read(bytes, block * BLOCK_BYTES).flags & PAGE_FLAG.finalized);
      expect(finalized).toEqual([0, PAGE_FLAG.finalized]);
      expect(FILE_HEADER.read(bytes).entryCount).toBe(20n);
    });

    test(`takes more ${format} nodes later`, async () => {
      const file = new MemoryBlockFile();
      const builder = await PageFileBuilder.begin(file);
      await builder.beginPage(format);
      builder.add(text('first'));
      await builder.endPage(false, 'open');
      await builder.finish();
      const store = await PageStore.open(file);
      expect(await store.append(text('second'))).toEqual({ block: 1, slot: 1 });
      await store.close();
      expect((await verifyAll(file.bytes.slice())).findings).toEqual([]);
    });
  }

  test('has the skipped blocks on its free list', async () => {
    const bytes = await built(async (builder) => {
      await builder.beginPage('v1', 3);
      builder.add(text('third'));
      await builder.endPage(false);
      await builder.finish(6);
      expect(builder.freeBlocks).toBe(4);
    });
    expect(bytes.length).toBe(6 * BLOCK_BYTES);
    expect([...specFreeList(Buffer.from(bytes))]).toEqual([5, 4, 2, 1]);
    expect(specNodes(bytes).map(({ ref }) => ref)).toEqual(['3:0']);
    expect((await verifyAll(bytes)).findings).toEqual([]);
  });

  test('holds a page that was copied unchanged', async () => {
    const file = new MemoryBlockFile(
      await built(async (builder) => {
        await builder.beginPage('v2', 2);
        builder.add(text('copied'));
        await builder.endPage(false);
        await builder.finish();
      }),
    );
    const store = await PageStore.open(file);
    for (let n = 0; n < 3; n++) await store.append(text('later'));
    await store.close();
    const page = file.bytes.slice(2 * BLOCK_BYTES);
    const bytes = await built(async (builder) => {
      await builder.addBlock(page, 4, 2);
      expect(builder.nodes).toBe(4);
      await builder.finish();
    });
    expect(Buffer.compare(bytes.subarray(2 * BLOCK_BYTES), page)).toBe(0);
    // The digest has a commit number that is not below that of the page.
    expect(digestIn(bytes).state?.commit).toBe(commitOf(page));
    expect(commitOf(page)).toBe(4);
    const { findings, summary } = await verifyAll(bytes);
    expect(findings).toEqual([]);
    expect(summary.digest).toBe('matches');
  });

  test('has nothing of the page before in the next one', async () => {
    const bytes = await built(async (builder) => {
      for (const node of [new Uint8Array(200_000).fill(0xaa), text('small')]) {
        await builder.beginPage('v1');
        builder.add(node);
        await builder.endPage(true);
      }
      await builder.finish();
    });
    expect(bytes.subarray(2 * BLOCK_BYTES).includes(0xaa)).toBe(false);
  });

  test('has the given root', async () => {
    const rootDescriptor = { rootType: 0, isFinal: 1, termCount: 1, arenaCount: 0, rootRecord: 0n };
    const root = { rootPointer: 64n << 18n, rootDescriptor, entryCount: 1n, imageCheckpointLsn: 9n };
    const bytes = await built((builder) => builder.finish(1, root));
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 64n << 18n, entryCount: 1n, imageCheckpointLsn: 9n });
    expect((await verifyAll(bytes)).findings).toEqual([]);
  });

  test('refuses calls in the wrong order, and more blocks than a file can have', async () => {
    const builder = await PageFileBuilder.begin(new MemoryBlockFile());
    expect(() => builder.add(text('no page'))).toThrow(TypeError);
    await builder.beginPage('v1');
    await expect(builder.beginPage('v1')).rejects.toThrow(TypeError);
    await expect(builder.finish()).rejects.toThrow(TypeError);
    await builder.endPage(false);
    await expect(builder.beginPage('v1', 1)).rejects.toThrow(RangeError);
    await expect(builder.beginPage('v1', MAX_BLOCKS + 1)).rejects.toMatchObject({ code: 'FILE_FULL' });
  });

  test('can be aborted between two skipped blocks', async () => {
    const file = new MemoryBlockFile();
    const builder = await PageFileBuilder.begin(file, AbortSignal.abort(new Error('given up')));
    await expect(builder.finish(MAX_BLOCKS)).rejects.toThrow('given up');
    expect(await file.size()).toBeLessThan(BLOCK_BYTES);
  });
});
