import { setTimeout } from 'node:timers/promises';
import { PageStoreError } from '../errors.ts';
import { lockPlace } from './node-lock-place.ts';
import { loadNativeLocking, type NativeLocking, takeNativeLock } from './node-native-lock.ts';
import { takePidLock } from './node-pid-lock.ts';

/** How a writer takes the lock of a page file. Readers take none. */
export interface LockOptions {
  /** How long to wait for another writer, in seconds, fractions allowed; `Infinity` is for ever. 0 by default: not at all. */
  readonly lockTimeout?: number;
  /**
   * Whether to remove a lock that a writer has left behind that has ended, on this machine. Such a lock is there only
   * where fs-native-extensions is not; the system frees its own. Without it, such a lock is `FILE_LOCKED`.
   */
  readonly breakLock?: boolean;
  /** Ends the waiting; the reason of the signal is then thrown. */
  readonly lockSignal?: AbortSignal;
}

/** The lock of a page file's one writer. It is held until it is released, or until the process ends. */
export interface WriterLock {
  /** @throws {@link PageStoreError} `IO` */
  release(): Promise<void>;
}

/** Between two tries. By chance within these bounds, so that those who wait do not keep meeting. */
const [LEAST_PAUSE_MS, MOST_PAUSE_MS] = [20, 50];

/**
 * Takes the lock that keeps other writers from a page file, in this process as well as in others.
 * @param file - the page file; it need not exist, its folder must
 * @param load - loads the system's locks; what is undefined leaves the lock that is a file
 * @throws {@link PageStoreError} `FILE_LOCKED` where another writer holds it until the time is over, `IO`; RangeError
 * for a timeout that is no number of seconds
 */
export async function takeWriterLock(
  file: string,
  options: LockOptions = {},
  load: () => Promise<NativeLocking | undefined> = loadNativeLocking,
): Promise<WriterLock> {
  const { lockTimeout = 0, breakLock = false, lockSignal } = options;
  if (!(lockTimeout >= 0)) throw new RangeError(`${lockTimeout} is not a number of seconds to wait`);
  const deadline = performance.now() + lockTimeout * 1000;
  const place = await lockPlace(file);
  const native = await load();
  for (;;) {
    try {
      const taken = native && (await takeNativeLock(place, native, breakLock));
      return { release: taken ?? (await takePidLock(place, breakLock)) };
    } catch (error) {
      const left = deadline - performance.now();
      if (left <= 0 || !mayEnd(error)) throw error;
      await pause(Math.min(left, LEAST_PAUSE_MS + Math.random() * (MOST_PAUSE_MS - LEAST_PAUSE_MS)), lockSignal);
    }
  }
}

/** Whether waiting may help: a writer that has ended does not give its lock back. */
function mayEnd(error: unknown): boolean {
  return error instanceof PageStoreError && error.code === 'FILE_LOCKED' && error.detail.holder !== 'gone';
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  try {
    await setTimeout(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
