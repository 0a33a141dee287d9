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
