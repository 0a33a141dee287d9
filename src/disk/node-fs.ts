import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, readlink, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';

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

/** For a full disk, if the file may contain acknowledged nodes. */
const NOTHING_LOST = '; nothing that was acknowledged is lost';

/** The error for a failed system call; one of this library is returned unchanged. */
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

/** @param call - what the system calls do, for the message @throws {@link PageStoreError} as {@link ioError} */
export async function withIoError<T>(name: string, call: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw ioError(name, call, error);
  }
}

/** The errno name of a system error, such as `ENOENT`; empty for other errors. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** Windows does not have these flags. */
const flags: { readonly O_NONBLOCK?: number; readonly O_NOFOLLOW?: number } = constants;

export const O_NONBLOCK: number = flags.O_NONBLOCK ?? 0;
/** Does not follow a symbolic link, which could lead to another user's file. */
export const O_NOFOLLOW: number = flags.O_NOFOLLOW ?? 0;

/** The result, or undefined on `ENOENT`. */
export async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  return result.catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** The permissions for a copy of data from `path`: nobody may read it who cannot read `path`, except the owner. */
export async function permissionsOf(path: string): Promise<number> {
  const { mode } = await withIoError(path, 'stat', () => stat(path));
  return (mode & 0o666) | 0o600;
}

/** Creates a file. @param mode - its permissions regardless of the umask; default: those of any new file @internal */
export async function openNew(path: string, mode: number | undefined): Promise<FileHandle> {
  // At no time may it have more permissions than in the end.
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

/** A file with a temporary name until it is complete. Errors are those of node:fs. @internal */
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

  /** @param target - final path, not a symbolic link */
  static async open(target: string, mode?: number): Promise<NewFile> {
    const temporary = `${target}.${randomUUID()}.new`;
    return new NewFile(await openNew(temporary, mode), target, temporary);
  }

  /** Gives the file its name; without `replace`, an existing file is an `EEXIST` error. */
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

  async discard(): Promise<void> {
    await rm(this.#temporary, { force: true });
  }
}

/** Makes a new name durable: on most file systems a sync of the file does not. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Suffixes of the files beside a page file, tested in this order. */
const SIDECAR_SUFFIXES = ['.lock.pid', '.lock', '.journal'] as const;

/** The limit of Linux. */
const MAX_LINKS = 40;

/** Device and inode. @throws {@link PageStoreError} `IO` */
export async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await withIoError(path, 'stat', () => stat(path, { bigint: true }));
  return `${dev}:${ino}`;
}

/** Whether `path` still leads to the open file. @throws {@link PageStoreError} `IO` */
export async function isOpenFile(path: string, handle: FileHandle): Promise<boolean> {
  return withIoError(path, 'stat', async () => {
    const opened = await handle.stat({ bigint: true });
    const found = await unlessMissing(stat(path, { bigint: true }));
    return found?.dev === opened.dev && found.ino === opened.ino;
  });
}

/**
 * Refuses a new file whose path leads to one of `pageFiles`, or to a name that writers of an existing file need for a
 * lock or journal. Follows symbolic links. @throws {@link PageStoreError} `FILE_EXISTS`
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

/** Equal for paths that lead to the same file, or would if it existed. */
async function fileKey(path: string): Promise<string> {
  // Without an identity the file does not exist, or opening it will report the error.
  return identityOf(path).catch(() => resolvedPath(path));
}

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
