import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { errnoOf, ioError } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';

/** A folder that may hold files of a pattern, and cannot be listed. */
export interface UnlistedFolder {
  readonly folder: string;
  readonly cause: unknown;
}

/** A file of a pattern whose name is not UTF-8, with the replacement character where it is not: that may be the name of another file. */
export interface UnnamedFile {
  readonly unnamed: string;
}

const MAGIC = /[*?[{]/;

/** `[!a]` is any character but a; `!a` and `+(a)` are names. */
const RULES_OF_THE_SHELL = { posix: true, nonegate: true, noextglob: true };

/** Whether a path has signs of a pattern: `*`, `?`, `[` or `{`, not behind a backslash. */
export function isPattern(path: string): boolean {
  return MAGIC.test(withoutEscapes(slashed(path)));
}

/**
 * The files that a pattern names, in no order. `*` and `?` stop at `/`, `**` does not; names that begin with a dot
 * have to be asked for. A folder that cannot be listed is told of, not passed over: its files would be missed.
 */
export async function* matchingPaths(
  pattern: string,
  signal: AbortSignal,
): AsyncGenerator<string | UnlistedFolder | UnnamedFile> {
  const { default: picomatch } = await import('picomatch');
  // No file name is taken for more of a pattern than it is: round brackets and ! are common in names.
  const compile = (glob: string): ((name: string) => boolean) =>
    glob === ''
      ? () => false // behind the slash at the end of a pattern that no file can have
      : picomatch(glob.replace(/[()|]/g, String.raw`\$&`), { ...RULES_OF_THE_SHELL, windows: false });

  const { base, segments } = await splitAtFirstPattern(slashed(pattern));
  const matches = compile(segments.join('/'));
  const levels = new Levels(segments, compile);
  const folders = [{ path: base, name: '', depth: 0 }];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted();
    let entries: Dirent[];
    try {
      entries = await readdir(folder.path === '' ? '.' : folder.path, { withFileTypes: true });
    } catch (cause) {
      // What is not there, or no folder, has no files that could be missed.
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(cause))) yield { folder: folder.path, cause };
      continue;
    }
    const badNames = await BadNames.in(folder.path === '' ? '.' : folder.path, entries);
    for (const entry of entries) {
      const path = folder.path + entry.name;
      const name = folder.name + entry.name;
      const type = await typeOf(entry, path);
      if (type === 'folder') {
        const depth = folder.depth + 1;
        if (levels.leadOn(entry, folder.depth)) folders.push({ path: `${path}/`, name: `${name}/`, depth });
      } else if (matches(name)) yield badNames.take(path, entry.name);
    }
  }
}

/** The names in a folder that are not UTF-8. */
class BadNames {
  /** How many entries have each name, of those that hold the replacement character, which names of bytes get in its place. */
  readonly #counts: Map<string, number>;

  private constructor(counts: Map<string, number>) {
    this.#counts = counts;
  }

  static async in(folder: string, entries: readonly Dirent[]): Promise<BadNames> {
    const counts = new Map<string, number>();
    if (!entries.some(({ name }) => name.includes(REPLACEMENT))) return new BadNames(counts);
    for (const bytes of await readdir(folder, { encoding: 'buffer' })) {
      const name = bytes.toString();
      if (!Buffer.from(name).equals(bytes)) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return new BadNames(counts);
  }

  /** Each entry of a name is one that is not UTF-8, as often as there are such; then it is the file that has the name itself. */
  take(path: string, name: string): string | UnnamedFile {
    const left = this.#counts.get(name) ?? 0;
    if (left === 0) return path;
    this.#counts.set(name, left - 1);
    return { unnamed: path };
  }
}

const REPLACEMENT = '\u{fffd}';

/** Which folders can hold files of a pattern. */
class Levels {
  readonly #segments: readonly string[];
  readonly #matchers: readonly ((name: string) => boolean)[];
  /** Index of the first segment from which on the depth of a folder says nothing. */
  readonly #openFrom: number;
  readonly #maxDepth: number;
  readonly #wantsHidden: boolean;

  constructor(segments: readonly string[], compile: (glob: string) => (name: string) => boolean) {
    this.#segments = segments;
    this.#matchers = segments.map(compile);
    const open = segments.findIndex((segment) => segment.includes('**') || !hasEvenBraces(segment));
    this.#openFrom = open < 0 ? segments.length : open;
    this.#maxDepth = segments.some((segment) => segment.includes('**')) ? Infinity : segments.length - 1;
    this.#wantsHidden = segments.some((segment) => /(^|[{,])\./.test(segment));
  }

  /** Whether files of the pattern may be in a folder that is an entry of one at a depth. */
  leadOn(entry: Dirent, depth: number): boolean {
    if (depth >= this.#maxDepth) return false;
    if (depth < this.#openFrom) return this.#matchers[depth]?.(entry.name) === true;
    // Below `**` a link is not followed: it may lead back up.
    if (this.#segments.length > 0 && entry.isSymbolicLink()) return false;
    return this.#wantsHidden || !entry.name.startsWith('.');
  }
}

function hasEvenBraces(segment: string): boolean {
  const plain = withoutEscapes(segment);
  return plain.split('{').length === plain.split('}').length;
}

/** Takes the segments off the beginning that are no patterns, or name a folder that is there. */
async function splitAtFirstPattern(pattern: string): Promise<{ base: string; segments: string[] }> {
  const segments = pattern.split('/');
  let base = '';
  while (segments.length > 1) {
    const [segment = ''] = segments;
    const isPlain = !MAGIC.test(withoutEscapes(segment));
    if (!isPlain && !(await isFolder(base + segment))) break;
    base += `${isPlain ? segment.replace(/\\(.)/g, '$1') : segment}/`;
    segments.shift();
  }
  return { base, segments: segments.filter((segment, index) => segment !== '' || index === segments.length - 1) };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false, // then it is a pattern, and listing its folder will tell what is wrong
  );
}

async function typeOf(entry: Dirent, path: string): Promise<'folder' | 'file'> {
  if (entry.isDirectory()) return 'folder';
  // A link to nowhere is a file that cannot be opened, which is told when it is.
  return entry.isSymbolicLink() && (await isFolder(path)) ? 'folder' : 'file';
}

function withoutEscapes(pattern: string): string {
  return pattern.replace(/\\./g, '');
}

/** A path with slashes. On Windows a backslash parts folders and can escape nothing. */
function slashed(path: string): string {
  return sep === '\\' ? path.replaceAll('\\', '/') : path;
}

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
