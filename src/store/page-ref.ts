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
