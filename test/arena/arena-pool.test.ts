import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ARENA_BLOCK_BYTES } from '../../src/arena/block-memory.ts';
import { WorkerArena } from '../../src/arena/arena-pool.ts';
import { ARENA_PROPERTIES } from '../support/arena-model.ts';
import { ArenaWorker } from '../support/arena-workers.ts';

const BYTES = Uint8Array.from([1, 2, 3, 4, 5]);
const withCode = (code: string): unknown => expect.objectContaining({ code });

let workers: ArenaWorker[] = [];
const start = (): ArenaWorker => {
  const worker = new ArenaWorker();
  workers.push(worker);
  return worker;
};

afterEach(async () => {
  await Promise.all(workers.map((each) => each.terminate()));
  workers = [];
});

describe('an arena pool', () => {
  test('keeps the last epochs as a model does, and refuses to recycle a pinned one', () => {
    fc.assert(ARENA_PROPERTIES.ArenaPool, { numRuns: 50 });
  });

  test('needs no more memory after 1,000 epochs of 1 MiB than after its first round', () => {
    const pool = new ArenaPool(4, { maxBlocks: 4 });
    const chunk = new Uint8Array(2 ** 17);
    const fill = (): void => {
      for (let at = 0; at < 8; at++) pool.allocateCopy(chunk);
    };
    fill();
    while (pool.currentEpoch < 3) {
      pool.advanceEpoch();
      fill();
    }
    const { blockCount, reservedBytes } = pool.stats();
    expect({ blockCount, reservedBytes }).toEqual({ blockCount: 4, reservedBytes: 4 * ARENA_BLOCK_BYTES });
    while (pool.currentEpoch < 1_000) {
      pool.advanceEpoch();
      fill();
    }
    expect(pool.stats()).toMatchObject({ epoch: 1_000, blockCount, reservedBytes, usedBytes: 4 * 2 ** 20 });
  });

  test('refuses future, past and invalid epochs', () => {
    const pool = new ArenaPool(3, { epoch: 10 });
    for (const epoch of [9, 11, 12, 13, -1, 10.5, NaN]) {
      expect(pool.isEpochValid(epoch)).toBe(false);
      expect(() => pool.arenaOf(epoch)).toThrow(withCode('STALE_EPOCH'));
    }
    expect(pool.isEpochValid(10)).toBe(true);
    expect(() => pool.arenaOf(11)).toThrow('epoch 11 is in the future: the pool has epochs 10 to 10');
  });

  test('refuses sizes and options that are out of range', () => {
    for (const size of [0, -1, 1.5, NaN, Infinity]) expect(() => new ArenaPool(size)).toThrow(RangeError);
    for (const options of [{ epoch: -1 }, { maxBlocks: 0 }, { maxThreads: 0 }, { maxThreads: 1.5 }])
      expect(() => new ArenaPool(2, options)).toThrow(RangeError);
    const last = new ArenaPool(2, { epoch: Number.MAX_SAFE_INTEGER });
    expect(() => last.advanceEpoch()).toThrow(RangeError);
    expect(last.currentEpoch).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('can be read and written by another thread, and advanced only by its creator', async () => {
    const pool = new ArenaPool(2);
    const worker = start();
    const handle = pool.allocateCopy(BYTES, 1, 4);
    expect(await worker.ask({ op: 'read', pool: pool.descriptor, handle })).toEqual([2, 3, 4]);
    const written = await worker.ask<number>({ op: 'pool-copy', pool: pool.descriptor, bytes: BYTES });
    expect([...pool.read(written)]).toEqual([...BYTES]);
    await expect(worker.ask({ op: 'advance', pool: pool.descriptor })).rejects.toThrow('TypeError');
    pool.advanceEpoch();
    pool.advanceEpoch();
    await expect(worker.ask({ op: 'read', pool: pool.descriptor, handle })).rejects.toThrow('STALE_EPOCH');
  });
});

describe('a worker arena', () => {
  test('keeps its epoch from being recycled until it is released; a refused advance changes nothing', async () => {
    const pool = new ArenaPool(2);
    const worker = start();
    const handle = await worker.ask<number>({ op: 'pin', pool: pool.descriptor, bytes: BYTES });
    expect(pool.epochOf(handle)).toBe(0);
    pool.advanceEpoch();
    const before = pool.stats();
    const message = `epoch 0 cannot be recycled: thread ${worker.threadId} has it pinned`;
    for (let time = 0; time < 2; time++) expect(() => pool.advanceEpoch()).toThrow(message);
    expect(pool.stats()).toEqual(before);
    expect([...pool.read(handle)]).toEqual([...BYTES]);
    await worker.ask({ op: 'unpin' });
    expect(pool.advanceEpoch()).toBe(2);
    expect(() => pool.read(handle)).toThrow(withCode('STALE_EPOCH'));
  });

  test('moves on to the current epoch with the next allocation', async () => {
    const pool = new ArenaPool(2);
    const worker = start();
    for (let epoch = 0; epoch < 6; epoch++) {
      const handle = await worker.ask<number>({ op: 'pin', pool: pool.descriptor, bytes: BYTES });
      expect(pool.epochOf(handle)).toBe(epoch);
      expect([...pool.read(handle)]).toEqual([...BYTES]);
      pool.advanceEpoch();
    }
  });

  test.each(['exit', 'terminate'] as const)('loses its pin once its thread has ended by %s', async (end) => {
    const pool = new ArenaPool(1);
    const [watched, unwatched] = [start(), start()];
    pool.releaseWhenEnded(watched.worker);
    for (const each of [watched, unwatched]) await each.ask({ op: 'pin', pool: pool.descriptor, bytes: BYTES });
    await watched[end]();
    expect(() => pool.advanceEpoch()).toThrow(`thread ${unwatched.threadId} has it pinned`);
    await unwatched[end]();
    expect(() => pool.advanceEpoch()).toThrow(withCode('EPOCH_PINNED'));
    expect(pool.releaseThread(unwatched.threadId)).toBe(true);
    expect(pool.releaseThread(unwatched.threadId)).toBe(false);
    expect(pool.advanceEpoch()).toBe(1);
    expect(() => pool.releaseWhenEnded(watched.worker)).toThrow(RangeError);
  });

  test('pins again after another WorkerArena of the thread has released their pin', () => {
    const pool = new ArenaPool(2);
    const [one, other] = [new WorkerArena(pool), new WorkerArena(pool)];
    one.allocateCopy(BYTES);
    other.allocateCopy(BYTES);
    other.release();
    one.allocateCopy(BYTES);
    expect(pool.advanceEpoch()).toBe(1);
    expect(() => pool.advanceEpoch()).toThrow(withCode('EPOCH_PINNED'));
    expect(one.epoch).toBe(0);
    one.allocateKey(BYTES, 0, 5);
    expect(one.epoch).toBe(1);
    expect(pool.advanceEpoch()).toBe(2);
  });

  test('is refused if more threads write than the pool allows', async () => {
    const pool = new ArenaPool(2, { maxThreads: 1 });
    new WorkerArena(pool).allocate(8);
    const worker = start();
    await expect(worker.ask({ op: 'pin', pool: pool.descriptor, bytes: BYTES })).rejects.toThrow('maxThreads');
  });
});
