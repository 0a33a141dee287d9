// Random calls of the arenas against a plain model: each property throws if the arena differs from it. Tests run some,
// the campaign thousands of them.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ArenaPool, WorkerArena } from '../../src/arena/arena-pool.ts';
import { type ArenaShard, ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { PageStoreError } from '../../src/errors.ts';
import { codeOf } from './error-code.ts';

export const BLOCK = 65_536;
const BLOCKS = 5;
const PATTERN = Uint8Array.from({ length: BLOCKS * BLOCK + 512 }, (_, at) => at + (at >>> 8) * 3);
const bytesOf = (length: number, seed: number): Uint8Array => PATTERN.subarray(seed % 512, (seed % 512) + length);

const length = fc.oneof(
  { weight: 8, arbitrary: fc.nat(100) },
  { weight: 2, arbitrary: fc.nat(9_000) },
  { weight: 1, arbitrary: fc.nat(3 * BLOCK) },
  { weight: 1, arbitrary: fc.constantFrom(0, 4_096, 4_097, 16_384, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK) },
);
const object = fc.nat(2);
const alignment = fc.constantFrom(1, 2, 4, 8, 16, 32, 64);
const kind = <Kind extends string>(name: Kind): fc.Arbitrary<Kind> => fc.constant(name);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: kind('copy'), length, object }) },
  { weight: 6, arbitrary: fc.record({ kind: kind('key'), length, object }) },
  { weight: 6, arbitrary: fc.record({ kind: kind('allocate'), length, object, alignment }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('reserve'), length, object }) },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: kind('claim'),
      length: fc.nat(3_000),
      skip: fc.integer({ min: -9, max: 60 }),
      object,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('attach'), object }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('reset'),
      by: fc.oneof(kind('next'), kind('far'), kind('same low bits')),
      object,
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Of> ? Of : never;

/** What EpochArena and ConcurrentArena have in common: objects of one arena in one thread. */
interface Arena {
  readonly epoch: number;
  allocate(bytes: number, alignment?: number): number;
  allocateCopy(source: Uint8Array, start?: number, end?: number): number;
  allocateKey(source: Uint8Array, start?: number, end?: number): number;
  read(handle: number): Uint8Array;
  lengthOf(handle: number): number;
  offsetOf(handle: number): number;
  reset(epoch: number): void;
}

interface Subject {
  readonly first: Arena;
  attach(): Arena;
  /** Reservations and claims of an object. */
  writer(object: Arena): Pick<ArenaShard, 'reserve' | 'claim'>;
  stats(): { allocations: number; usedBytes: number; totalUsedBytes: number };
  /** The object that may reset. */
  resetting(object: Arena): Arena;
}

function epochSubject(epoch: number): Subject {
  const first = new EpochArena({ epoch, blockBytes: BLOCK, maxBlocks: BLOCKS });
  return {
    first,
    attach: () => EpochArena.attach(structuredClone(first.descriptor)),
    writer: (each) => each as EpochArena,
    stats: () => first.stats(),
    resetting: (each) => each,
  };
}

function concurrentSubject(epoch: number): Subject {
  const first = new ConcurrentArena(3, { epoch, blockBytes: BLOCK, maxBlocks: BLOCKS });
  return {
    first,
    attach: () => ConcurrentArena.attach(structuredClone(first.descriptor)),
    writer: (each) => (each as ConcurrentArena).shard(),
    stats: () => first.stats(),
    resetting: () => first,
  };
}

interface Kept {
  readonly handle: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Room {
  readonly bytes: Uint8Array;
  readonly epoch: number;
  claimed: number;
}

/** One arena, the objects of it, and what they must contain. */
class ModelRun {
  readonly #subject: Subject;
  readonly #objects: Arena[];
  readonly #rooms = new Map<Arena, Room>();
  #kept: Kept[] = [];
  readonly #gone: number[] = [];
  #epoch: number;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#epoch = subject.first.epoch;
    this.#objects = [subject.first, subject.attach(), subject.attach()];
  }

  run(steps: readonly Step[]): void {
    for (const [seed, each] of steps.entries()) {
      const before = this.#subject.stats();
      const offset = this.#step(each, seed);
      const stats = this.#subject.stats();
      if (offset === 'full') assert.deepEqual(stats, before, 'a refused call changes nothing');
      assert.equal(stats.allocations, this.#kept.length);
      assert.equal(
        stats.usedBytes,
        this.#kept.reduce((sum, { bytes }) => sum + bytes.length, 0),
      );
      assert.ok(
        stats.totalUsedBytes >= stats.usedBytes && stats.totalUsedBytes <= stats.usedBytes + 63 * stats.allocations,
      );
    }
    this.#check();
  }

  #step(each: Step, seed: number): 'full' | undefined {
    const arena = this.#objects[each.object]!;
    if (each.kind === 'attach') {
      this.#rooms.delete(arena);
      this.#objects[each.object] = this.#subject.attach();
      return undefined;
    }
    if (each.kind === 'reset') {
      this.#epoch += { next: 1, far: 2 ** 32, 'same low bits': 2 ** 17 }[each.by];
      this.#subject.resetting(arena).reset(this.#epoch);
      this.#gone.push(...this.#kept.splice(0).map(({ handle }) => handle));
      return undefined;
    }
    if (each.kind === 'claim') return this.#claim(arena, each.skip, each.length, seed);
    try {
      if (each.kind === 'reserve') {
        const bytes = this.#subject.writer(arena).reserve(each.length);
        assert.equal(bytes.length, each.length);
        this.#rooms.set(arena, { bytes, epoch: this.#epoch, claimed: 0 });
      } else {
        this.#allocate(arena, each, bytesOf(each.length, seed));
      }
    } catch (error) {
      if (!(error instanceof PageStoreError && error.code === 'ARENA_FULL')) throw error;
      return 'full';
    }
    return undefined;
  }

  #allocate(arena: Arena, each: Extract<Step, { length: number }>, bytes: Uint8Array): void {
    let [handle, aligned] = [-1, 8];
    if (each.kind === 'copy') {
      handle = arena.allocateCopy(bytes);
    } else if (each.kind === 'key') {
      aligned = 16;
      handle = arena.allocateKey(PATTERN, bytes.byteOffset, bytes.byteOffset + bytes.length);
    } else if (each.kind === 'allocate') {
      aligned = each.alignment;
      handle = arena.allocate(bytes.length, each.alignment);
      arena.read(handle).set(bytes);
    }
    const offset = arena.offsetOf(handle);
    assert.equal(offset % aligned, 0);
    if (bytes.length > BLOCK) assert.equal(offset % BLOCK, 0, 'it begins with a block');
    else assert.ok((offset % BLOCK) + bytes.length <= BLOCK, 'it is within a block');
    this.#kept.push({ handle, offset, bytes });
  }

  #claim(arena: Arena, skip: number, length: number, seed: number): undefined {
    const room = this.#rooms.get(arena);
    const writer = this.#subject.writer(arena);
    const start = (room?.claimed ?? 0) + skip;
    const end = start + length;
    const isInRoom = room !== undefined && skip >= 0 && end <= room.bytes.length;
    if (room === undefined || room.epoch !== this.#epoch || !isInRoom) {
      const code = room !== undefined && room.epoch !== this.#epoch ? 'STALE_EPOCH' : 'RangeError';
      assert.equal(
        codeOf(() => writer.claim(start, end)),
        code,
      );
      return undefined;
    }
    room.bytes.set(bytesOf(length, seed), start);
    room.claimed = end;
    const handle = writer.claim(start, end);
    this.#kept.push({ handle, offset: arena.offsetOf(handle), bytes: bytesOf(length, seed) });
    return undefined;
  }

  #check(): void {
    assert.equal(overlapsOf(this.#kept), 0);
    assert.equal(new Set(this.#kept.map(({ handle }) => handle)).size, this.#kept.length);
    for (const arena of this.#objects) {
      assert.equal(arena.epoch, this.#epoch);
      for (const { handle, bytes } of this.#kept) {
        assert.equal(Buffer.compare(arena.read(handle), bytes), 0);
        assert.equal(arena.lengthOf(handle), bytes.length);
      }
      const known = new Set(this.#kept.map(({ handle }) => handle));
      for (const handle of this.#gone)
        assert.equal(
          codeOf(() => arena.read(handle)),
          'STALE_EPOCH',
        );
      for (const { handle } of this.#kept.slice(-5)) {
        for (const forged of [handle + 1, handle - 1, handle + 2_048, handle + 0.5, -handle - 1, handle + 2 ** 42]) {
          if (!known.has(forged))
            assert.equal(
              codeOf(() => arena.read(forged)),
              'RangeError',
            );
        }
      }
    }
  }
}

/** How many ranges of at least one byte start before the previous one ends. */
export function overlapsOf(kept: readonly { readonly offset: number; readonly bytes: Uint8Array }[]): number {
  const sorted = kept.filter(({ bytes }) => bytes.length > 0).toSorted((a, b) => a.offset - b.offset);
  return sorted.filter(({ offset }, at) => at > 0 && sorted[at - 1]!.offset + sorted[at - 1]!.bytes.length > offset)
    .length;
}

const firstEpoch = fc.constantFrom(0, 1, 2 ** 17 - 2, 2 ** 32 - 2, 2 ** 50);

const modelOf = (subjectOf: (epoch: number) => Subject): fc.IProperty<[number, Step[]]> =>
  fc.property(firstEpoch, fc.array(step, { maxLength: 60 }), (epoch, steps) =>
    new ModelRun(subjectOf(epoch)).run(steps),
  );

const poolStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: kind('copy'), length: fc.oneof(fc.nat(5_000), fc.nat(2 * BLOCK)) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('advance') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('pin') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('release') }) },
);
type PoolStep = typeof poolStep extends fc.Arbitrary<infer Of> ? Of : never;

function runPool(size: number, epoch: number, steps: readonly PoolStep[]): void {
  const pool = new ArenaPool(size, { epoch, blockBytes: BLOCK, maxBlocks: 40 });
  const attached = ArenaPool.attach(structuredClone(pool.descriptor));
  const writer = new WorkerArena(attached);
  const model = new Map<number, { handle: number; bytes: Uint8Array }[]>([[epoch, []]]);
  const gone: number[] = [];
  let [current, pinned] = [epoch, -1];
  for (const [seed, each] of steps.entries()) {
    if (each.kind === 'copy') {
      const bytes = bytesOf(each.length, seed);
      const handle = seed % 2 === 0 ? pool.allocateCopy(bytes) : attached.allocateCopy(bytes);
      assert.deepEqual([pool.epochOf(handle), pool.lengthOf(handle)], [current, each.length]);
      // A thread has one pin, which its last copy has moved.
      if (seed % 2 === 1 && pinned >= 0) pinned = current;
      model.get(current)!.push({ handle, bytes });
    } else if (each.kind === 'pin') {
      const bytes = bytesOf(5, seed);
      model.get(current)!.push({ handle: writer.allocateCopy(bytes), bytes });
      pinned = current;
    } else if (each.kind === 'release') {
      writer.release();
      pinned = -1;
    } else if (pinned >= 0 && pinned === current + 1 - size) {
      assert.equal(
        codeOf(() => pool.advanceEpoch()),
        'EPOCH_PINNED',
      );
    } else {
      assert.equal(pool.advanceEpoch(), ++current);
      gone.push(...(model.get(current - size) ?? []).map(({ handle }) => handle));
      model.delete(current - size);
      model.set(current, []);
    }
    const all = [...model.values()].flat();
    const stats = pool.stats();
    assert.deepEqual(
      [stats.epoch, stats.allocations, stats.usedBytes],
      [current, all.length, all.reduce((sum, { bytes }) => sum + bytes.length, 0)],
    );
  }
  for (const each of [pool, attached]) {
    assert.deepEqual([each.currentEpoch, each.current().epoch], [current, current]);
    for (const { handle, bytes } of [...model.values()].flat())
      assert.equal(Buffer.compare(each.read(handle), bytes), 0);
    for (const handle of gone)
      assert.equal(
        codeOf(() => each.read(handle)),
        'STALE_EPOCH',
      );
    for (let at = current - size - 2; at <= current + 2; at++) assert.equal(each.isEpochValid(at), model.has(at));
  }
}

const poolEpoch = fc.constantFrom(0, 1, 2 ** 17 - 3, 2 ** 31 - 3, 2 ** 32 - 3, 2 ** 52);

/** Each may be run any number of times: `fc.assert(property, { numRuns })`. */
export const ARENA_PROPERTIES = {
  EpochArena: modelOf(epochSubject),
  ConcurrentArena: modelOf(concurrentSubject),
  ArenaPool: fc.property(fc.integer({ min: 1, max: 5 }), poolEpoch, fc.array(poolStep, { maxLength: 60 }), runPool),
} as const;
