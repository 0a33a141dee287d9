import { constants } from 'node:fs';
import { type FileHandle, link, open, rm, stat, unlink } from 'node:fs/promises';
import nodeModule from 'node:module';
import { setTimeout } from 'node:timers/promises';
import type { OptionKind } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError, isOpenFile, NewFile, O_NOFOLLOW, unlessMissing, withIoError } from './node-fs.ts';
import {
  assertHolderFile,
  decodeHolder,
  encodeThisHolder,
  holderState,
  lockedError,
  type LockHolder,
  type LockPaths,
  lockPaths,
  readHolderFrom,
  readHolderText,
} from './node-lock-holder.ts';

// A writer takes a native lock on FILE.lock or, where there is none, creates FILE.lock.pid. Each checks for the other.

/** How a writer takes the lock of a page file. Readers take none. */
export interface LockOptions {
  /** Seconds to wait for another writer, possibly fractional; `Infinity` waits forever. Default 0. */
  readonly lockTimeout?: number;
  /** Whether to remove a FILE.lock.pid whose process on this machine has ended. Default: `FILE_LOCKED`. */
  readonly breakLock?: boolean;
  /** Stops waiting; the reason of the signal is thrown. */
  readonly lockSignal?: AbortSignal;
}

export const LOCK_OPTION_KINDS: Readonly<Record<keyof LockOptions, OptionKind>> = {
  lockTimeout: 'seconds',
  breakLock: 'boolean',
  lockSignal: 'signal',
};

export interface WriterLock {
  release(): Promise<void>;
}

/** Random, so that waiting processes do not stay in step. */
const [MIN_PAUSE_MS, MAX_PAUSE_MS] = [20, 50];

/**
 * Takes the lock that excludes other writers, in this process and in others. The directory of `file` must exist.
 * @param load - loads native locking; if that is undefined, the lock is FILE.lock.pid
 * @throws {@link PageStoreError} `FILE_LOCKED` after the timeout, `IO`; RangeError for an invalid timeout
 */
export async function takeWriterLock(
  file: string,
  options: LockOptions = {},
  load: () => Promise<NativeLocking | undefined> = loadNativeLocking,
): Promise<WriterLock> {
  const { lockTimeout = 0, breakLock = false, lockSignal } = options;
  if (!(lockTimeout >= 0))
    throw new RangeError(`lockTimeout must be a number of seconds of at least 0, not ${String(lockTimeout)}`);
  const deadline = performance.now() + lockTimeout * 1000;
  const paths = await lockPaths(file);
  const native = await load();
  for (;;) {
    try {
      const release = native && (await takeNativeLock(paths, native, breakLock));
      return { release: release ?? (await takePidLock(paths, breakLock)) };
    } catch (error) {
      const isLocked = error instanceof PageStoreError && error.code === 'FILE_LOCKED';
      const left = deadline - performance.now();
      // A process that has ended never releases its lock.
      if (!isLocked || error.detail.holder === 'gone' || left <= 0) throw error;
      await pause(Math.min(left, MIN_PAUSE_MS + Math.random() * (MAX_PAUSE_MS - MIN_PAUSE_MS)), lockSignal);
    }
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, signal && { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** The used part of fs-native-extensions. The system releases a lock when its file is closed. */
export interface NativeLocking {
  /** @returns false where another open file holds the lock; throws an error with an errno name as its `code` */
  tryLock(fd: number, offset: number, length: number): boolean;
  unlock(fd: number, offset: number, length: number): void;
}

/** Undefined where the module is not installed or does not support the platform. */
export async function loadNativeLocking(): Promise<NativeLocking | undefined> {
  try {
    // On Node 22, import() may yield an empty module where the package is a symbolic link, as pnpm makes it.
    return nodeModule.createRequire(import.meta.url)('fs-native-extensions') as NativeLocking;
  } catch {
    return undefined; // whatever the reason, FILE.lock.pid works without the module
  }
}

/** Far after the text: on Windows no other process can read a locked byte. */
const LOCKED_BYTE = 2 ** 30;

const NO_LOCKS: readonly string[] = ['ENOLCK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'];

/** @returns the function that releases the lock of FILE.lock, undefined where the file system has no locks */
async function takeNativeLock(
  paths: LockPaths,
  native: NativeLocking,
  breakLock: boolean,
): Promise<(() => Promise<void>) | undefined> {
  const handle = await openLockFile(paths);
  try {
    const isTaken = tryLock(native, handle);
    if (isTaken === false) {
      throw lockedError(paths, decodeHolder(await readHolderFrom(handle)), 'running', paths.lockFile);
    }
    if (isTaken === undefined) {
      await handle.close();
      return undefined;
    }
    if (!(await isOpenFile(paths.lockFile, handle))) {
      // The file was deleted meanwhile: a lock on a file without a name excludes no process.
      await handle.close();
      return await takeNativeLock(paths, native, breakLock);
    }
    await writeHolder(handle);
  } catch (error) {
    await handle.close();
    throw ioError(paths.lockFile, 'lock', error);
  }
  const release = (): Promise<void> =>
    withIoError(paths.lockFile, 'unlock', async () => {
      try {
        await handle.truncate(0);
        native.unlock(handle.fd, LOCKED_BYTE, 1);
      } finally {
        // Closing the file releases the lock in any case.
        await handle.close();
      }
    });
  return releasedUnless(assertNoPidHolder(paths, breakLock), release);
}

/** Calls `release` if `check` fails. */
async function releasedUnless(check: Promise<void>, release: () => Promise<void>): Promise<() => Promise<void>> {
  try {
    await check;
    return release;
  } catch (error) {
    await release();
    throw error;
  }
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

/** Leaves the text out on a full disk: `free`, which makes space there, needs the lock too. */
async function writeHolder(handle: FileHandle): Promise<void> {
  await handle.truncate(0);
  try {
    await handle.write(await encodeThisHolder(), 0);
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(error))) throw error;
  }
}

/** Opens or creates FILE.lock, with the permissions of the page file. */
async function openLockFile({ lockFile, target }: LockPaths): Promise<FileHandle> {
  const flags = constants.O_RDWR | O_NOFOLLOW;
  let handle: FileHandle | undefined;
  try {
    handle = await unlessMissing(open(lockFile, flags));
    handle ??= await createLockFile(lockFile, target, flags);
    await assertHolderFile(lockFile, handle);
    return handle;
  } catch (error) {
    await handle?.close();
    throw ioError(lockFile, 'open the lock file', error);
  }
}

async function createLockFile(lockFile: string, target: string, flags: number): Promise<FileHandle> {
  try {
    const handle = await open(lockFile, flags | constants.O_CREAT | constants.O_EXCL, 0o666);
    const stats = await unlessMissing(stat(target));
    if (stats) await handle.chmod((stats.mode & 0o666) | 0o600);
    return handle;
  } catch (error) {
    // Another writer has created it since.
    if (errnoOf(error) === 'EEXIST') return open(lockFile, flags);
    throw error;
  }
}

async function takePidLock(paths: LockPaths, breakLock: boolean): Promise<() => Promise<void>> {
  await assertNoPidHolder(paths, breakLock);
  const text = await encodeThisHolder();
  if (!(await publishHolder(paths.pidFile, text))) {
    await assertNoPidHolder(paths, false);
    // The file has been removed since: the next attempt may succeed.
    throw lockedError(paths, undefined, 'running', paths.pidFile);
  }
  return releasedUnless(assertNoNativeHolder(paths), () => releasePidLock(paths.pidFile, text));
}

/** @param breakLock - whether to remove a lock whose holder has ended @throws {@link PageStoreError} `FILE_LOCKED`, `IO` */
async function assertNoPidHolder(paths: LockPaths, breakLock: boolean): Promise<void> {
  const { pidFile } = paths;
  const text = await readHolderText(pidFile);
  if (text === undefined) return;
  const holder = decodeHolder(text);
  const state = holder ? await holderState(holder) : 'unknown';
  if (!holder || state !== 'gone') throw lockedError(paths, holder, state, pidFile);
  // The holder may have removed its lock before it ended.
  if ((await readHolderText(pidFile)) !== text) return assertNoPidHolder(paths, breakLock);
  if (!breakLock) throw lockedError(paths, holder, state, pidFile);
  await breakPidLock(paths, text, holder);
  return assertNoPidHolder(paths, false);
}

/**
 * Removes FILE.lock.pid if it still has the content `text`, of a holder that has ended. Only the process that creates the
 * guard, a hard link to the lock, does it; a late process links a newer lock, sees other content, and leaves it.
 * @throws {@link PageStoreError} `FILE_LOCKED` while another process does it, `IO`
 */
export async function breakPidLock({ file, pidFile }: LockPaths, text: string, holder: LockHolder): Promise<void> {
  const guard = `${pidFile}.${holder.pid}-${holder.startTime?.split('@')[0] ?? 'unknown'}.gone`;
  try {
    await link(pidFile, guard);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'EEXIST') throw ioError(pidFile, 'link', error);
    const message = `another process is removing the lock of a writer that has ended; if none is, delete ${guard}`;
    throw new PageStoreError('FILE_LOCKED', message, { file, holder: 'unknown' });
  }
  try {
    if ((await readHolderText(guard)) === text) await unlink(pidFile);
  } catch (error) {
    throw ioError(pidFile, 'unlink', error);
  } finally {
    await rm(guard, { force: true });
  }
}

/** A holder of the native lock writes its name into FILE.lock before it checks FILE.lock.pid. */
async function assertNoNativeHolder(paths: LockPaths): Promise<void> {
  const holder = decodeHolder((await readHolderText(paths.lockFile)) ?? '');
  if (holder === undefined) return;
  const state = await holderState(holder);
  // The system has released the lock of a process that has ended.
  if (state !== 'gone') throw lockedError(paths, holder, state, paths.lockFile);
}

/** Creates a file that appears complete. @returns false if it exists */
async function publishHolder(path: string, text: string): Promise<boolean> {
  let file: NewFile | undefined;
  try {
    file = await NewFile.open(path);
    try {
      await file.handle.writeFile(text);
    } finally {
      await file.handle.close();
    }
    await file.publish(false);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw ioError(path, 'create', error);
  } finally {
    await file?.discard();
  }
}

/** Leaves a lock that was deleted by hand and taken by another process since. */
async function releasePidLock(path: string, text: string): Promise<void> {
  if ((await readHolderText(path)) !== text) return;
  await withIoError(path, 'unlink', () => unlessMissing(unlink(path)));
}
