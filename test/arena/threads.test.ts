import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { tickOf } from '../../src/arena/epoch-clock.ts';
import { codeOf } from '../support/error-code.ts';
import {
  ArenaWorker,
  fillOrders,
  logged,
  type LoggedAllocation,
  openGate,
  overlapsOf,
} from '../support/arena-workers.ts';

const WORKERS = 8;
const COUNT = 10_000;

let workers: ArenaWorker[] = [];

beforeAll(() => {
  workers = Array.from({ length: WORKERS }, () => new ArenaWorker());
});

afterAll(async () => {
  await Promise.all(workers.map((each) => each.terminate()));
});

const spoiledIn = (all: readonly LoggedAllocation[], view: (each: LoggedAllocation) => Uint8Array): number =>
  all.filter((each) => Buffer.compare(view(each), each.pattern) !== 0).length;

const bytesOf = (all: readonly LoggedAllocation[]): number => all.reduce((sum, { bytes }) => sum + bytes, 0);

async function fillArena(
  count: number,
  broken?: 'memory' | 'handles',
): Promise<{ arena: EpochArena; all: LoggedAllocation[] }> {
  const arena = new EpochArena({ maxBlocks: 16 });
  const orders = fillOrders(WORKERS, count);
  const done = workers.map((each, at) =>
    each.ask({ op: 'fill-arena', arena: arena.descriptor, ...(broken && { broken }), ...orders[at]! }),
  );
  await openGate(orders[0]!.gate, WORKERS);
  await Promise.all(done);
  return { arena, all: orders.flatMap((order) => [...logged(order)]) };
}

describe('eight threads that start at once', () => {
  test('lose nothing and overlap nowhere in one epoch arena, which counts all of it', async () => {
    const { arena, all } = await fillArena(COUNT);
    expect(all.length).toBe(WORKERS * COUNT);
    expect(overlapsOf(all)).toBe(0);
    expect(new Set(all.map(({ handle }) => handle)).size, 'each has a handle of its own').toBe(all.length);
    expect(spoiledIn(all, ({ handle }) => arena.read(handle))).toBe(0);
    expect(arena.stats()).toMatchObject({ allocations: WORKERS * COUNT, usedBytes: bytesOf(all) });
  });

  test('overlap if the cursor of the blocks is advanced without an atomic, which the test above would detect', async () => {
    const { arena, all } = await fillArena(1_000, 'memory');
    expect(overlapsOf(all)).toBeGreaterThan(0);
    expect(spoiledIn(all, ({ handle }) => arena.read(handle))).toBeGreaterThan(0);
  });

  test('lose handles if the cursor of their table is advanced without an atomic, which it would detect too', async () => {
    const { arena, all } = await fillArena(1_000, 'handles');
    expect(new Set(all.map(({ handle }) => handle)).size).toBeLessThan(all.length);
    expect(arena.stats().allocations).toBeLessThan(all.length);
    const known = all.filter(({ handle }) => codeOf(() => arena.read(handle)) === 'none');
    expect(spoiledIn(known, ({ handle }) => arena.read(handle))).toBeGreaterThan(0);
  });

  test('lose nothing in a pool whose epoch advances, and no epoch is recycled while they write', async () => {
    const pool = new ArenaPool(3, { maxBlocks: 8 });
    const orders = fillOrders(WORKERS, COUNT);
    const done = workers.map((each, at) =>
      each.ask<number>({ op: 'fill-pool', pool: pool.descriptor, ...orders[at]! }),
    );
    const state = { running: true };
    const spoiledForWorkers = Promise.all(done).finally(() => (state.running = false));
    await openGate(orders[0]!.gate, WORKERS);

    let [allocations, usedBytes, checked] = [0, 0, 0];
    const check = (epoch: number): void => {
      const stats = pool.arenaOf(epoch).stats();
      allocations += stats.allocations;
      usedBytes += stats.usedBytes;
      const all = orders.flatMap((order) => [...logged(order, epoch)]);
      expect(all.length).toBe(stats.allocations);
      expect(overlapsOf(all)).toBe(0);
      expect(spoiledIn(all, ({ handle }) => pool.read(handle))).toBe(0);
      checked += all.length;
    };
    while (state.running) {
      await new Promise((resolve) => setImmediate(resolve));
      const oldest = pool.currentEpoch - pool.size + 1;
      const { pins } = pool.clock;
      if (Array.from({ length: pins.slotCount }, (_, slot) => pins.valueOf(slot)).includes(tickOf(oldest))) continue;
      // No thread pins it, and none can any more: its content is final.
      if (oldest >= 0) check(oldest);
      pool.advanceEpoch();
    }
    expect(await spoiledForWorkers).toEqual(Array.from({ length: WORKERS }, () => 0));
    for (let epoch = Math.max(0, pool.currentEpoch - pool.size + 1); epoch <= pool.currentEpoch; epoch++) check(epoch);
    const all = orders.flatMap((order) => [...logged(order)]);
    expect({ allocations, usedBytes, checked }).toEqual({
      allocations: WORKERS * COUNT,
      usedBytes: bytesOf(all),
      checked: WORKERS * COUNT,
    });
    expect(pool.currentEpoch).toBeGreaterThanOrEqual(COUNT / 500);
  });

  test('each fill a shard of their own, however often they attach, and the creator sees all of it', async () => {
    const arena = new ConcurrentArena(WORKERS, { maxBlocks: 2 });
    const orders = fillOrders(WORKERS, COUNT);
    const done = workers.map((each, at) => each.ask({ op: 'fill-shard', arena: arena.descriptor, ...orders[at]! }));
    await openGate(orders[0]!.gate, WORKERS);
    await Promise.all(done);
    const all = orders.map((order) => [...logged(order)]);
    for (const of of all) expect(new Set(of.map(({ epoch }) => epoch)).size).toBe(1);
    expect(new Set(all.map(([first]) => first!.epoch)).size).toBe(WORKERS);
    expect(overlapsOf(all.flat())).toBe(0);
    expect(spoiledIn(all.flat(), ({ handle }) => arena.read(handle))).toBe(0);
    expect(arena.stats()).toMatchObject({ allocations: WORKERS * COUNT, usedBytes: bytesOf(all.flat()) });
  });
});
