import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { joinRuns, type PageRef, type RefRun } from '../../src/store/page-ref.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

const FORMATS: PageFormat[] = ['v1', 'v2'];

const endToEnd = (nodes: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(nodes));
const lengthsOf = (nodes: readonly Uint8Array[]): Uint32Array => Uint32Array.from(nodes, (node) => node.length);

/** A stream by the call for many nodes: what a program does that has them end to end. */
async function stageAll(store: PageStore, nodes: readonly Uint8Array[]): Promise<RefRun[]> {
  const [bytes, lengths] = [endToEnd(nodes), lengthsOf(nodes)];
  const runs: RefRun[] = [];
  let at = 0;
  for (let next = 0; next < nodes.length;) {
    const staged = store.stageMany(bytes, at, lengths, next, nodes.length);
    for (const node of nodes.slice(next, next + staged)) at += node.length;
    next += staged;
    if (next < nodes.length) runs.push(...(await store.makeRoom(nodes[next]!.length)));
  }
  return [...runs, ...(await store.commit())];
}

/** The ways to append nodes; all have to end in the same bytes. */
const WAYS: Record<string, (store: PageStore, nodes: readonly Uint8Array[]) => Promise<readonly RefRun[]>> = {
  'appendMany of bytes and lengths': (store, nodes) => store.appendMany(endToEnd(nodes), lengthsOf(nodes)),
  'appendMany of bytes and an array': (store, nodes) => store.appendMany(endToEnd(nodes), [...lengthsOf(nodes)]),
  'append calls that wait together': async (store, nodes) => {
    const refs: PageRef[] = await Promise.all(nodes.map((node) => store.append(node)));
    return refs.map(({ block, slot }) => ({ block, slot, count: 1 }));
  },
  stageMany: stageAll,
};

const lengths = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 3, arbitrary: fc.integer({ min: 200, max: 30_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 262_008 }) },
  ),
  { maxLength: 40 },
);

test('packed nodes, in one call or many, give the same file and refs as an array of nodes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...FORMATS), fc.array(lengths, { maxLength: 4 }), async (pageFormat, batches) => {
      const wanted = await fileOf(pageFormat, batches, (store, nodes) => store.appendMany(nodes));
      for (const way of Object.values(WAYS)) expect(await fileOf(pageFormat, batches, way)).toEqual(wanted);
    }),
    { numRuns: 40 },
  );
});

async function fileOf(
  pageFormat: PageFormat,
  batches: readonly number[][],
  way: (store: PageStore, nodes: readonly Uint8Array[]) => Promise<readonly RefRun[]>,
): Promise<{ refs: RefRun[]; sum: string[] }> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  const refs: RefRun[] = [];
  for (const [seed, batch] of batches.entries()) {
    const nodes = batch.map((length, index) => new Uint8Array(length).fill(31 * index + seed));
    refs.push(...(await way(store, nodes)));
  }
  await store.close();
  return {
    refs: joinRuns(refs),
    sum: specNodes(file.bytes).map((node) => `${node.ref} ${node.bytes.toString('base64')}`),
  };
}

describe.each(FORMATS)('appendMany of bytes and lengths, %s', (pageFormat) => {
  test('syncs once for a batch, whatever its size', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    file.operations = [];
    const nodes = makeNodes(20_000, 40, 60);
    const runs = await store.appendMany(endToEnd(nodes), lengthsOf(nodes));
    expect(file.count('sync')).toBe(1);
    expect(runs.reduce((sum, run) => sum + run.count, 0)).toBe(20_000);
  });

  test('syncs once for 17 pages, the one that it began in and 16 new ones, and writes each page of them once', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    file.operations = [];
    const nodes = makeNodes(2 * 17, 250_000, 250_000);
    const runs = await store.appendMany(endToEnd(nodes), lengthsOf(nodes));
    expect(runs.map(({ block }) => block)).toEqual(Array.from({ length: 2 * 17 }, (_, index) => 1 + index));
    expect(file.count('sync')).toBe(3);
    const whole = file.operations.filter((step) => step.kind === 'write' && step.bytes.length === BLOCK_BYTES);
    expect(whole).toHaveLength(2 * 17 - 1);
  });

  test('that fails after pages were written leaves nothing of them in the file once that is closed', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    await store.append(text('kept'));
    const given = function* (): Generator<Uint8Array> {
      yield* makeNodes(5, 250_000, 250_000);
      throw new Error('no more');
    };
    await expect(store.appendMany(given())).rejects.toThrow('no more');
    expect(file.bytes.length).toBeGreaterThan(4 * BLOCK_BYTES);
    await store.close();
    expect(file.bytes.length).toBe(2 * BLOCK_BYTES);
    expect(specNodes(file.bytes).map((node) => node.bytes.toString())).toEqual(['kept']);
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test.each(['append', 'allocate'] as const)('that fails is gone after %s', async (call) => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    await store.makeRoom(1);
    for (const node of makeNodes(6, 250_000, 250_000)) while (!store.stage(node)) await store.makeRoom(node.length);
    file.failOn = (step) => (step.kind === 'write' && step.bytes.length === BLOCK_BYTES ? 'ENOSPC' : undefined);
    await expect(store.commit()).rejects.toMatchObject({ detail: { errno: 'ENOSPC' } });
    file.failOn = () => undefined;
    expect(store.stagedNodes).toBe(0);
    expect(file.bytes.length).toBe(2 * BLOCK_BYTES);
    if (call === 'append') expect(await store.append(text('a'))).toEqual({ block: 1, slot: 0 });
    else expect(await store.allocate(2)).toEqual([2, 3]);
    await store.close();
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test('allocate makes its pages of zeros where pages of a failed batch were', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    const given = function* (): Generator<Uint8Array> {
      yield* makeNodes(5, 250_000, 250_000);
      throw new Error('no more');
    };
    await expect(store.appendMany(given())).rejects.toThrow('no more');
    expect(await store.allocate(2)).toEqual([2, 3]);
    await store.close();
    expect(file.bytes.length).toBe(4 * BLOCK_BYTES);
    expect(file.bytes.subarray(2 * BLOCK_BYTES + 64, 3 * BLOCK_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  test('with a node that is too large for a page appends nothing, and the store can be used on', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    const nodes = [text('a'), new Uint8Array(262_080), text('b')];
    const appending = store.appendMany(endToEnd(nodes), lengthsOf(nodes));
    await expect(appending).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
    expect(specNodes(file.bytes)).toEqual([]);
    expect(await store.appendMany(text('ab'), [1, 1])).toEqual([{ block: 1, slot: 0, count: 2 }]);
  });

  test('stageMany stops before a node that is too large for a page, which makeRoom refuses; the nodes before it can be committed', async () => {
    const store = await PageStore.create(new MemoryBlockFile(), { pageFormat });
    await store.makeRoom(1);
    const source = new Uint8Array(2 + 300_000);
    const nodes = Uint32Array.of(1, 1, 300_000);
    expect(store.stageMany(source, 0, nodes, 0, 3)).toBe(2);
    await expect(store.makeRoom(300_000)).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
    expect(await store.commit()).toEqual([{ block: 1, slot: 0, count: 2 }]);
  });
});

test('no bytes and no lengths are no nodes; no bytes and a length of 0 are one node', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  expect(await store.appendMany(new Uint8Array(0), [])).toEqual([]);
  expect(await store.appendMany(new Uint8Array(0), [0])).toEqual([{ block: 1, slot: 0, count: 1 }]);
});

test('invalid lengths, and lengths whose sum is wrong, are refused before anything is written', async () => {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  file.operations = [];
  for (const lengths of [[1], [1, 2], [3, -1], [1.5, 0.5], [NaN], ['2'], [2 ** 32 + 2]]) {
    await expect(store.appendMany(text('ab'), lengths as number[])).rejects.toThrow(RangeError);
  }
  for (const lengths of [null, 2, 'ab', {}, undefined]) {
    await expect(store.appendMany(text('ab'), lengths as number[])).rejects.toThrow(TypeError);
  }
  await expect(store.appendMany([text('a')], [1])).rejects.toThrow(TypeError);
  expect(file.operations).toEqual([]);
});

test('a length of more than 32 bits is refused, not truncated', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  const huge = new Uint8Array(8);
  Object.defineProperty(huge, 'length', { value: 2 ** 32 });
  await expect(store.appendMany(huge, [2 ** 32])).rejects.toThrow(
    'lengths[0] must be the length of a node in bytes, not 4294967296',
  );
});

test('once an append has resolved, no write is in progress: nodes may be staged', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  await Promise.all([store.append(text('a')), store.append(text('b'))]);
  expect(store.stage(text('c'))).toBe(true);
  expect(await store.commit()).toEqual([{ block: 1, slot: 2, count: 1 }]);
  await expect(store.append(new Uint8Array(3_000_000))).rejects.toMatchObject({ code: 'NODE_TOO_LARGE' });
  expect(store.stage(text('d'))).toBe(true);
});

test('waiting nodes are stored as they were passed, although their arrays change at once, however many bytes they have', async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  const buffer = new Uint8Array(200_000);
  const refs: Promise<PageRef>[] = [];
  // More than two epochs hold, several times over.
  for (let round = 0; round < 40; round++) {
    refs.push(store.append(buffer.fill(round)));
    buffer.fill(0xee);
  }
  const found = new Map(specNodes(file.bytes.slice()).map((node) => [node.ref, node.bytes]));
  expect(found.size).toBe(0);
  for (const [round, ref] of (await Promise.all(refs)).entries()) {
    expect(Buffer.from(await store.read(ref)).equals(Buffer.alloc(200_000, round))).toBe(true);
  }
});

test('stageMany refuses a range outside the lengths, or outside the bytes', async () => {
  const store = await PageStore.create(new MemoryBlockFile());
  await store.makeRoom(1);
  const stage = (start: number, lengths: unknown, from: number, to: number) => (): number =>
    store.stageMany(text('abcd'), start, lengths as Uint32Array, from, to);
  expect(stage(0, [1, 1], 0, 2)).toThrow(TypeError);
  const lengths = Uint32Array.of(1, 2, 3);
  for (const [start, from, to] of [
    [0, 0, 3],
    [2, 0, 2],
    [-1, 0, 1],
    [0, 1, 0],
    [0, 0, 4],
    [0, -1, 1],
    [0.5, 0, 1],
    [0, 0, 0.5],
  ] as const)
    expect(stage(start, lengths, from, to)).toThrow(RangeError);
  expect(store.stagedNodes).toBe(0);
  expect(stage(1, lengths, 0, 2)()).toBe(2);
});
