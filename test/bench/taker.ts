import type { Workload } from './workload.ts';

/** Is given each node that was read, `bytes[start, end)`, in the order of reading. */
export interface Taker {
  take(bytes: Uint8Array, start: number, end: number): void;
}

/**
 * A running checksum of the lengths and first four bytes of nodes in their order. It is what a timed section does with
 * a node: it costs a nanosecond or two, and no node can be missing, twice, in another place or cut.
 */
export class Tally implements Taker {
  count = 0;
  sum = 0;

  take(bytes: Uint8Array, start: number, end: number): void {
    const head = bytes[start]! | (bytes[start + 1]! << 8) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 24);
    this.sum = (Math.imul(this.sum, 31) + (head ^ (end - start))) | 0;
    this.count++;
  }

  /** @throws Error where the nodes that were taken are not those numbers `order`, or all of them in a row */
  assertEquals(workload: Workload, order?: Uint32Array): void {
    const expected = new Tally();
    const { bytes, starts, count } = workload;
    for (let at = 0; at < (order?.length ?? count); at++) {
      const node = order === undefined ? at : order[at]!;
      expected.take(bytes, starts[node]!, starts[node + 1]!);
    }
    if (this.count !== expected.count || this.sum !== expected.sum)
      throw new Error(`${this.count} nodes were read, and not the ${expected.count} that were to be read`);
  }
}

/** Compares every byte of every node: for passes that no clock runs in. */
export class Comparer implements Taker {
  readonly #workload: Workload;
  readonly #order: Uint32Array | undefined;
  #taken = 0;

  /** @param order - the numbers of the nodes that will come; all in a row without it */
  constructor(workload: Workload, order?: Uint32Array) {
    this.#workload = workload;
    this.#order = order;
  }

  /** @throws Error where the node is not the one that has to come next */
  take(bytes: Uint8Array, start: number, end: number): void {
    const { bytes: made, starts } = this.#workload;
    const node = this.#order === undefined ? this.#taken : (this.#order[this.#taken] ?? -1);
    const [from = 0, to = -1] = [starts[node], starts[node + 1]];
    if (to - from !== end - start || made.compare(bytes, start, end, from, to) !== 0)
      throw new Error(`read number ${this.#taken} should be node ${node}, and has other bytes`);
    this.#taken++;
  }

  /** @throws Error where nodes are missing */
  assertComplete(): void {
    const expected = this.#order?.length ?? this.#workload.count;
    if (this.#taken !== expected) throw new Error(`${this.#taken} nodes were read of ${expected}`);
  }
}
