import { PageStoreError } from '../errors.ts';

/** Where a node is: slot `slot` of the page in block `block`. It never changes while the page is not freed. */
export interface PageRef {
  readonly block: number;
  readonly slot: number;
}

/** The refs of nodes appended one after the other to one page: `count` slots from `slot` on. */
export interface RefRun extends PageRef {
  readonly count: number;
}

/** A selection of nodes in one block: slots `from` to `to`, both included; all of the block's without them. */
export interface RefRange {
  readonly block: number;
  readonly from?: number;
  readonly to?: number;
}

export function formatRef(ref: PageRef): string {
  return `${ref.block}:${ref.slot}`;
}

const REF = /^(\d{1,8})(?::(\d{1,8})(?:-(\d{1,8}))?)?$/;

/**
 * Reads `block`, `block:slot` or `block:from-to`.
 * @throws {@link PageStoreError} `INVALID_REF`
 */
export function parseRef(text: string): RefRange {
  const match = REF.exec(text);
  if (match === null) {
    throw new PageStoreError(
      'INVALID_REF',
      `'${text}' is no REF: write block:slot (3:17), block (3), or block:from-to (3:10-19)`,
    );
  }
  const block = Number(match[1]);
  if (match[2] === undefined) return { block };
  const from = Number(match[2]);
  const to = match[3] === undefined ? from : Number(match[3]);
  if (to < from) throw new PageStoreError('INVALID_REF', `'${text}' ends before it begins: write the lower slot first`);
  return { block, from, to };
}

/** Joins runs that go on where the one before ended. */
export function joinRuns(runs: readonly RefRun[]): RefRun[] {
  const joined: RefRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && last.block === run.block && last.slot + last.count === run.slot) {
      joined[joined.length - 1] = { ...last, count: last.count + run.count };
    } else {
      joined.push(run);
    }
  }
  return joined;
}

/** Refs in an order of their own, as runs of slots that follow each other; without an object for each until they are taken. */
export class RunList {
  readonly #blocks: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #counts: Uint32Array;
  #length = 0;
  #nodeCount = 0;

  constructor(maxRuns: number) {
    this.#blocks = new Uint32Array(maxRuns);
    this.#slots = new Uint32Array(maxRuns);
    this.#counts = new Uint32Array(maxRuns);
  }

  /** Refs that were added and not taken. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Whether the next ref may have no place. */
  get isFull(): boolean {
    return this.#length === this.#blocks.length;
  }

  /** Adds a ref behind the others. The list must not be full. */
  add(block: number, slot: number): void {
    const last = this.#length - 1;
    const next = (this.#slots[last] as number) + (this.#counts[last] as number); // without a last one, no number
    if (last >= 0 && this.#blocks[last] === block && next === slot) {
      this.#counts[last] = (this.#counts[last] as number) + 1; // last < length
    } else {
      this.#blocks[this.#length] = block;
      this.#slots[this.#length] = slot;
      this.#counts[this.#length] = 1;
      this.#length++;
    }
    this.#nodeCount++;
  }

  /** Takes all runs out. */
  take(): RefRun[] {
    const runs = Array.from({ length: this.#length }, (_, run) => ({
      block: this.#blocks[run] as number, // run < length, here and below
      slot: this.#slots[run] as number,
      count: this.#counts[run] as number,
    }));
    this.#length = this.#nodeCount = 0;
    return runs;
  }
}
