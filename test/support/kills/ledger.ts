import type { Payload } from './payload.ts';

/** A node that has to be in a file. */
export interface Entry {
  readonly stream: number;
  readonly index: number;
  /** The last version that was acknowledged. */
  version: number;
  /** The last version that a writer was told to write: until it is acknowledged, either may be there. */
  intended: number;
}

/** A block and a slot as one number. */
export const keyOf = (block: number, slot: number): number => block * 65_536 + slot;
export const blockOf = (key: number): number => Math.floor(key / 65_536);
export const refOf = (key: number): string => `${blockOf(key)}:${key % 65_536}`;

/**
 * What a writer has acknowledged, and what it was about to do: all that a file may be held to after the writer was
 * killed. It is kept by whoever reads the writer's lines, outside of the writer's process.
 */
export class Ledger {
  readonly #blocks = new Map<number, Map<number, Entry>>();
  /** Blocks that are being freed: all of their nodes are there, or none. */
  readonly doomed: Set<number> = new Set();
  readonly sealed: Set<number> = new Set();
  /** Blocks that allocate has acknowledged. */
  readonly pages: Set<number> = new Set();
  /** How many nodes of each stream have been acknowledged; they are the first ones of it. */
  readonly acknowledged: Map<number, number> = new Map();
  /** Blocks that were to be freed at any time. */
  readonly everFreed: Set<number> = new Set();

  get nodeCount(): number {
    let count = 0;
    for (const nodes of this.#blocks.values()) count += nodes.size;
    return count;
  }

  get blocks(): number[] {
    return [...this.#blocks.keys()];
  }

  nodesIn(block: number): ReadonlyMap<number, Entry> {
    return this.#blocks.get(block) ?? new Map<number, Entry>();
  }

  at(key: number): Entry | undefined {
    return this.#blocks.get(blockOf(key))?.get(key);
  }

  /** A node is durable where it is. @throws where the stream goes on with another one, or the place is taken */
  append(key: number, { stream, index, version }: Payload): void {
    const expected = this.acknowledged.get(stream) ?? 0;
    if (index !== expected) throw new Error(`node ${index} of stream ${stream} was acknowledged, not ${expected}`);
    const block = blockOf(key);
    const nodes = this.#blocks.get(block) ?? new Map<number, Entry>();
    if (nodes.has(key)) throw new Error(`${refOf(key)} was acknowledged twice`);
    this.#blocks.set(block, nodes);
    nodes.set(key, { stream, index, version, intended: version });
    this.acknowledged.set(stream, index + 1);
  }

  /** A writer is about to overwrite a node. */
  intendUpdate(key: number, version: number): void {
    this.#need(key).intended = version;
  }

  updated(key: number, version: number): void {
    this.#need(key).version = version;
  }

  intendFree(block: number): void {
    this.doomed.add(block);
    this.everFreed.add(block);
  }

  freed(block: number): void {
    this.doomed.delete(block);
    this.sealed.delete(block);
    this.pages.delete(block);
    this.#blocks.delete(block);
  }

  /** A block that was being freed was not. */
  spared(block: number): void {
    this.doomed.delete(block);
  }

  /** Takes a line of the writer child. @see test/support/writer-child.ts */
  takeLine(line: string, stream: number): void {
    const [kind, ...words] = line.split(' ');
    const [a = 0, b = 0, c = 0, d = 0] = words.map(Number);
    if (kind === 'A') {
      for (let each = 0; each < d; each++) this.append(keyOf(b, c + each), { stream, index: a + each, version: 0 });
    } else if (kind === 'u') this.intendUpdate(keyOf(a, b), c);
    else if (kind === 'U') this.updated(keyOf(a, b), c);
    else if (kind === 'f') this.intendFree(a);
    else if (kind === 'F') this.freed(a);
    else if (kind === 'L') this.pages.add(a);
    else if (kind === 'Z') this.sealed.add(a);
    else throw new Error(`the writer said '${line}'`);
  }

  #need(key: number): Entry {
    const entry = this.at(key);
    if (entry === undefined) throw new Error(`${refOf(key)} was updated and never acknowledged`);
    return entry;
  }
}
