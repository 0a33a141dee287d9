import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { nodeOf, recomputePageHeader } from '../format/page.ts';
import type { NodeAppender } from './appender.ts';
import { assertSlot, type NodeReader, readValidPage } from './page-reader.ts';
import type { PageRef, RefRun } from './page-ref.ts';

/** Serializes writers, refuses other writes while nodes are staged, and invalidates the page cache and the appender's page. */
export class WriteGate {
  readonly #disk: DiskManager;
  readonly #appender: NodeAppender;
  readonly #reader: NodeReader;
  #last: Promise<unknown> = Promise.resolve();
  /** Writes that are running or waiting. */
  #writes = 0;

  constructor(disk: DiskManager, appender: NodeAppender, reader: NodeReader) {
    this.#disk = disk;
    this.#appender = appender;
    this.#reader = reader;
  }

  /** @throws TypeError during another write */
  assertMayStage(): void {
    if (this.#writes > 0) throw new TypeError('another write is in progress: await it before you stage nodes');
    this.#disk.assertWritable();
  }

  /** Runs work on the staged nodes. @returns the runs that it committed */
  async continueStaged(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    return this.whenIdle(async () => {
      this.#disk.assertWritable();
      return this.dropChanged(await work());
    });
  }

  /** Runs a write of its own. @throws TypeError while nodes are staged */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.whenIdle(async () => {
      this.#disk.assertWritable();
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

  /** Drops pages that got nodes from the page cache. */
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

/** The implementation of `PageStore.update`. No other change of the store overwrites committed bytes. */
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
  await disk.overwrite({ block, image, bytes: node, changed, head: recomputePageHeader(page) });
}
