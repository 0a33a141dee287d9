// How long it takes to pack nodes of 43 bytes on average into pages in memory, by the call for one node and by the call
// for nodes that stand end to end. Run: npm run bench:packing

import { newPageWriter } from '../../src/format/page.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import type { PageWriter } from '../../src/format/page-writer.ts';
import { machineOf } from './machine.ts';
import { median } from './report.ts';
import { nodeLengths } from './workload.ts';

const NODES = 1_000_000;
const ROUNDS = 21;
const WARM_UP = 5;

const lengths = nodeLengths(NODES);
const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0)).map((_, at) => at * 31);

interface Contender {
  readonly name: string;
  /** Goes through all nodes once. @returns how many it packed */
  readonly run: () => number;
}

const contenders: Contender[] = [
  { name: 'copy into one buffer (TypedArray.set of a subarray)', run: bareCopy },
  ...(['v1', 'v2'] as const).flatMap((format) => [
    { name: `${format}, one node a call`, run: () => packOneByOne(format) },
    { name: `${format}, many nodes a call`, run: () => packMany(format) },
  ]),
];

const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
// Interleaved, so that a busy spell of a shared machine meets all of them.
for (let round = 0; round < WARM_UP + ROUNDS; round++) {
  for (const { name, run } of contenders) {
    const began = performance.now();
    const packed = run();
    const nanoseconds = ((performance.now() - began) * 1e6) / NODES;
    if (packed !== NODES) throw new Error(`${name} packed ${packed} nodes`);
    if (round >= WARM_UP) times.get(name)?.push(nanoseconds);
  }
}

const { cores, cpu, node, kernel } = machineOf('.');
console.log(`machine: ${cores} x ${cpu}, ${kernel}, Node ${node}`);
console.log(
  `command: npm run bench:packing (${ROUNDS} interleaved rounds after ${WARM_UP}, ${NODES} nodes of ${(bytes.length / NODES).toFixed(1)} bytes)\n`,
);
console.log('| ns per node | median | min | max | / copy |');
console.log('| --- | ---: | ---: | ---: | ---: |');
const base = median(times.get(contenders[0]?.name ?? '') ?? []);
for (const [name, values] of times) {
  const [middle, min, max] = [median(values), Math.min(...values), Math.max(...values)];
  console.log(
    `| ${name} | ${middle.toFixed(1)} | ${min.toFixed(1)} | ${max.toFixed(1)} | ${(middle / base).toFixed(2)} |`,
  );
}

function bareCopy(): number {
  const target = new Uint8Array(262_144);
  let [at, used] = [0, 0];
  for (const length of lengths) {
    if (used + length > target.length) used = 0;
    target.set(bytes.subarray(at, at + length), used);
    at += length;
    used += length;
  }
  return NODES;
}

function packOneByOne(format: PageFormat): number {
  let writer: PageWriter = newPageWriter(format);
  let [at, packed] = [0, 0];
  for (const length of lengths) {
    if (!writer.add(bytes, at, at + length)) {
      writer = newPageWriter(format, writer);
      if (!writer.add(bytes, at, at + length)) break;
    }
    at += length;
    packed++;
  }
  return packed;
}

function packMany(format: PageFormat): number {
  let writer: PageWriter | undefined;
  let [at, packed] = [0, 0];
  while (packed < NODES) {
    writer = newPageWriter(format, writer);
    const taken = writer.addMany(bytes, at, lengths, packed, NODES);
    if (taken === 0) break;
    for (const end = packed + taken; packed < end; packed++) at += lengths[packed] ?? 0;
  }
  return packed;
}
