// Runs in a worker thread: executes one order after another and answers each. Bundled and started by arena-workers.ts.
// oxlint-disable unicorn/require-post-message-target-origin -- a thread has no origin

import { parentPort, threadId } from 'node:worker_threads';
import { ArenaPool, type ArenaPoolDescriptor, type EpochHandle } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena, type ConcurrentArenaDescriptor } from '../../src/arena/concurrent-arena.ts';
import { EpochArena, type EpochArenaDescriptor } from '../../src/arena/epoch-arena.ts';
import { PageStoreError } from '../../src/errors.ts';
import { WorkerArena } from '../../src/arena/arena-pool.ts';
import { LOG_WORDS, patternOf, patternBytes } from './arena-pattern.ts';

export interface FillOrder {
  readonly worker: number;
  readonly count: number;
  /** Word 0 counts the threads that are ready, word 1 opens the gate. */
  readonly gate: Int32Array;
  /** Three words for each allocation: epoch, offset, length. */
  readonly log: Int32Array;
}

export type Order =
  | ({ readonly op: 'fill-arena'; readonly arena: EpochArenaDescriptor; readonly broken?: boolean } & FillOrder)
  | ({ readonly op: 'fill-pool'; readonly pool: ArenaPoolDescriptor } & FillOrder)
  | ({ readonly op: 'fill-shard'; readonly arena: ConcurrentArenaDescriptor } & FillOrder)
  | { readonly op: 'read'; readonly pool: ArenaPoolDescriptor; readonly handle: EpochHandle }
  | { readonly op: 'pool-copy'; readonly pool: ArenaPoolDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'advance'; readonly pool: ArenaPoolDescriptor }
  | { readonly op: 'pin'; readonly pool: ArenaPoolDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'unpin' }
  | { readonly op: 'shard'; readonly arena: ConcurrentArenaDescriptor; readonly bytes: Uint8Array }
  | { readonly op: 'give-back' }
  | { readonly op: 'exit' };

let writer: WorkerArena | undefined;
let shards: ConcurrentArena | undefined;

const source = new Uint8Array(256);

function fill(
  { worker, count, gate, log }: FillOrder,
  put: (bytes: number) => { epoch: number; offset: number },
): void {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 1, 0);
  for (let number = 0; number < count; number++) {
    const bytes = patternBytes(number);
    patternOf(worker, number, source);
    const { epoch, offset } = put(bytes);
    log.set([epoch, offset, bytes], number * LOG_WORDS);
  }
}

const compareExchange = Atomics.compareExchange;

function breakCompareExchange(): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  // As an update without an atomic would work, with a pause in the middle that makes the race certain.
  Atomics.compareExchange = ((words: Int32Array, at: number, expected: number, value: number) => {
    const found = words[at]!;
    Atomics.wait(pause, 0, 0, 1);
    if (found === expected) words[at] = value;
    return found;
  }) as typeof Atomics.compareExchange;
}

function obey(order: Order): unknown {
  switch (order.op) {
    case 'fill-arena': {
      if (order.broken === true) breakCompareExchange();
      const arena = EpochArena.attach(order.arena);
      fill(order, (bytes) => ({ epoch: 0, offset: arena.allocateKey(source, 0, bytes) }));
      Atomics.compareExchange = compareExchange;
      break;
    }
    case 'fill-pool': {
      const pool = ArenaPool.attach(order.pool);
      const arena = new WorkerArena(pool);
      let last: EpochHandle | undefined;
      let copy = '';
      let [spoiled, calls] = [0, 0];
      const pause = new Int32Array(new SharedArrayBuffer(4));
      fill(order, (bytes) => {
        // Now and then it waits for the epoch to advance, which the pinned one allows as long as it is not the oldest.
        if (++calls % 500 === 0) while (pool.currentEpoch === arena.epoch) Atomics.wait(pause, 0, 0, 1);
        // Pinned until the next call: it must be unchanged.
        if (last && Buffer.from(pool.read(last)).toString('latin1') !== copy) spoiled++;
        const offset = arena.allocateCopy(source, 0, bytes);
        last = arena.handleOf(offset, bytes);
        copy = Buffer.from(source.subarray(0, bytes)).toString('latin1');
        return last;
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
        return { epoch: arena.shard().index, offset: arena.allocateCopy(source, 0, bytes) };
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
      return writer.handleOf(writer.allocateCopy(order.bytes), order.bytes.length);
    }
    case 'unpin':
      writer?.release();
      break;
    case 'shard': {
      shards ??= ConcurrentArena.attach(order.arena);
      return { shard: shards.shard().index, offset: shards.allocateCopy(order.bytes) };
    }
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
