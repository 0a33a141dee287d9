import { open, PageStoreError, verify } from '../../../src/index.ts';
import { BLOCK, BlocksFile, isSameBytes, type State } from './blocks-file.ts';
import type { Contents, History } from './history.ts';

/** What a reader makes of a file, compared with what was acknowledged. */
export interface Reading {
  /** Acknowledged nodes by their refs: read with their bytes, with others, or an error. */
  readonly intact: ReadonlySet<string>;
  readonly wrong: readonly string[];
  readonly failed: readonly string[];
  /** `whole`: all nodes and no others; `short`: it ends without an error and without some, or with other bytes. */
  readonly scan: 'whole' | 'error' | 'short';
  /** Nodes that the scan finds at refs where none was acknowledged, or where a block was freed. */
  readonly strange: readonly string[];
}

/** Whether nodes are lost, or freed ones are back. */
export const isHarmed = ({ wrong, failed, strange }: Reading): boolean =>
  wrong.length > 0 || failed.length > 0 || strange.length > 0;

/** Reads each acknowledged node by its ref, and then all nodes in order. Other errors than a PageStoreError are thrown. */
export async function readState(state: State, contents: Contents): Promise<Reading> {
  const intact = new Set<string>();
  const [wrong, failed, strange]: string[][] = [[], [], []];
  const store = await orError(open(new BlocksFile(state), { access: 'read', cacheBytes: 0 }));
  if (store instanceof PageStoreError)
    return { intact, wrong: [], failed: refsOf(contents), scan: 'error', strange: [] };
  for (const [block, nodes] of contents) {
    for (const [slot, node] of nodes.entries()) {
      const ref = `${block}:${slot}`;
      const bytes = await orError(store.view({ block, slot }));
      if (bytes instanceof PageStoreError) failed!.push(ref);
      else if (isSameBytes(bytes, node)) intact.add(ref);
      else wrong!.push(ref);
    }
  }
  let [found, hasError] = [0, false];
  try {
    const cursor = store.cursor();
    while (await cursor.nextPage()) {
      while (cursor.next()) {
        const node = contents.get(cursor.block)?.[cursor.slot];
        if (node === undefined) strange!.push(`${cursor.block}:${cursor.slot}`);
        else if (isSameBytes(cursor.bytes.subarray(cursor.start, cursor.end), node)) found++;
      }
    }
  } catch (error) {
    if (!(error instanceof PageStoreError)) throw error;
    hasError = true;
  }
  await store.close();
  const isWhole = found === countOf(contents) && strange!.length === 0;
  const scan = hasError ? 'error' : isWhole ? 'whole' : 'short';
  return { intact, wrong: wrong!, failed: failed!, scan, strange: strange! };
}

export const refsOf = (contents: Contents): string[] =>
  [...contents].flatMap(([block, nodes]) => nodes.map((_, slot) => `${block}:${slot}`));

const countOf = (contents: Contents): number => [...contents.values()].reduce((sum, { length }) => sum + length, 0);

/** What verify finds: codes of errors and of warnings. */
export interface Verdict {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export async function verifyState(state: State): Promise<Verdict> {
  const [errors, warnings]: string[][] = [[], []];
  const report = await orError(
    verify(new BlocksFile(state), {
      onFinding: ({ severity, code, block }) => {
        if (severity === 'error') errors!.push(`${code} ${block}`);
        else if (severity === 'warning') warnings!.push(`${code} ${block}`);
      },
    }),
  );
  if (report instanceof PageStoreError) errors!.push(report.code);
  else if (report.ok !== (errors!.length === 0)) throw new Error(`ok is ${report.ok} with ${errors!.length} errors`);
  return { errors: errors!, warnings: warnings! };
}

/** The result, or the PageStoreError: other errors are defects of the library, and are thrown. */
export async function orError<T>(result: Promise<T>): Promise<T | PageStoreError> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof PageStoreError) return error;
    throw error;
  }
}

const SECTOR = 512;
const ZEROS = new Uint8Array(BLOCK);

/**
 * Whether a file is one that a power cut in one of these windows may have left. Before the last change was acknowledged,
 * nothing in such a file can tell that there was more, and no program is to blame.
 */
export function isAfterPowerCut(state: State, windows: History['windows']): boolean {
  return windows.some((window) => window.some(({ size }) => size === state.size) && isMixOf(window, state));
}

function isMixOf(window: readonly State[], { blocks }: State): boolean {
  return blocks.every((bytes, block) => {
    // A new block may be zeros after a power cut.
    const versions = window.map((state) => state.blocks[block] ?? ZEROS);
    if (versions.includes(bytes)) return true;
    for (let at = 0; at < bytes.length; at += SECTOR) {
      const sector = bytes.subarray(at, at + SECTOR);
      if (!versions.some((version) => isSameBytes(sector, version.subarray(at, at + SECTOR)))) return false;
    }
    return true;
  });
}
