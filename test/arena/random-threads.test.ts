import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { codeOf } from '../support/error-code.ts';
import { type Allocated, faultsOf, type SharedArena } from '../support/arena-rounds.ts';
import { ArenaWorker, openGate } from '../support/arena-workers.ts';

const WORKERS = 4;
const ROUNDS = 8;
const COUNT = 1_500;
/** Epochs that a pool keeps. */
const SIZE = 3;

let workers: ArenaWorker[] = [];
beforeAll(() => {
  workers = Array.from({ length: WORKERS }, () => new ArenaWorker());
});
afterAll(async () => {
  await Promise.all(workers.map((each) => each.terminate()));
});

interface Subject {
  readonly shared: SharedArena;
  readonly read: (handle: number) => Uint8Array;
  readonly next: () => void;
  readonly keptRounds: number;
  readonly stats: () => { allocations: number; usedBytes: number; totalUsedBytes: number };
}

const MEMORY = { blockBytes: 65_536, maxBlocks: 1_000 };
const SUBJECTS: Readonly<Record<string, () => Subject>> = {
  EpochArena: () => {
    const arena = new EpochArena(MEMORY);
    const other = EpochArena.attach(arena.descriptor);
    return {
      shared: { kind: 'EpochArena', descriptor: arena.descriptor },
      read: (handle) => arena.read(handle),
      // The epochs have equal low bits, and another object resets.
      next: () => other.reset(arena.epoch + 2 ** 17),
      keptRounds: 1,
      stats: () => arena.stats(),
    };
  },
  ArenaPool: () => {
    const pool = new ArenaPool(SIZE, MEMORY);
    return {
      shared: { kind: 'ArenaPool', descriptor: pool.descriptor },
      read: (handle) => pool.read(handle),
      next: () => pool.advanceEpoch(),
      keptRounds: SIZE,
      stats: () => pool.stats(),
    };
  },
  ConcurrentArena: () => {
    const arena = new ConcurrentArena(WORKERS, MEMORY);
    return {
      shared: { kind: 'ConcurrentArena', descriptor: arena.descriptor },
      read: (handle) => arena.read(handle),
      next: () => arena.reset(arena.epoch + 2 ** 32),
      keptRounds: 1,
      stats: () => arena.stats(),
    };
  },
};

const bytesOf = (all: readonly Allocated[]): number =>
  all.reduce((sum, { lengths }) => lengths.reduce((total, length) => total + length, sum), 0);

/** Where the bytes of allocations are in their memory; those of no bytes are nowhere. */
function overlapsOf(views: readonly Uint8Array[]): number {
  let overlaps = 0;
  // Of several memories, each is looked at alone.
  for (const memory of new Set(views.map(({ buffer }) => buffer))) {
    const own = views.filter(({ buffer, length }) => buffer === memory && length > 0);
    own.sort((a, b) => a.byteOffset - b.byteOffset);
    overlaps += own.filter((view, at) => at > 0 && endOf(own[at - 1]!) > view.byteOffset).length;
  }
  return overlaps;
}

const endOf = (view: Uint8Array): number => view.byteOffset + view.length;

describe('four threads that allocate at random', () => {
  test.each(Object.entries(SUBJECTS))('in %s do what a plain model does, in each round', async (_, make) => {
    const { shared, read, next, keptRounds, stats } = make();
    const rounds: Allocated[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const gate = new Int32Array(new SharedArrayBuffer(8));
      const asked = workers.map((each, worker) =>
        each.ask<Allocated>({
          op: 'allocate-round',
          ...shared,
          worker,
          round,
          seed: 100 * round + worker,
          count: COUNT,
          gate,
        }),
      );
      await openGate(gate, WORKERS);
      rounds.push(await Promise.all(asked));
      const valid = rounds.slice(-keptRounds).flat();
      const stale = rounds.slice(0, -keptRounds).flat();
      const handles = valid.flatMap((each) => [...each.handles]);
      expect(new Set(handles).size).toBe(handles.length);
      const views = handles.map(read);
      expect(overlapsOf(views)).toBe(0);
      expect(stats()).toMatchObject({ allocations: handles.length, usedBytes: bytesOf(valid) });
      expect(stats().totalUsedBytes).toBeLessThanOrEqual(bytesOf(valid) + 63 * handles.length);
      // Each reads what all the others have sent, by the main thread.
      const found = [
        faultsOf(read, valid, stale),
        ...(await Promise.all(workers.map((each) => each.ask({ op: 'check-round', arena: shared, valid, stale })))),
      ];
      expect(found).toEqual(found.map(() => ({ wrong: 0, notStale: 0 })));
      next();
      for (const { handles: gone } of rounds.slice(0, rounds.length - keptRounds + 1).flat())
        expect(codeOf(() => read(gone[0]!))).toBe('STALE_EPOCH');
    }
    await Promise.all(workers.map((each) => each.ask({ op: 'release-round' })));
  });
});
