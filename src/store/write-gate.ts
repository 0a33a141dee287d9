import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { nodeOf, resealedHead } from '../format/page.ts';
import type { NodeAppender } from './appender.ts';
import { assertSlot, type NodeReader, readSoundPage } from './page-reader.ts';
import type { PageRef, RefRun } from './page-ref.ts';

/** Runs asynchronous work one piece after the other, in the order in which it was asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  #pieces = 0;

  /** Whether some work is under way, or waits for its turn. */
  get isBusy(): boolean {
    return this.#pieces > 0;
  }

  /** Begins the work in a later turn, never at once. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#pieces++;
    const before = this.#last;
    // The next piece of work waits for this one and does not care how it ended; its caller does.
    let end: (() => void) | undefined;
    this.#last = new Promise<void>((resolve) => (end = resolve));
    await before;
    try {
      return await work();
    } finally {
      this.#pieces--;
      end?.();
    }
  }
}

/** Lets one write in at a time, and none beside nodes that are staged; and tells the others what it has changed. */
export class WriteGate {
  readonly #disk: DiskManager;
  readonly #appender: NodeAppender;
  readonly #reader: NodeReader;
  readonly #mutex = new Mutex();

  constructor(disk: DiskManager, appender: NodeAppender, reader: NodeReader) {
    this.#disk = disk;
    this.#appender = appender;
    this.#reader = reader;
  }

  /** @throws TypeError while a write is under way, and {@link PageStoreError} where the file takes none */
  assertMayStage(): void {
    if (this.#mutex.isBusy) throw new TypeError('a write is under way: await it before nodes are staged');
    this.#disk.assertWritable();
  }

  /** Does work that goes on with what is staged. @returns what it made durable */
  async staged(work: () => Promise<RefRun[]>): Promise<RefRun[]> {
    return this.#mutex.run(async () => {
      this.#disk.assertWritable();
      return this.appended(await work());
    });
  }

  /** Does work that has the appender to itself. @throws TypeError while nodes are staged, and as {@link assertMayStage} */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      this.#disk.assertWritable();
      if (this.#appender.stagedNodes > 0) throw new TypeError('nodes are staged: commit them first');
      return work();
    });
  }

  /** Does work once no write is under way, whatever is staged. */
  async last(work: () => Promise<void>): Promise<void> {
    await this.#mutex.run(work);
  }

  /** Pages have got nodes. */
  readonly appended = (runs: RefRun[]): RefRun[] => {
    for (const run of runs) this.#reader.drop(run.block);
    return runs;
  };

  /** Does work that changes pages behind the appender's back. @param block - the only one, if it is one */
  async change<T>(work: () => Promise<T>, block?: number): Promise<T> {
    this.#forget(block);
    try {
      return await work();
    } finally {
      // Reads beside it may have kept what was there before.
      this.#forget(block);
    }
  }

  #forget(block?: number): void {
    this.#appender.reset();
    if (block === undefined) this.#reader.clear();
    else this.#reader.drop(block);
  }
}

/**
 * Writes a node over one of the same length, durably: a crash leaves the old node or the new one. It is the one change
 * of the store that overwrites committed bytes.
 * @throws {@link PageStoreError} `NODE_LENGTH`, and as {@link readSoundPage}
 */
export async function updateNode(disk: DiskManager, ref: PageRef, node: Uint8Array): Promise<void> {
  const { block, slot } = ref;
  const page = await readSoundPage(disk, block);
  assertSlot(disk, page, ref);
  const old = nodeOf(page, slot);
  if (old.length !== node.length) {
    const message = `the node at ${block}:${slot} has ${old.length} bytes and can be replaced by as many, not ${node.length}`;
    throw new PageStoreError('NODE_LENGTH', message, { file: disk.name, block, slot });
  }
  const image = page.block.slice();
  old.set(node);
  const start = page.directory.nodeOffset(slot);
  const changed = { start, end: start + node.length };
  await disk.overwrite({ block, image, bytes: node, changed, head: resealedHead(page) });
}
