import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import type { HandleSource } from '../../src/arena/handle-table.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { PageRef, RefRun } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { expectSameBytes, withoutFileId } from '../support/files.ts';
import { RANGE_PROPERTIES } from '../support/range-model.ts';
import { makeNodes } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';

const withCode = (code: string): unknown => expect.objectContaining({ code });
const FORMATS = ['v1', 'v2'] as const;

/** An arena, how a node gets into it, and how its epochs end. */
interface Source {
  readonly arena: HandleSource;
  readonly put: (node: Uint8Array) => number;
  /** Makes all handles so far stale. */
  readonly forget: () => void;
}

const SOURCES: Readonly<Record<string, () => Source>> = {
  EpochArena: () => {
    const arena = new EpochArena();
    return { arena, put: (node) => arena.allocateCopy(node), forget: () => arena.reset(arena.epoch + 1) };
  },
  'EpochArena of small blocks': () => {
    const arena = new EpochArena({ blockBytes: 65_536, maxBlocks: 500 });
    return { arena, put: (node) => arena.allocateCopy(node), forget: () => arena.reset(arena.epoch + 1) };
  },
  'claims of an EpochArena': () => {
    const arena = new EpochArena();
    const put = (node: Uint8Array): number => {
      arena.reserve(node.length).set(node);
      return arena.claim(0, node.length);
    };
    return { arena, put, forget: () => arena.reset(arena.epoch + 1) };
  },
  ArenaPool: () => {
    const pool = new ArenaPool(3);
    let count = 0;
    const put = (node: Uint8Array): number => {
      if (++count % 500 === 0 && pool.currentEpoch < 2) pool.advanceEpoch();
      return pool.allocateKey(node);
    };
    return { arena: pool, put, forget: () => [1, 2, 3].forEach(() => pool.advanceEpoch()) };
  },
  ConcurrentArena: () => {
    const arena = new ConcurrentArena(2);
    return { arena, put: (node) => arena.allocateCopy(node), forget: () => arena.reset() };
  },
};

async function stageHandles(store: PageStore, arena: HandleSource, handles: Float64Array): Promise<RefRun[]> {
  const runs: RefRun[] = [];
  const lengths = arena as unknown as { lengthOf(handle: number): number };
  for (let next = 0; next < handles.length;) {
    next += store.stageFrom(arena, handles, next, handles.length);
    if (next < handles.length) runs.push(...(await store.makeRoom(lengths.lengthOf(handles[next]!))));
  }
  return [...runs, ...(await store.commit())];
}

const WAYS: Readonly<
  Record<string, (store: PageStore, arena: HandleSource, handles: Float64Array) => Promise<RefRun[]>>
> = {
  appendFrom: (store, arena, handles) => store.appendFrom(arena, handles),
  'appendFrom of an array': (store, arena, handles) => store.appendFrom(arena, [...handles]),
  appendMany: (store, arena, handles) => store.appendMany(arena, handles),
  stageFrom: stageHandles,
  stage: async (store, arena, handles) => {
    const runs: RefRun[] = [];
    const lengths = arena as unknown as { lengthOf(handle: number): number };
    for (const handle of handles)
      while (!store.stage(arena, handle)) runs.push(...(await store.makeRoom(lengths.lengthOf(handle))));
    return [...runs, ...(await store.commit())];
  },
};

const refsOf = (runs: readonly RefRun[]): Pick<PageRef, 'block' | 'slot'>[] =>
  runs.flatMap(({ block, slot, count }) => Array.from({ length: count }, (_, at) => ({ block, slot: slot + at })));

async function nodesOf(store: PageStore): Promise<Uint8Array[]> {
  const nodes: Uint8Array[] = [];
  for await (const { bytes } of store.nodes()) nodes.push(bytes);
  return nodes;
}

/** More than a batch of 4 MiB, with empty nodes, equal ones, and the longest that a page holds. */
const NODES: readonly Uint8Array[] = [
  ...makeNodes(1_500, 0, 90, 1),
  ...makeNodes(1, 262_008, 262_008, 2),
  ...makeNodes(1_500, 0, 90, 1),
  ...makeNodes(90, 0, 100_000, 3),
  new Uint8Array(0),
];

afterEach(() => vi.restoreAllMocks());

describe.each(Object.entries(SOURCES))('nodes of %s', (_, make) => {
  test.each(FORMATS)('are stored in order, by every call, in %s pages, with and without dedupe', async (pageFormat) => {
    const { arena, put } = make();
    const handles = Float64Array.from(NODES, put);
    for (const dedupe of [false, true]) {
      const wanted = new MemoryBlockFile();
      await (await PageStore.create(wanted, { pageFormat, dedupe })).appendMany(NODES);
      for (const [name, way] of Object.entries(WAYS)) {
        const file = new MemoryBlockFile();
        const store = await PageStore.create(file, { pageFormat, dedupe });
        const refs = refsOf(await way(store, arena, handles));
        expect(refs.length, name).toBe(NODES.length);
        let same = 0;
        for (const [at, ref] of refs.entries()) if (Buffer.compare(await store.view(ref), NODES[at]!) === 0) same++;
        expect(same, name).toBe(NODES.length);
        // By a reader that does not use the package's own decoder.
        expect(specNodes(file.bytes).length, name).toBe(specNodes(wanted.bytes).length);
        if (name === 'appendFrom') expectSameBytes(withoutFileId(file.bytes), withoutFileId(wanted.bytes));
      }
    }
  });

  test('that are too large are refused, with the nodes before them in the batch', async () => {
    const { arena, put } = make();
    const [small, large] = [put(Uint8Array.of(1)), put(new Uint8Array(3 * 2 ** 20))];
    for (const [name, way] of Object.entries(WAYS)) {
      const store = await PageStore.create(new MemoryBlockFile());
      await expect(way(store, arena, Float64Array.of(small, large)), name).rejects.toThrow(withCode('NODE_TOO_LARGE'));
      // What was staged by hand stays staged; the other calls drop it.
      expect(store.stagedNodes, name).toBe(name.startsWith('stage') ? 1 : 0);
      await store.commit();
      const nodes = await nodesOf(store);
      expect(nodes.length, name).toBe(name.startsWith('stage') ? 1 : 0);
    }
  });

  test('are refused after a reset, and a call that commits stores nothing then', async () => {
    const { arena, put, forget } = make();
    const stale = put(Uint8Array.of(1));
    forget();
    const handles = Float64Array.of(put(Uint8Array.of(2)), put(Uint8Array.of(3)), stale, put(Uint8Array.of(4)));
    for (const [name, way] of Object.entries(WAYS)) {
      const store = await PageStore.create(new MemoryBlockFile());
      await expect(way(store, arena, handles), name).rejects.toThrow(withCode('STALE_EPOCH'));
      // Handles are looked up before any is packed: up to 512 of one epoch, or by `stage` each alone.
      const staged = name === 'stage' || (name === 'stageFrom' && arena instanceof ArenaPool) ? 2 : 0;
      expect(store.stagedNodes, name).toBe(staged);
      await store.commit();
      expect((await nodesOf(store)).length, name).toBe(staged);
    }
  });

  test('of another arena are refused', async () => {
    const [one, other] = [make(), make()];
    const handle = one.put(Uint8Array.of(1));
    other.put(Uint8Array.of(2));
    const store = await PageStore.create(new MemoryBlockFile());
    await expect(store.appendFrom(other.arena, [handle])).rejects.toThrow(RangeError);
    for (const wrong of [NaN, -1, 1.5, handle + 1, String(handle), undefined])
      await expect(store.appendFrom(one.arena, [handle, wrong as number])).rejects.toThrow(RangeError);
    expect(store.stagedNodes).toBe(0);
    expect(await store.appendFrom(one.arena, [handle])).toEqual([{ block: 1, slot: 0, count: 1 }]);
  });
});

test('no handles are no nodes', async () => {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  file.operations = [];
  const arena = new EpochArena();
  expect(await store.appendFrom(arena, [])).toEqual([]);
  expect(await store.appendMany(arena, new Float64Array(0))).toEqual([]);
  expect(store.stageFrom(arena, [], 0, 0)).toBe(0);
  expect(file.operations).toEqual([]);
});

test.each(FORMATS)(
  'nodes without bytes are stored wherever they are, also at the end of the last block, in %s',
  async (pageFormat) => {
    const arena = new EpochArena({ blockBytes: 65_536, maxBlocks: 1 });
    const bytes = arena.reserve(65_536).fill(7);
    const ends = [
      [0, 0],
      [0, 3],
      [bytes.length - 1, bytes.length],
      [bytes.length, bytes.length],
    ] as const;
    const handles = ends.map(([start, end]) => arena.claim(start, end));
    const last = handles[3]!;
    const store = await PageStore.create(new MemoryBlockFile(), { pageFormat });
    await store.appendFrom(arena, [...handles, last]);
    await store.appendFrom(arena, [last]);
    expect(store.stage(arena, last)).toBe(true);
    await store.commit();
    expect((await nodesOf(store)).map(({ length }) => length)).toEqual([0, 3, 1, 0, 0, 0, 0]);
  },
);

test('a stale handle that comes late stops the call: batches before it stay, as those of appendMany do', async () => {
  const arena = new EpochArena();
  const stale = arena.allocate(1);
  arena.reset(1);
  // Each fills a page, and 16 new pages are a batch.
  const handles = Array.from({ length: 1_000 }, () => arena.allocateCopy(new Uint8Array(20_000)));
  const store = await PageStore.create(new MemoryBlockFile());
  await expect(store.appendFrom(arena, [...handles, stale])).rejects.toThrow(withCode('STALE_EPOCH'));
  const stored = (await nodesOf(store)).length;
  expect(stored).toBeGreaterThan(100);
  expect(stored).toBeLessThan(1_000);
  // The store goes on.
  expect(await store.appendFrom(arena, [handles[0]!])).toHaveLength(1);
});

test('stageFrom packs what is before a wrong handle, or throws without packing: what is staged is always known', async () => {
  const arena = new EpochArena();
  const stale = arena.allocate(1);
  arena.reset(1);
  const handles = [...Array.from({ length: 700 }, (_, at) => arena.allocateCopy(Uint8Array.of(at))), stale];
  const store = await PageStore.create(new MemoryBlockFile());
  await store.makeRoom(1);
  const packed = store.stageFrom(arena, handles, 0, handles.length);
  expect(packed).toBeGreaterThan(0);
  expect(packed).toBeLessThanOrEqual(700);
  expect(store.stagedNodes).toBe(packed);
  expect(() => store.stageFrom(arena, handles, packed, handles.length)).toThrow(withCode('STALE_EPOCH'));
  expect(store.stagedNodes).toBe(packed);
});

describe('allocations that lie end to end', () => {
  const TypedArray = Object.getPrototypeOf(Uint8Array.prototype) as { set(source: Uint8Array, offset?: number): void };

  /** Copies out of an arena: those of many bytes, and the words of short ones, which go by words. */
  async function copiesOf(
    arena: EpochArena,
    run: () => Promise<unknown>,
  ): Promise<Record<'long' | 'bytes' | 'words', number>> {
    const { memory } = arena.descriptor;
    const copies = { long: 0, bytes: 0, words: 0 };
    const { set } = TypedArray; // oxlint-disable-line typescript/unbound-method -- called with its own this
    vi.spyOn(TypedArray, 'set').mockImplementation(function (this: Uint8Array, source, offset) {
      if (source.buffer === memory) {
        copies.long++;
        copies.bytes += source.length;
      }
      set.call(this, source, offset);
    });
    vi.spyOn(DataView.prototype, 'getInt32').mockImplementation(function (this: DataView, ...args) {
      if (this.buffer === memory) copies.words++;
      return this.getUint32(...args) | 0;
    });
    await run();
    vi.restoreAllMocks();
    return copies;
  }

  test.each(FORMATS)('are copied at once into %s pages, however many they are', async (pageFormat) => {
    const arena = new EpochArena();
    const handles = Float64Array.from({ length: 20_000 }, (_, at) => arena.allocateCopy(new Uint8Array(40).fill(at)));
    const store = await PageStore.create(new MemoryBlockFile(), { pageFormat });
    const { long, bytes, words } = await copiesOf(arena, () => store.appendFrom(arena, handles));
    // One for each 512 handles, and two where a page ends; one of them may be short.
    expect(long).toBeLessThanOrEqual(Math.ceil(20_000 / 512) + store.blockCount);
    expect(words).toBeLessThanOrEqual(160 * store.blockCount);
    expect(bytes + 4 * words).toBe(20_000 * 40);
    const nodes = await nodesOf(store);
    expect(nodes.length).toBe(20_000);
    expect(nodes.every((node, at) => node.length === 40 && node.every((byte) => byte === (at & 255)))).toBe(true);
  });

  test.each(FORMATS)(
    'may be claims, also empty ones; with gaps, each is copied alone into %s pages',
    async (pageFormat) => {
      const arena = new EpochArena();
      const reserved = arena.reserve(512 * 100);
      reserved.forEach((_byte, at) => (reserved[at] = at));
      const claims = (gap: number): number[] => {
        arena.reserve(512 * 100).set(reserved);
        return Array.from({ length: 512 }, (_, at) =>
          arena.claim(at * 100, at % 9 === 0 ? at * 100 : (at + 1) * 100 - gap),
        );
      };
      const empty = Math.ceil(512 / 9);
      for (const gap of [0, 1]) {
        const handles = claims(gap);
        const store = await PageStore.create(new MemoryBlockFile(), { pageFormat });
        const { long, words } = await copiesOf(arena, () => store.appendFrom(arena, handles));
        // The empty claims end no run; what they leave out does.
        if (gap === 0) expect({ long, words }).toEqual({ long: empty, words: 0 });
        else expect({ long, words }).toEqual({ long: 0, words: (512 - empty) * 25 });
        const nodes = await nodesOf(store);
        expect(nodes.map(({ length }) => length)).toEqual(handles.map((handle) => arena.lengthOf(handle)));
        expect(nodes.every((node, at) => Buffer.compare(node, arena.read(handles[at]!)) === 0)).toBe(true);
      }
    },
  );
});

test.each(Object.entries(RANGE_PROPERTIES))(
  '%s are the same pages as nodes that are added one by one',
  (_, property) => {
    fc.assert(property, { numRuns: 50 });
  },
);
