import { assertWholeNumber, showAs } from '../arguments.ts';
import { writeDecimal } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

/** Where a node is; valid until its block is freed. As a ref, functions take any object with these two fields. */
export class PageRef {
  readonly block: number;
  /** Index in the page's slot directory, from 0. */
  readonly slot: number;

  /** @throws RangeError if block or slot is not a whole number of at least 0 */
  constructor(block: number, slot: number) {
    assertWholeNumber('PageRef', 'block', block);
    assertWholeNumber('PageRef', 'slot', slot);
    this.block = block;
    this.slot = slot;
  }

  /** `block:slot`, as in `3:17`; {@link parseRef} reads it. */
  toString(): string {
    return `${this.block}:${this.slot}`;
  }

  static {
    showAs(this, (ref) => ref.toString());
  }
}

/** The refs of `count` nodes in consecutive slots of one page, the first of which is `slot`. */
export interface RefRun {
  readonly block: number;
  readonly slot: number;
  readonly count: number;
}

/** A selection of nodes in one block: slots `from` to `to`, both included, or all slots if they are absent. */
export interface RefRange {
  readonly block: number;
  readonly from?: number;
  readonly to?: number;
}

export function formatRef(ref: PageRef): string {
  assertRef('formatRef', ref);
  return `${ref.block}:${ref.slot}`;
}

/** Writes a ref as `block:slot` in ASCII, without a string. @returns the offset after it */
export function writeRef(block: number, slot: number, target: Uint8Array, offset: number): number {
  const colonOffset = writeDecimal(block, target, offset);
  target[colonOffset] = 0x3a;
  return writeDecimal(slot, target, colonOffset + 1);
}

const REF = /^(\d{1,8})(?::(\d{1,8})(?:-(\d{1,8}))?)?$/;

/** Reads `block:slot`, `block` (all slots) or `block:from-to`. @throws {@link PageStoreError} `INVALID_REF` */
export function parseRef(text: string): RefRange {
  if (typeof text !== 'string') throw new TypeError('parseRef: text must be a string');
  const match = REF.exec(text);
  if (match === null) throw invalidRef(text, 'write block:slot (3:17), block (3), or block:from-to (3:10-19)');
  const block = Number(match[1]);
  if (match[2] === undefined) return { block };
  const from = Number(match[2]);
  const to = Number(match[3] ?? from);
  if (to < from) throw invalidRef(text, 'the last slot is lower than the first');
  return { block, from, to };
}

const invalidRef = (text: string, reason: string): PageStoreError =>
  new PageStoreError('INVALID_REF', `'${text}' is not a valid REF: ${reason}`);

export function assertRef(call: string, ref: PageRef): void {
  assertRefObject(call, ref);
  assertWholeNumber(call, 'ref.block', ref.block);
  assertWholeNumber(call, 'ref.slot', ref.slot);
}

export function assertRefObject(call: string, ref: PageRef): void {
  if (typeof ref === 'object' && ref !== null) return;
  throw new TypeError(`${call}: ref must be a PageRef, or an object with block and slot; parseRef reads text`);
}

/** Refs in any order, kept as runs of consecutive slots of a page. */
export class RunList {
  #runs: { block: number; slot: number; count: number }[] = [];
  #nodeCount = 0;

  get runCount(): number {
    return this.#runs.length;
  }

  get nodeCount(): number {
    return this.#nodeCount;
  }

  add(block: number, slot: number, count: number = 1): void {
    const last = this.#runs.at(-1);
    if (last && last.block === block && last.slot + last.count === slot) last.count += count;
    else this.#runs.push({ block, slot, count });
    this.#nodeCount += count;
  }

  take(): RefRun[] {
    const runs = this.#runs;
    this.#runs = [];
    this.#nodeCount = 0;
    return runs;
  }
}

/** Joins runs that continue the slots of the one before. */
export function joinRuns(runs: readonly RefRun[]): RefRun[] {
  const joined = new RunList();
  for (const { block, slot, count } of runs) joined.add(block, slot, count);
  return joined.take();
}
