import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError } from './io-error.ts';
import { describeHolder, type HolderState, type LockHolder } from './node-lock-holder.ts';

/** More than any holder writes about itself: what is longer is somebody else's file. */
const MOST_HOLDER_BYTES = 4096;

/** The names that the writers of a page file meet at. */
export interface LockPlace {
  /** The page file, as the caller named it. */
  readonly file: string;
  /** The page file itself, behind all symbolic links. */
  readonly target: string;
  /** The file that the system's lock is on. It stays: a lock on a name that comes and goes excludes nobody. */
  readonly sidecar: string;
  /** The file whose presence is the lock where there is no lock of the system. */
  readonly pidFile: string;
}

/**
 * Where the writers of a file meet, whatever path each of them was given. The file need not exist; its folder must.
 * @throws {@link PageStoreError} `IO`
 */
export async function lockPlace(file: string): Promise<LockPlace> {
  const target = await realpath(file).catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw ioError(file, 'open', error);
    const folder = await realpath(dirname(file)).catch((cause: unknown) => {
      throw ioError(file, 'open', cause);
    });
    return join(folder, basename(file));
  });
  return { file, target, sidecar: `${target}.lock`, pidFile: `${target}.lock.pid` };
}

/**
 * The error of a writer that has to wait.
 * @param where - what a person may delete where nobody can tell whether the holder runs
 */
export function lockedError(
  { file }: LockPlace,
  holder: LockHolder | undefined,
  state: HolderState,
  where: string,
): PageStoreError {
  const who = holder === undefined ? `${where} does not say who` : describeHolder(holder);
  const messages: Readonly<Record<HolderState, string>> = {
    running: `another writer holds the lock: ${who}`,
    gone: `a writer that has ended left its lock ${where}: ${who}`,
    unknown: `another writer holds the lock: ${who}; whether it still runs cannot be told from here, and if it does not, delete ${where}`,
  };
  return new PageStoreError('FILE_LOCKED', messages[state], { file, holder: state });
}

/** Reads a file that says who holds a lock; undefined where there is none. @throws {@link PageStoreError} `IO` */
export async function readHolderText(path: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | noWaiting);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw ioError(path, 'open', error);
  }
  try {
    return await readHolderFrom(handle);
  } catch (error) {
    throw ioError(path, 'read', error);
  } finally {
    await handle.close();
  }
}

/** Opening a pipe would wait for somebody at its other end. Windows has neither. */
const noWaiting = (constants.O_NONBLOCK as number | undefined) ?? 0;

export async function readHolderFrom(handle: FileHandle): Promise<string> {
  const bytes = Buffer.alloc(MOST_HOLDER_BYTES);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, bytesRead);
}

/** @throws {@link PageStoreError} `IO` where what has the name of a lock file is something else, which writing would destroy */
export async function assertHolderFile(path: string, handle: FileHandle): Promise<void> {
  const stats = await handle.stat();
  if (stats.isFile() && stats.size <= MOST_HOLDER_BYTES) return;
  throw new PageStoreError('IO', 'this is no lock file, and a writer needs the name for one; move it away', {
    file: path,
  });
}
