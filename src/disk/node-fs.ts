import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, readlink, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';

/** Errno names in plain words; the system's own are terse. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a directory',
  ENOTDIR: 'part of the path is not a directory',
  EEXIST: 'file already exists',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'the file would be larger than the file system or a limit allows',
  EIO: 'the device reports an input/output error',
  EMFILE: 'too many open files',
  ELOOP: 'too many symbolic links in the path',
  ENAMETOOLONG: 'the name is too long',
};

/** Added to the message of a full disk for a file that may contain acknowledged nodes. */
const NOTHING_LOST = '; nothing that was acknowledged is lost';

/**
 * The error for a failed system call. An error of this library is returned as it is.
 * @param hasCommits - whether the file may contain acknowledged nodes
 */
export function ioError(
  name: string,
  call: string,
  cause: unknown,
  offset?: number,
  hasCommits: boolean = false,
): PageStoreError {
  if (cause instanceof PageStoreError) return cause;
  const errno = errnoOf(cause) || 'EIO';
  const what = EXPLANATIONS[errno] ?? (cause instanceof Error ? cause.message : 'failed');
  const kept = hasCommits && (errno === 'ENOSPC' || errno === 'EDQUOT') ? NOTHING_LOST : '';
  const where = offset === undefined ? '' : ` at byte ${offset}`;
  const detail = offset === undefined ? { file: name, errno } : { file: name, errno, offset };
  const code = errno === 'EEXIST' ? 'FILE_EXISTS' : 'IO';
  return new PageStoreError(code, `${call}${where}: ${what}${kept} (${errno})`, detail, cause);
}

/** Awaits system calls. @param call - what they do, for the message @throws {@link PageStoreError} as {@link ioError} */
export async function withIoError<T>(name: string, call: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw ioError(name, call, error);
  }
}

/** The errno name of a system error, such as `ENOENT`; empty for any other error. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** Windows does not have these flags. */
const flags: { readonly O_NONBLOCK?: number; readonly O_NOFOLLOW?: number } = constants;

/** Does not wait for the other end of a pipe. */
export const O_NONBLOCK: number = flags.O_NONBLOCK ?? 0;
/** Does not follow a symbolic link, which could lead to another user's file. */
export const O_NOFOLLOW: number = flags.O_NOFOLLOW ?? 0;

/** The result, or undefined where it is rejected with `ENOENT`. */
export async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  return result.catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/**
 * The permissions for a file with data from `path`: users who may not read that file must not read the data elsewhere.
 * The owner may always read and write it.
 * @throws {@link PageStoreError} `IO`
 */
export async function permissionsOf(path: string): Promise<number> {
  const { mode } = await withIoError(path, 'stat', () => stat(path));
  return (mode & 0o666) | 0o600;
}

/** Creates a file. @param mode - its permissions, regardless of the umask; by default those of any new file @internal */
export async function openNew(path: string, mode: number | undefined): Promise<FileHandle> {
  // At no time it has more permissions than in the end.
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

/** A file that has a temporary name until it is complete. Errors are those of node:fs. @internal */
export class NewFile {
  /** The caller closes it. */
  readonly handle: FileHandle;
  readonly #target: string;
  readonly #temporary: string;

  private constructor(handle: FileHandle, target: string, temporary: string) {
    this.handle = handle;
    this.#target = target;
    this.#temporary = temporary;
  }

  /** @param target - the final path, not a symbolic link @param mode - as for {@link openNew} */
  static async open(target: string, mode?: number): Promise<NewFile> {
    const temporary = `${target}.${randomUUID()}.new`;
    return new NewFile(await openNew(temporary, mode), target, temporary);
  }

  /** Gives the file its name. @param replace - otherwise an existing file is an `EEXIST` error */
  async publish(replace: boolean): Promise<void> {
    if (replace) return rename(this.#temporary, this.#target);
    try {
      await link(this.#temporary, this.#target);
      await unlink(this.#temporary);
    } catch (error) {
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error))) throw error;
      // A file system without hard links: reserve the name first, then replace the empty file.
      await (await open(this.#target, 'wx')).close();
      await rename(this.#temporary, this.#target);
    }
  }

  /** Removes the file, unless it has been published. */
  async discard(): Promise<void> {
    await rm(this.#temporary, { force: true });
  }
}

/** Makes a new name in a directory durable: on most file systems the sync of the file does not cover it. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Suffixes of the files that writers keep beside a page file; a name is tested against them in this order. */
const SIDECAR_SUFFIXES = ['.lock.pid', '.lock', '.journal'] as const;

/** As many symbolic links as Linux follows. */
const MAX_LINKS = 40;

/** Device and inode of the file that a path leads to. @throws {@link PageStoreError} `IO` */
export async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await withIoError(path, 'stat', () => stat(path, { bigint: true }));
  return `${dev}:${ino}`;
}

/** Whether the open file is the one that a path leads to. @throws {@link PageStoreError} `IO` */
export async function isOpenFile(path: string, handle: FileHandle): Promise<boolean> {
  return withIoError(path, 'stat', async () => {
    const opened = await handle.stat({ bigint: true });
    const found = await unlessMissing(stat(path, { bigint: true }));
    return found?.dev === opened.dev && found.ino === opened.ino;
  });
}

/**
 * Refuses a path for a new file that leads to one of the page files, or to a name that their writers, or those of another
 * existing file, need for a lock or journal. Symbolic links are followed, also for files that do not exist yet.
 * @param what - what is to be created, for the message
 * @throws {@link PageStoreError} `FILE_EXISTS`
 */
export async function assertNoPathConflict(what: string, path: string, pageFiles: readonly string[]): Promise<void> {
  const conflict = (why: string): PageStoreError =>
    new PageStoreError('FILE_EXISTS', `${why}; choose another path for ${what}`, { file: path });
  const sidecarOf = (owner: string): PageStoreError =>
    conflict(`the writers of ${owner} need this name for its lock or journal`);
  const [key, resolved] = await Promise.all([fileKey(path), resolvedPath(path)]);
  for (const pageFile of pageFiles) {
    if ((await fileKey(pageFile)) === key)
      throw conflict(`this is the same file as ${pageFile}, and would overwrite it`);
    const target = await resolvedPath(pageFile);
    const sidecars = await Promise.all(SIDECAR_SUFFIXES.map((suffix) => fileKey(`${target}${suffix}`)));
    if (sidecars.includes(key)) throw sidecarOf(pageFile);
  }
  const suffix = SIDECAR_SUFFIXES.find((each) => resolved.endsWith(each));
  if (suffix === undefined) return;
  const owner = resolved.slice(0, -suffix.length);
  const stats = await stat(owner).catch(() => undefined); // a file that cannot be found has no writers
  if (stats?.isFile() === true) throw sidecarOf(owner);
}

/** Equal for two paths that lead to the same file, or would if it existed. */
async function fileKey(path: string): Promise<string> {
  // Without an identity there is no file, or its path is wrong, which opening it will report.
  return identityOf(path).catch(() => resolvedPath(path));
}

/** The path with all symbolic links followed; the file need not exist. */
async function resolvedPath(path: string): Promise<string> {
  let resolved = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    const folder = await realpath(dirname(resolved)).catch(() => dirname(resolved));
    resolved = join(folder, basename(resolved));
    const next = await readlink(resolved).catch(() => undefined);
    if (next === undefined) break;
    resolved = resolve(folder, next);
  }
  return resolved;
}
