// Runs in a worker thread: executes one order after another and answers each. Bundled and started by arena-workers.ts.
// oxlint-disable unicorn/require-post-message-target-origin -- a thread has no origin

import { parentPort, threadId } from 'node:worker_threads';
import { ArenaPool, type ArenaPoolDescriptor, WorkerArena } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena, type ConcurrentArenaDescriptor } from '../../src/arena/concurrent-arena.ts';
import { EpochArena, type EpochArenaDescriptor } from '../../src/arena/epoch-arena.ts';
import { PageStoreError } from '../../src/errors.ts';
import {
  type Allocated,
  allocateRound,
  checkRound,
  releaseRound,
  type RoundOrder,
  type SharedArena,
} from './arena-rounds.ts';
import { LOG_WORDS, patternOf, patternBytes } from './arena-pattern.ts';

export interface FillOrder {
  readonly worker: number;
  readonly count: number;
  /** Word 0 counts the threads that are ready, word 1 opens the gate. */
  readonly gate: Int32Array;
  /** Three words for each allocation: epoch or shard, offset, length. */
  readonly log: Int32Array;
  /** The handle of each allocation. */
  readonly handles: Float64Array;
}

export type Order =
  | ({
      readonly op: 'fill-arena';
      readonly arena: EpochArenaDescriptor;
      readonly broken?: 'memory' | 'handles';
    } & FillOrder)
  | ({ readonly op: 'fill-pool'; readonly pool: ArenaPoolDescriptor } & FillOrder)
  | ({ readonly op: 'fill-shard'; readonly arena: ConcurrentArenaDescriptor } & FillOrder)
  | { readonly op: 'read'; readonly pool: ArenaPoolDescriptor; readonly handle: number }
  | { readonly op: 'pool-copy'; readonly pool: ArenaPoolDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'advance'; readonly pool: ArenaPoolDescriptor }
  | { readonly op: 'pin'; readonly pool: ArenaPoolDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'unpin' }
  | { readonly op: 'shard'; readonly arena: ConcurrentArenaDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'give-back' }
  | { readonly op: 'own-arenas'; readonly count: number }
  | ({ readonly op: 'allocate-round' } & RoundOrder)
  | {
      readonly op: 'check-round';
      readonly arena: SharedArena;
      readonly valid: readonly Allocated[];
      readonly stale: readonly Allocated[];
    }
  | { readonly op: 'release-round' }
  | { readonly op: 'exit' };

let writer: WorkerArena | undefined;
let shards: ConcurrentArena | undefined;

const source = new Uint8Array(256);

function fill(
  { worker, count, gate, log, handles }: FillOrder,
  put: (bytes: number) => { epoch: number; offset: number; handle: number },
): void {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 1, 0);
  for (let number = 0; number < count; number++) {
    const bytes = patternBytes(number);
    patternOf(worker, number, source);
    const { epoch, offset, handle } = put(bytes);
    log.set([epoch, offset, bytes], number * LOG_WORDS);
    handles[number] = handle;
  }
}

const compareExchange = Atomics.compareExchange as (
  words: Int32Array,
  at: number,
  expected: number,
  value: number,
) => number;

/** In one memory of an arena. */
function breakCompareExchangeIn(memory: ArrayBufferLike): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  // As an update without an atomic would work, with a pause in the middle that makes the race certain.
  Atomics.compareExchange = ((words: Int32Array, at: number, expected: number, value: number) => {
    if (words.buffer !== memory) return compareExchange(words, at, expected, value);
    const found = words[at]!;
    Atomics.wait(pause, 0, 0, 1);
    if (found === expected) words[at] = value;
    return found;
  }) as typeof Atomics.compareExchange;
}

function obey(order: Order): unknown {
  switch (order.op) {
    case 'fill-arena': {
      if (order.broken) breakCompareExchangeIn(order.arena[order.broken]);
      const arena = EpochArena.attach(order.arena);
      fill(order, (bytes) => {
        const handle = arena.allocateKey(source, 0, bytes);
        // Two threads may have the same handle then.
        return { epoch: 0, offset: order.broken === 'handles' ? 0 : arena.offsetOf(handle), handle };
      });
      Atomics.compareExchange = compareExchange as typeof Atomics.compareExchange;
      break;
    }
    case 'fill-pool': {
      const pool = ArenaPool.attach(order.pool);
      const arena = new WorkerArena(pool);
      let last: number | undefined;
      let copy = '';
      let [spoiled, calls] = [0, 0];
      const pause = new Int32Array(new SharedArrayBuffer(4));
      fill(order, (bytes) => {
        // Now and then it waits for the epoch to advance, which the pinned one allows as long as it is not the oldest.
        if (++calls % 500 === 0) while (pool.currentEpoch === arena.epoch) Atomics.wait(pause, 0, 0, 1);
        // Pinned until the next call: it must be unchanged.
        if (last !== undefined && Buffer.from(pool.read(last)).toString('latin1') !== copy) spoiled++;
        const handle = (last = arena.allocateCopy(source, 0, bytes));
        copy = Buffer.from(source.subarray(0, bytes)).toString('latin1');
        return { epoch: arena.epoch, offset: pool.arenaOf(arena.epoch).offsetOf(handle), handle };
      });
      arena.release();
      return spoiled;
    }
    case 'fill-shard': {
      let arena = ConcurrentArena.attach(order.arena);
      let calls = 0;
      fill(order, (bytes) => {
        // Attached again and again: the thread has the same shard each time.
        if (calls++ % 100 === 0) arena = ConcurrentArena.attach(order.arena);
        const handle = arena.allocateCopy(source, 0, bytes);
        return { epoch: arena.shardOf(handle), offset: arena.offsetOf(handle), handle };
      });
      break;
    }
    case 'read':
      return [...ArenaPool.attach(order.pool).read(order.handle)];
    case 'pool-copy':
      return ArenaPool.attach(order.pool).allocateCopy(order.bytes);
    case 'advance':
      return ArenaPool.attach(order.pool).advanceEpoch();
    case 'pin': {
      writer ??= new WorkerArena(ArenaPool.attach(order.pool));
      return writer.allocateCopy(order.bytes);
    }
    case 'unpin':
      writer?.release();
      break;
    case 'shard': {
      shards ??= ConcurrentArena.attach(order.arena);
      const handle = shards.allocateCopy(order.bytes);
      return { shard: shards.shardOf(handle), offset: shards.offsetOf(handle), handle };
    }
    case 'allocate-round':
      return allocateRound(order);
    case 'check-round':
      return checkRound(order.arena, order.valid, order.stale);
    case 'release-round':
      releaseRound();
      break;
    case 'own-arenas':
      return Array.from({ length: order.count }, () => new EpochArena({ maxBlocks: 1 }).allocate(5));
    case 'give-back':
      return shards?.release();
    case 'exit':
      process.exit(0);
  }
  return undefined;
}

parentPort!.on('message', (order: Order) => {
  try {
    parentPort!.postMessage({ threadId, answer: obey(order) });
  } catch (error) {
    const code = error instanceof PageStoreError ? error.code : (error as Error).name;
    parentPort!.postMessage({ threadId, error: { code, message: (error as Error).message } });
  }
});
