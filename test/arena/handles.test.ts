import { describe, expect, test } from 'vitest';
import { ArenaPool, WorkerArena } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { epochOf, USABLE_ENTRIES } from '../../src/arena/handle-table.ts';
import { codeOf } from '../support/error-code.ts';
import { ArenaWorker } from '../support/arena-workers.ts';

/** Entries of a chunk, with the places of its counts. */
const CHUNK = USABLE_ENTRIES + 2;
const BYTES = Uint8Array.from([1, 2, 3, 4, 5]);
const SMALL = { blockBytes: 65_536, maxBlocks: 2 };

/** Epochs of which the numbers in a handle could be equal, if it only had the low bits of the epoch. */
const FIRST_EPOCHS = [0, 1, 2 ** 17 - 1, 2 ** 17, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 32, 2 ** 50];
const STEPS = [1, 2, 2 ** 17 - 1, 2 ** 17, 2 ** 17 + 1, 2 ** 31, 2 ** 32, 2 ** 33];

/** An arena, another object of it, and the object that may reset it. */
const ARENAS = {
  EpochArena: (epoch: number) => {
    const arena = new EpochArena({ ...SMALL, epoch });
    const other = EpochArena.attach(structuredClone(arena.descriptor));
    return { arena, other, resetting: [arena, other] };
  },
  ConcurrentArena: (epoch: number) => {
    const arena = new ConcurrentArena(2, { ...SMALL, epoch });
    return { arena, other: ConcurrentArena.attach(structuredClone(arena.descriptor)), resetting: [arena, arena] };
  },
} as const;

describe.each(Object.entries(ARENAS))('a handle of %s', (_, make) => {
  test.each(FIRST_EPOCHS)('of epoch %d is refused after a reset, however far the next epoch is', (epoch) => {
    for (const step of STEPS) {
      const { arena, other, resetting } = make(epoch);
      const handles = [arena.allocateCopy(BYTES), other.allocateCopy(BYTES)];
      resetting[step % 2]!.reset(epoch + step);
      for (const handle of handles) {
        for (const each of [arena, other])
          for (const name of ['read', 'lengthOf', 'offsetOf'] as const)
            expect(codeOf(() => each[name](handle))).toBe('STALE_EPOCH');
      }
      // Also when there is an allocation in its place.
      const next = [arena.allocateCopy(BYTES), other.allocateCopy(BYTES)];
      for (const handle of handles) expect(codeOf(() => arena.read(handle))).toBe('STALE_EPOCH');
      for (const handle of next) expect([...other.read(handle)]).toEqual([...BYTES]);
    }
  });

  test('is refused after each of 2^18 - 1 resets, and what each epoch allocates can be read', () => {
    const { arena, other, resetting } = make(0);
    const first = arena.allocateCopy(BYTES);
    for (let epoch = 1; epoch < 2 ** 17; epoch++) {
      resetting[epoch % 2]!.reset(epoch);
      if (epoch % 1_000 > 2 && epoch < 2 ** 17 - 3) continue;
      expect(codeOf(() => arena.read(first))).toBe('STALE_EPOCH');
      expect([...other.read(arena.allocateCopy(BYTES))]).toEqual([...BYTES]);
    }
    expect(codeOf(() => other.read(first))).toBe('STALE_EPOCH');
  });

  test('is refused by every other arena', () => {
    const { arena } = make(0);
    const others = [new EpochArena(SMALL), new ConcurrentArena(1, SMALL), new ArenaPool(2, SMALL)];
    const handle = arena.allocateCopy(BYTES);
    for (const other of others) {
      const foreign = other.allocateCopy(BYTES);
      expect(codeOf(() => other.read(handle))).toBe('RangeError');
      expect(codeOf(() => arena.read(foreign))).toBe('RangeError');
    }
  });

  test('that was never returned is refused, and reads nothing', () => {
    const { arena, other } = make(0);
    const handle = arena.allocateCopy(BYTES);
    const numbers = [NaN, -1, -0.5, 1.5, handle + 0.5, 2 ** 53, Infinity, -Infinity, handle + 1, handle + 2 ** 25];
    // The entries of a chunk begin with its counts, at the places of its first two handles.
    const headers = [handle - 1, handle - 2, handle - 2 + CHUNK, handle - 1 + 4 * CHUNK];
    const wrong = [String(handle), `${handle}.0`, [handle], { valueOf: () => handle }, undefined, null, true, 'text'];
    // Over 2^52, half a number more is the same number.
    for (const each of [...numbers, ...headers, ...wrong].filter((number) => number !== handle)) {
      for (const name of ['read', 'lengthOf', 'offsetOf'] as const) {
        const code = codeOf(() => other[name](each as number));
        expect(['RangeError', each === handle + 2 ** 25 ? 'STALE_EPOCH' : 'RangeError'], String(each)).toContain(code);
      }
    }
    expect([...other.read(handle)]).toEqual([...BYTES]);
  });
});

describe('a handle of a pool', () => {
  test.each(FIRST_EPOCHS)('is refused once its epoch is recycled, from epoch %d on', (epoch) => {
    for (const size of [1, 2, 3]) {
      const pool = new ArenaPool(size, { ...SMALL, epoch });
      const attached = ArenaPool.attach(structuredClone(pool.descriptor));
      const handles = new Map<number, number>();
      for (let at = 0; at < 8; at++) {
        handles.set(pool.currentEpoch, pool.allocateCopy(BYTES));
        for (const [of, handle] of handles) {
          const isValid = of > pool.currentEpoch - size;
          for (const each of [pool, attached]) {
            expect(codeOf(() => each.read(handle))).toBe(isValid ? 'none' : 'STALE_EPOCH');
            expect(codeOf(() => each.lengthOf(handle))).toBe(isValid ? 'none' : 'STALE_EPOCH');
            if (isValid) expect(each.epochOf(handle)).toBe(of);
          }
        }
        pool.advanceEpoch();
      }
    }
  });

  test('stays refused for 2^18 - 1 epochs', () => {
    const pool = new ArenaPool(2, SMALL);
    const first = pool.allocateCopy(BYTES);
    while (pool.currentEpoch < 2 ** 17 - 1) {
      if (pool.advanceEpoch() % 997 === 2) expect(codeOf(() => pool.read(first))).toBe('STALE_EPOCH');
    }
    expect(codeOf(() => pool.read(first))).toBe('STALE_EPOCH');
    expect(epochOf(first, pool.currentEpoch)).toBe(0);
    expect([...pool.read(pool.allocateCopy(BYTES))]).toEqual([...BYTES]);
  });

  test('is refused if it is of another pool, or of an epoch that never was', () => {
    const [pool, other] = [new ArenaPool(3, SMALL), new ArenaPool(3, SMALL)];
    const handle = pool.allocateCopy(BYTES);
    expect(codeOf(() => other.read(handle))).toBe('RangeError');
    const wrong = [NaN, -1, 1.5, 2 ** 53, handle + 1, handle - 1, handle + 5 * 2 ** 25, String(handle), undefined];
    for (const forged of wrong)
      expect(
        codeOf(() => pool.read(forged as number)),
        String(forged),
      ).toBe('RangeError');
    expect([...pool.read(handle)]).toEqual([...BYTES]);
  });

  test('can be read while a WorkerArena of a later epoch writes, and by the arena of its epoch alone', () => {
    const pool = new ArenaPool(3, SMALL);
    const writer = new WorkerArena(pool);
    const first = writer.allocateCopy(BYTES);
    pool.advanceEpoch();
    const second = writer.allocateCopy(BYTES, 1, 3);
    expect([...pool.read(first)]).toEqual([...BYTES]);
    expect([...pool.arenaOf(1).read(second)]).toEqual([2, 3]);
    expect(codeOf(() => pool.arenaOf(1).read(first))).toBe('STALE_EPOCH');
    expect(codeOf(() => pool.arenaOf(2))).toBe('STALE_EPOCH');
  });
});

test('two shards refuse the handles of each other, which their arena takes', async () => {
  const arena = new ConcurrentArena(2, SMALL);
  const worker = new ArenaWorker();
  const own = arena.allocateCopy(BYTES);
  const order = { op: 'shard', arena: arena.descriptor, bytes: BYTES } as const;
  const { handle, shard } = await worker.ask<{ handle: number; shard: number }>(order);
  await worker.terminate();
  expect(arena.shardOf(handle)).toBe(shard);
  expect([...arena.read(handle)]).toEqual([...BYTES]);
  expect(() => arena.shard().read(handle)).toThrow('must be one of shard 0, and this one is of shard 1');
  expect([...arena.shard().read(own)]).toEqual([...BYTES]);
});

test('arenas that two threads make have other numbers', async () => {
  const worker = new ArenaWorker();
  const arenas = [new EpochArena(SMALL), new EpochArena(SMALL), new EpochArena(SMALL)];
  const handles = await worker.ask<number[]>({ op: 'own-arenas', count: 3 });
  await worker.terminate();
  for (const arena of arenas) {
    arena.allocateCopy(BYTES);
    for (const handle of handles) expect(codeOf(() => arena.read(handle))).toBe('RangeError');
  }
});

test('a descriptor that was cloned for a message has the same arena', () => {
  const arena = new EpochArena(SMALL);
  const handle = arena.allocateCopy(BYTES);
  const clone = EpochArena.attach(structuredClone(arena.descriptor));
  expect([...clone.read(handle)]).toEqual([...BYTES]);
  expect([clone.blockBytes, clone.stats()]).toEqual([65_536, arena.stats()]);
  // Handles are numbers of 53 bits: a Float64Array and JSON keep them.
  const kept = Float64Array.of(handle, Number(JSON.parse(JSON.stringify(clone.allocateCopy(BYTES)))));
  for (const each of kept) expect([...arena.read(each)]).toEqual([...BYTES]);
});
