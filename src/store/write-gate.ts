import type { DiskManager } from '../disk/disk-manager.ts';
import { Mutex } from './mutex.ts';
import type { NodeAppender } from './node-appender.ts';
import type { NodeReader } from './node-reader.ts';
import type { RefRun } from './page-ref.ts';

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
