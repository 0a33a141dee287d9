import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArenaPool, WorkerArena } from '../../src/arena/arena-pool.ts';
import { ARENA_BLOCK_BYTES } from '../../src/arena/block-memory.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { MAX_ALLOCATIONS, USABLE_ENTRIES } from '../../src/arena/handle-table.ts';
import { codeOf } from '../support/error-code.ts';
import { ArenaWorker } from '../support/arena-workers.ts';

const BLOCK = ARENA_BLOCK_BYTES;
const MIB = 2 ** 20;
const KIB_64 = 65_536;
const PATTERN = Buffer.from(Uint8Array.from({ length: 5 * MIB }, (_, at) => at * 3 + (at >>> 9)));

interface Sized {
  allocate(bytes: number, alignment?: number): number;
  allocateCopy(source: Uint8Array): number;
  read(handle: number): Uint8Array;
}

/** What allocates, with the options of each. */
const ARENAS: Readonly<Record<string, (options?: object) => Sized>> = {
  EpochArena: (options) => new EpochArena(options),
  ConcurrentArena: (options) => new ConcurrentArena(2, options),
  ArenaShard: (options) => new ConcurrentArena(2, options).shard(),
  ArenaPool: (options) => new ArenaPool(2, options),
  WorkerArena: (options) => {
    const pool = new ArenaPool(2, options);
    const writer = new WorkerArena(pool);
    return {
      allocate: (...args) => writer.allocate(...args),
      allocateCopy: (source) => writer.allocateCopy(source),
      read: (handle) => pool.read(handle),
    };
  },
};

describe.each(Object.entries(ARENAS))('allocations of %s', (_, make) => {
  test('may be longer than a block, with small ones before, between and after, and are read back exactly', () => {
    const arena = make();
    const lengths = [10, 3 * MIB, 20, BLOCK, 30, BLOCK + 1, 40, BLOCK - 1, 5 * MIB, 0, 2 * BLOCK, 50, 1, 3 * MIB];
    const kept = lengths.map((length, at) => {
      const bytes = PATTERN.subarray(0, length).map((byte) => byte ^ at);
      return { handle: arena.allocateCopy(bytes), bytes };
    });
    for (const { handle, bytes } of kept) expect(Buffer.compare(arena.read(handle), bytes)).toBe(0);
  });

  test('of more bytes than all blocks are a RangeError, and without room ARENA_FULL: nothing has changed then', () => {
    const arena = make({ blockBytes: KIB_64, maxBlocks: 3 });
    for (const bytes of [3 * KIB_64 + 1, 2 ** 31, 2 ** 32, 2 ** 53])
      expect(codeOf(() => arena.allocate(bytes))).toBe('RangeError');
    expect(codeOf(() => arena.allocateCopy(PATTERN.subarray(0, 3 * KIB_64 + 1)))).toBe('RangeError');
    const first = arena.allocateCopy(PATTERN.subarray(0, 100));
    expect(codeOf(() => arena.allocate(3 * KIB_64))).toBe('ARENA_FULL');
    expect(codeOf(() => arena.allocateCopy(PATTERN.subarray(0, 2 * KIB_64 + 1)))).toBe('ARENA_FULL');
    // What was refused has taken no room.
    const second = arena.allocateCopy(PATTERN.subarray(7, 7 + 2 * KIB_64));
    expect(codeOf(() => arena.allocate(KIB_64))).toBe('ARENA_FULL');
    expect(Buffer.compare(arena.read(first), PATTERN.subarray(0, 100))).toBe(0);
    expect(Buffer.compare(arena.read(second), PATTERN.subarray(7, 7 + 2 * KIB_64))).toBe(0);
  });

  test('fill blocks of any size that is a power of two from 64 KiB to 1 GiB', () => {
    for (let blockBytes = KIB_64; blockBytes <= 2 ** 30; blockBytes *= 2) {
      const arena = make({ blockBytes, maxBlocks: 1, maxAllocations: 100 });
      const handle = arena.allocateCopy(PATTERN.subarray(0, 1_000));
      expect(Buffer.compare(arena.read(handle), PATTERN.subarray(0, 1_000))).toBe(0);
      expect(codeOf(() => arena.allocate(blockBytes + 1))).toBe('RangeError');
    }
    expect(arenaOf({ blockBytes: KIB_64, maxBlocks: 1 })).toBe(KIB_64);
    for (const blockBytes of [0, 1, 32_768, 65_535, 65_537, 3 * KIB_64, 2 ** 31, -KIB_64, NaN, 65_536.5, '65536'])
      expect(() => make({ blockBytes }), String(blockBytes)).toThrow(
        'blockBytes must be a power of two from 64 KiB to 1 GiB',
      );
    for (const [blockBytes, maxBlocks] of [
      [KIB_64, 32_768],
      [2 ** 20, 2_048],
      [2 ** 30, 2],
    ] as const)
      expect(() => make({ blockBytes, maxBlocks })).toThrow('maxBlocks');
  });

  test('are at most as many as there may be: then ARENA_FULL, and nothing is lost', () => {
    const arena = make({ blockBytes: KIB_64, maxBlocks: 4, maxAllocations: USABLE_ENTRIES });
    const handles = Array.from({ length: USABLE_ENTRIES }, (_, at) => arena.allocateCopy(Uint8Array.of(at, at >>> 8)));
    for (let time = 0; time < 2; time++) expect(codeOf(() => arena.allocateCopy(Uint8Array.of(1)))).toBe('ARENA_FULL');
    expect(
      handles.every((handle, at) => arena.read(handle)[0] === (at & 0xff) && arena.read(handle)[1] === at >>> 8),
    ).toBe(true);
    for (const maxAllocations of [0, -1, 1.5, NaN, MAX_ALLOCATIONS + 1])
      expect(() => make({ maxAllocations })).toThrow('maxAllocations');
    make({ maxBlocks: 1, maxAllocations: MAX_ALLOCATIONS }).allocate(1);
  });
});

const arenaOf = (options: object): number => new EpochArena(options).blockBytes;

test('an arena of almost 2 GiB allocates at its end, aligned', () => {
  const arena = new EpochArena({ blockBytes: 2 ** 20, maxBlocks: 2_047, maxAllocations: 5_000 });
  const shard = new ConcurrentArena(1, { blockBytes: 2 ** 20, maxBlocks: 2_047, maxAllocations: 5_000 });
  const maxBytes = 2_047 * 2 ** 20;
  for (const each of [arena, shard]) {
    // Blocks that are not written to take no memory.
    each.allocate(maxBytes - 2 ** 20);
    const handles = Array.from({ length: 16 }, () => each.allocate(65_536, 64));
    expect(handles.map((handle) => each.offsetOf(handle) % 64)).toEqual(handles.map(() => 0));
    each.read(handles[14]!).fill(5);
    each.read(handles[15]!).fill(6);
    expect(new Set(each.read(handles[14]!))).toEqual(new Set([5]));
    for (const bytes of [1, 64, 65_536, 2 ** 20, maxBytes])
      for (const alignment of [1, 64]) expect(codeOf(() => each.allocate(bytes, alignment))).toBe('ARENA_FULL');
    expect(each.offsetOf(handles[15]!) + 65_536).toBe(maxBytes);
    expect(each.stats().usedBytes).toBe(maxBytes - 2 ** 20 + 16 * 65_536);
  }
});

/** Bytes with padding, as a thread that allocates alone sees them: what lies between an allocation and the one before. */
function paddedBytes(offsets: readonly number[], lengths: readonly number[], blockBytes: number): number {
  let total = 0;
  for (const [at, offset] of offsets.entries()) {
    const gap = at === 0 ? 0 : offset - (offsets[at - 1]! + lengths[at - 1]!);
    // The end of a block that was left is not counted.
    total += lengths[at]! + (offset % blockBytes === 0 ? 0 : gap);
  }
  return total;
}

test.each(['EpochArena', 'ConcurrentArena'] as const)('%s counts the bytes with padding of one thread', (name) => {
  const request = fc.record({ length: fc.nat(4_096), alignment: fc.constantFrom(1, 2, 4, 8, 16, 32, 64) });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 100 }), (requests) => {
      const options = { blockBytes: KIB_64, maxBlocks: 8 };
      const arena = name === 'EpochArena' ? new EpochArena(options) : new ConcurrentArena(1, options);
      const offsets = requests.map(({ length, alignment }) => arena.offsetOf(arena.allocate(length, alignment)));
      const lengths = requests.map(({ length }) => length);
      expect(arena.stats()).toMatchObject({
        allocations: requests.length,
        usedBytes: lengths.reduce((sum, length) => sum + length, 0),
        totalUsedBytes: paddedBytes(offsets, lengths, KIB_64),
      });
      arena.reset(1);
      expect(arena.stats()).toMatchObject({ allocations: 0, usedBytes: 0, totalUsedBytes: 0 });
    }),
    { numRuns: 100 },
  );
});

describe('the shards of a concurrent arena', () => {
  const sum = (all: readonly number[]): number => all.reduce((total, each) => total + each, 0);

  test('have counts of their own, which those of the arena are the sum of', async () => {
    const arena = new ConcurrentArena(3, { blockBytes: KIB_64, maxBlocks: 4 });
    const workers = [new ArenaWorker(), new ArenaWorker()];
    arena.allocateCopy(PATTERN.subarray(0, 100));
    for (const [at, worker] of workers.entries()) {
      for (let time = 0; time <= at; time++)
        await worker.ask({ op: 'shard', arena: arena.descriptor, bytes: new Uint8Array(10) });
    }
    const { shards, ...all } = arena.stats();
    expect(shards.map(({ owner, allocations, usedBytes }) => ({ owner, allocations, usedBytes }))).toEqual([
      { owner: 0, allocations: 1, usedBytes: 100 },
      { owner: workers[0]!.threadId, allocations: 1, usedBytes: 10 },
      { owner: workers[1]!.threadId, allocations: 2, usedBytes: 20 },
    ]);
    for (const name of ['allocations', 'usedBytes', 'totalUsedBytes', 'blockCount', 'reservedBytes'] as const)
      expect(all[name]).toBe(sum(shards.map((each) => each[name])));
    expect(all.totalUsedBytes).toBe(100 + 10 + 10 + 16);
    expect(arena.shard().stats()).toEqual(shards[0]);
    await Promise.all(workers.map((each) => each.terminate()));
  });

  test('use up no handles by being attached again and again', () => {
    const arena = new ConcurrentArena(1, { blockBytes: KIB_64, maxBlocks: 4, maxAllocations: 10_000 + USABLE_ENTRIES });
    const handles = Array.from({ length: 10_000 }, (_, at) => {
      const attached = at % 2 === 0 ? ConcurrentArena.attach(structuredClone(arena.descriptor)) : arena;
      return attached.allocateCopy(Uint8Array.of(at, at >>> 8));
    });
    expect(new Set(handles).size).toBe(10_000);
    expect(handles.every((handle, at) => Buffer.compare(arena.read(handle), Uint8Array.of(at, at >>> 8)) === 0)).toBe(
      true,
    );
    expect(arena.stats()).toMatchObject({ allocations: 10_000, usedBytes: 20_000 });
  });

  test('are continued by their next owner, in the same chunk of handles', async () => {
    const arena = new ConcurrentArena(1, { blockBytes: KIB_64, maxBlocks: 1, maxAllocations: USABLE_ENTRIES });
    const workers = [new ArenaWorker(), new ArenaWorker()];
    const handles: number[] = [];
    for (const worker of workers) {
      const order = { op: 'shard', arena: arena.descriptor, bytes: Uint8Array.of(handles.length) } as const;
      handles.push((await worker.ask<{ handle: number }>(order)).handle);
      await worker.ask({ op: 'give-back' });
      handles.push(arena.allocateCopy(Uint8Array.of(handles.length)));
      arena.release();
    }
    expect(handles).toEqual(handles.map((_, at) => handles[0]! + at));
    expect(handles.map((handle) => arena.read(handle)[0])).toEqual([0, 1, 2, 3]);
    await Promise.all(workers.map((each) => each.terminate()));
  });
});
