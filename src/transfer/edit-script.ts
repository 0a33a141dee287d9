import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { isLostEntry } from '../format/slots.ts';
import type { ComparedFile } from './difference.ts';

/**
 * Turns sequence a into b. An edit `e` >= 0 removes element `e` of a; a negative one adds element `~e` of b. All other
 * elements of a[0, aEnd) and b[0, bEnd) are the same, in order.
 */
export interface EditScript {
  readonly edits: readonly number[];
  readonly aEnd: number;
  readonly bEnd: number;
}

/** So many equal elements in a row, and two sequences count as aligned again. */
const ALIGNED_ELEMENTS = 16;

/**
 * The shortest script, by the greedy algorithm of E. W. Myers, An O(ND) Difference Algorithm and Its Variations, 1986.
 * @param isEnd - whether both sequences end here; if not, the script ends as soon as they are aligned
 * @param mostEdits - time and memory are proportional to its square
 * @returns undefined if more edits are needed, or if sequences that go on are never aligned
 */
export function shortestEdits(a: Int32Array, b: Int32Array, isEnd: boolean, mostEdits: number): EditScript | undefined {
  const most = Math.min(mostEdits, a.length + b.length);
  // furthest[k + offset] is the furthest index in a on diagonal k, the index in a minus that in b.
  const offset = most + 1;
  const furthest = new Int32Array(2 * most + 3);
  const rounds: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    rounds.push(furthest.slice(offset - edits - 1, offset + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      let x = edits === 0 ? 0 : afterEdit(furthest, k + offset, k, edits);
      const from = x;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[k + offset] = x;
      const hasEnded = x === a.length && x - k === b.length;
      // Sequences whose last elements here differ may align with what follows.
      if (hasEnded && !isEnd && x === from) return undefined;
      if (hasEnded || (!isEnd && x - from >= ALIGNED_ELEMENTS)) {
        return { edits: editsTo(k, edits, rounds), aEnd: x, bEnd: x - k };
      }
    }
  }
  return undefined;
}

/** Whether the furthest path on diagonal `k` ends with an addition, from the diagonal above. */
function isAddition(furthest: Int32Array, at: number, k: number, edits: number): boolean {
  // One diagonal more than paths on each side.
  return k === -edits || (k !== edits && (furthest[at - 1] as number) < (furthest[at + 1] as number));
}

function afterEdit(furthest: Int32Array, at: number, k: number, edits: number): number {
  return isAddition(furthest, at, k, edits) ? (furthest[at + 1] as number) : (furthest[at - 1] as number) + 1;
}

/** Follows a path back to its start. @param rounds - diagonals -n - 1 to n + 1 before round n */
function editsTo(diagonal: number, count: number, rounds: readonly Int32Array[]): number[] {
  const edits: number[] = [];
  let k = diagonal;
  for (let round = count; round > 0; round--) {
    const furthest = rounds[round] as Int32Array; // one for each edit
    const at = k + round + 1;
    const x = afterEdit(furthest, at, k, round);
    const isAdded = isAddition(furthest, at, k, round);
    edits.push(isAdded ? ~(x - k - 1) : x - 1);
    k += isAdded ? 1 : -1;
  }
  return edits.toReversed();
}

export function replaceAll(aEnd: number, bEnd: number): EditScript {
  const edits: number[] = [];
  for (let x = 0; x < aEnd; x++) edits.push(x);
  for (let y = 0; y < bEnd; y++) edits.push(~y);
  return { edits, aEnd, bEnd };
}

/** Between two anchors, for the shortest script. */
const MOST_EDITS_IN_GAP = 64;

/** a[x] and b[y] are the same element. */
export interface Anchor {
  readonly x: number;
  readonly y: number;
}

/**
 * Aligns elements that occur once in a and once in b, as many as are in the same order. A gap between two of them gets
 * the shortest script, or if that is long, is replaced.
 * @param ids - elements are 0 <= element < ids
 * @param isEnd - whether both sequences end here; if not, the script ends at the last anchor
 * @returns undefined without anchors
 */
export function editsByAnchors(a: Int32Array, b: Int32Array, ids: number, isEnd: boolean): EditScript | undefined {
  const anchors = longestChain(commonUnique(a, b, ids));
  if (anchors.length === 0) return undefined;
  const edits: number[] = [];
  let [x, y] = [0, 0];
  const closeGap = (aEnd: number, bEnd: number): void => {
    const [gapA, gapB] = [a.subarray(x, aEnd), b.subarray(y, bEnd)];
    const gap = shortestEdits(gapA, gapB, true, MOST_EDITS_IN_GAP) ?? replaceAll(gapA.length, gapB.length);
    for (const edit of gap.edits) edits.push(edit < 0 ? edit - y : edit + x);
    [x, y] = [aEnd, bEnd];
  };
  for (const anchor of anchors) {
    if (anchor.x > x || anchor.y > y) closeGap(anchor.x, anchor.y);
    x++;
    y++;
  }
  if (isEnd) closeGap(a.length, b.length);
  return { edits, aEnd: x, bEnd: y };
}

function commonUnique(a: Int32Array, b: Int32Array, ids: number): Anchor[] {
  const indexInB = uniqueIndexes(b, ids);
  const indexInA = uniqueIndexes(a, ids);
  const anchors: Anchor[] = [];
  for (let x = 0; x < a.length; x++) {
    const id = a[x] as number; // x < length
    const y = indexInB[id] as number; // id < ids
    if (y >= 0 && indexInA[id] === x) anchors.push({ x, y });
  }
  return anchors;
}

/** Negative for elements that do not occur exactly once. */
function uniqueIndexes(elements: Int32Array, ids: number): Int32Array {
  const indexes = new Int32Array(ids).fill(-1);
  for (let index = 0; index < elements.length; index++) {
    const id = elements[index] as number; // index < length
    indexes[id] = indexes[id] === -1 ? index : -2;
  }
  return indexes;
}

/** The most anchors that ascend in y. @param anchors - ascending in x */
function longestChain(anchors: readonly Anchor[]): Anchor[] {
  // For each length, the last anchor of the chain with the lowest y; for each anchor, the one before it in its chain.
  const lasts: number[] = [];
  const before = new Int32Array(anchors.length);
  const yOf = (index: number): number => (anchors[index] as Anchor).y; // index < length
  for (let index = 0; index < anchors.length; index++) {
    let [low, high] = [0, lasts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (yOf(lasts[middle] as number) < yOf(index)) low = middle + 1;
      else high = middle;
    }
    before[index] = low === 0 ? -1 : (lasts[low - 1] as number); // low <= lasts.length
    lasts[low] = index;
  }
  const chain: Anchor[] = [];
  for (let index = lasts.at(-1) ?? -1; index >= 0; index = before[index] as number)
    chain.push(anchors[index] as Anchor);
  return chain.toReversed();
}

/**
 * Reads two files for anchors far apart: sampled nodes that both have once, in the same order. x and y are node counts.
 * Nodes are compared by hash only, so an anchor is a guess.
 */
export async function sampledAnchors(
  a: ComparedFile,
  b: ComparedFile,
  onBlock: () => Promise<void>,
): Promise<Anchor[]> {
  const [inA, inB] = [await sampleOf(a, onBlock), await sampleOf(b, onBlock)];
  const anchors: Anchor[] = [];
  for (const [hash, x] of inA) {
    const y = inB.get(hash) ?? -1;
    if (x >= 0 && y >= 0) anchors.push({ x, y });
  }
  return longestChain(anchors);
}

const SAMPLE_NODES = 65_536;

/**
 * Sampled node indexes by hash; -1 if several nodes have it. A power of two divides sampled hashes, and grows to bound
 * the sample: so two files sample the same nodes.
 */
async function sampleOf(file: ComparedFile, onBlock: () => Promise<void>): Promise<ReadonlyMap<number, number>> {
  const hash64 = new Hash64();
  const hashes = new Float64Array(SAMPLE_NODES);
  const indexes = new Float64Array(SAMPLE_NODES);
  let [count, divisor, index] = [0, 1, 0];
  for await (const content of file.newWalk()) {
    await onBlock();
    if (content.kind !== 'page') continue;
    const { block, directory } = content.page;
    for (let slot = 0; slot < directory.count; slot++) {
      if (isLostEntry(directory, slot)) continue;
      const at = index++;
      const start = directory.nodeOffset(slot);
      fnv1a64Into(block, start, start + directory.nodeBytes(slot), hash64);
      // The low bits of FNV-1a depend only on low bits, so the high bits go below them. A number has 53 bits.
      const hash = (hash64.low >>> 0) * 2 ** 21 + (hash64.high >>> 11);
      if (hash % divisor !== 0) continue;
      hashes[count] = hash;
      indexes[count] = at;
      count++;
      if (count < SAMPLE_NODES) continue;
      divisor *= 2;
      count = thin(hashes, indexes, divisor);
    }
  }
  const sample = new Map<number, number>();
  for (const [at, hash] of hashes.subarray(0, count).entries())
    sample.set(hash, sample.has(hash) ? -1 : (indexes[at] as number)); // at < count
  return sample;
}

/** Keeps the nodes whose hash `divisor` divides. @returns how many there are */
function thin(hashes: Float64Array, indexes: Float64Array, divisor: number): number {
  let kept = 0;
  for (let at = 0; at < SAMPLE_NODES; at++) {
    const hash = hashes[at] as number; // at < length
    if (hash % divisor !== 0) continue;
    hashes[kept] = hash;
    indexes[kept] = indexes[at] as number; // as above
    kept++;
  }
  // Equal nodes have one hash, so all may be kept: then keep the first half.
  return kept === SAMPLE_NODES ? SAMPLE_NODES / 2 : kept;
}
