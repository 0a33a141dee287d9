import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ioError } from '../../disk/io-error.ts';
import { PageStoreError } from '../../errors.ts';
import { isPattern, matchingPaths } from './match-files.ts';

/** A file that is to be verified, by the name that it is told of under. */
export interface Target {
  readonly path: string;
  /** Size in bytes, as far as it is known yet: what progress goes by. */
  readonly bytes: number;
  /** Why there is nothing to verify. */
  readonly problem?: PageStoreError;
}

/**
 * The files that arguments name. One that names no file and has signs of a pattern is taken for a pattern, which the
 * shell has left as it was: its files follow in the order of their names. Each file is there once.
 */
export async function findFiles(args: readonly string[], signal: AbortSignal): Promise<Target[]> {
  const targets = new Map<string, Target>();
  for (const arg of args) {
    for await (const target of targetsOf(arg, signal)) {
      // Only what is there has an address; to ask for one fails where the working directory has been removed.
      // A name that is not UTF-8 may be told of as another file is.
      const key = target.problem ? `\0${target.path}` : resolve(target.path);
      if (!targets.has(key)) targets.set(key, target);
    }
  }
  return [...targets.values()];
}

async function* targetsOf(arg: string, signal: AbortSignal): AsyncGenerator<Target> {
  const literal = await targetAt(arg);
  // A file of this name wins, also one that may not be read.
  if (literal.problem?.detail.errno !== 'ENOENT' || !isPattern(arg)) {
    yield literal;
    return;
  }
  const paths: string[] = [];
  let count = 0;
  for await (const found of matchingPaths(arg, signal)) {
    count++;
    if (typeof found === 'string') paths.push(found);
    else if ('unnamed' in found) yield { path: found.unnamed, bytes: 0, problem: notUtf8(found.unnamed) };
    else yield { path: found.folder, bytes: 0, problem: ioError(found.folder, 'list the folder', found.cause) };
  }
  paths.sort();
  for (const path of paths) yield await targetAt(path);
  if (count === 0) {
    const message = 'no file has this name, and none matches it as a pattern';
    yield { path: arg, bytes: 0, problem: new PageStoreError('IO', message, { file: arg, errno: 'ENOENT' }) };
  }
}

function notUtf8(path: string): PageStoreError {
  const message = 'its name is not UTF-8, which this program cannot open; rename it';
  return new PageStoreError('IO', message, { file: path, errno: 'EILSEQ' });
}

async function targetAt(path: string): Promise<Target> {
  try {
    const stats = await stat(path);
    if (stats.isFile() || stats.isBlockDevice()) return { path, bytes: stats.size };
    const problem = stats.isDirectory()
      ? new PageStoreError('IO', `is a directory; name its files, as in '${path.replace(/\/*$/, '/')}*.part'`, {
          file: path,
          errno: 'EISDIR',
        })
      : // To open a pipe would wait for somebody to write to it.
        new PageStoreError('NOT_A_PAGE_FILE', 'not a page file: a pipe, a socket or a device', { file: path });
    return { path, bytes: 0, problem };
  } catch (error) {
    return { path, bytes: 0, problem: ioError(path, 'open', error) };
  }
}
