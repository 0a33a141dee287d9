// A process that writes to a page file without end, and tells of each thing that it is about to do (small letter) and
// has done (capital letter), a line each: A first-index block slot count, u/U block slot version, f/F block, L block,
// Z block. Arguments: the file, the number of the stream of nodes, a seed, and the kinds of work, with commas between.
// It ends when its standard input does.

import { writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { PageRef } from '../../src/store/page-ref.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { nodeFor } from './kills/payload.ts';
import { random } from './nodes.ts';

const [path = '', streamText, seed, kinds = ''] = process.argv.slice(2);
const stream = Number(streamText);
const next = random(Number(seed));
const below = (limit: number): number => Math.floor(next() * limit);

const store = await PageStore.open(path);
/** Nodes of this process by block, with their indexes and versions. */
const own = new Map<number, { readonly ref: PageRef; readonly index: number; version: number }[]>();
let nextIndex = 0;
const input = { ended: false };

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Not by process.stdout: when this returns, the line has left the process. */
function tell(...words: readonly (string | number)[]): void {
  let rest = Buffer.from(`${words.join(' ')}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // From Node 24 on the pipe does not block: the reader has to catch up with it.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function made(first: number, { block, slot }: PageRef, count: number): void {
  tell('A', first, block, slot, count);
  const nodes = own.get(block) ?? [];
  own.set(block, nodes);
  for (let each = 0; each < count; each++) {
    nodes.push({ ref: { block, slot: slot + each }, index: first + each, version: 0 });
  }
}

async function appendOne(): Promise<void> {
  const index = nextIndex++;
  made(index, await store.append(nodeFor({ stream, index, version: 0 })), 1);
}

async function appendTogether(): Promise<void> {
  await Promise.all(Array.from({ length: 2 + below(40) }, appendOne));
}

async function appendMany(count: number): Promise<void> {
  const first = nextIndex;
  nextIndex += count;
  const nodes = Array.from({ length: count }, (_, at) => nodeFor({ stream, index: first + at, version: 0 }));
  let index = first;
  for (const run of await store.appendMany(nodes)) {
    made(index, run, run.count);
    index += run.count;
  }
}

async function updateOne(): Promise<void> {
  const nodes = own.get([...own.keys()][below(own.size)] ?? 0);
  const node = nodes?.[below(nodes.length)];
  if (node === undefined) return;
  const version = node.version + 1;
  tell('u', node.ref.block, node.ref.slot, version);
  await store.update(node.ref, nodeFor({ stream, index: node.index, version }));
  node.version = version;
  tell('U', node.ref.block, node.ref.slot, version);
}

async function freeOne(): Promise<void> {
  // Not the last one: the file is to grow all the same.
  const block = [...own.keys()].slice(0, -1)[below(Math.max(1, own.size - 1))];
  if (block === undefined) return;
  tell('f', block);
  await store.free(block);
  own.delete(block);
  tell('F', block);
}

async function allocateSome(): Promise<void> {
  for (const block of await store.allocate(1 + below(3))) tell('L', block);
}

/** Each kind of work, and how often it is done in a hundred times. */
const WORK: Readonly<Record<string, readonly [number, () => Promise<void>]>> = {
  append: [40, appendOne],
  together: [20, appendTogether],
  many: [15, () => appendMany(1 + below(300))],
  large: [3, () => appendMany(2000 + below(4000))],
  update: [20, updateOne],
  overlap: [5, async () => void (await Promise.all([appendTogether(), updateOne(), appendTogether()]))],
  free: [6, freeOne],
  allocate: [3, allocateSome],
  finalize: [1, () => store.finalize({ onPage: ({ block }) => tell('Z', block) })],
  // As a server does: without it, readers meet a file that is never quiet.
  rest: [4, () => setTimeout(below(20))],
};

const work = kinds.split(',').map((kind) => WORK[kind]!);
const total = work.reduce((sum, [weight]) => sum + weight, 0);

process.stdin.on('end', () => (input.ended = true)).resume();
tell('ready');
while (!input.ended) {
  let choice = below(total);
  const [, doIt] = work.find(([weight]) => (choice -= weight) < 0)!;
  await doIt();
}
await store.close();
