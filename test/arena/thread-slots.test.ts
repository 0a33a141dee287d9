import { expect, test } from 'vitest';
import { ThreadSlots } from '../../src/arena/thread-slots.ts';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { ArenaWorker } from '../support/arena-workers.ts';

test('a thread finds its own shard after a released one, and takes no second one', async () => {
  const arena = new ConcurrentArena(3, { maxBlocks: 1 });
  const [first, second] = [new ArenaWorker(), new ArenaWorker()];
  const claim = (worker: ArenaWorker): Promise<{ shard: number }> =>
    worker.ask<{ shard: number }>({ op: 'shard', arena: arena.descriptor, bytes: new Uint8Array(8) });
  expect((await claim(first)).shard).toBe(0);
  expect((await claim(second)).shard).toBe(1);
  await first.ask({ op: 'give-back' });
  expect((await claim(second)).shard).toBe(1);
  expect(arena.stats().shards.map(({ owner }) => owner)).toEqual([-1, second.threadId, -1]);
  await Promise.all([first.terminate(), second.terminate()]);
});

test('a table that is attached later finds the slot of the thread after free ones', () => {
  const slots = ThreadSlots.create(4, 'slots');
  const words = new Int32Array(slots.memory);
  // Two other threads have the first two slots; the first one is freed.
  words[0] = 1_001;
  words[16] = 1_002;
  words[2] = 2;
  expect(slots.claim()).toBe(2);
  expect(slots.free(1_000)).toBe(true);
  expect(ThreadSlots.attach(slots.memory).claim()).toBe(2);
});

test('threads that write one after another, each released, count as one at a time', async () => {
  const pool = new ArenaPool(2, { maxThreads: 1 });
  for (let each = 0; each < 2; each++) {
    const worker = new ArenaWorker();
    await worker.ask({ op: 'pin', pool: pool.descriptor, bytes: new Uint8Array(8) });
    await worker.ask({ op: 'unpin' });
    await worker.exit();
  }
  expect(pool.advanceEpoch()).toBe(1);
});
