import { ArenaPool } from '../arena/arena-pool.ts';
import { ARENA_BLOCK_BYTES } from '../arena/block-memory.ts';
import { copyRange } from '../bytes/buffer.ts';
import { PageStoreError } from '../errors.ts';
import type { NodeAppender } from './appender.ts';
import { assertBytes } from './arguments.ts';
import { joinRuns, type PageRef, type RefRun } from './page-ref.ts';
import type { WriteGate } from './write-gate.ts';

/** Epochs whose bytes are there: that of the nodes which are being committed, and that of those which come meanwhile. */
const EPOCHS = 2;

/** Of each epoch. Nodes that wait beyond it, or are longer than a block, are copied to memory of their own. */
const EPOCH_BLOCKS = 2;

interface WaitingAppend {
  /** The node is `source[start, end)`. */
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly resolve: (ref: PageRef) => void;
  readonly reject: (error: unknown) => void;
}

/** Nodes that are appended one by one and made durable together: all that wait when a commit begins share its sync. */
export class AppendQueue {
  readonly #appender: NodeAppender;
  readonly #writes: WriteGate;
  /** Made with the first node. */
  #pool: ArenaPool | undefined;
  #waiting: WaitingAppend[] = [];

  constructor(appender: NodeAppender, writes: WriteGate) {
    this.#appender = appender;
    this.#writes = writes;
  }

  /** @param node - copied at once @returns where it is, once it is durable */
  async append(node: Uint8Array): Promise<PageRef> {
    const arena = (this.#pool ??= new ArenaPool(EPOCHS, { maxBlocks: EPOCH_BLOCKS })).current();
    const offset = node.length > ARENA_BLOCK_BYTES ? -1 : arena.tryAllocate(node.length);
    const isInArena = offset >= 0;
    const source = isInArena ? arena.blockOf(offset) : new Uint8Array(node);
    const start = isInArena ? offset % ARENA_BLOCK_BYTES : 0;
    // Not by the arena, which would hold on to the caller's memory until its epoch is over.
    if (isInArena) copyRange(node, 0, node.length, source, start);
    return new Promise<PageRef>((resolve, reject) => {
      this.#waiting.push({ source, start, end: start + node.length, resolve, reject });
      // Whoever comes before its turn finds the first one's commit still to begin, and is taken along.
      if (this.#waiting.length === 1) void this.#answerWaiting();
    });
  }

  /** Never rejects: those that wait are told. The last ones are told when no write is under way any more. */
  async #answerWaiting(): Promise<void> {
    try {
      const tellLast = await this.#writes.exclusive(() => this.#commitWaiting());
      tellLast();
    } catch (error) {
      for (const { reject } of this.#take()) reject(error);
    }
  }

  /** What waits now. Those that were taken before have been answered, so the memory of their epoch is used again. */
  #take(): WaitingAppend[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#pool?.advanceEpoch();
    return waiting;
  }

  /** Lets go of the memory that nodes were copied to; the next one makes it anew. */
  release(): void {
    if (this.#waiting.length === 0) this.#pool = undefined;
  }

  /** @returns what tells the outcome to those who have not been told */
  async #commitWaiting(): Promise<() => void> {
    const waiting = this.#take();
    const staged: WaitingAppend[] = [];
    let acknowledged = 0;
    const acknowledge = (runs: RefRun[]): void => {
      for (const { block, slot, count } of this.#writes.appended(runs)) {
        for (let each = slot; each < slot + count; each++) staged[acknowledged++]?.resolve({ block, slot: each });
      }
    };
    try {
      for (const each of waiting) if (await this.#stage(each, acknowledge)) staged.push(each);
      const runs = await this.#appender.commit();
      return () => acknowledge(runs);
    } catch (error) {
      this.#appender.reset();
      // Those that are durable have their answer: a promise is settled once.
      return () => waiting.forEach(({ reject }) => reject(error));
    }
  }

  /** @returns whether the node is staged; one that fits no page is no reason to refuse the others */
  async #stage({ source, start, end, reject }: WaitingAppend, acknowledge: (runs: RefRun[]) => void): Promise<boolean> {
    try {
      while (!this.#appender.stage(source, start, end)) acknowledge(await this.#appender.makeRoom(end - start));
      return true;
    } catch (error) {
      if (!(error instanceof PageStoreError && error.code === 'NODE_TOO_LARGE')) throw error;
      reject(error);
      return false;
    }
  }
}

/**
 * Appends nodes in their order, in batches; where it fails, earlier batches stay.
 * @param committed - hears of what has become durable
 */
export async function appendAll(
  appender: NodeAppender,
  nodes: Iterable<Uint8Array>,
  committed: (runs: RefRun[]) => RefRun[],
): Promise<RefRun[]> {
  const runs: RefRun[] = [];
  try {
    for (const node of nodes) {
      assertBytes(node);
      while (!appender.stage(node, 0, node.length)) runs.push(...committed(await appender.makeRoom(node.length)));
    }
  } catch (error) {
    appender.reset();
    throw error;
  }
  runs.push(...committed(await appender.commit()));
  return joinRuns(runs);
}

/**
 * Appends nodes that stand end to end in `bytes`, in batches; where it fails, earlier batches stay.
 * @param committed - hears of what has become durable
 */
export async function appendEndToEnd(
  appender: NodeAppender,
  bytes: Uint8Array,
  lengths: Uint32Array,
  committed: (runs: RefRun[]) => RefRun[],
): Promise<RefRun[]> {
  const runs: RefRun[] = [];
  let at = 0;
  try {
    for (let next = 0; next < lengths.length;) {
      const staged = appender.stageMany(bytes, at, lengths, next, lengths.length);
      for (const end = next + staged; next < end; next++) at += lengths[next] as number; // next < end <= lengths.length
      if (next < lengths.length) runs.push(...committed(await appender.makeRoom(lengths[next] as number))); // just compared
    }
  } catch (error) {
    appender.reset();
    throw error;
  }
  runs.push(...committed(await appender.commit()));
  return joinRuns(runs);
}
