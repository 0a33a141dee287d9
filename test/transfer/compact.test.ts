import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact } from '../../src/transfer/compact.ts';
import { fileWithFreeList, smallFile, withHeader } from '../support/damage.ts';
import { goldenBytes, goldenNodes } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specFreeList, specNodes } from '../support/spec-reader.ts';
import { compacted, expectRefs, fileOfBatches, FORMATS, sequence } from '../support/transfer.ts';
import { verifyAll } from '../support/verify.ts';

const flagsOf = (file: Uint8Array, block: number): number => PAGE_HEADER.read(file, fileOffset(block)).flags;

describe('a compacted file', () => {
  const nodes = fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.constantFrom(3, 90, 9000, 90_000), fc.nat())
    .map(([count, longest, seed]) => makeNodes(count, 0, longest, seed));
  const batch = fc.record({ nodes, pageFormat: fc.constantFrom(...FORMATS) });

  test('has the same nodes in the same order, from V1 or V2 pages to either format and back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 5 }), fc.constantFrom(...FORMATS), async (batches, pageFormat) => {
        const source = await fileOfBatches(batches);
        const there = await compacted(source, { pageFormat });
        const back = await compacted(there.bytes, { pageFormat: pageFormat === 'v1' ? 'v2' : 'v1' });
        const expected = sequence(source);
        expect(sequence(there.bytes)).toEqual(expected);
        expect(sequence(back.bytes)).toEqual(expected);
        expectRefs(source, there.bytes, there.refs);
        expectRefs(there.bytes, back.bytes, back.refs);
        for (const { bytes, report } of [there, back]) {
          expect((await verifyAll(bytes, { requireChecksums: true })).findings).toEqual([]);
          expect(report.after).toMatchObject({ nodes: expected.length, freeBlocks: 0, bytes: bytes.length });
          expect(FILE_HEADER.read(bytes).entryCount).toBe(BigInt(expected.length));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('has all 15,389 nodes of a file of libdictenstein, in either format', async () => {
    const expected = goldenNodes('arenas').map(({ hex }) => hex);
    for (const pageFormat of FORMATS) {
      const { bytes, refs } = await compacted(goldenBytes('arenas'), { pageFormat });
      expect(specNodes(bytes).map((node) => node.bytes.toString('hex'))).toEqual(expected);
      expectRefs(goldenBytes('arenas'), bytes, refs);
    }
  });

  test.each(['v1', 'v2', 'empty'] as const)('has the nodes of %s.part, which has no checksums', async (name) => {
    const { bytes } = await compacted(goldenBytes(name));
    expect(specNodes(bytes).map((node) => node.bytes.toString('hex'))).toEqual(goldenNodes(name).map(({ hex }) => hex));
    expect((await verifyAll(bytes, { requireChecksums: true })).findings).toEqual([]);
  });

  test('has no free and no unwritten blocks', async () => {
    const file = new MemoryBlockFile(await fileWithFreeList());
    const store = await PageStore.open(file);
    await store.append(text('kept'));
    await store.close();
    // A block that was allocated and never written, as libdictenstein leaves them.
    const longer = new Uint8Array(file.bytes.length + BLOCK_BYTES);
    longer.set(file.bytes);
    const source = withHeader(longer, { blockCount: longer.length / BLOCK_BYTES });
    const { bytes, report } = await compacted(source);
    expect(report.before).toMatchObject({
      blocks: 8,
      freeBlocks: 3,
      unwrittenBlocks: 1,
      nodes: 1,
      pages: { v1: 3, v2: 0 },
    });
    expect(report.after).toMatchObject({ blocks: 2, freeBlocks: 0, unwrittenBlocks: 0, nodes: 1 });
    expect([...specFreeList(Buffer.from(bytes))]).toEqual([]);
    expect(sequence(bytes)).toEqual(['kept']);
  });

  test('without nodes has a header and an empty page, like a new file', async () => {
    for (const pageFormat of FORMATS) {
      const empty = new MemoryBlockFile();
      await (await PageStore.create(empty, { pageFormat })).close();
      const { bytes } = await compacted(empty.bytes.slice());
      expect(Buffer.compare(bytes.subarray(BLOCK_BYTES), empty.bytes.subarray(BLOCK_BYTES))).toBe(0);
      expect(bytes.length).toBe(2 * BLOCK_BYTES);
    }
  });

  test('has the format of the last page, however many blocks follow it', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: 'v2' });
    await store.append(text('node'));
    const blocks = await store.allocate(70, 'v1');
    for (const block of blocks) await store.free(block);
    await store.close();
    expect((await compacted(file.bytes.slice())).report).toMatchObject({
      pageFormat: 'v2',
      before: { freeBlocks: 70 },
    });
  });

  test('accepts more nodes, unless all pages of the source are finalized', async () => {
    for (const pageFormat of FORMATS) {
      const open = await compacted(await smallFile(pageFormat));
      expect(flagsOf(open.bytes, 1) & PAGE_FLAG.finalized).toBe(0);
      const file = new MemoryBlockFile(open.bytes);
      const store = await PageStore.open(file);
      expect(await store.append(text('more'))).toEqual({ block: 1, slot: 20 });
      await store.close();
      expect((await verifyAll(file.bytes.slice())).findings).toEqual([]);
      const sealed = await compacted(await smallFile(pageFormat, true));
      expect(flagsOf(sealed.bytes, 1) & PAGE_FLAG.finalized).toBe(PAGE_FLAG.finalized);
      expect(sealed.report).toMatchObject({ before: { finalizedPages: 1 }, after: { finalizedPages: 1 } });
    }
  });

  test('has no checkpoint number, as it has no trie: its log will begin at 1', async () => {
    const { bytes } = await compacted(withHeader(await smallFile('v1'), { imageCheckpointLsn: 77n }));
    expect(FILE_HEADER.read(bytes).imageCheckpointLsn).toBe(0n);
    expect((await verifyAll(bytes)).findings).toEqual([]);
  });

  test('is durable before onDurable is called, after the new refs of all pages', async () => {
    const source = await fileOfBatches([{ nodes: makeNodes(6, 100_000, 100_000), pageFormat: 'v1' }]);
    const target = new RecordingBlockFile();
    const calls: string[] = [];
    await compact(new MemoryBlockFile(source), target, {
      onMoved: ({ block, count }) => void calls.push(`${block}: ${count}`),
      onDurable: () => void calls.push(`${target.count('sync')} syncs, last ${target.operations.at(-1)?.kind}`),
    });
    expect(calls).toEqual(['1: 2', '2: 2', '3: 2', '2 syncs, last sync']);
  });

  test('is created by reading and writing each block once', async () => {
    const batches = [{ nodes: makeNodes(4000, 100, 600), pageFormat: 'v1' as const }];
    const source = new RecordingBlockFile(await fileOfBatches(batches));
    const target = new RecordingBlockFile();
    await compact(source, target);
    const blocks = (file: RecordingBlockFile, kind: 'read' | 'write'): number[] =>
      file.operations.flatMap((operation) => {
        if (operation.kind !== kind) return [];
        const bytes = 'length' in operation ? operation.length : operation.bytes.length;
        return bytes === BLOCK_BYTES ? [operation.position / BLOCK_BYTES] : [];
      });
    const all = Array.from({ length: source.bytes.length / BLOCK_BYTES - 1 }, (_, index) => index + 1);
    expect(all.length).toBeGreaterThan(4);
    expect(blocks(source, 'read')).toEqual(all);
    expect(blocks(target, 'write')).toEqual(all);
    expect(source.count('write') + source.count('truncate')).toBe(0);
    expect(target.count('sync')).toBe(2);
  });
});
