import type { Sources } from './peer.ts';

/** What the ratios of the report are formed from. */
export type Engine = 'bare' | 'artrie-pages' | 'sqlite' | 'lmdb';

/** One way to make nodes durable. It runs in a process of its own, see run-child.ts. */
export interface Contender {
  readonly name: string;
  readonly engine: Engine;
  /** Nodes that are acknowledged together. Only contenders with the same group are compared with each other. */
  readonly group: number;
  /**
   * Makes its file.
   * @param sources - where what it is made of is loaded from
   * @param folder - empty, and its own
   * @param capacity - nodes that will be appended in all
   */
  open(sources: Sources, folder: string, capacity: number): Promise<Running>;
}

export interface Running {
  /** Versions and settings that say what was measured, as the contender itself tells them. */
  readonly facts?: readonly string[];
  /** Appends the nodes, group by group: the next group is begun when the one before is acknowledged. */
  append(nodes: readonly Uint8Array[]): Promise<void> | void;
  /** Opens the file anew, after whatever closing means, and reads all nodes in the order in which they were appended. */
  readBack(): Promise<readonly Uint8Array[]>;
}

/** Calls `each` with one group of nodes after the other. */
export async function inGroups<T>(
  nodes: readonly T[],
  group: number,
  each: (nodes: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < nodes.length; at += group) await each(nodes.slice(at, at + group));
}
