import type { ArenaHandle, ClaimRun } from '../arena/handle-table.ts';
import { EpochArena } from '../arena/epoch-arena.ts';
import { jsonLine } from '../report/reporter.ts';
import type { RefRun } from '../store/page-ref.ts';
import type { PageStore } from '../store/page-store.ts';
import type { CommandRun, Progress } from './command.ts';
import {
  decodeFrame,
  decodeText,
  type Encoding,
  Framer,
  type Framing,
  MAX_FRAME_BYTES,
  type TextEncoding,
} from './framing.ts';
import type { Input } from './context.ts';
import { InputReader, InputWindow, LONGEST_WAIT_MS, WINDOW_BYTES } from './input.ts';

const LINE_FEED = 0x0a;

/** One run of `append`: stages nodes, commits them in batches, and prints the refs of the durable ones. */
export class AppendRun {
  readonly #run: CommandRun;
  readonly #store: PageStore;
  readonly #batchNodes: number;
  nodeBytes = 0;
  durableNodes = 0;
  /** When the oldest node that is not durable may have arrived. */
  #waitingSince: number | undefined;

  constructor(run: CommandRun, store: PageStore, batchNodes: number = Infinity) {
    this.#run = run;
    this.#store = store;
    this.#batchNodes = batchNodes;
  }

  get hasStaged(): boolean {
    return this.#store.stagedNodes > 0;
  }

  /** Whether nodes have waited so long that they should be committed, although the input has not paused. */
  isDue(hasMore: boolean): boolean {
    if (!this.hasStaged && !hasMore) this.#waitingSince = undefined;
    else this.#waitingSince ??= performance.now();
    return this.#waitingSince !== undefined && performance.now() - this.#waitingSince >= LONGEST_WAIT_MS;
  }

  /** Whether the reader of the refs has gone: it would not learn what is durable, so the run ends. */
  get isOver(): boolean {
    return this.#run.stdout.closed;
  }

  /** Stages the node of a handle; prints the refs of nodes that are committed for that. */
  async add(arena: EpochArena, handle: ArenaHandle): Promise<void> {
    if (this.#store.stagedNodes >= this.#batchNodes) await this.commit();
    while (!this.#store.stage(arena, handle)) if (!(await this.#makeRoom(arena.lengthOf(handle)))) return;
    this.nodeBytes += arena.lengthOf(handle);
  }

  /** As {@link add}, for a run of claims. @returns a promise only if the caller has to wait */
  addRun({ source, base, words, at, end, bytes }: ClaimRun): Promise<void> | undefined {
    const room = this.#batchNodes - this.#store.stagedNodes;
    const staged = this.#store.stageRanges(source, base, words, at, Math.min(end, at + 2 * room));
    this.nodeBytes += bytes;
    return staged === end ? undefined : this.#addRest({ source, base, words, at: staged, end, bytes });
  }

  async #addRest({ source, base, words, at, end }: ClaimRun): Promise<void> {
    for (let next = at; next < end && !this.isOver;) {
      if (this.#store.stagedNodes >= this.#batchNodes) await this.commit();
      else if (!(await this.#makeRoom(words[next + 1] as number))) return; // next < end
      const room = this.#batchNodes - this.#store.stagedNodes;
      next = this.#store.stageRanges(source, base, words, next, Math.min(end, next + 2 * room));
    }
  }

  /** @returns false if the run is over */
  async #makeRoom(nodeBytes: number): Promise<boolean> {
    await this.#printDurable(await this.#store.makeRoom(nodeBytes));
    this.#run.signal.throwIfAborted();
    return !this.isOver;
  }

  async commit(): Promise<void> {
    if (this.hasStaged) await this.#printDurable(await this.#store.commit());
  }

  async #printDurable(runs: readonly RefRun[]): Promise<void> {
    if (runs.length === 0) return;
    const { stdout, isJson, isQuiet } = this.#run;
    this.#waitingSince = undefined;
    for (const { block, slot, count } of runs) {
      this.durableNodes += count;
      for (let each = slot; each < slot + count; each++) {
        if (isJson) await stdout.write(jsonLine('node', { ref: `${block}:${each}` }));
        else if (!isQuiet) while (!stdout.tryWriteRef(block, each, LINE_FEED)) await stdout.flush();
      }
    }
    await stdout.flush();
  }
}

/** A power of two that holds the window. */
const EPOCH_BYTES: number = 2 ** 20;

/** Memory of the nodes of an input: an epoch for each read, whose nodes are in pages before the next one begins. */
export class NodeArena extends EpochArena {
  constructor() {
    super({ blockBytes: EPOCH_BYTES, maxBlocks: 1, maxAllocations: EPOCH_BYTES });
  }

  /** Begins an epoch. @returns memory for its nodes, which still has the bytes of the epoch before */
  next(bytes: number): Uint8Array {
    this.reset(this.epoch + 1);
    return this.reserve(bytes);
  }
}

/** Stages the nodes that are arguments of the command. */
export async function appendArguments(run: AppendRun, texts: readonly string[], encoding: Encoding): Promise<void> {
  const nodes = new NodeArena();
  for (const text of texts) {
    const bytes = decodeText(text, encoding);
    nodes.next(bytes.length).set(bytes);
    await run.add(nodes, nodes.claim(0, bytes.length));
  }
}

/** Stages the frames of an input, and commits when the input pauses. */
export async function appendFrames(
  run: AppendRun,
  input: Input,
  { framing, encoding }: { readonly framing: Framing; readonly encoding: Encoding },
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const nodes = new NodeArena();
  // Raw nodes are read to where they stay until they are in pages, others are decoded to there.
  const window = encoding === 'raw' ? new InputWindow(() => nodes.next(WINDOW_BYTES)) : new InputWindow();
  const framer = new Framer(framing, window, MAX_FRAME_BYTES);
  const reader = new InputReader(input.source, () => window.target(), signal);
  const claim = (): void =>
    encoding === 'raw' ? framer.claimAll(nodes) : decodeFrames(framer, window, encoding, nodes);
  let inputBytes = 0;
  for (;;) {
    const event = await reader.nextEvent(run.hasStaged);
    if (event === 'pause') {
      await run.commit();
      continue;
    }
    window.filled(event);
    if (event === 0) framer.finish();
    const refusal = refusalOf(claim);
    // Also the frames before one that is refused.
    await addClaims(run, nodes);
    if (run.isOver) return;
    if (refusal) throw refusal.error;
    if (event === 0) return;
    if (run.isDue(false)) await run.commit();
    inputBytes += event;
    await progress.update(inputBytes, input.totalBytes);
  }
}

function refusalOf(claim: () => void): { readonly error: unknown } | undefined {
  try {
    claim();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function decodeFrames(framer: Framer, window: InputWindow, encoding: TextEncoding, nodes: NodeArena): void {
  // A node is never longer than its text.
  const target = nodes.next(window.end - window.start);
  let end = 0;
  while (framer.next()) {
    const start = end;
    end += decodeFrame(framer.source, framer.start, framer.end, encoding, target, end);
    nodes.claimNext(start, end);
  }
}

/** Stages the claims of an arena since the last call. */
async function addClaims(run: AppendRun, arena: EpochArena): Promise<void> {
  for (const claims of arena.takeClaims()) {
    const added = run.addRun(claims);
    if (added) await added;
    if (run.isOver) return;
  }
}
