import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ArenaPool, type EpochHandle } from '../../src/arena/arena-pool.ts';
import { ARENA_BLOCK_BYTES } from '../../src/arena/block-memory.ts';
import { WorkerArena } from '../../src/arena/arena-pool.ts';
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

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('copy' as const), length: fc.nat(5_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('advance' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pin' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const) }) },
);

describe('an arena pool', () => {
  test('keeps the last epochs as a model does, and refuses to recycle a pinned one', () => {
    const first = fc.constantFrom(0, 1, 2 ** 31 - 3, 2 ** 32 - 3, 2 ** 52);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), first, fc.array(step, { maxLength: 60 }), (size, epoch, steps) => {
        const pool = new ArenaPool(size, { epoch, maxBlocks: 2 });
        const attached = ArenaPool.attach(structuredClone(pool.descriptor));
        const writer = new WorkerArena(attached);
        const model = new Map<number, { handle: EpochHandle; bytes: Uint8Array }[]>([[epoch, []]]);
        const gone: EpochHandle[] = [];
        let [current, pinned] = [epoch, -1];
        for (const [seed, each] of steps.entries()) {
          if (each.kind === 'copy') {
            const bytes = new Uint8Array(each.length).fill(seed + 1);
            const handle = seed % 2 === 0 ? pool.allocateCopy(bytes) : attached.allocateCopy(bytes);
            expect(handle).toMatchObject({ epoch: current, length: each.length });
            // A thread has one pin, which its last copy has moved.
            if (seed % 2 === 1 && pinned >= 0) pinned = current;
            model.get(current)!.push({ handle, bytes });
          } else if (each.kind === 'pin') {
            const handle = writer.handleOf(writer.allocateCopy(BYTES), BYTES.length);
            pinned = current;
            model.get(current)!.push({ handle, bytes: BYTES });
          } else if (each.kind === 'release') {
            writer.release();
            pinned = -1;
          } else if (pinned >= 0 && pinned === current + 1 - size) {
            expect(() => pool.advanceEpoch()).toThrow(withCode('EPOCH_PINNED'));
          } else {
            expect(pool.advanceEpoch()).toBe(++current);
            gone.push(...(model.get(current - size) ?? []).map(({ handle }) => handle));
            model.delete(current - size);
            model.set(current, []);
          }
          const all = [...model.values()].flat();
          const usedBytes = all.reduce((sum, { bytes }) => sum + bytes.length, 0);
          expect(pool.stats()).toMatchObject({ epoch: current, allocations: all.length, usedBytes });
        }
        for (const each of [pool, attached]) {
          expect(each.currentEpoch).toBe(current);
          expect(each.current().epoch).toBe(current);
          for (const { handle, bytes } of [...model.values()].flat())
            expect(Buffer.compare(each.read(handle), bytes)).toBe(0);
          for (const handle of gone) expect(() => each.read(handle)).toThrow(withCode('STALE_EPOCH'));
          for (let at = current - size - 2; at <= current + 2; at++) expect(each.isEpochValid(at)).toBe(model.has(at));
        }
      }),
      { numRuns: 50 },
    );
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
      expect(() => pool.read({ epoch, offset: 0, length: 0 })).toThrow(withCode('STALE_EPOCH'));
    }
    expect(pool.isEpochValid(10)).toBe(true);
    expect(() => pool.arenaOf(11)).toThrow('epoch 11 is in the future: the pool has epochs 10 to 10');
  });

  test('refuses a handle whose range was not allocated', () => {
    const pool = new ArenaPool(2);
    const handle = pool.allocateCopy(BYTES);
    for (const forged of [
      { length: 6 },
      { offset: 1 },
      { offset: -1 },
      { offset: 2 ** 40 },
      { length: -1 },
      { length: NaN },
    ])
      expect(() => pool.read({ ...handle, ...forged })).toThrow(RangeError);
    expect([...pool.read(handle)]).toEqual([...BYTES]);
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
    const written = await worker.ask<EpochHandle>({ op: 'pool-copy', pool: pool.descriptor, bytes: BYTES });
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
    const handle = await worker.ask<EpochHandle>({ op: 'pin', pool: pool.descriptor, bytes: BYTES });
    expect(handle.epoch).toBe(0);
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
      const handle = await worker.ask<EpochHandle>({ op: 'pin', pool: pool.descriptor, bytes: BYTES });
      expect(handle.epoch).toBe(epoch);
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
