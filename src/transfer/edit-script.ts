import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import type { ComparedFile } from './difference.ts';

/**
 * How one sequence becomes another, both given as numbers: an edit `e` removes element `e` of a, or, where it is negative,
 * adds element `~e` of b. In this order. What is left of a[0, aEnd) and of b[0, bEnd) is the same.
 */
export interface EditScript {
  readonly edits: readonly number[];
  readonly aEnd: number;
  readonly bEnd: number;
}

/** Elements that have to be the same in a row for two sequences to be taken for in step again. */
const IN_STEP = 16;

/**
 * The shortest edit script, by the greedy algorithm of E. W. Myers, An O(ND) Difference Algorithm and Its Variations, 1986.
 * @param isEnd - whether both sequences end here; else the script ends as soon as they are in step
 * @param mostEdits - time and memory are for the square of it
 * @returns undefined where more edits are needed, or the sequences go on and do not get in step
 */
export function shortestEdits(a: Int32Array, b: Int32Array, isEnd: boolean, mostEdits: number): EditScript | undefined {
  const most = Math.min(mostEdits, a.length + b.length);
  // furthest[k + offset]: how far in a the paths on diagonal k have come, where k is the place in a less that in b.
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
      // Two parts that have nothing in common at their ends may well have it with what follows.
      if (hasEnded && !isEnd && x === from) return undefined;
      if (hasEnded || (!isEnd && x - from >= IN_STEP)) {
        return { edits: editsTo(k, edits, rounds), aEnd: x, bEnd: x - k };
      }
    }
  }
  return undefined;
}

/** Whether the last edit of the furthest path on diagonal `k` is an addition, which comes from the diagonal above. */
function isAddition(furthest: Int32Array, at: number, k: number, edits: number): boolean {
  // There are two more diagonals in the array than there are paths.
  return k === -edits || (k !== edits && (furthest[at - 1] as number) < (furthest[at + 1] as number));
}

function afterEdit(furthest: Int32Array, at: number, k: number, edits: number): number {
  return isAddition(furthest, at, k, edits) ? (furthest[at + 1] as number) : (furthest[at - 1] as number) + 1;
}

/** Goes a path back. @param rounds - diagonals -n - 1 to n + 1 as they were before round n */
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

/** A script that removes a[0, aEnd) and adds b[0, bEnd). */
export function replaced(aEnd: number, bEnd: number): EditScript {
  const edits: number[] = [];
  for (let x = 0; x < aEnd; x++) edits.push(x);
  for (let y = 0; y < bEnd; y++) edits.push(~y);
  return { edits, aEnd, bEnd };
}

/** Most edits between two anchors for which the shortest script is looked for. */
const MOST_EDITS_IN_GAP = 64;

/**
 * A script by anchors: elements that come once in a and once in b, as many as come in the same order in both. What is
 * between two of them is given as the shortest script, or as replaced where that is long.
 * @param ids - elements are 0 <= element < ids
 * @param isEnd - whether both sequences end here; else the script ends at the last anchor
 * @returns undefined where there is no anchor
 */
export function editsByAnchors(a: Int32Array, b: Int32Array, ids: number, isEnd: boolean): EditScript | undefined {
  const anchors = longestChain(commonOnce(a, b, ids));
  if (anchors.length === 0) return undefined;
  const edits: number[] = [];
  let [x, y] = [0, 0];
  const bridge = (aEnd: number, bEnd: number): void => {
    const [gapA, gapB] = [a.subarray(x, aEnd), b.subarray(y, bEnd)];
    const gap = shortestEdits(gapA, gapB, true, MOST_EDITS_IN_GAP) ?? replaced(gapA.length, gapB.length);
    for (const edit of gap.edits) edits.push(edit < 0 ? edit - y : edit + x);
    [x, y] = [aEnd, bEnd];
  };
  for (const anchor of anchors) {
    if (anchor.x > x || anchor.y > y) bridge(anchor.x, anchor.y);
    x++;
    y++;
  }
  if (isEnd) bridge(a.length, b.length);
  return { edits, aEnd: x, bEnd: y };
}

/** A place in each of two sequences that have the same element there. */
export interface Anchor {
  readonly x: number;
  readonly y: number;
}

function commonOnce(a: Int32Array, b: Int32Array, ids: number): Anchor[] {
  const placesInB = placesOfUnique(b, ids);
  const placesInA = placesOfUnique(a, ids);
  const anchors: Anchor[] = [];
  for (let x = 0; x < a.length; x++) {
    const id = a[x] as number; // x < length
    const y = placesInB[id] as number; // id < ids
    if (y >= 0 && placesInA[id] === x) anchors.push({ x, y });
  }
  return anchors;
}

/** Where each element is that comes once; a negative number for the others. */
function placesOfUnique(elements: Int32Array, ids: number): Int32Array {
  const places = new Int32Array(ids).fill(-1);
  for (let index = 0; index < elements.length; index++) {
    const id = elements[index] as number; // index < length
    places[id] = places[id] === -1 ? index : -2;
  }
  return places;
}

/** As many of the anchors, which ascend in x, as ascend in y too. */
export function longestChain(anchors: readonly Anchor[]): Anchor[] {
  // The last anchor of a chain of each length: the one with the least y. Before each anchor, the one that its chain has there.
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

/** Most nodes of a file that are remembered. */
const MOST_MARKS = 65_536;

/**
 * Reads two files to their ends, for nodes that both have once each and in the same order, as anchors far apart: in how
 * many nodes come before them. Not all such nodes, but those with certain hashes, in both files the same: however long the
 * files are, some are remembered. By hashes alone, so an anchor is a guess.
 */
export async function findLandmarks(a: ComparedFile, b: ComparedFile, onBlock: () => Promise<void>): Promise<Anchor[]> {
  const [marksA, marksB] = [await marksOf(a, onBlock), await marksOf(b, onBlock)];
  const step = Math.max(marksA.step, marksB.step);
  const inB = marksB.placesOfUnique(step);
  const anchors: Anchor[] = [];
  for (const [hash, x] of marksA.placesOfUnique(step)) {
    const y = inB.get(hash);
    if (x >= 0 && y !== undefined && y >= 0) anchors.push({ x, y });
  }
  return longestChain(anchors.toSorted((one, other) => one.x - other.x));
}

async function marksOf(file: ComparedFile, onBlock: () => Promise<void>): Promise<Marks> {
  const marks = new Marks();
  const walk = file.newWalk();
  try {
    for (let content = await walk.next(); content !== undefined; content = await walk.next()) {
      await onBlock();
      if (content.kind !== 'page') continue;
      const { block, directory } = content.page;
      for (let slot = 0; slot < directory.count; slot++) {
        const start = directory.nodeOffset(slot);
        marks.add(block, start, start + directory.nodeBytes(slot));
      }
    }
  } finally {
    await walk.end();
  }
  return marks;
}

/** The places of nodes whose hashes a power of two divides, the least with which they are few enough. */
class Marks {
  step = 1;
  readonly #hash = new Hash64();
  /** Hash and place of each mark. */
  #hashes = new Float64Array(MOST_MARKS);
  #places = new Float64Array(MOST_MARKS);
  #count = 0;
  #nodes = 0;

  add(source: Uint8Array, start: number, end: number): void {
    const place = this.#nodes++;
    fnv1a64Into(source, start, end, this.#hash);
    const { high, low } = this.#hash;
    // The lower bits of a hash know only the lower bits of the bytes; 53 bits are as many as a number holds.
    const hash = (low >>> 0) * 2 ** 21 + (high >>> 11);
    if (hash % this.step !== 0) return;
    if (this.#count === MOST_MARKS) this.#thin();
    if (hash % this.step !== 0) return;
    this.#hashes[this.#count] = hash;
    this.#places[this.#count] = place;
    this.#count++;
  }

  /** The place of each hash that comes once and that `step` divides, in the order of places; -1 for the others. */
  placesOfUnique(step: number): Map<number, number> {
    const places = new Map<number, number>();
    for (let index = 0; index < this.#count; index++) {
      const hash = this.#hashes[index] as number; // index < count
      if (hash % step === 0) places.set(hash, places.has(hash) ? -1 : (this.#places[index] as number)); // as above
    }
    return places;
  }

  #thin(): void {
    // Nodes that are all the same have one hash: where it stays, the first half of them does.
    this.step *= 2;
    let kept = 0;
    for (let index = 0; index < this.#count; index++) {
      const hash = this.#hashes[index] as number; // index < count
      if (hash % this.step !== 0) continue;
      this.#hashes[kept] = hash;
      this.#places[kept] = this.#places[index] as number; // as above
      kept++;
    }
    this.#count = kept === MOST_MARKS ? MOST_MARKS / 2 : kept;
  }
}
