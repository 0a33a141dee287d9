import { readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PageStoreError } from '../errors.ts';
import { ioError } from './io-error.ts';

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
