import type { RefRun } from './page-ref.ts';

/** Takes nodes in their order, and makes them durable batch by batch. */
export interface NodeAppender {
  /** Nodes that the next commit will make durable. */
  readonly stagedNodes: number;
  /**
   * Packs the node `source[start, end)`.
   * @returns false, with nothing changed, where it needs `makeRoom` first
   */
  stage(source: Uint8Array, start: number, end: number): boolean;
  /**
   * Packs nodes that stand end to end in `source` from `start` on, of `lengths[from]` to `lengths[to - 1]` bytes.
   * @returns how many it packed: the next one, if any is left, needs `makeRoom` first
   */
  stageMany(source: Uint8Array, start: number, lengths: Uint32Array, from: number, to: number): number;
  /**
   * Finds or takes a page with room for a node of so many bytes; a page that is full may be written for that. Where staged
   * nodes have to be committed first it does that alone, so that their refs are known whatever comes after: then it has to
   * be called again.
   * @returns what it committed
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, and as {@link commit}
   */
  makeRoom(nodeBytes: number): Promise<RefRun[]>;
  /**
   * Makes all staged nodes durable.
   * @returns where they are, in the order in which they were staged
   * @throws {@link PageStoreError} `IO`, `FILE_FULL`; then none of them is in the file, unless as {@link DiskManager.commit} says
   */
  commit(): Promise<RefRun[]>;
  /** Forgets staged nodes and the page at hand, for when somebody else has changed pages. */
  reset(): void;
}
