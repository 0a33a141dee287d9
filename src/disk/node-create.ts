import { randomUUID } from 'node:crypto';
import { type FileHandle, link, lstat, open, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';
import { decodeJournal } from '../format/journal.ts';
import { decodePatchJournal } from '../format/journal.ts';
import type { BlockFile } from './block-file.ts';
import { assertEmpty } from './file-head.ts';
import { errnoOf, ioError } from './node-fs.ts';
import { NodeBlockFile } from './node-block-file.ts';
import { asHandle, type Handle } from './node-fs.ts';
import { syncDirectory } from './node-fs.ts';
import { refuseForeignJournal } from './overwrite.ts';
import { NodeJournal } from './node-journal.ts';
import { assertOwnPlace } from './node-fs.ts';
import { type LockOptions, takeWriterLock } from './node-lock.ts';

/** How a file is made, and how its lock is taken. */
export interface CreateFileOptions extends LockOptions {
  /** The permissions of the file, whatever the umask: of one that is made from another. */
  readonly mode?: number | undefined;
}

/**
 * Makes a file that is whole when it appears under its name: `fill` writes and syncs it, then its directory is
 * synced. What fails in between leaves nothing behind but the lock file. The lock is held from before `fill` until the
 * file is closed, also on the file that is replaced.
 * @param replace - whether to take the place of a file that has the name; that one stays until the new one is whole
 * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`, `FILE_LOCKED`, the reason of `lockSignal`, and whatever `fill` throws
 */
export async function createBlockFile(
  path: string,
  replace: boolean,
  fill: (file: BlockFile) => Promise<void>,
  options: CreateFileOptions = {},
): Promise<BlockFile> {
  await assertOwnPlace('the new file', path, []);
  const target = replace ? await resolveTarget(path) : resolve(path);
  const temporary = `${target}.${randomUUID()}.new`;
  const journal = new NodeJournal(target);
  let handle: Handle;
  try {
    if (!replace && (await exists(target))) throw Object.assign(new Error('the file exists'), { code: 'EEXIST' });
    await refuseOldJournal(journal, path, replace);
    handle = asHandle(await openNew(temporary, options.mode));
  } catch (error) {
    throw error instanceof PageStoreError ? error : ioError(path, 'create', error);
  }
  let file = new NodeBlockFile(path, handle, journal);
  try {
    // Once the folder has shown that it takes a file: a lock file stays, and none shall stay beside a file that cannot be.
    file = new NodeBlockFile(path, handle, journal, await takeWriterLock(path, options));
    await fill(file);
    await giveName(path, temporary, target, replace);
    file.hasCommits = true;
    // One that is there belongs to a file that had the name before.
    await journal.remove();
    return file;
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Fills a new page file. One that is given as a path is made by {@link createBlockFile} and closed; a BlockFile, which is
 * empty unless `replace`, stays open.
 * @returns what `fill` returned
 */
export async function fillNewFile<T>(
  target: string | BlockFile,
  replace: boolean,
  fill: (file: BlockFile) => Promise<T>,
  options: CreateFileOptions = {},
): Promise<T> {
  if (typeof target !== 'string') {
    await assertEmpty(target, replace);
    return fill(target);
  }
  const results: T[] = [];
  const filled = async (file: BlockFile): Promise<void> => void results.push(await fill(file));
  await (await createBlockFile(target, replace, filled, options)).close();
  return results[0] as T; // createBlockFile has awaited fill
}

/** Makes a file, to read and write. @param mode - its permissions, whatever the umask; without it, those of any new file */
export async function openNew(path: string, mode: number | undefined): Promise<FileHandle> {
  // From the first moment no more than it is to have in the end.
  const handle = await open(path, 'wx+', mode);
  try {
    if (mode !== undefined) await handle.chmod(mode);
    return handle;
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
}

/** Keeps what must not be removed with the journal of a file that had the name: other people's files, and a journal whose page file was moved. */
async function refuseOldJournal(journal: NodeJournal, path: string, replace: boolean): Promise<void> {
  const bytes = await journal.read();
  if (bytes === undefined) return;
  refuseForeignJournal({ name: path }, bytes);
  if (replace || (decodeJournal(bytes) === undefined && decodePatchJournal(bytes) === undefined)) return;
  const message = `the journal of a file that had this name is still there: move ${journal.path} to where that file is, or delete it`;
  throw new PageStoreError('FILE_EXISTS', message, { file: path });
}

async function giveName(path: string, temporary: string, target: string, replace: boolean): Promise<void> {
  try {
    if (replace) await rename(temporary, target);
    else await publish(temporary, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    throw ioError(path, 'create', error);
  }
}

/** Gives a file a name that no file has. */
export async function publish(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
    await unlink(temporary);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error))) throw error;
    // A file system without hard links: take the name first, then put the file in its place.
    await (await open(target, 'wx')).close();
    await rename(temporary, target);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Where a file that is to be replaced really is; only a regular file is replaced. */
async function resolveTarget(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isFile()) {
      throw new PageStoreError('NOT_A_PAGE_FILE', 'only a regular file is replaced', { file: path });
    }
    return await realpath(path);
  } catch (error) {
    if (error instanceof PageStoreError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw ioError(path, 'create', error);
  }
}
