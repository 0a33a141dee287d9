import type { ArenaPool } from '../arena/arena-pool.ts';
import { type HandleSource, NodeRanges, PRIVATE_ARENA } from '../arena/handle-table.ts';
import { copyRange } from '../bytes/buffer.ts';
import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { BLOCK_BYTES } from '../format/layout.ts';
import { nodeOf, recomputePageHeader } from '../format/page.ts';
import type { NodeAppender } from './appender.ts';
import { assertNextNode } from './arguments.ts';
import { assertSlot, type NodeReader, readValidPage } from './page-reader.ts';
import { joinRuns, PageRef, type RefRun } from './page-ref.ts';
import type { TrieGuard, TrieHarm } from './trie-guard.ts';

/** Serializes writers, refuses other writes while nodes are staged, and invalidates caches of changed pages. */
export class WriteGate {
  readonly #disk: DiskManager;
  readonly #appender: NodeAppender;
  readonly #reader: NodeReader;
  readonly #trie: TrieGuard;
  #last: Promise<unknown> = Promise.resolve();
  #writes = 0;

  constructor(disk: DiskManager, appender: NodeAppender, reader: NodeReader, trie: TrieGuard) {
    this.#disk = disk;
    this.#appender = appender;
    this.#reader = reader;
    this.#trie = trie;
  }

  /** @throws TypeError during another write */
  assertMayStage(): void {
    if (this.#writes > 0) throw new TypeError('another write is in progress: await it before you stage nodes');
    this.#disk.assertWritable();
    this.#trie.assertHarmless('append');
  }

  /** Runs work on the staged nodes. @returns the runs that it committed */
  async continueStaged(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    return this.whenIdle(async () => {
      this.#disk.assertWritable();
      this.#trie.assertHarmless('append');
      return this.dropChanged(await work());
    });
  }

  /** @param harm - what the work would do to a trie @throws TypeError while nodes are staged */
  async exclusive<T>(work: () => Promise<T>, harm?: TrieHarm): Promise<T> {
    return this.whenIdle(async () => {
      this.#disk.assertWritable();
      if (harm) this.#trie.assertHarmless(harm);
      if (this.#appender.stagedNodes > 0) throw new TypeError('there are staged nodes: commit them first');
      return work();
    });
  }

  /** Runs work after all earlier writes, even while nodes are staged; asynchronously, even when idle. */
  async whenIdle<T>(work: () => Promise<T>): Promise<T> {
    this.#writes++;
    const before = this.#last;
    // The next write starts after this one, whether it failed or not: only its caller gets the error.
    let end: (() => void) | undefined;
    this.#last = new Promise<void>((resolve) => (end = resolve));
    await before;
    try {
      return await work();
    } finally {
      this.#writes--;
      end?.();
    }
  }

  dropChanged(runs: RefRun[]): RefRun[] {
    for (const run of runs) this.#reader.drop(run.block);
    return runs;
  }

  /** Runs work that changes pages without the appender: only `block`, if it is given. */
  async change<T>(work: () => Promise<T>, block?: number): Promise<T> {
    this.#forget(block);
    try {
      return await work();
    } finally {
      // Concurrent reads may have cached the old bytes.
      this.#forget(block);
    }
  }

  #forget(block?: number): void {
    this.#appender.reset();
    this.#reader.drop(block);
  }
}

/** No other change of the store overwrites committed bytes. */
export async function updateNode(disk: DiskManager, ref: PageRef, node: Uint8Array): Promise<void> {
  const { block, slot } = ref;
  const page = await readValidPage(disk, block);
  assertSlot(page, ref, disk.name);
  const old = nodeOf(page, slot);
  if (old.length !== node.length) {
    const message = `the node at ${block}:${slot} has ${old.length} bytes and can only be replaced by a node of the same length, not of ${node.length}`;
    throw new PageStoreError('NODE_LENGTH', message, { file: disk.name, block, slot });
  }
  const image = page.block.slice();
  old.set(node);
  const start = page.directory.nodeOffset(slot);
  const changed = { start, end: start + node.length };
  await disk.takeUpDigest();
  await disk.overwrite({ block, image, bytes: node, changed, head: recomputePageHeader(page, 0, disk.stampOf(block)) });
}

/** For the nodes that are being committed, and for those that arrive meanwhile. */
const EPOCHS = 2;

/** Memory of each epoch. Further nodes, and those that no page can hold, are copied to memory of their own. */
const EPOCH_BLOCKS = 2;

interface WaitingAppend {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly resolve: (ref: PageRef) => void;
  readonly reject: (error: unknown) => void;
}

/** Appends nodes. Single calls that wait when a commit begins share its sync. */
export class AppendQueue {
  readonly #appender: NodeAppender;
  readonly #writes: WriteGate;
  /** Loaded by the first commit: programs that do not call `append` start faster. */
  #pool: ArenaPool | undefined;
  #waiting: WaitingAppend[] = [];
  readonly #handle = new Float64Array(1);
  readonly #ranges = new NodeRanges();

  constructor(appender: NodeAppender, writes: WriteGate) {
    this.#appender = appender;
    this.#writes = writes;
  }

  /** @param node - copied at once @returns its ref, once it is durable */
  async append(node: Uint8Array): Promise<PageRef> {
    const arena = node.length > BLOCK_BYTES ? undefined : this.#pool?.current();
    const handle = arena?.tryAllocate(node.length) ?? -1;
    let source: Uint8Array;
    let start = 0;
    if (arena === undefined || handle < 0) {
      source = new Uint8Array(node);
    } else {
      this.#handle[0] = handle;
      arena.locate(this.#handle, 0, 1, this.#ranges);
      source = this.#ranges.source;
      start = this.#ranges.words[0] as number; // of the handle
      this.#ranges.clear(); // or a closed store would keep the memory of the epochs
      // Not copied by the arena, which would keep a reference to the caller's memory until the epoch ends.
      copyRange(node, 0, node.length, source, start);
    }
    return new Promise<PageRef>((resolve, reject) => {
      this.#waiting.push({ source, start, end: start + node.length, resolve, reject });
      // Later calls join this commit until it begins.
      if (this.#waiting.length === 1) void this.#commitWhenIdle();
    });
  }

  /** Frees the memory of the epochs; the next node allocates it again. */
  release(): void {
    if (this.#waiting.length === 0) this.#pool = undefined;
  }

  /** Never rejects. The last calls are answered after the write has ended, so that their callers may stage. */
  async #commitWhenIdle(): Promise<void> {
    try {
      const answerLast = await this.#writes.exclusive(() => this.#commitWaiting(), 'append');
      answerLast();
    } catch (error) {
      for (const { reject } of this.#take()) reject(error);
    }
  }

  /** Takes the waiting calls. Those taken before are answered, so the memory of their epoch can be reused. */
  #take(): WaitingAppend[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#pool?.advanceEpoch();
    return waiting;
  }

  /** @returns a function that answers the calls not answered yet */
  async #commitWaiting(): Promise<() => void> {
    if (this.#pool === undefined) {
      const { ArenaPool } = await import('../arena/arena-pool.ts');
      this.#pool = new ArenaPool(EPOCHS, { maxBlocks: EPOCH_BLOCKS }, PRIVATE_ARENA);
    }
    const waiting = this.#take();
    const staged: WaitingAppend[] = [];
    let answered = 0;
    const answer = (runs: RefRun[]): void => {
      for (const { block, slot, count } of this.#writes.dropChanged(runs)) {
        for (let each = slot; each < slot + count; each++) staged[answered++]?.resolve(new PageRef(block, each));
      }
    };
    try {
      for (const each of waiting) if (await this.#stage(each, answer)) staged.push(each);
      const runs = await this.#appender.commit();
      return () => answer(runs);
    } catch (error) {
      this.#appender.reset();
      return () => waiting.forEach(({ reject }) => reject(error));
    }
  }

  /** @returns whether the node is staged: one that is too large rejects only its own call */
  async #stage({ source, start, end, reject }: WaitingAppend, answer: (runs: RefRun[]) => void): Promise<boolean> {
    try {
      while (!this.#appender.stage(source, start, end)) answer(await this.#appender.makeRoom(end - start));
      return true;
    } catch (error) {
      if (!(error instanceof PageStoreError && error.code === 'NODE_TOO_LARGE')) throw error;
      reject(error);
      return false;
    }
  }

  async appendAll(nodes: Iterable<Uint8Array>): Promise<RefRun[]> {
    return this.#inBatches(async (makeRoom) => {
      for (const node of nodes) {
        assertNextNode('appendMany', node, 'each of nodes');
        const { length } = node;
        while (!this.#appender.stage(node, 0, length)) {
          await makeRoom(length);
          assertLength(node, length);
        }
      }
    });
  }

  /** As {@link appendAll}, for nodes of these lengths that follow each other in `bytes` without gaps. */
  async appendPacked(bytes: Uint8Array, lengths: Uint32Array): Promise<RefRun[]> {
    return this.#inBatches(async (makeRoom) => {
      const { length } = bytes;
      let offset = 0;
      for (let next = 0; next < lengths.length;) {
        const staged = this.#appender.stageMany(bytes, offset, lengths, next, lengths.length);
        for (const end = next + staged; next < end; next++) offset += lengths[next] as number;
        if (next < lengths.length) await makeRoom(lengths[next] as number);
        assertLength(bytes, length);
      }
    });
  }

  /** As {@link appendAll}, for the nodes of these handles. */
  async appendFrom(arena: HandleSource, handles: ArrayLike<number>): Promise<RefRun[]> {
    const ranges = new NodeRanges();
    return this.#inBatches(async (makeRoom) => {
      for (let next = 0; next < handles.length;) {
        arena.locate(handles, next, handles.length, ranges);
        const { source, words, count } = ranges;
        const end = 2 * count;
        for (let at = 0; at < end;) {
          at = this.#appender.stageRanges(source, 0, words, at, end);
          if (at < end) await makeRoom(words[at + 1] as number); // at < end
        }
        next += count;
      }
    });
  }

  async #inBatches(stageAll: (makeRoom: (nodeBytes: number) => Promise<void>) => Promise<void>): Promise<RefRun[]> {
    return this.#writes.exclusive(async () => {
      const runs: RefRun[] = [];
      const add = (committed: RefRun[]): void => void runs.push(...this.#writes.dropChanged(committed));
      try {
        await stageAll(async (nodeBytes) => add(await this.#appender.makeRoom(nodeBytes)));
      } catch (error) {
        this.#appender.reset();
        throw error;
      }
      add(await this.#appender.commit());
      return joinRuns(runs);
    }, 'append');
  }
}

/** @throws TypeError if the caller transferred the bytes meanwhile: what is left of the page buffer would be stored */
function assertLength(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length)
    throw new TypeError('appendMany: the bytes of nodes were transferred before it resolved');
}
