import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeyMap } from '../../src/arena/key-map.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { formatRef, type RefRun } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexOf, makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

afterEach(() => vi.restoreAllMocks());

async function newStore(pageFormat: PageFormat = 'v1'): Promise<{ file: RecordingBlockFile; store: PageStore }> {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file, { pageFormat, dedupe: true });
  file.operations = [];
  return { file, store };
}

const refsOf = (runs: readonly RefRun[]): string[] =>
  runs.flatMap(({ block, slot, count }) => Array.from({ length: count }, (_, at) => `${block}:${slot + at}`));

const node = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 2 }).map((bytes) => Uint8Array.from(bytes, (byte) => byte % 3)) },
  { weight: 1, arbitrary: fc.constantFrom(90_000, 90_001, 200_000).map((length) => new Uint8Array(length)) },
);

describe('a store that dedupes', () => {
  test('stores each node once, in the order of first appearance, and returns the ref of the first for all, by every way to append', async () => {
    const batch = fc.record({
      way: fc.constantFrom('array', 'bytes', 'calls', 'stage'),
      nodes: fc.array(node, { maxLength: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<PageFormat>('v1', 'v2'),
        fc.array(batch, { maxLength: 5 }),
        async (format, batches) => {
          const { file, store } = await newStore(format);
          const model = new Map<string, string>();
          let given = 0;
          for (const { way, nodes } of batches) {
            given += nodes.length;
            const refs = await append(store, way, nodes);
            expect(refs.length).toBe(nodes.length);
            for (const [index, bytes] of nodes.entries()) {
              const hex = hexOf(bytes);
              if (!model.has(hex)) model.set(hex, refs[index]!);
              expect(refs[index]).toBe(model.get(hex));
            }
          }
          expect(store.duplicateNodes).toBe(given - model.size);
          await store.close();
          expect(specNodes(file.bytes).map((found) => [hexOf(found.bytes), found.ref])).toEqual([...model]);
          expect(
            (await verifyAll(file.bytes.slice())).findings.filter((finding) => finding.severity !== 'info'),
          ).toEqual([]);
        },
      ),
      { numRuns: 80 },
    );
  });

  test('writes and syncs nothing for nodes that it has stored', async () => {
    const { file, store } = await newStore();
    const first = await store.append(text('again'));
    file.operations = [];
    expect(await store.append(text('again'))).toEqual(first);
    expect(await store.appendMany([text('again'), text('again')])).toHaveLength(2);
    expect(file.operations).toEqual([]);
  });

  test('returns refs for an endless stream of one node, although it fills no page', async () => {
    const { store } = await newStore();
    const source = text('same');
    let acknowledged = 0;
    for (let staged = 0; staged < 100_000;) {
      if (store.stage(source)) staged++;
      else for (const run of await store.makeRoom(source.length)) acknowledged += run.count;
      expect(store.stagedNodes).toBe(staged - acknowledged);
      if (store.stagedNodes > 20_000) throw new Error('refs are held back');
    }
    expect(acknowledged).toBeGreaterThan(80_000);
  });

  test('forgets its nodes when pages change: an updated or freed node is stored again', async () => {
    const { store } = await newStore();
    const first = await store.append(text('abc'));
    await store.update(first, text('xyz'));
    const second = await store.append(text('abc'));
    expect(formatRef(second)).not.toBe(formatRef(first));
    await store.free(second.block);
    const third = await store.append(text('abc'));
    expect(hexOf(await store.read(third))).toBe(hexOf(text('abc')));
  });

  test('after a commit that failed on a full disk, its nodes get valid refs', async () => {
    const { file, store } = await newStore();
    const kept = await store.append(text('kept'));
    file.failOn = (step) => (step.kind === 'write' && step.position >= 2 * 262_144 ? 'ENOSPC' : undefined);
    const nodes = makeNodes(20_000, 40, 60);
    await expect(store.appendMany(nodes)).rejects.toMatchObject({ detail: { errno: 'ENOSPC' } });
    file.failOn = () => undefined;
    const [run] = await store.appendMany([nodes[0]!, text('kept')]);
    for (const [index, bytes] of [nodes[0]!, text('kept')].entries()) {
      const ref = { block: run!.block, slot: run!.slot + index };
      expect(hexOf(await store.read(ref))).toBe(hexOf(bytes));
    }
    expect(hexOf(await store.read(kept))).toBe(hexOf(text('kept')));
  });

  test('with a node that is too large for a page, the duplicates before it keep their refs', async () => {
    const { store } = await newStore();
    const ref = await store.append(text('a'));
    const results = await Promise.allSettled(
      [text('a'), new Uint8Array(300_000), text('a'), text('b')].map((bytes) => store.append(bytes)),
    );
    expect(results.map((result) => (result.status === 'fulfilled' ? formatRef(result.value) : 'refused'))).toEqual([
      formatRef(ref),
      'refused',
      formatRef(ref),
      '1:1',
    ]);
  });
});

test('a closed store returns no ref for a node that it has stored, as for any other', async () => {
  const { store } = await newStore();
  await store.append(text('a'));
  await store.close();
  await expect(store.append(text('a'))).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  await expect(store.appendMany([text('a')])).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  expect(() => store.stage(text('a'))).toThrow('has been closed');
});

test('a node that is too large for a page is not kept in memory either', async () => {
  const { store } = await newStore();
  const kept = vi.spyOn(KeyMap.prototype, 'entryOf');
  await store.append(text('a'));
  await expect(store.append(new Uint8Array(1_000_000))).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
  await expect(store.appendMany(new Uint8Array(1_000_000), [1_000_000])).rejects.toThrow();
  const lengths = kept.mock.calls.map(([, start, end]) => (end ?? NaN) - (start ?? NaN));
  expect(new Set(lengths)).toEqual(new Set([1]));
});

test('stageMany of a store that dedupes stops before a node that is too large for a page, with the nodes before it staged', async () => {
  const { store } = await newStore();
  await store.append(text('a'));
  await store.makeRoom(1);
  const source = new Uint8Array(3 + 300_000).fill(0x61);
  expect(store.stageMany(source, 0, Uint32Array.of(1, 1, 300_000, 1), 0, 4)).toBe(2);
  await expect(store.makeRoom(300_000)).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
  expect(refsOf(await store.commit())).toEqual(['1:0', '1:0']);
});

test('a store that does not dedupe stores equal nodes each time', async () => {
  const store = await PageStore.create(new RecordingBlockFile());
  expect(await store.appendMany([text('a'), text('a')])).toEqual([{ block: 1, slot: 0, count: 2 }]);
  expect(store.duplicateNodes).toBe(0);
});

async function append(store: PageStore, way: string, nodes: readonly Uint8Array[]): Promise<string[]> {
  if (way === 'array') return refsOf(await store.appendMany(nodes));
  if (way === 'calls') return (await Promise.all(nodes.map((bytes) => store.append(bytes)))).map(formatRef);
  const lengths = Uint32Array.from(nodes, (bytes) => bytes.length);
  const bytes = Uint8Array.from(Buffer.concat(nodes));
  if (way === 'bytes') return refsOf(await store.appendMany(bytes, lengths));
  const runs: RefRun[] = [];
  for (const each of nodes) while (!store.stage(each)) runs.push(...(await store.makeRoom(each.length)));
  return refsOf([...runs, ...(await store.commit())]);
}
