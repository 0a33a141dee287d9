import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError } from './io-error.ts';
import { decodeHolder, encodeHolder, thisHolder } from './node-lock-holder.ts';
import { assertHolderFile, lockedError, type LockPlace, readHolderFrom } from './node-lock-place.ts';
import { refusePidHolder } from './node-pid-lock.ts';

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
