import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { shellPath } from '../bytes/text.ts';
import { errnoOf, ioError } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';

const PATTERN_CHARACTER = /[*?[{]/;

/** As in a shell, `[!a]` is any character except a; `!a` and `+(a)` are plain names. */
const SHELL_RULES = { posix: true, nonegate: true, noextglob: true, windows: false };

export function isPattern(path: string): boolean {
  return PATTERN_CHARACTER.test(withoutEscapes(slashed(path)));
}

type Matcher = (name: string) => boolean;

/**
 * `*` and `?` do not match `/`, `**` does; a leading dot must be matched explicitly. Folders that cannot be listed,
 * and names that are not valid UTF-8, are targets with a problem.
 */
export async function* matchingPaths(pattern: string, signal: AbortSignal): AsyncGenerator<string | Target> {
  const { default: picomatch } = await import('picomatch');
  // Parentheses are common in names and have no meaning here.
  const compile = (glob: string): Matcher =>
    glob === ''
      ? () => false // after a slash at the end, which no file has
      : picomatch(glob.replace(/[()|]/g, String.raw`\$&`), SHELL_RULES);

  const { base, segments } = await splitAtFirstPattern(slashed(pattern));
  const matches = compile(segments.join('/'));
  const mayContainFiles = folderFilter(segments, compile);
  const folders = [{ path: base, name: '', depth: 0 }];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted();
    const listed = folder.path === '' ? '.' : folder.path;
    let entries: Dirent[];
    try {
      entries = await readdir(listed, { withFileTypes: true });
    } catch (cause) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(cause)))
        yield failed(folder.path, ioError(folder.path, 'list the folder', cause));
      continue;
    }
    const nonUtf8Names = await countNonUtf8Names(listed, entries);
    for (const entry of entries) {
      const path = folder.path + entry.name;
      const name = folder.name + entry.name;
      // A broken link counts as a file; opening it reports the error.
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path)))) {
        const depth = folder.depth + 1;
        if (mayContainFiles(entry, folder.depth)) folders.push({ path: `${path}/`, name: `${name}/`, depth });
      } else if (matches(name)) {
        // Entries that differ in their bytes can have the same name; the valid one comes last.
        const left = nonUtf8Names.get(entry.name) ?? 0;
        if (left > 0) nonUtf8Names.set(entry.name, left - 1);
        yield left > 0 ? notUtf8(path) : path;
      }
    }
  }
}

const REPLACEMENT = '\u{fffd}';

/** The number of names that are not valid UTF-8, by the name with replacement characters. */
async function countNonUtf8Names(folder: string, entries: readonly Dirent[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  if (!entries.some(({ name }) => name.includes(REPLACEMENT))) return counts;
  for (const bytes of await readdir(folder, { encoding: 'buffer' })) {
    const name = bytes.toString();
    if (!Buffer.from(name).equals(bytes)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Which folders can contain matching files. `depth` is that of the folder which has the entry. */
function folderFilter(
  segments: readonly string[],
  compile: (glob: string) => Matcher,
): (entry: Dirent, depth: number) => boolean {
  const matchers = segments.map(compile);
  // Segments before the first that can match at any depth match folders at their own depth.
  const open = segments.findIndex((segment) => hasStars(segment) || !hasEvenBraces(segment));
  const anyDepthFrom = open < 0 ? segments.length : open;
  const maxDepth = segments.some(hasStars) ? Infinity : segments.length - 1;
  const wantsHidden = segments.some((segment) => /(^|[{,])\./.test(segment));
  return (entry, depth) => {
    if (depth >= maxDepth) return false;
    if (depth < anyDepthFrom) return matchers[depth]?.(entry.name) === true;
    // Links below `**` are not followed, since they can form a cycle.
    return !entry.isSymbolicLink() && (wantsHidden || !entry.name.startsWith('.'));
  };
}

const hasStars = (segment: string): boolean => segment.includes('**');

function hasEvenBraces(segment: string): boolean {
  const plain = withoutEscapes(segment);
  return plain.split('{').length === plain.split('}').length;
}

/** Splits off the leading segments that are not patterns, or name an existing folder. */
async function splitAtFirstPattern(pattern: string): Promise<{ base: string; segments: string[] }> {
  const segments = pattern.split('/');
  let base = '';
  while (segments.length > 1) {
    const [segment = ''] = segments;
    const isPlain = !PATTERN_CHARACTER.test(withoutEscapes(segment));
    if (!isPlain && !(await isFolder(base + segment))) break;
    base += `${isPlain ? segment.replace(/\\(.)/g, '$1') : segment}/`;
    segments.shift();
  }
  return { base, segments: segments.filter((segment, index) => segment !== '' || index === segments.length - 1) };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false, // then it is treated as a pattern, and listing its parent reports the error
  );
}

function withoutEscapes(pattern: string): string {
  return pattern.replace(/\\./g, '');
}

/** On Windows a backslash separates folders and escapes nothing. */
function slashed(path: string): string {
  return sep === '\\' ? path.replaceAll('\\', '/') : path;
}

/** A file to verify. */
export interface Target {
  readonly path: string;
  /** Size when the file was found, for progress; 0 if unknown. */
  readonly bytes: number;
  /** Why the file cannot be verified. */
  readonly problem?: PageStoreError;
}

/** The files that arguments name, each once. What names no file may be a pattern that the shell has not expanded. */
export async function findFiles(args: readonly string[], signal: AbortSignal): Promise<Target[]> {
  const targets = new Map<string, Target>();
  for (const arg of args) {
    for await (const target of targetsOf(arg, signal)) {
      // `resolve` fails if the working directory was removed, and names that are not UTF-8 can have equal paths.
      const key = target.problem ? `\0${target.path}` : resolve(target.path);
      if (!targets.has(key)) targets.set(key, target);
    }
  }
  return [...targets.values()];
}

async function* targetsOf(arg: string, signal: AbortSignal): AsyncGenerator<Target> {
  const literal = await targetAt(arg);
  // An existing file with this name takes precedence, even if it cannot be read.
  if (literal.problem?.detail.errno !== 'ENOENT' || !isPattern(arg)) {
    yield literal;
    return;
  }
  const paths: string[] = [];
  let count = 0;
  for await (const found of matchingPaths(arg, signal)) {
    count++;
    if (typeof found === 'string') paths.push(found);
    else yield found;
  }
  for (const path of paths.toSorted()) yield await targetAt(path);
  if (count === 0) {
    const message = 'no file has this name or matches it as a pattern';
    yield failed(arg, new PageStoreError('IO', message, { file: arg, errno: 'ENOENT' }));
  }
}

async function targetAt(path: string): Promise<Target> {
  try {
    const stats = await stat(path);
    if (stats.isFile() || stats.isBlockDevice()) return { path, bytes: stats.size };
    if (stats.isDirectory())
      return failed(path, new PageStoreError('IO', directoryMessage(path), { file: path, errno: 'EISDIR' }));
    // Opening a pipe would wait for a writer.
    const message = 'not a page file: a pipe, a socket or a device';
    return failed(path, new PageStoreError('NOT_A_PAGE_FILE', message, { file: path }));
  } catch (error) {
    return failed(path, ioError(path, 'open', error));
  }
}

function directoryMessage(path: string): string {
  // The name of the folder is no pattern itself.
  const folder = path.replace(/\/*$/, '').replace(sep === '\\' ? /[[\]]/g : /[\\*?[\]{}()!@+|]/g, String.raw`\$&`);
  return `is a directory; to verify its files: artrie-pages verify ${shellPath(`${folder}/*.part`)}`;
}

function notUtf8(path: string): Target {
  const message = 'the file name is not valid UTF-8, so the file cannot be opened; rename it';
  return failed(path, new PageStoreError('IO', message, { file: path, errno: 'EILSEQ' }));
}

function failed(path: string, problem: PageStoreError): Target {
  return { path, bytes: 0, problem };
}
