import type { KeyMap } from '../arena/key-map.ts';
import { copyRange } from '../bytes/range.ts';

const FIRST_BYTES = 65_536;
const FIRST_NODES = 1024;
/** More bytes are not kept, but for a node that is longer. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Copies of the next nodes of a file, with their refs. Nodes are added at the end and dropped at the front. */
export class NodeWindow {
  #bytes = new Uint8Array(FIRST_BYTES);
  #usedBytes = 0;
  #offsets = new Uint32Array(FIRST_NODES);
  #lengths = new Uint32Array(FIRST_NODES);
  #blocks = new Uint32Array(FIRST_NODES);
  #slots = new Uint32Array(FIRST_NODES);
  #first = 0;
  #end = 0;

  get count(): number {
    return this.#end - this.#first;
  }

  /** Where the bytes of the nodes are. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  nodeOffset(index: number): number {
    return this.#offsets[this.#first + index] as number; // index < count, by contract
  }

  nodeBytes(index: number): number {
    return this.#lengths[this.#first + index] as number; // index < count, by contract
  }

  block(index: number): number {
    return this.#blocks[this.#first + index] as number; // index < count, by contract
  }

  slot(index: number): number {
    return this.#slots[this.#first + index] as number; // index < count, by contract
  }

  drop(nodes: number): void {
    this.#first += nodes;
    if (this.#first === this.#end) this.#first = this.#end = this.#usedBytes = 0;
  }

  /** Moves what is left to the front: to be called before nodes are added. */
  compact(): void {
    if (this.#first === 0) return;
    const start = this.#offsets[this.#first] as number; // the window is not empty, else first were 0
    this.#bytes.copyWithin(0, start, this.#usedBytes);
    this.#usedBytes -= start;
    for (const array of [this.#offsets, this.#lengths, this.#blocks, this.#slots])
      array.copyWithin(0, this.#first, this.#end);
    this.#end -= this.#first;
    this.#first = 0;
    for (let index = 0; index < this.#end; index++) this.#offsets[index] = (this.#offsets[index] as number) - start; // index < end
  }

  /** Adds a copy of the node `source[start, end)`. @returns false, with nothing changed, where the window is full */
  add(source: Uint8Array, start: number, end: number, block: number, slot: number): boolean {
    const usedBytes = this.#usedBytes + end - start;
    if (usedBytes > MOST_BYTES && this.#end > this.#first) return false;
    if (usedBytes > this.#bytes.length) this.#growBytes(usedBytes);
    if (this.#end === this.#offsets.length) this.#growNodes();
    copyRange(source, start, end, this.#bytes, this.#usedBytes);
    this.#offsets[this.#end] = this.#usedBytes;
    this.#lengths[this.#end] = end - start;
    this.#blocks[this.#end] = block;
    this.#slots[this.#end] = slot;
    this.#end++;
    this.#usedBytes = usedBytes;
    return true;
  }

  /** A number for each of the first `nodes` nodes: of equal ones, in all windows that share `ids`, the same. */
  numbered(nodes: number, ids: KeyMap<never>): Int32Array {
    const numbers = new Int32Array(Math.min(nodes, this.count));
    for (let index = 0; index < numbers.length; index++) {
      const start = this.nodeOffset(index);
      numbers[index] = ids.entryOf(this.#bytes, start, start + this.nodeBytes(index));
    }
    return numbers;
  }

  #growBytes(least: number): void {
    const grown = new Uint8Array(Math.max(least, Math.min(2 * this.#bytes.length, MOST_BYTES)));
    grown.set(this.#bytes.subarray(0, this.#usedBytes));
    this.#bytes = grown;
  }

  #growNodes(): void {
    this.#offsets = doubled(this.#offsets);
    this.#lengths = doubled(this.#lengths);
    this.#blocks = doubled(this.#blocks);
    this.#slots = doubled(this.#slots);
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(2 * array.length);
  grown.set(array);
  return grown;
}
