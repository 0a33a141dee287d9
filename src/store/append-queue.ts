import { PageStoreError } from '../errors.ts';
import type { Appender } from './appender.ts';
import { assertBytes } from './arguments.ts';
import { joinRuns, type PageRef, type RefRun } from './page-ref.ts';

interface WaitingAppend {
  readonly node: Uint8Array;
  readonly resolve: (ref: PageRef) => void;
  readonly reject: (error: unknown) => void;
}

/** Nodes that are appended one by one and made durable together: all that wait when a commit begins share its sync. */
export class AppendQueue {
  readonly #appender: Appender;
  readonly #exclusive: (work: () => Promise<void>) => Promise<void>;
  readonly #committed: (runs: RefRun[]) => RefRun[];
  #waiting: WaitingAppend[] = [];

  /**
   * @param exclusive - runs work when no other write is under way
   * @param committed - hears of what has become durable
   */
  constructor(
    appender: Appender,
    exclusive: (work: () => Promise<void>) => Promise<void>,
    committed: (runs: RefRun[]) => RefRun[],
  ) {
    this.#appender = appender;
    this.#exclusive = exclusive;
    this.#committed = committed;
  }

  /** @param node - not to be changed any more @returns where it is, once it is durable */
  async append(node: Uint8Array): Promise<PageRef> {
    return new Promise<PageRef>((resolve, reject) => {
      this.#waiting.push({ node, resolve, reject });
      // Whoever comes before its turn finds the first one's commit still to begin, and is taken along.
      if (this.#waiting.length === 1) this.#exclusive(() => this.#commitWaiting()).catch(this.#rejectAll);
    });
  }

  readonly #rejectAll = (error: unknown): void => {
    for (const { reject } of this.#take()) reject(error);
  };

  #take(): WaitingAppend[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  async #commitWaiting(): Promise<void> {
    const waiting = this.#take();
    const staged: WaitingAppend[] = [];
    let acknowledged = 0;
    const acknowledge = (runs: RefRun[]): void => {
      for (const { block, slot, count } of this.#committed(runs)) {
        for (let each = slot; each < slot + count; each++) staged[acknowledged++]?.resolve({ block, slot: each });
      }
    };
    try {
      for (const each of waiting) if (await this.#stage(each, acknowledge)) staged.push(each);
      acknowledge(await this.#appender.commit());
    } catch (error) {
      this.#appender.reset();
      // Those that are durable have their answer: a promise is settled once.
      for (const { reject } of waiting) reject(error);
    }
  }

  /** @returns whether the node is staged; one that fits no page is no reason to refuse the others */
  async #stage({ node, reject }: WaitingAppend, acknowledge: (runs: RefRun[]) => void): Promise<boolean> {
    try {
      while (!this.#appender.stage(node, 0, node.length)) acknowledge(await this.#appender.makeRoom(node.length));
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
  appender: Appender,
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
