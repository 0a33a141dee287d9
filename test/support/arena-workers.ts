// oxlint-disable unicorn/require-post-message-target-origin -- a thread has no origin

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { LOG_WORDS, patternOf } from './arena-pattern.ts';
import type { FillOrder, Order } from './arena-worker.ts';

let code: string | undefined;

/** A worker thread that executes orders; bundled once, so that each starts in a few dozen milliseconds. */
export class ArenaWorker {
  readonly worker: Worker;
  readonly threadId: number;

  constructor() {
    code ??= buildSync({
      entryPoints: [fileURLToPath(new URL('arena-worker.ts', import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      write: false,
    }).outputFiles[0]!.text;
    this.worker = new Worker(code, { eval: true });
    this.threadId = this.worker.threadId;
  }

  /** @returns the answer @throws what the worker threw, as `CODE: message` */
  async ask<Answer = unknown>(order: Order): Promise<Answer> {
    const reply = once(this.worker, 'message');
    this.worker.postMessage(order);
    const [{ answer, error }] = (await reply) as [{ answer: Answer; error?: { code: string; message: string } }];
    if (error) throw new Error(`${error.code}: ${error.message}`);
    return answer;
  }

  /** Makes the thread end itself. */
  async exit(): Promise<void> {
    const exit = once(this.worker, 'exit');
    this.worker.postMessage({ op: 'exit' } satisfies Order);
    await exit;
  }

  async terminate(): Promise<void> {
    await this.worker.terminate();
  }
}

/** The orders for `count` allocations of each of these workers. */
export function fillOrders(workers: number, count: number): FillOrder[] {
  const gate = new Int32Array(new SharedArrayBuffer(8));
  return Array.from({ length: workers }, (_, worker) => ({
    worker,
    count,
    gate,
    log: new Int32Array(new SharedArrayBuffer(count * LOG_WORDS * 4)),
    handles: new Float64Array(new SharedArrayBuffer(count * 8)),
  }));
}

/** Lets all workers start at the same moment. */
export async function openGate(gate: Int32Array, workers: number): Promise<void> {
  while (Atomics.load(gate, 0) < workers) await new Promise((resolve) => setTimeout(resolve, 2));
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
}

export interface LoggedAllocation {
  readonly epoch: number;
  readonly offset: number;
  readonly bytes: number;
  readonly handle: number;
  /** What the worker had copied. */
  readonly pattern: Uint8Array;
}

/** The allocations that a worker has logged, of one epoch if given. */
export function* logged({ worker, count, log, handles }: FillOrder, only?: number): Generator<LoggedAllocation> {
  for (let number = 0; number < count; number++) {
    const at = number * LOG_WORDS;
    const [epoch, bytes] = [log[at]!, log[at + 2]!];
    if (bytes === 0 || (only !== undefined && only !== epoch)) continue;
    yield {
      epoch,
      offset: log[at + 1]!,
      bytes,
      handle: handles[number]!,
      pattern: patternOf(worker, number, new Uint8Array(bytes)),
    };
  }
}

/** How many allocations start before the previous one, in the same epoch or shard, ends. */
export function overlapsOf(allocations: readonly LoggedAllocation[]): number {
  const sorted = allocations.toSorted((a, b) => a.epoch - b.epoch || a.offset - b.offset);
  let overlaps = 0;
  for (let at = 1; at < sorted.length; at++) {
    const [before, after] = [sorted[at - 1]!, sorted[at]!];
    if (before.epoch === after.epoch && before.offset + before.bytes > after.offset) overlaps++;
  }
  return overlaps;
}
