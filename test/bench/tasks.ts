// What a process of its own does for a measure: one peer, one of its ways, again and again.

import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type * as Library from '../../src/index.ts';
import { peakBytes, resetPeak } from '../support/peak-memory.ts';
import { LIMITS } from './limits.ts';
import type { CheckRunning, Peer, ReadRunning, Sources } from './peer.ts';
import { Comparer, Tally } from './taker.ts';
import { makeWorkload, readOrder } from './workload.ts';

export type TaskName = 'make' | 'append' | 'warm' | 'cold' | 'scan' | 'check' | 'open-read' | 'limit';

export interface TaskSettings {
  readonly task: TaskName;
  readonly sources: Sources;
  readonly peer: string;
  /** Which of the peer's ways. */
  readonly way: number;
  /** The peer's own; for `open-read` and `limit` a file. */
  readonly folder: string;
  /** For `open-read`: where the node is that is read. */
  readonly block?: number;
  readonly nodes: number;
  readonly reads: number;
}

/** What one round found out: only what is between the two looks at the clock is measured. */
export interface Sample extends Cost {
  /** Nodes or bytes: what is divided by the time. */
  readonly units: number;
}

interface Cost {
  readonly nanoseconds: number;
  /** By how much it raised the memory that the process had resident, at most. */
  readonly addedBytes: number;
}

/** Does one round, `round` counts from 0. */
export type Round = (round: number) => Promise<Sample>;

export const TASKS: Readonly<Record<TaskName, (settings: TaskSettings, peer: Peer) => Promise<Round>>> = {
  make,
  append,
  warm,
  cold,
  scan,
  async check(settings, peer) {
    if (peer.check === undefined) throw new Error(`${peer.id} has no check`);
    return checkRound(await peer.check(settings.sources, settings.folder));
  },
  'open-read': openAndRead,
  limit,
};

/** The garbage of what came before is neither in the time nor in the memory. */
async function measure(work: () => Promise<void> | void): Promise<Cost> {
  globalThis.gc?.();
  resetPeak();
  const before = peakBytes();
  const began = process.hrtime.bigint();
  const working = work();
  // What is done at once is not made to wait for a turn of the event loop.
  if (working !== undefined) await working;
  const nanoseconds = Number(process.hrtime.bigint() - began);
  return { nanoseconds, addedBytes: peakBytes() - before };
}

/** Makes the file that the reads are of, and compares every byte of all nodes: in their order, and as each way reads them. */
async function make({ sources, folder, nodes, reads, way }: TaskSettings, peer: Peer): Promise<Round> {
  return async () => {
    const workload = makeWorkload(nodes);
    const appending = await peer.appends[way]!.open(sources, folder, workload);
    const cost = await measure(async () => appending.append());
    await appending.close();
    for (const scanWay of peer.scans) {
      const comparer = new Comparer(workload);
      const scanning = await scanWay.open(sources, folder);
      await scanning.scan(comparer);
      await scanning.close();
      comparer.assertComplete();
    }
    const order = readOrder(nodes, reads, 1);
    for (const readWay of peer.reads) {
      const comparer = new Comparer(workload, order);
      const reading = await (await readWay.prepare(sources, folder, workload)).open();
      await reading.read(order, comparer);
      await reading.close();
      comparer.assertComplete();
    }
    return { ...cost, units: nodes };
  };
}

async function append({ sources, folder, nodes, way }: TaskSettings, peer: Peer): Promise<Round> {
  const workload = makeWorkload(nodes);
  return async (round) => {
    const own = join(folder, String(round));
    mkdirSync(own);
    const appending = await peer.appends[way]!.open(sources, own, workload);
    const cost = await measure(() => appending.append());
    await appending.close();
    const scanWay = peer.scans[0];
    // Once is enough: what is appended is the same in each round.
    if (round === 0 && scanWay !== undefined) {
      const tally = new Tally();
      const scanning = await scanWay.open(sources, own);
      await scanning.scan(tally);
      await scanning.close();
      tally.assertEquals(workload);
    }
    rmSync(own, { recursive: true });
    return { ...cost, units: nodes };
  };
}

async function warm({ sources, folder, nodes, reads, way }: TaskSettings, peer: Peer): Promise<Round> {
  const workload = makeWorkload(nodes);
  const reading = await (await peer.reads[way]!.prepare(sources, folder, workload)).open();
  return async (round) => {
    const order = readOrder(nodes, reads, 2 + round);
    const tally = new Tally();
    const cost = await measure(() => reading.read(order, tally));
    tally.assertEquals(workload, order);
    return { ...cost, units: reads };
  };
}

/** Opening the file is measured too, and is done once: the parent starts a process for each round. */
async function cold({ sources, folder, nodes, reads, way }: TaskSettings, peer: Peer): Promise<Round> {
  const workload = makeWorkload(nodes);
  const prepared = await peer.reads[way]!.prepare(sources, folder, workload);
  return async (round) => {
    const order = readOrder(nodes, reads, 2 + round);
    const tally = new Tally();
    let reading: ReadRunning | undefined;
    const cost = await measure(async () => {
      reading = await prepared.open();
      await reading.read(order, tally);
    });
    await reading?.close();
    tally.assertEquals(workload, order);
    return { ...cost, units: reads };
  };
}

async function scan({ sources, folder, nodes, way }: TaskSettings, peer: Peer): Promise<Round> {
  const workload = makeWorkload(nodes);
  const scanning = await peer.scans[way]!.open(sources, folder);
  return async () => {
    const tally = new Tally();
    const cost = await measure(() => scanning.scan(tally));
    tally.assertEquals(workload);
    return { ...cost, units: nodes };
  };
}

function checkRound(checking: CheckRunning): Round {
  const units = statSync(checking.path).size;
  return async () => ({ ...(await measure(() => checking.check())), units });
}

/** Opens a file, reads one node, and closes the file again. */
async function openAndRead({ sources, folder: path, block = 1 }: TaskSettings): Promise<Round> {
  const { PageStore } = (await import(sources.library)) as typeof Library;
  const units = 100;
  return async () => ({
    ...(await measure(async () => {
      for (let time = 0; time < units; time++) {
        const store = await PageStore.open(path, { access: 'read' });
        if ((await store.read({ block, slot: 0 })).length === 0) throw new Error('the node has no bytes');
        await store.close();
      }
    })),
    units,
  });
}

async function limit({ folder: path, way }: TaskSettings): Promise<Round> {
  return async () => {
    let units = 0;
    const cost = await measure(() => void (units = LIMITS[way]!.run(path)));
    return { ...cost, units };
  };
}
