import type { BlockRange, ScanBatch } from './scan-batch.ts';

/** Looks at one range of blocks after the other, as a thread does; it begins with a range once it has finished the one before. */
export interface RangeScanner {
  /** Batches of the range, in order. It works on one only when it is asked for it. */
  scan(range: BlockRange): AsyncIterator<ScanBatch>;
}

/** Ranges at work, or waiting for their turn, for each scanner. */
const RANGES_AHEAD = 2;

/**
 * Has several scanners look at a file, and gives their batches in the order of the blocks. Of each range but the one
 * whose turn it is there is one batch at most, so what is kept is bounded, however much is found.
 * @param rangeBlocks - blocks in a range
 * @throws what a scanner throws, once its range has its turn; an Error for a scanner that ends before its range does
 */
export async function* scanInOrder(
  scanners: readonly RangeScanner[],
  { first, end }: BlockRange,
  rangeBlocks: number,
): AsyncGenerator<ScanBatch> {
  const idle = [...scanners];
  const running: RunningRange[] = [];
  let next = first;
  const startRanges = (): void => {
    while (next < end && running.length < RANGES_AHEAD * scanners.length) {
      const scanner = idle.shift();
      if (scanner === undefined) return;
      const range = { first: next, end: Math.min(next + rangeBlocks, end) };
      next = range.end;
      const isFinished = (): void => {
        idle.push(scanner);
        startRanges();
      };
      running.push(new RunningRange(scanner.scan(range), range, isFinished));
    }
  };
  startRanges();
  for (let range = running[0]; range !== undefined; range = running[0]) {
    const batch = await range.batch;
    if (range.isFinished) running.shift();
    else range.advance();
    startRanges();
    yield batch;
  }
}

/** A range that a scanner is at work on, or has finished. */
class RunningRange {
  readonly #batches: AsyncIterator<ScanBatch>;
  readonly #onFinish: () => void;
  #blocksLeft: number;
  #batch: Promise<ScanBatch>;

  constructor(batches: AsyncIterator<ScanBatch>, { first, end }: BlockRange, onFinish: () => void) {
    this.#batches = batches;
    this.#blocksLeft = end - first;
    this.#onFinish = onFinish;
    this.#batch = this.#take();
  }

  /** The batch that was asked for last. */
  get batch(): Promise<ScanBatch> {
    return this.#batch;
  }

  /** Whether the batch that was asked for last, which is there, is the last one. */
  get isFinished(): boolean {
    return this.#blocksLeft === 0;
  }

  /** Asks for the next batch. */
  advance(): void {
    this.#batch = this.#take();
  }

  #take(): Promise<ScanBatch> {
    const batch = this.#takeNext();
    // A failure is told when the range has its turn; until then nobody waits for it.
    batch.catch(() => undefined);
    return batch;
  }

  async #takeNext(): Promise<ScanBatch> {
    const { value, done } = await this.#batches.next();
    if (done === true) throw new Error(`a range of blocks ended ${this.#blocksLeft} blocks before its end`);
    this.#blocksLeft -= value.blocks;
    if (this.#blocksLeft === 0) this.#onFinish();
    return value;
  }
}
