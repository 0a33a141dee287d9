import { fnv1a64Into, Hash64 } from '../bytes/hash.ts';
import type { ComparedFile } from './compared-file.ts';
import { type Anchor, longestChain } from './edit-script.ts';

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
