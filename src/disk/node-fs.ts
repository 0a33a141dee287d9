import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises';
import { constants as osConstants } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';
import { pathBeside } from './node-names.ts';
import { noteOnce } from './node-notes.ts';

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
  ENAMETOOLONG: 'the name is too long: most file systems allow 255 bytes for a name, and 4,095 for a path',
  ENOLCK: 'no locks available',
  ENOTSUP: 'the file system does not support this',
  ESTALE: 'the file is not on the file server any more',
  EREMOTEIO: 'the file server reports an input/output error',
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
  const { message = '' } = (cause ?? {}) as Partial<Error>;
  const isNamed = message !== '' && !message.startsWith('Unknown system error');
  const what = EXPLANATIONS[errno] ?? (isNamed ? message : 'failed');
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
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  const [, number] = UNKNOWN_ERROR.exec(code) ?? [];
  return number === undefined ? code : errnoName(Number(number));
}

/** The code of an error that libuv has no name for, such as ENOLCK and EDQUOT. */
const UNKNOWN_ERROR = /^Unknown system error -?(\d+)$/;

/** Errors of network file systems on Linux for which Node has no name either. */
const LINUX_ERRORS: Readonly<Record<number, string>> = { 121: 'EREMOTEIO', 524: 'ENOTSUP' };

function errnoName(number: number): string {
  const [name] = Object.entries(osConstants.errno).find(([, value]) => value === number) ?? [];
  return name ?? LINUX_ERRORS[number] ?? `error ${number}`;
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

/** Errors of an fsync of a folder that say that it is not possible there: as on SMB, FUSE and network file systems. */
const CANNOT_SYNC: readonly string[] = [
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EACCES',
  'EPERM',
  'EBADF',
  'EISDIR',
  'ENOTTY',
];

/**
 * Makes a new name durable: on most file systems a sync of the file does not. A folder that may not be listed cannot be
 * opened for that, and some file systems cannot do it. The work goes on then, and that is said once.
 */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    const errno = errnoOf(error);
    if (!CANNOT_SYNC.includes(errno)) throw error;
    const why = errno === 'EACCES' || errno === 'EPERM' ? 'it may not be read' : 'its file system does not do it';
    noteOnce(
      `the folder ${path} cannot be synced, since ${why} (${errno}): after a power failure, a file that was just created or replaced may be missing there, or be the old one`,
    );
  }
}

/** Suffixes of the files beside a page file, tested in this order. */
const SIDECAR_SUFFIXES = ['.lock.pid', '.lock', '.journal'] as const;

/** The limit of Linux. */
const MAX_LINKS = 40;

/** Device and inode. @throws {@link PageStoreError} `IO` */
export async function identityOf(path: string): Promise<string> {
  return identityOfStats(await withIoError(path, 'stat', () => stat(path, { bigint: true })));
}

export function identityOfStats({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** The identities of a page file and of its lock and journal, as far as they exist. */
export async function identitiesOf(pageFile: string): Promise<ReadonlySet<string>> {
  const target = await resolvedPath(pageFile);
  const paths = [pageFile, ...SIDECAR_SUFFIXES.map((suffix) => pathBeside(target, suffix))];
  // One that cannot be found is not there, or opening it reports the error.
  const found = await Promise.all(paths.map((path) => identityOf(path).catch(() => undefined)));
  return new Set(found.filter((identity) => identity !== undefined));
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
    const sidecars = await Promise.all(SIDECAR_SUFFIXES.map((suffix) => fileKey(pathBeside(target, suffix))));
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
