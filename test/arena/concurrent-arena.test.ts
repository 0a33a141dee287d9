import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ARENA_BLOCK_BYTES } from '../../src/arena/block-memory.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { ThreadSlots } from '../../src/arena/thread-slots.ts';
import { ARENA_PROPERTIES } from '../support/arena-model.ts';
import { ArenaWorker } from '../support/arena-workers.ts';

const BYTES = Uint8Array.from([1, 2, 3, 4, 5]);
const BLOCK = ARENA_BLOCK_BYTES;
const withCode = (code: string): unknown => expect.objectContaining({ code });

interface Claimed {
  readonly shard: number;
  readonly offset: number;
  readonly handle: number;
}

let workers: ArenaWorker[] = [];
const start = (): ArenaWorker => {
  const worker = new ArenaWorker();
  workers.push(worker);
  return worker;
};
const claim = (worker: ArenaWorker, arena: ConcurrentArena): Promise<Claimed> =>
  worker.ask<Claimed>({ op: 'shard', arena: arena.descriptor, bytes: BYTES });

afterEach(async () => {
  await Promise.all(workers.map((each) => each.terminate()));
  workers = [];
});

describe('a concurrent arena', () => {
  test('returns the same shard to a thread at every call, through any number of objects', () => {
    const arena = new ConcurrentArena(4, { maxBlocks: 1 });
    const { index } = arena.shard();
    for (let time = 0; time < 100; time++) {
      const attached = ConcurrentArena.attach(structuredClone(arena.descriptor));
      expect(attached.shard().index).toBe(index);
      // Without a gap, through whichever object.
      expect(attached.offsetOf(attached.allocate(16))).toBe(time * 16);
    }
    const owners = arena.stats().shards.map(({ owner }) => owner);
    expect(owners.filter((owner) => owner !== -1)).toEqual([0]);
  });

  test('refuses one thread more than it has shards, until one is released', async () => {
    const arena = new ConcurrentArena(2);
    const [first, second, third] = [start(), start(), start()];
    const before = await claim(first, arena);
    expect(new Set([before.shard, (await claim(second, arena)).shard]).size).toBe(2);
    await expect(claim(third, arena)).rejects.toThrow('SHARDS_TAKEN: other threads own all 2 shards');
    expect(() => arena.shard()).toThrow(withCode('SHARDS_TAKEN'));
    expect(await first.ask({ op: 'give-back' })).toBe(true);
    // The next owner continues after the bytes of the previous one.
    const claimed = await claim(third, arena);
    expect(claimed).toEqual({ shard: 0, offset: 8, handle: before.handle + 1 });
    expect([...arena.read(before.handle), ...arena.read(claimed.handle)]).toEqual([...BYTES, ...BYTES]);
    expect(arena.stats()).toMatchObject({ allocations: 3, usedBytes: 15 });
    await expect(claim(first, arena)).rejects.toThrow('SHARDS_TAKEN');
  });

  test.each(['exit', 'terminate'] as const)('releases the shard of a thread that ends by %s', async (end) => {
    const arena = new ConcurrentArena(1);
    const first = start();
    arena.releaseWhenEnded(first.worker);
    await claim(first, arena);
    expect(arena.stats().shards[0]!.owner).toBe(first.threadId);
    const second = start();
    await expect(claim(second, arena)).rejects.toThrow('SHARDS_TAKEN');
    await first[end]();
    expect(arena.stats().shards[0]).toMatchObject({ owner: -1, usedBytes: 5 });
    expect(await claim(second, arena)).toMatchObject({ shard: 0, offset: 8 });
  });

  test('ignores the end of a worker that has no shard', async () => {
    const arena = new ConcurrentArena(1);
    const worker = start();
    arena.releaseWhenEnded(worker.worker);
    arena.allocate(8);
    await worker.terminate();
    expect(arena.stats().shards[0]!.owner).toBe(0);
    expect(() => arena.releaseWhenEnded(worker.worker)).toThrow(RangeError);
  });

  test('refuses allocations in a shard that was released', async () => {
    const arena = new ConcurrentArena(1);
    const shard = arena.shard();
    shard.allocateCopy(BYTES);
    expect(arena.release()).toBe(true);
    expect(arena.release()).toBe(false);
    expect(() => shard.allocate(8)).toThrow(withCode('SHARDS_TAKEN'));
    const worker = start();
    const { handle } = await claim(worker, arena);
    expect(() => shard.allocateCopy(BYTES)).toThrow(`thread ${worker.threadId} owns now`);
    expect([...shard.read(handle)]).toEqual([...BYTES]);
  });

  test('does what a plain model does, through three objects of a thread', () => {
    fc.assert(ARENA_PROPERTIES.ConcurrentArena, { numRuns: 50 });
  });

  test('keeps its blocks when it is reset', () => {
    const arena = new ConcurrentArena(2, { maxBlocks: 3 });
    arena.allocate(BLOCK);
    arena.reset();
    const empty = { allocations: 0, usedBytes: 0, totalUsedBytes: 0 };
    expect(arena.stats()).toMatchObject({ epoch: 1, ...empty, blockCount: 1, reservedBytes: BLOCK });
  });

  test('refuses counts, epochs and shards that are out of range', () => {
    for (const count of [0, -1, 1.5, NaN, 65_537]) expect(() => new ConcurrentArena(count)).toThrow(RangeError);
    const arena = new ConcurrentArena(1, { epoch: 5 });
    arena.allocateKey(BYTES, 0, 5);
    for (const epoch of [5, 4, 5.5, 2 ** 53]) expect(() => arena.reset(epoch)).toThrow(RangeError);
    expect(() => ConcurrentArena.attach(arena.descriptor).reset(6)).toThrow(TypeError);
    arena.reset(2 ** 40);
    expect(arena.epoch).toBe(2 ** 40);
    expect(arena.offsetOf(arena.allocate(BLOCK))).toBe(0);
  });
});

describe('a table of thread slots', () => {
  test('has the owner and value of each slot; a freed slot has neither', () => {
    const slots = ThreadSlots.create(3, 'slots');
    expect([slots.slotOf(0), slots.ownerOf(0), slots.valueOf(0)]).toEqual([-1, -1, -1]);
    const slot = slots.claim();
    expect(ThreadSlots.attach(structuredClone(slots.memory)).claim()).toBe(slot);
    slots.setValue(slot, 42);
    expect([slots.ownerOf(slot), slots.valueOf(slot), slots.isOwn(slot)]).toEqual([0, 42, true]);
    expect([slots.free(0), slots.free(0)]).toEqual([true, false]);
    expect([slots.ownerOf(slot), slots.valueOf(slot), slots.isOwn(slot)]).toEqual([-1, -1, false]);
  });
});
