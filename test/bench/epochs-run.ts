// The measuring of epochs.ts, which bundles and runs it.
// oxlint-disable unicorn/require-post-message-target-origin -- a thread has no origin

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ArenaPool } from '../../src/arena/arena-pool.ts';
import { ConcurrentArena } from '../../src/arena/concurrent-arena.ts';
import { EpochArena, type EpochArenaDescriptor } from '../../src/arena/epoch-arena.ts';
import { WorkerArena } from '../../src/arena/arena-pool.ts';
import { machineOf } from './machine.ts';
import { median } from './report.ts';

const KEYS = 100_000;
const WARM_UP = 5;
const ROUNDS = 15;
const RESETS = 1_000;

// Keys of 16 to 40 bytes, one behind the other in a large array, as frames are in a chunk of input.
const starts = new Int32Array(KEYS);
const ends = new Int32Array(KEYS);
let length = 0;
for (let at = 0; at < KEYS; at++) {
  starts[at] = length;
  length += 16 + ((at * 7) % 25);
  ends[at] = length;
}
const source = new Uint8Array(length).map((_, at) => at * 31);
const buffer = Buffer.from(source.buffer);

type Contender = () => number;

/** Nanoseconds of each of `count`. */
function timed(count: number, work: () => void): number {
  const began = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - began) / count;
}

// Each contender has its own loop, or the engine would make one for all of them.
function keysOf(arena: EpochArena): Contender {
  return () => {
    arena.reset(arena.epoch + 1);
    return timed(KEYS, () => {
      for (let at = 0; at < KEYS; at++) arena.allocateKey(source, starts[at], ends[at]);
    });
  };
}

function contenders(): Record<string, Contender> {
  const [keyed, copied] = [new EpochArena(), new EpochArena()];
  const shards = new ConcurrentArena(2);
  const pool = new ArenaPool(4);
  const writer = new WorkerArena(pool);
  const target = Buffer.alloc(length + KEYS * 16);
  const kept: Uint8Array[] = Array.from({ length: 1_024 });
  const [small, full] = [new EpochArena({ maxBlocks: 2 }), new EpochArena({ maxBlocks: 2 })];
  const [turning, written] = [new ArenaPool(4, { maxBlocks: 2 }), new ArenaPool(4, { maxBlocks: 2 })];
  return {
    'source.slice() for each key': () =>
      timed(KEYS, () => {
        for (let at = 0; at < KEYS; at++) kept[at & 1_023] = source.slice(starts[at], ends[at]);
      }),
    'Buffer.copy to a buffer': () =>
      timed(KEYS, () => {
        let free = 0;
        for (let at = 0; at < KEYS; at++) free = ((free + 15) & ~15) + buffer.copy(target, free, starts[at], ends[at]);
      }),
    'EpochArena.allocateKey': keysOf(keyed),
    'EpochArena.allocateCopy': () => {
      copied.reset(copied.epoch + 1);
      return timed(KEYS, () => {
        for (let at = 0; at < KEYS; at++) copied.allocateCopy(source, starts[at], ends[at]);
      });
    },
    'WorkerArena.allocateKey': () => {
      writer.release();
      pool.advanceEpoch();
      return timed(KEYS, () => {
        for (let at = 0; at < KEYS; at++) writer.allocateKey(source, starts[at], ends[at]);
      });
    },
    'ConcurrentArena, allocateKey of its shard': () => {
      shards.reset();
      const shard = shards.shard();
      return timed(KEYS, () => {
        for (let at = 0; at < KEYS; at++) shard.allocateKey(source, starts[at], ends[at]);
      });
    },
    'EpochArena.reset, empty': () =>
      timed(RESETS, () => {
        for (let at = 0; at < RESETS; at++) small.reset(small.epoch + 1);
      }),
    'EpochArena.reset, after a key and 1 MiB': () => {
      let spent = 0;
      for (let at = 0; at < RESETS; at++) {
        full.allocateKey(source, 0, 16);
        full.allocate(2 ** 20);
        spent += timed(1, () => full.reset(full.epoch + 1));
      }
      return spent / RESETS;
    },
    'ArenaPool.advanceEpoch': () =>
      timed(RESETS, () => {
        for (let at = 0; at < RESETS; at++) turning.advanceEpoch();
      }),
    'ArenaPool.advanceEpoch and a key in each': () =>
      timed(RESETS, () => {
        for (let at = 0; at < RESETS; at++) {
          written.advanceEpoch();
          written.current().allocateKey(source, 0, 16);
        }
      }),
  };
}

interface Task {
  readonly arena: EpochArenaDescriptor;
  readonly gate: Int32Array;
}

/** In a worker: a round for each message, begun by all at the same moment. */
function work({ arena, gate }: Task): void {
  const attached = EpochArena.attach(arena);
  parentPort!.on('message', (round: number) => {
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 1) < round) continue;
    const spent = timed(KEYS, () => {
      for (let at = 0; at < KEYS; at++) attached.allocateKey(source, starts[at], ends[at]);
    });
    parentPort!.postMessage(spent);
  });
}

/** Both workers' nanoseconds for a key, in each round. */
async function roundsOfTwo(): Promise<number[]> {
  const arena = new EpochArena();
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const task: Task = { arena: arena.descriptor, gate };
  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url), { workerData: task }));
  const spent: number[] = [];
  for (let round = 1; round <= WARM_UP + ROUNDS; round++) {
    arena.reset(round);
    Atomics.store(gate, 0, 0);
    const answers = workers.map((each) => new Promise<number>((resolve) => void each.once('message', resolve)));
    for (const each of workers) each.postMessage(round);
    while (Atomics.load(gate, 0) < workers.length) await new Promise((resolve) => setImmediate(resolve));
    Atomics.store(gate, 1, round);
    const both = await Promise.all(answers);
    if (arena.stats().allocations !== 2 * KEYS) throw new Error('keys are missing');
    if (round > WARM_UP) spent.push(...both);
  }
  await Promise.all(workers.map((each) => each.terminate()));
  return spent;
}

function print(name: string, values: readonly number[], peer: number | undefined): void {
  const [middle, min, max] = [median(values), Math.min(...values), Math.max(...values)];
  const ratio = peer === undefined ? '' : `, / slice ${(middle / peer).toFixed(2)}`;
  console.log(`${name}: median ${middle.toFixed(1)} ns, min ${min.toFixed(1)}, max ${max.toFixed(1)}${ratio}`);
}

function residentBytesOf(count: number): number {
  const before = process.memoryUsage.rss();
  const arenas = Array.from({ length: count }, () => new EpochArena({ maxBlocks: 2 }));
  const bytes = process.memoryUsage.rss() - before;
  return arenas.length === count ? bytes / count : NaN;
}

async function measure(): Promise<void> {
  const { cpu, cores, memoryGiB, kernel, node } = machineOf('.');
  console.log(`machine: ${cores} x ${cpu}, ${memoryGiB} GiB, ${kernel}, Node ${node}`);
  console.log(`command: npm run bench:epochs (${ROUNDS} interleaved rounds of ${KEYS} keys of 16 to 40 bytes)`);
  console.log(`memory of an arena that nothing was put in: ${(residentBytesOf(100) / 1024).toFixed(1)} KiB`);
  const times = new Map<string, number[]>();
  const all = Object.entries(contenders());
  // Interleaved, so that a busy spell of a shared machine meets all.
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (const [name, contender] of all) {
      const spent = contender();
      if (round >= WARM_UP) times.set(name, [...(times.get(name) ?? []), spent]);
    }
  }
  times.set('EpochArena.allocateKey, two threads in one arena', await roundsOfTwo());
  const peer = median(times.get('source.slice() for each key')!);
  for (const [name, values] of times) print(name, values, /slice|reset|advance/.test(name) ? undefined : peer);
}

if (isMainThread) await measure();
else work(workerData as Task);
