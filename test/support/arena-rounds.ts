// Rounds of random allocations in a worker thread: see test/arena/random-threads.test.ts.

import { ArenaPool, type ArenaPoolDescriptor, WorkerArena } from '../../src/arena/arena-pool.ts';
import { type ArenaShard, ConcurrentArena, type ConcurrentArenaDescriptor } from '../../src/arena/concurrent-arena.ts';
import { EpochArena, type EpochArenaDescriptor } from '../../src/arena/epoch-arena.ts';
import { codeOf } from './error-code.ts';
import { random } from './nodes.ts';

export type ArenaKind = 'EpochArena' | 'ArenaPool' | 'ConcurrentArena';

export interface SharedArena {
  readonly kind: ArenaKind;
  readonly descriptor: EpochArenaDescriptor | ArenaPoolDescriptor | ConcurrentArenaDescriptor;
}

export interface RoundOrder extends SharedArena {
  readonly worker: number;
  readonly round: number;
  readonly seed: number;
  readonly count: number;
  /** Word 0 counts the threads that are ready, word 1 opens the gate. */
  readonly gate: Int32Array;
}

/** What a worker has allocated in a round, in order. */
export interface Allocated {
  readonly worker: number;
  readonly round: number;
  readonly handles: Float64Array;
  readonly lengths: Uint32Array;
}

/** Bytes that no other allocation of at least a few bytes has. */
export function contentOf(worker: number, round: number, number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = worker * 67 + round * 31 + number * 13 + (number >>> 8) * 7 + at * 3;
  return bytes;
}

interface Objects {
  readonly read: (handle: number) => Uint8Array;
  readonly target: EpochArena | WorkerArena | ArenaShard;
  readonly claimer: () => EpochArena | ArenaShard;
}

function attach({ kind, descriptor }: SharedArena): Objects {
  if (kind === 'EpochArena') {
    const arena = EpochArena.attach(descriptor as EpochArenaDescriptor);
    return { read: (handle) => arena.read(handle), target: arena, claimer: () => arena };
  }
  if (kind === 'ArenaPool') {
    const pool = ArenaPool.attach(descriptor as ArenaPoolDescriptor);
    const writer = new WorkerArena(pool);
    return { read: (handle) => pool.read(handle), target: writer, claimer: () => writer.current() };
  }
  const arena = ConcurrentArena.attach(descriptor as ConcurrentArenaDescriptor);
  const shard = arena.shard();
  return { read: (handle) => arena.read(handle), target: shard, claimer: () => shard };
}

/** Objects of this thread stay from one round to the next: they have to notice a reset. */
const attached = new Map<ArenaKind, Objects>();

export function allocateRound(order: RoundOrder): Allocated {
  const { kind, worker, round, count, gate } = order;
  const next = random(order.seed);
  let objects = attached.get(kind) ?? attach(order);
  const handles = new Float64Array(count);
  const lengths = new Uint32Array(count);
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 1, 0);
  for (let number = 0; number < count;) {
    if (next() < 0.01) objects = attach(order);
    const { target } = objects;
    const way = Math.floor(next() * 4);
    const length = Math.floor(next() < 0.02 ? next() * 150_000 : next() * 120);
    if (way === 3) {
      const claimer = objects.claimer();
      const claims = Math.min(count - number, 1 + Math.floor(next() * 20));
      const room = claimer.reserve(claims * 60);
      for (let claim = 0; claim < claims; claim++, number++) {
        lengths[number] = Math.floor(next() * 60);
        room.set(contentOf(worker, round, number, lengths[number]!), claim * 60);
        handles[number] = claimer.claim(claim * 60, claim * 60 + lengths[number]!);
      }
      continue;
    }
    const bytes = contentOf(worker, round, number, length);
    if (way === 0) {
      handles[number] = target.allocate(length, 2 ** Math.floor(next() * 7));
      objects.read(handles[number]!).set(bytes);
    } else {
      handles[number] = way === 1 ? target.allocateCopy(bytes) : target.allocateKey(bytes);
    }
    lengths[number++] = length;
  }
  attached.set(kind, objects);
  return { worker, round, handles, lengths };
}

/** How many allocations do not have their bytes, and how many stale handles are not refused as such. */
export function faultsOf(
  read: (handle: number) => Uint8Array,
  valid: readonly Allocated[],
  stale: readonly Allocated[],
): { wrong: number; notStale: number } {
  let [wrong, notStale] = [0, 0];
  for (const { worker, round, handles, lengths } of valid) {
    for (const [number, handle] of handles.entries())
      if (Buffer.compare(read(handle), contentOf(worker, round, number, lengths[number]!)) !== 0) wrong++;
  }
  // Not all, since an error for each takes long.
  for (const { handles } of stale)
    for (let at = 0; at < handles.length; at += 97) if (codeOf(() => read(handles[at]!)) !== 'STALE_EPOCH') notStale++;
  return { wrong, notStale };
}

export function checkRound(
  arena: SharedArena,
  valid: readonly Allocated[],
  stale: readonly Allocated[],
): { wrong: number; notStale: number } {
  return faultsOf((attached.get(arena.kind) ?? attach(arena)).read, valid, stale);
}

export function releaseRound(): void {
  for (const { target } of attached.values()) if (target instanceof WorkerArena) target.release();
  attached.clear();
}
