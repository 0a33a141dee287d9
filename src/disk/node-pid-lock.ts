import { randomUUID } from 'node:crypto';
import { link, rm, unlink, writeFile } from 'node:fs/promises';
import { PageStoreError } from '../errors.ts';
import { errnoOf, ioError } from './node-fs.ts';
import { decodeHolder, encodeHolder, holderState, type LockHolder, thisHolder } from './node-lock-file.ts';
import { lockedError, type LockPlace, readHolderText } from './node-lock-file.ts';

// The lock where the system's cannot be had: a file that only one process can create. A process that is killed
// leaves it behind, and only a person who asks for it (`breakLock`) has it removed.

/**
 * Takes the lock.
 * @returns what gives it back
 * @throws {@link PageStoreError} `FILE_LOCKED`, `IO`
 */
export async function takePidLock(place: LockPlace, breakLock: boolean): Promise<() => Promise<void>> {
  await refusePidHolder(place, breakLock);
  const text = encodeHolder(await thisHolder());
  if (!(await publish(place.pidFile, text))) {
    await refusePidHolder(place, false);
    // It was there, and is not any more: whoever waits comes again.
    throw lockedError(place, undefined, 'running', place.pidFile);
  }
  const release = (): Promise<void> => withdraw(place.pidFile, text);
  try {
    await refuseNativeHolder(place);
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

/**
 * Throws where a process holds the lock that is a file.
 * @param breakLock - whether to remove a lock whose holder has ended
 * @throws {@link PageStoreError} `FILE_LOCKED`, `IO`
 */
export async function refusePidHolder(place: LockPlace, breakLock: boolean): Promise<void> {
  const { pidFile } = place;
  const text = await readHolderText(pidFile);
  if (text === undefined) return;
  const holder = decodeHolder(text);
  const state = holder === undefined ? 'unknown' : await holderState(holder);
  if (holder === undefined || state !== 'gone') throw lockedError(place, holder, state, pidFile);
  // Read again: a holder that ended in between has taken its lock with it.
  if ((await readHolderText(pidFile)) !== text) return refusePidHolder(place, breakLock);
  if (!breakLock) throw lockedError(place, holder, state, pidFile);
  await breakPidLock(place, text, holder);
  return refusePidHolder(place, false);
}

/**
 * Removes the lock of a holder that has ended. Of several that try, one does it: the guard, a second name of the same
 * file, is made by one alone. Whoever comes late links a newer lock, sees that by its content, and leaves it.
 * @param text - what the lock said when its holder was found to have ended
 * @throws {@link PageStoreError} `FILE_LOCKED` where another process is at it, `IO`
 */
export async function breakPidLock(place: LockPlace, text: string, holder: LockHolder): Promise<void> {
  const { pidFile } = place;
  const guard = `${pidFile}.${holder.pid}-${holder.startTime?.split('@')[0] ?? 'unknown'}.gone`;
  try {
    await link(pidFile, guard);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (errnoOf(error) !== 'EEXIST') throw ioError(pidFile, 'link', error);
    const message = `another process is removing the lock of a writer that has ended; if none is, delete ${guard}`;
    throw new PageStoreError('FILE_LOCKED', message, { file: place.file, holder: 'unknown' });
  }
  try {
    if ((await readHolderText(guard)) === text) await unlink(pidFile);
  } catch (error) {
    throw error instanceof PageStoreError ? error : ioError(pidFile, 'unlink', error);
  } finally {
    await rm(guard, { force: true });
  }
}

/** A process that has the system's lock has said so in the sidecar before it looked for ours. */
async function refuseNativeHolder(place: LockPlace): Promise<void> {
  const holder = decodeHolder((await readHolderText(place.sidecar)) ?? '');
  if (holder === undefined) return;
  const state = await holderState(holder);
  // The system has freed the lock of a holder that has ended.
  if (state !== 'gone') throw lockedError(place, holder, state, place.sidecar);
}

/** Makes a file that is whole when it appears. @returns false where one has the name */
async function publish(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}.new`;
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await linkOrWrite(temporary, path, text);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw ioError(path, 'create', error);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function linkOrWrite(temporary: string, path: string, text: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error))) throw error;
    // A file system without hard links: still one alone creates it, but it may be seen before it says who did.
    await writeFile(path, text, { flag: 'wx' });
  }
}

/** Takes our lock away; one that a person has deleted, and another process has taken since, stays. */
async function withdraw(path: string, text: string): Promise<void> {
  if ((await readHolderText(path)) !== text) return;
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw ioError(path, 'unlink', error);
  });
}
