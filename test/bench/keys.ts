// What keys cost: an arena beside a copy for each key, and a map beside a Map of strings. Run: npm run bench:keys

import { KeyArena } from '../../src/arena/key-arena.ts';
import { KeyMap } from '../../src/arena/key-map.ts';
import { machineOf } from './machine.ts';
import { median } from './report.ts';
import { random } from '../support/nodes.ts';

const ADDED = 200_000;
const ADD_ROUNDS = 31;
const KEYS = 1_000_000;
const MAP_ROUNDS = 5;

/** Keys of 16 to 40 bytes, one behind the other in one source; key n is [ends[n - 1], ends[n]). */
function makeKeys(count: number, seed: number, shared: boolean): { source: Uint8Array; ends: Uint32Array } {
  const next = random(seed);
  const source = new Uint8Array(shared ? new SharedArrayBuffer(count * 40) : new ArrayBuffer(count * 40));
  const ends = new Uint32Array(count);
  let end = 0;
  for (let key = 0; key < count; key++) {
    const length = 16 + Math.floor(next() * 25);
    for (let at = 0; at < length; at++) source[end + at] = next() * 256;
    ends[key] = end += length;
  }
  return { source, ends };
}

/** Calls `use` for each key. Made anew for each contender, so that what one calls is no matter of another. */
const overKeys = (count: number, body: string): ((...args: unknown[]) => number) =>
  // oxlint-disable-next-line typescript/no-implied-eval -- a shared loop would be slowed by the types of all contenders
  new Function(
    'source',
    'ends',
    'target',
    `let start = 0, sum = 0; for (let key = 0; key < ${count}; key++) { const end = ends[key]; ${body} start = end; } return sum;`,
  ) as (...args: unknown[]) => number;

const times = new Map<string, number[]>();
function measure(name: string, keep: boolean, count: number, work: () => unknown): void {
  const began = performance.now();
  work();
  const nanoseconds = ((performance.now() - began) * 1e6) / count;
  if (keep) times.set(name, [...(times.get(name) ?? []), nanoseconds]);
}

const arena = new KeyArena();
const own = makeKeys(ADDED, 1, false);
const shared = makeKeys(ADDED, 1, true);
const buffer = Buffer.from(own.source.buffer as ArrayBuffer);
const kept = Array.from({ length: ADDED }, () => own.source);
const adding = overKeys(ADDED, 'sum += target.add(source, start, end);');
const slicing = overKeys(ADDED, 'target[key] = source.slice(start, end);');
const copying = overKeys(ADDED, 'target[key] = Buffer.from(source.subarray(start, end));');
for (let round = -5; round < ADD_ROUNDS; round++) {
  arena.reset();
  measure('KeyArena.add', round >= 0, ADDED, () => adding(own.source, own.ends, arena));
  arena.reset();
  measure('KeyArena.add, of shared memory', round >= 0, ADDED, () => adding(shared.source, shared.ends, arena));
  measure('Uint8Array.slice', round >= 0, ADDED, () => slicing(own.source, own.ends, kept));
  measure('Buffer.from, a copy', round >= 0, ADDED, () => copying(buffer, own.ends, kept));
}
kept.length = 0;

const present = makeKeys(KEYS, 2, false);
const absent = makeKeys(KEYS, 3, false);
const bytesOf = ({ source }: { source: Uint8Array }): Buffer => Buffer.from(source.buffer as ArrayBuffer);
const [presentBuffer, absentBuffer] = [bytesOf(present), bytesOf(absent)];
const insertOwn = overKeys(KEYS, 'target.setValueAt(target.entryOf(source, start, end), key);');
const insertMap = overKeys(KEYS, 'target.set(source.latin1Slice(start, end), key);');
const hitOwn = overKeys(KEYS, 'if (target.get(source, start, end) === key) sum++;');
const missOwn = overKeys(KEYS, 'if (target.get(source, start, end) !== undefined) sum++;');
const hitMap = overKeys(KEYS, 'if (target.get(source.latin1Slice(start, end)) === key) sum++;');
const missMap = overKeys(KEYS, 'if (target.get(source.latin1Slice(start, end)) !== undefined) sum++;');
const expectCount = (found: number, expected: number): void => {
  if (found !== expected) throw new Error(`${found} keys were found, not ${expected}`);
};
const memory: number[][] = [[], []];
/** The heap alone: array buffers that are garbage are given back later. What a KeyMap has of them it says itself. */
const used = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
};
/** A function, so that the maps of one round are garbage before the next one looks at the memory. */
function mapRound(round: number): void {
  const before = used();
  const map = new KeyMap<number>();
  measure('KeyMap insert', round >= 0, KEYS, () => insertOwn(present.source, present.ends, map));
  const between = used();
  const strings = new Map<string, number>();
  measure('Map insert', round >= 0, KEYS, () => insertMap(presentBuffer, present.ends, strings));
  if (round >= 0)
    [between - before + map.reservedBytes, used() - between].forEach((bytes, which) => memory[which]?.push(bytes));
  measure('KeyMap hit', round >= 0, KEYS, () => expectCount(hitOwn(present.source, present.ends, map), KEYS));
  measure('Map hit', round >= 0, KEYS, () => expectCount(hitMap(presentBuffer, present.ends, strings), KEYS));
  measure('KeyMap miss', round >= 0, KEYS, () => expectCount(missOwn(absent.source, absent.ends, map), 0));
  measure('Map miss', round >= 0, KEYS, () => expectCount(missMap(absentBuffer, absent.ends, strings), 0));
}
for (let round = -1; round < MAP_ROUNDS; round++) mapRound(round);

const { cpu, cores, memoryGiB, kernel, node } = machineOf('.');
console.log(`machine: ${cores} x ${cpu}, ${memoryGiB} GiB, ${kernel}, Node ${node}`);
console.log(
  `command: npm run bench:keys (interleaved rounds after a warm-up: ${ADD_ROUNDS} of ${ADDED} keys for the arena,`,
);
console.log(`${MAP_ROUNDS} of ${KEYS} keys for the maps, half of the look-ups hits; keys of 16 to 40 bytes)`);
for (const [name, values] of times) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  console.log(`${name}: median ${median(values).toFixed(1)} ns/key, min ${least.toFixed(1)}, max ${most.toFixed(1)}`);
}
const medianOf = (name: string): number => median(times.get(name) ?? [NaN]);
const PAIRS = [
  ['KeyArena.add', 'Uint8Array.slice'],
  ['KeyArena.add', 'Buffer.from, a copy'],
  ...['insert', 'hit', 'miss'].map((each) => [`KeyMap ${each}`, `Map ${each}`]),
];
for (const [ours = '', peer = ''] of PAIRS) {
  console.log(`ratio: ${ours} / ${peer}: ${(medianOf(ours) / medianOf(peer)).toFixed(2)}`);
}
const perKey = memory.map((bytes) => median(bytes) / KEYS);
const keyBytes = (present.ends.at(-1) ?? NaN) / KEYS;
console.log(
  `memory, with ${keyBytes.toFixed(1)} bytes of key each: KeyMap ${perKey[0]?.toFixed(1)} bytes/key, Map ${perKey[1]?.toFixed(1)}`,
);
