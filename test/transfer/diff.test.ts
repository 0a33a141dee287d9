import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset, ROOT_DESCRIPTOR_OFFSET } from '../../src/format/layout.ts';
import { encodePatchJournal } from '../../src/format/journal.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact } from '../../src/transfer/compact.ts';
import { diff } from '../../src/transfer/diff.ts';
import type { Difference } from '../../src/transfer/difference.ts';
import { damaged, smallFile, withHeader } from '../support/damage.ts';
import { GOLDEN_NAMES, goldenBytes } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';
import { changed, diffed, fileOf } from '../support/transfer.ts';

/** The differences that a comparison of all refs finds, sorted. */
function modelOf(a: Uint8Array, b: Uint8Array): string[] {
  const [inA, inB] = [a, b].map((file) => new Map(specNodes(file).map(({ ref, bytes }) => [ref, bytes]))) as [
    Map<string, Buffer>,
    Map<string, Buffer>,
  ];
  const found: string[] = [];
  for (const [ref, bytes] of inA) {
    const other = inB.get(ref);
    if (other === undefined) found.push(`removed ${ref} ${bytes.length}`);
    else if (!other.equals(bytes)) {
      let firstByte = 0;
      while (firstByte < Math.min(bytes.length, other.length) && bytes[firstByte] === other[firstByte]) firstByte++;
      found.push(`changed ${ref} ${bytes.length} ${other.length} ${firstByte}`);
    }
  }
  for (const [ref, bytes] of inB) if (!inA.has(ref)) found.push(`added ${ref} ${bytes.length}`);
  return found.toSorted();
}

const nodeDifferences = (differences: readonly Difference[]): string[] =>
  differences
    .flatMap((each) => {
      if (each.type === 'changed')
        return [`changed ${each.block}:${each.slot} ${each.aBytes} ${each.bBytes} ${each.firstByte}`];
      return each.type === 'added' || each.type === 'removed'
        ? [`${each.type} ${each.block}:${each.slot} ${each.bytes}`]
        : [];
    })
    .toSorted();

const places = { compare: 'places' } as const;
const nodes = { compare: 'nodes' } as const;

describe('a file and its copy', () => {
  test.each(GOLDEN_NAMES.filter((name) => name !== 'stale-header'))('%s.part are the same by places', async (name) => {
    const { differences, report } = await diffed(goldenBytes(name), goldenBytes(name), places);
    expect(differences).toEqual([]);
    expect(report.same).toBe(true);
  });

  test.each(['arenas', 'v1', 'v2', 'empty'] as const)(
    '%s.part are the same by nodes if the copy is compacted',
    async (name) => {
      for (const pageFormat of ['v1', 'v2'] as const) {
        const copy = new MemoryBlockFile();
        await compact(new MemoryBlockFile(goldenBytes(name)), copy, { pageFormat });
        expect((await diffed(goldenBytes(name), copy.bytes.slice(), nodes)).report.same).toBe(true);
      }
    },
  );

  test('are read once, block by block', async () => {
    const file = new RecordingBlockFile(await fileOf(makeNodes(3000, 100, 600)));
    const other = new RecordingBlockFile(file.bytes.slice());
    expect((await diff(file, other, nodes)).nodes).toEqual({ a: 3000, b: 3000 });
    for (const { operations } of [file, other]) {
      const blocks = operations.flatMap((operation) =>
        operation.kind === 'read' && operation.length === BLOCK_BYTES ? [operation.position / BLOCK_BYTES] : [],
      );
      expect(blocks).toEqual([1, 2, 3, 4, 5].slice(0, blocks.length));
      expect(blocks.length).toBe(file.bytes.length / BLOCK_BYTES - 1);
      expect(operations.filter(({ kind }) => kind !== 'read')).toEqual([]);
    }
  });

  test('are the same if only their free space differs', async () => {
    const file = await smallFile('v1');
    const other = damaged(file, (copy) => copy.fill(9, fileOffset(1, 100_000), fileOffset(1, 100_100)));
    expect((await diffed(file, other)).report.same).toBe(true);
  });
});

describe('a diff by places', () => {
  test('finds what a comparison of all refs finds between a file and a changed copy', async () => {
    const step = fc.record({ kind: fc.constantFrom('update', 'append', 'free', 'allocate', 'finalize'), at: fc.nat() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 8 }),
        fc.constantFrom<PageFormat>('v1', 'v2'),
        async (steps, pageFormat) => {
          const before = await fileOf(makeNodes(12, 0, 90_000), pageFormat);
          const after = await changed(before, async (store) => {
            for (const { kind, at } of steps) {
              const all: { block: number; slot: number; bytes: number }[] = [];
              for await (const { block, page } of store.pages())
                for (let slot = 0; slot < page.directory.count; slot++)
                  all.push({ block, slot, bytes: page.directory.nodeBytes(slot) });
              const node = all[at % Math.max(1, all.length)];
              if (kind === 'append') await store.append(new Uint8Array(at % 50_000).fill(at));
              else if (kind === 'allocate') await store.allocate(1);
              else if (kind === 'finalize') await store.finalize();
              else if (node && kind === 'free') await store.free(node.block);
              else if (node) await store.update(node, new Uint8Array(node.bytes).fill(at));
            }
          });
          const there = await diffed(before, after);
          expect(nodeDifferences(there.differences)).toEqual(modelOf(before, after));
          const back = await diffed(after, before);
          expect(nodeDifferences(back.differences)).toEqual(modelOf(after, before));
          const { added, removed, changed: other } = there.report.differences;
          expect(back.report.differences).toMatchObject({ added: removed, removed: added, changed: other });
        },
      ),
      { numRuns: 30 },
    );
  });

  test('reports what kind of blocks differ, and how their pages differ', async () => {
    const a = await changed(await fileOf([text('one')]), (store) => store.allocate(3, 'v1'));
    const b = await changed(await fileOf([text('one')], 'v2'), async (store) => {
      await store.finalize({ blocks: [1] });
      await store.allocate(1, 'v1');
      await store.free(2);
    });
    expect((await diffed(a, b)).differences).toEqual([
      { type: 'block', block: 1, field: 'format', a: 'v1', b: 'v2' },
      { type: 'block', block: 1, field: 'finalized', a: 'no', b: 'yes' },
      { type: 'block', block: 2, field: 'content', a: 'page', b: 'free' },
      { type: 'block', block: 3, field: 'content', a: 'page', b: 'absent' },
      { type: 'block', block: 4, field: 'content', a: 'page', b: 'absent' },
    ]);
  });

  test('reports the nodes of a page that only one file has', async () => {
    const b = await fileOf([text('one'), text('three')]);
    const a = await changed(b, (store) => store.free(1));
    expect((await diffed(a, b)).differences).toEqual([
      { type: 'block', block: 1, field: 'content', a: 'free', b: 'page' },
      { type: 'added', block: 1, slot: 0, bytes: 3 },
      { type: 'added', block: 1, slot: 1, bytes: 5 },
    ]);
  });

  test('reports header fields, but no entry count if one file does not count', async () => {
    const file = await smallFile('v1');
    expect((await diffed(file, withHeader(file, { entryCount: 0n }))).report.same).toBe(true);
    const other = withHeader(file, { entryCount: 21n, imageCheckpointLsn: 5n, rootPointer: 64n << 18n });
    const fields = (await diffed(file, other)).differences.map((each) => (each.type === 'header' ? each.field : each));
    expect(fields).toEqual([
      'rootPointer',
      'entryCount',
      'imageCheckpointLsn',
      'rootType',
      'isFinal',
      'termCount',
      'arenaCount',
      'rootRecord',
    ]);
  });

  test('uses the root descriptor of an interrupted repair', async () => {
    const file = withHeader(await smallFile('v1'), { rootPointer: 64n << 18n });
    const cutOff = new MemoryBlockFile(file.slice());
    const position = ROOT_DESCRIPTOR_OFFSET + 2;
    const before = file.subarray(position, position + 4);
    await cutOff.journal.write(encodePatchJournal([{ position, kind: 0, before, after: Uint8Array.of(7, 0, 0, 0) }]));
    const differences: Difference[] = [];
    await diff(new MemoryBlockFile(file), cutOff, {
      onDifference: (difference) => void differences.push(difference),
    });
    expect(differences).toEqual([{ type: 'header', field: 'termCount', a: '0', b: '7' }]);
  });

  test('compares node bytes without a directory as a whole', async () => {
    const file = goldenBytes('v2-unfinalized');
    const other = damaged(file, (copy) => (copy[fileOffset(1, 70)]! ^= 1));
    expect((await diffed(file, other)).differences).toEqual([
      { type: 'block', block: 1, field: 'orphanedBytes', a: '39', b: '39' },
    ]);
  });

  test('stops at the first difference with stopAtFirst', async () => {
    const [a, b] = [await fileOf([]), await fileOf(makeNodes(3000, 100, 600))];
    const differences: Difference[] = [];
    const file = new RecordingBlockFile(b);
    const report = await diff(new MemoryBlockFile(a), file, {
      onDifference: (each) => void differences.push(each),
      stopAtFirst: true,
    });
    expect(differences).toHaveLength(1);
    expect(report.same).toBe(false);
    expect(file.operations.filter((each) => each.kind === 'read' && each.length === BLOCK_BYTES).length).toBeLessThan(
      3,
    );
  });
});

test('a commit during the comparison is reported', async () => {
  const file = new MemoryBlockFile(await smallFile('v1'));
  const onProgress = async (): Promise<void> => {
    const store = await PageStore.open(file);
    await store.append(text('new'));
    await store.close();
  };
  const other = new MemoryBlockFile(file.bytes.slice());
  expect((await diff(file, other, { onProgress })).changed).toBe(true);
});
