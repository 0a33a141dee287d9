import { random } from '../support/nodes.ts';

/** The nodes that everyone appends and reads, end to end. The same for the same count, and no two runs differ. */
export interface Workload {
  readonly count: number;
  /** Of the nodes together. */
  readonly payloadBytes: number;
  readonly bytes: Buffer;
  readonly lengths: Uint32Array;
  /** Where each node begins in `bytes`, and where the last one ends. */
  readonly starts: Uint32Array;
}

/** 70 % of 6 to 24 bytes, 25 % of 25 to 96, 5 % of 97 to 600: 43 on average. */
export function nodeLengths(count: number): Uint32Array {
  const next = random(43);
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return Uint32Array.from({ length: count }, () => {
    const kind = next();
    if (kind < 0.7) return between(6, 24);
    return kind < 0.95 ? between(25, 96) : between(97, 600);
  });
}

/** Makes the nodes, of bytes that no compression makes smaller. It leaves no garbage behind, since memory is measured. */
export function makeWorkload(count: number): Workload {
  const lengths = nodeLengths(count);
  const starts = new Uint32Array(count + 1);
  for (let node = 0; node < count; node++) starts[node + 1] = starts[node]! + lengths[node]!;
  const payloadBytes = starts[count]!;
  const words = new Int32Array((payloadBytes >> 2) + 1);
  // Marsaglia's xorshift: a word for each state, and none twice.
  let state = 0x2545_f491;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return { count, payloadBytes, bytes: Buffer.from(words.buffer, 0, payloadBytes), lengths, starts };
}

const VIEWS = new WeakMap<Workload, Buffer[]>();

/** The nodes as objects, for those who take them so. They are made once. */
export function nodeViews(workload: Workload): readonly Buffer[] {
  const { bytes, starts, count } = workload;
  const made = VIEWS.get(workload);
  if (made !== undefined) return made;
  const views = Array.from({ length: count }, (_, node) => bytes.subarray(starts[node], starts[node + 1]));
  VIEWS.set(workload, views);
  return views;
}

/** Numbers of nodes to read: so many, in no order, some of them twice. */
export function readOrder(nodes: number, reads: number, seed: number): Uint32Array {
  const next = random(seed);
  return Uint32Array.from({ length: reads }, () => Math.floor(next() * nodes));
}
