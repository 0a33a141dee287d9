import { constants, fdatasyncSync, readSync, writeSync } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';

/** What an errno means to a person; the system's own words are terse, and in English as well. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a directory',
  ENOTDIR: 'part of the path is not a directory',
  EEXIST: 'the file exists',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'the file would be larger than the file system or a limit allows',
  EIO: 'the device reports an input/output error',
  EMFILE: 'too many open files',
  ELOOP: 'too many symbolic links in the path',
  ENAMETOOLONG: 'the name is too long',
};

/** What a file without room for more says of those who have stored something in it. */
const NOTHING_LOST = '; nothing that was acknowledged is lost';

/**
 * The error for a system call that failed: its errno in words, and the byte where that is known.
 * @param hasCommits - whether it is of a file that may have been committed to
 */
export function ioError(
  name: string,
  call: string,
  cause: unknown,
  offset?: number,
  hasCommits: boolean = false,
): PageStoreError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'EIO';
  const what = EXPLANATIONS[errno] ?? (cause instanceof Error ? cause.message : 'failed');
  const kept = hasCommits && (errno === 'ENOSPC' || errno === 'EDQUOT') ? NOTHING_LOST : '';
  const where = offset === undefined ? '' : ` at byte ${offset}`;
  const detail = offset === undefined ? { file: name, errno } : { file: name, errno, offset };
  const code = errno === 'EEXIST' ? 'FILE_EXISTS' : 'IO';
  return new PageStoreError(code, `${call}${where}: ${what}${kept} (${errno})`, detail, cause);
}

/** The errno name of an error of the system, such as `ENOENT`; empty for any other error. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/**
 * The permissions of a file that is made from another one: who may not read that must not read its nodes in the new
 * one. Its owner can read and write it.
 * @throws {@link PageStoreError} `IO`
 */
export async function modeLike(path: string): Promise<number> {
  try {
    return ((await stat(path)).mode & 0o666) | 0o600;
  } catch (error) {
    throw ioError(path, 'stat', error);
  }
}

/** Behind the path of a page file: what its writers keep beside it. The names of a lock come first, as one ends with the other. */
const SUFFIXES = ['.lock.pid', '.lock', '.journal'] as const;

/** As many as a system follows. */
const MOST_LINKS = 40;

/** Device and inode of the file that a path leads to. @throws {@link PageStoreError} `IO` */
export async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    throw ioError(path, 'stat', error);
  }
}

/**
 * Refuses a path for something new that is one of some page files, or a name that the writers of one need beside it: one of
 * these, or one that is there. All of them also through links, and those of files that are not there yet.
 * @param what - what is to be made, for the message
 * @throws {@link PageStoreError} `FILE_EXISTS`
 */
export async function assertOwnPlace(what: string, path: string, pageFiles: readonly string[]): Promise<void> {
  const refuse = (why: string): PageStoreError =>
    new PageStoreError('FILE_EXISTS', `${why}; name another place for ${what}`, { file: path });
  const [made, place] = await Promise.all([keyOf(path), realPlace(path)]);
  for (const pageFile of pageFiles) {
    if ((await keyOf(pageFile)) === made)
      throw refuse(`this is the same file as ${pageFile}, which it would overwrite`);
    const target = await realPlace(pageFile);
    const beside = await Promise.all(SUFFIXES.map((suffix) => keyOf(`${target}${suffix}`)));
    if (beside.includes(made)) throw refuse(`the writers of ${pageFile} need this name for its lock or journal`);
  }
  const suffix = SUFFIXES.find((each) => place.endsWith(each));
  const stem = suffix === undefined ? undefined : place.slice(0, -suffix.length);
  if (stem !== undefined && (await isFile(stem)))
    throw refuse(`the writers of ${stem} need this name for its lock or journal`);
}

/** What two paths have in common that lead to one file; for files that are not there yet, if they would. */
async function keyOf(path: string): Promise<string> {
  // What is not there has no identity but its place; whoever opens it will tell what is wrong with that.
  return identityOf(path).catch(() => realPlace(path));
}

/** The path behind all symbolic links, also of what is not there. */
async function realPlace(path: string): Promise<string> {
  let place = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const folder = await realpath(dirname(place)).catch(() => dirname(place));
    place = join(folder, basename(place));
    const next = await readlink(place).catch(() => undefined);
    if (next === undefined) break;
    place = resolve(folder, next);
  }
  return place;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false, // then it has no writers
  );
}

/** Makes the name of a new file durable: on most file systems the file's own sync does not cover it. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** What a block file needs of a `FileHandle` of node:fs; said here, so that users of the types need no others. */
export interface Handle {
  stat(): Promise<{ readonly size: number }>;
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  truncate(bytes: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
  /** Some of the same, holding up the process. */
  readonly now?: HandleNow;
}

/** Calls that are made at once, and return when they are done. */
export interface HandleNow {
  read(target: Uint8Array, offset: number, length: number, position: number): number;
  write(source: Uint8Array, offset: number, length: number, position: number): number;
  datasync(): void;
}

/** A handle that can also be used at once. */
export function asHandle(handle: FileHandle): Handle {
  return {
    stat: () => handle.stat(),
    read: (target, offset, length, position) => handle.read(target, offset, length, position),
    write: (source, offset, length, position) => handle.write(source, offset, length, position),
    truncate: (bytes) => handle.truncate(bytes),
    datasync: () => handle.datasync(),
    close: () => handle.close(),
    now: {
      read: (target, offset, length, position) => readSync(openFd(handle), target, offset, length, position),
      write: (source, offset, length, position) => writeSync(openFd(handle), source, offset, length, position),
      datasync: () => fdatasyncSync(openFd(handle)),
    },
  };
}

/** @throws an Error with the code EBADF once the file was closed, as asynchronous calls do: node:fs says of -1 that it is no descriptor */
function openFd({ fd }: FileHandle): number {
  if (fd >= 0) return fd;
  throw Object.assign(new Error('file closed'), { code: 'EBADF' });
}
