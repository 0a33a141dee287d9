import { setImmediate } from 'node:timers/promises';

/** How work that may read millions of blocks can be stopped and followed. */
export interface LongWork {
  /** Stops the work between two blocks; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((blocksDone: number, blocksTotal: number) => void | Promise<void>) | undefined;
}

/** Reading the headers of so many blocks takes some milliseconds. */
const BLOCKS_PER_TURN = 1024;

/**
 * To be called for each block in a loop that reads only a few bytes of it. Now and then it gives the event loop a turn,
 * without which no signal arrives, looks at the signal, and reports progress.
 * @returns a promise only if the caller must wait
 */
export function betweenBlocks(done: number, total: number, work: LongWork): Promise<void> | undefined {
  return done % BLOCKS_PER_TURN === 0 ? turn(done, total, work) : undefined;
}

async function turn(done: number, total: number, { signal, onProgress }: LongWork): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
  await onProgress?.(done, total);
}
