import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError } from './node-fs.ts';
import {
  assertHolderFile,
  decodeHolder,
  encodeHolder,
  lockedError,
  type LockPlace,
  lockPlace,
  readHolderFrom,
  thisHolder,
} from './node-lock-file.ts';
import { refusePidHolder, takePidLock } from './node-pid-lock.ts';

/** What is used of fs-native-extensions: a lock of an open file, which the system frees when the file is closed. */
export interface NativeLocking {
  /** @returns false where another open file holds it; throws an error with an errno name as its `code` */
  tryLock(fd: number, offset: number, length: number): boolean;
  unlock(fd: number, offset: number, length: number): void;
}

/** Loads the module; undefined where it is not installed, or has nothing for this platform. */
export async function loadNativeLocking(): Promise<NativeLocking | undefined> {
  try {
    return await import('fs-native-extensions');
  } catch {
    return undefined; // whatever keeps it from loading: the lock that needs no module takes its place
  }
}

/** The byte that is locked. It is far behind the text, since on Windows nobody else can read a byte that is locked. */
const LOCKED_BYTE = 2 ** 30;

/** What a file system answers that has no such locks. */
const NO_LOCKS: readonly string[] = ['ENOLCK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'];

/**
 * Takes the system's lock on the sidecar.
 * @returns what gives it back; undefined where the file system has no locks
 * @throws {@link PageStoreError} `FILE_LOCKED`, `IO`
 */
export async function takeNativeLock(
  place: LockPlace,
  native: NativeLocking,
  breakLock: boolean,
): Promise<(() => Promise<void>) | undefined> {
  const handle = await openSidecar(place);
  try {
    const taken = tryLock(native, handle);
    if (taken === false) {
      throw lockedError(place, decodeHolder(await readHolderFrom(handle)), 'running', place.sidecar);
    }
    if (taken === undefined) {
      await handle.close();
      return undefined;
    }
    if (!(await isNamed(place.sidecar, handle))) {
      // Somebody deleted the sidecar meanwhile: a lock on a file without a name excludes nobody.
      await handle.close();
      return await takeNativeLock(place, native, breakLock);
    }
    await sayWhoHolds(handle);
  } catch (error) {
    await handle.close();
    throw error instanceof PageStoreError ? error : ioError(place.sidecar, 'lock', error);
  }
  const release = (): Promise<void> => giveBack(place, native, handle);
  try {
    await refusePidHolder(place, breakLock);
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

/** @returns undefined where the file system has no locks */
function tryLock(native: NativeLocking, handle: FileHandle): boolean | undefined {
  try {
    return native.tryLock(handle.fd, LOCKED_BYTE, 1);
  } catch (error) {
    if (NO_LOCKS.includes(errnoOf(error))) return undefined;
    throw error;
  }
}

/** On a full disk the lock does without: what frees space there takes the lock as well. */
async function sayWhoHolds(handle: FileHandle): Promise<void> {
  await handle.truncate(0);
  try {
    await handle.write(encodeHolder(await thisHolder()), 0);
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(error))) throw error;
  }
}

async function giveBack({ sidecar }: LockPlace, native: NativeLocking, handle: FileHandle): Promise<void> {
  try {
    try {
      await handle.truncate(0);
      native.unlock(handle.fd, LOCKED_BYTE, 1);
    } finally {
      // Closing frees the lock in any case.
      await handle.close();
    }
  } catch (error) {
    throw ioError(sidecar, 'unlock', error);
  }
}

/** Opens the sidecar. A new one may be opened by those who may open the page file. */
async function openSidecar({ sidecar, target }: LockPlace): Promise<FileHandle> {
  // Not through a symbolic link: somebody could have made one that leads to a file worth having.
  const flags = constants.O_RDWR | ((constants.O_NOFOLLOW as number | undefined) ?? 0);
  let handle: FileHandle | undefined;
  try {
    handle = await openOrCreate(sidecar, target, flags);
    await assertHolderFile(sidecar, handle);
    return handle;
  } catch (error) {
    await handle?.close();
    throw error instanceof PageStoreError ? error : ioError(sidecar, 'open the lock file', error);
  }
}

async function openOrCreate(sidecar: string, target: string, flags: number): Promise<FileHandle> {
  try {
    return await open(sidecar, flags);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  try {
    const handle = await open(sidecar, flags | constants.O_CREAT | constants.O_EXCL, 0o666);
    const mode = await modeOf(target);
    if (mode !== undefined) await handle.chmod(mode | 0o600);
    return handle;
  } catch (error) {
    // Another writer was faster.
    if (errnoOf(error) === 'EEXIST') return open(sidecar, flags);
    throw error;
  }
}

/** Who may read and write a file; undefined where there is none yet. */
async function modeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mode }) => mode & 0o666,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
}

async function isNamed(path: string, handle: FileHandle): Promise<boolean> {
  const own = await handle.stat();
  return stat(path).then(
    ({ dev, ino }) => dev === own.dev && ino === own.ino,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}

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
