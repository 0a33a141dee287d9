import { valueText } from '../arguments.ts';
import { constants, fstatSync, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, open, rm, unlink } from 'node:fs/promises';
import nodeModule from 'node:module';
import { setTimeout } from 'node:timers/promises';
import type { OptionKind } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError, isOpenFile, O_NOFOLLOW, unlessMissing, withIoError } from './node-fs.ts';
import {
  assertHolderFile,
  decodeHolder,
  encodeThisHolder,
  holderState,
  lockedError,
  type LockHolder,
  type LockPaths,
  lockPaths,
  otherNameError,
  readHolderFrom,
  readHolderText,
} from './node-lock-holder.ts';
import { pathBeside } from './node-names.ts';
import { NewFile, NO_HARD_LINKS } from './node-new-file.ts';
import { type Ownership, ownershipOf, ownershipOfStats, shareAs } from './node-owner.ts';

// A writer takes two locks. The first is of the name: a native lock on FILE.lock, which says who has it, or, where there
// are no native ones, the existence of FILE.lock.pid; each checks for the other. The second is a native lock on the page
// file itself, which has one inode under all its names. See docs/guarantees.md#the-lock.

/** How a writer takes the lock of a page file. Readers take none. */
export interface LockOptions {
  /** Seconds to wait for another writer, possibly fractional; `Infinity` waits forever. Default 0. */
  readonly lockTimeout?: number;
  /** Whether to remove a FILE.lock.pid whose process on this machine has ended. Default: `FILE_LOCKED`. */
  readonly breakLock?: boolean;
  /** Stops waiting; the reason of the signal is thrown. */
  readonly lockSignal?: AbortSignal;
  /**
   * Called before each pause while another writer has the file, several times a second. What it throws ends the waiting.
   * @param locked - the `FILE_LOCKED` error that would be thrown without waiting @param seconds - waited so far
   */
  readonly onLockWait?: (locked: PageStoreError, seconds: number) => void | Promise<void>;
}

export const LOCK_OPTION_KINDS: Readonly<Record<keyof LockOptions, OptionKind>> = {
  lockTimeout: 'seconds',
  breakLock: 'boolean',
  lockSignal: 'signal',
  onLockWait: 'function',
};

/** The lock of a name. Closing the page file releases the lock of the file. */
export interface WriterLock {
  /**
   * @param isUnused - for a command that has left nothing else: removes FILE.lock if this lock created it, or there is no
   * page file
   */
  release(isUnused?: boolean): Promise<void>;
}

/** An open file. */
export interface Lockable {
  readonly fd: number;
}

/** What a writer locks besides the name. */
export interface LockedFiles {
  /** The path of the page file with symbolic links followed. Default: where it leads when the lock is taken. */
  readonly target?: string;
  /** Of the page file, if it is known. */
  readonly ownership?: Ownership;
  /** Open for writing; stay locked until they are closed. Default: none, which locks the name alone. */
  readonly handles?: readonly Lockable[];
}

/** Random, so that waiting processes do not stay in step. */
const [MIN_PAUSE_MS, MAX_PAUSE_MS] = [20, 50];

/**
 * Takes the locks that exclude other writers, in this process and in others. The directory of `file` must exist.
 * @param load - loads native locking; if that is undefined, the only lock is FILE.lock.pid
 * @throws {@link PageStoreError} `FILE_LOCKED` after the timeout, `IO`; RangeError for an invalid timeout
 */
export async function takeWriterLock(
  file: string,
  options: LockOptions = {},
  load: () => Promise<NativeLocking | undefined> = loadNativeLocking,
  { target, handles = [], ownership = ownershipOfFirst(handles) }: LockedFiles = {},
): Promise<WriterLock> {
  const { lockTimeout = 0, breakLock = false } = options;
  if (!(lockTimeout >= 0))
    throw new RangeError(`lockTimeout must be a number of seconds of at least 0, not ${valueText(lockTimeout)}`);
  const start = performance.now();
  const paths = await lockPaths(file, target);
  const native = await load();
  const shared = ownership ?? (await ownershipOf(paths.target));
  const lock = await untilFree(start, options, async () => {
    const nativeLock = native && (await takeNativeLock(paths, native, breakLock, shared));
    return nativeLock ?? (await takePidLock(paths, breakLock, shared));
  });
  try {
    if (native) await untilFree(start, options, async () => lockFiles(paths, native, handles));
    return lock;
  } catch (error) {
    await lock.release(true);
    throw error;
  }
}

/** A new page file has no name yet. */
function ownershipOfFirst([first]: readonly Lockable[]): Ownership | undefined {
  return first && ownershipOfStats(fstatSync(first.fd));
}

/** Repeats an attempt that fails with `FILE_LOCKED` until the time is over. @param start - when the waiting began */
async function untilFree<T>(start: number, options: LockOptions, attempt: () => Promise<T>): Promise<T> {
  const { lockTimeout = 0, lockSignal, onLockWait } = options;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isLocked = error instanceof PageStoreError && error.code === 'FILE_LOCKED';
      const waited = performance.now() - start;
      const left = lockTimeout * 1000 - waited;
      // A process that has ended never releases its lock.
      if (!isLocked || error.detail.holder === 'gone' || left <= 0) throw error;
      await onLockWait?.(error, waited / 1000);
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

/** Of FILE.lock, far after the text: on Windows no other process can read a locked byte. */
const LOCKED_BYTE = 2 ** 30;
/** Of the page file, whose data ends at 2^42 at the most. */
export const LOCKED_PAGE_FILE_BYTE: number = 2 ** 52;

/**
 * The file system has no locks, or there are none for this file or this process. A lock that is held is EAGAIN on all
 * systems that there is native locking for.
 */
const NO_LOCKS: readonly string[] = [
  'ENOLCK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EINVAL',
  'ENOTTY',
  'EACCES',
  'EPERM',
  'EBADF',
  'EOVERFLOW',
];

/**
 * Locks a new page file before it gets its name, by a writer that has the lock of the name: see {@link takeWriterLock}.
 * @throws {@link PageStoreError} `FILE_LOCKED`, `IO`
 */
export async function lockNewFile(file: string, target: string, handle: Lockable): Promise<void> {
  const native = await loadNativeLocking();
  if (native) lockFiles(await lockPaths(file, target), native, [handle]);
}

/**
 * Locks page files. The system releases the locks when the files are closed, or their process ends.
 * @throws {@link PageStoreError} `FILE_LOCKED`, `IO`
 */
function lockFiles(paths: LockPaths, native: NativeLocking, handles: readonly Lockable[]): void {
  for (const handle of handles) {
    try {
      // A file system without locks is left to the lock of the name.
      if (tryLock(native, handle, LOCKED_PAGE_FILE_BYTE) === false) throw otherNameError(paths);
    } catch (error) {
      throw ioError(paths.file, 'lock', error);
    }
  }
}

/** @returns the lock of FILE.lock, undefined where the file system has no locks */
async function takeNativeLock(
  paths: LockPaths,
  native: NativeLocking,
  breakLock: boolean,
  ownership: Ownership | undefined,
): Promise<WriterLock | undefined> {
  const { handle, isNew, stats } = await openLockFile(paths, ownership);
  try {
    const isTaken = tryLock(native, handle, LOCKED_BYTE);
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
      return await takeNativeLock(paths, native, breakLock, ownership);
    }
  } catch (error) {
    await handle.close();
    throw ioError(paths.lockFile, 'lock', error);
  }
  const release = (isUnused: boolean = false): Promise<void> =>
    withIoError(paths.lockFile, 'unlock', async () => {
      try {
        if (isUnused) await removeUnused(paths, handle, isNew);
        await handle.truncate(0);
        native.unlock(handle.fd, LOCKED_BYTE, 1);
      } finally {
        // Closing the file releases the lock in any case.
        await handle.close();
      }
    });
  const settle = async (): Promise<void> => {
    await withIoError(paths.lockFile, 'lock', async () => {
      await writeHolder(handle);
      if (ownership && stats) await shareLockFile(handle, stats, ownership);
    });
    await assertNoPidHolder(paths, breakLock);
  };
  return releasedUnless(settle(), { release });
}

/**
 * Removes FILE.lock, whose lock is held, if nothing needs it: it is new, or a command that was killed has left it without a
 * page file. A process that has opened it meanwhile finds that the name is gone, and creates another one.
 */
async function removeUnused({ target, lockFile }: LockPaths, handle: FileHandle, isNew: boolean): Promise<void> {
  if (!isNew && (await unlessMissing(lstat(target))) !== undefined) return;
  // What has the name since somebody deleted it may be the lock of another process.
  if (await isOpenFile(lockFile, handle)) await unlessMissing(unlink(lockFile));
}

/** Releases the lock if `check` fails. */
async function releasedUnless(check: Promise<void>, lock: WriterLock): Promise<WriterLock> {
  try {
    await check;
    return lock;
  } catch (error) {
    await lock.release(true).catch(() => undefined); // report the first error
    throw error;
  }
}

/** @returns undefined where the file system has no locks */
function tryLock(native: NativeLocking, handle: Lockable, byte: number): boolean | undefined {
  try {
    return native.tryLock(handle.fd, byte, 1);
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

interface LockFile {
  readonly handle: FileHandle;
  readonly isNew: boolean;
  /** Of a file that was there. */
  readonly stats?: Stats;
}

/** Opens FILE.lock, or creates it for all who may write the page file. */
async function openLockFile({ lockFile }: LockPaths, ownership: Ownership | undefined): Promise<LockFile> {
  const flags = constants.O_RDWR | O_NOFOLLOW;
  let handle: FileHandle | undefined;
  try {
    handle = await unlessMissing(open(lockFile, flags).catch(rethrowDenied(lockFile)));
    if (handle === undefined) return await createLockFile(lockFile, flags, ownership);
    return { handle, isNew: false, stats: await assertHolderFile(lockFile, handle) };
  } catch (error) {
    await handle?.close();
    throw ioError(lockFile, 'open the lock file', error);
  }
}

/** For a lock file of another user: made by a user who could not share it, or before the page file was given away. */
function rethrowDenied(lockFile: string): (error: unknown) => never {
  return (error) => {
    const errno = errnoOf(error);
    if (errno !== 'EACCES' && errno !== 'EPERM') throw error;
    const message = `open the lock file: permission denied (${errno}); if it is of another user, that user or root can share it by running a command that writes, or delete it while no writer runs`;
    throw new PageStoreError('IO', message, { file: lockFile, errno }, error);
  };
}

/**
 * Shares a lock file that is older than the owner or the mode of the page file. Only once it has the text of a lock: what
 * has that name could have been another file.
 */
async function shareLockFile(handle: FileHandle, stats: Stats, ownership: Ownership): Promise<void> {
  const { uid, gid, mode, nlink } = stats;
  const isShared = uid === ownership.owner.uid && gid === ownership.owner.gid && (ownership.mode & 0o666 & ~mode) === 0;
  if (!isShared && nlink === 1) await shareAs(handle, ownership, 'lock');
}

async function createLockFile(lockFile: string, flags: number, ownership: Ownership | undefined): Promise<LockFile> {
  let handle: FileHandle;
  try {
    const mode = ownership === undefined ? 0o666 : (ownership.mode & 0o666) | 0o600;
    handle = await open(lockFile, flags | constants.O_CREAT | constants.O_EXCL, mode);
  } catch (error) {
    // Another writer has created it since.
    if (errnoOf(error) === 'EEXIST') return { handle: await open(lockFile, flags), isNew: false };
    throw error;
  }
  try {
    if (ownership) await shareAs(handle, ownership, 'lock');
    return { handle, isNew: true };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function takePidLock(
  paths: LockPaths,
  breakLock: boolean,
  ownership: Ownership | undefined,
): Promise<WriterLock> {
  await assertNoPidHolder(paths, breakLock);
  const text = await encodeThisHolder();
  if (!(await publishHolder(paths.pidFile, text, ownership))) {
    await assertNoPidHolder(paths, false);
    // The file has been removed since: the next attempt may succeed.
    throw lockedError(paths, undefined, 'running', paths.pidFile);
  }
  return releasedUnless(assertNoNativeHolder(paths), { release: () => releasePidLock(paths.pidFile, text) });
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
 * guard, a hard link to the lock, does it; a late process links a newer lock, sees other content, and leaves it. Where there
 * are no hard links, the guard is an empty file.
 * @throws {@link PageStoreError} `FILE_LOCKED` while another process does it, `IO`
 */
export async function breakPidLock({ file, pidFile }: LockPaths, text: string, holder: LockHolder): Promise<void> {
  const guard = pathBeside(pidFile, `.${holder.pid}-${holder.startTime?.split('@')[0] ?? 'unknown'}.gone`);
  let isLink = true;
  try {
    await link(pidFile, guard).catch(async (error: unknown) => {
      if (!NO_HARD_LINKS.includes(errnoOf(error))) throw error;
      isLink = false;
      await (await open(guard, 'wx')).close();
    });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'EEXIST') throw ioError(pidFile, 'link', error);
    const message = `another process is removing the lock of a writer that has ended; if none is, delete ${guard}`;
    throw new PageStoreError('FILE_LOCKED', message, { file, holder: 'unknown' });
  }
  try {
    if ((await readHolderText(isLink ? guard : pidFile)) === text) await unlink(pidFile);
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
async function publishHolder(path: string, text: string, ownership: Ownership | undefined): Promise<boolean> {
  let file: NewFile | undefined;
  try {
    file = await NewFile.open(path);
    try {
      if (ownership) await shareAs(file.handle, ownership, 'lock');
      await file.handle.writeFile(text);
    } finally {
      await file.handle.close();
    }
    await file.publish(false);
    await file.confirm();
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
