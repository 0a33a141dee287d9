import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { shellPath } from '../bytes/quoting.ts';
import { errnoOf, ioError } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';

/** A folder that may contain matching files, but cannot be listed. */
export interface UnlistedFolder {
  readonly folder: string;
  readonly cause: unknown;
}

/** A matching file whose name is not valid UTF-8. */
export interface NonUtf8File {
  /** The path with replacement characters, which may be the path of another file. */
  readonly replacedPath: string;
}

const PATTERN_CHARACTER = /[*?[{]/;

/** As in a shell, `[!a]` is any character except a; `!a` and `+(a)` are plain names. */
const SHELL_RULES = { posix: true, nonegate: true, noextglob: true };

/** Whether a path contains an unescaped `*`, `?`, `[` or `{`. */
export function isPattern(path: string): boolean {
  return PATTERN_CHARACTER.test(withoutEscapes(slashed(path)));
}

/**
 * The files that match a pattern, in no particular order. `*` and `?` do not match `/`, `**` does; a leading dot must be
 * matched explicitly. A folder that cannot be listed is reported, since its files would be missed.
 */
export async function* matchingPaths(
  pattern: string,
  signal: AbortSignal,
): AsyncGenerator<string | UnlistedFolder | NonUtf8File> {
  const { default: picomatch } = await import('picomatch');
  // Parentheses are common in names and have no meaning here.
  const compile = (glob: string): ((name: string) => boolean) =>
    glob === ''
      ? () => false // after a slash at the end, which no file has
      : picomatch(glob.replace(/[()|]/g, String.raw`\$&`), { ...SHELL_RULES, windows: false });

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
      // A folder that does not exist has no files that could be missed.
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(cause))) yield { folder: folder.path, cause };
      continue;
    }
    const nonUtf8Names = await NonUtf8Names.in(folder.path === '' ? '.' : folder.path, entries);
    for (const entry of entries) {
      const path = folder.path + entry.name;
      const name = folder.name + entry.name;
      const type = await typeOf(entry, path);
      if (type === 'folder') {
        const depth = folder.depth + 1;
        if (levels.mayContainFiles(entry, folder.depth)) folders.push({ path: `${path}/`, name: `${name}/`, depth });
      } else if (matches(name)) yield nonUtf8Names.next(path, entry.name);
    }
  }
}

/** The names in a folder that are not valid UTF-8. */
class NonUtf8Names {
  /** How many entries have such a name, by the name with replacement characters. */
  readonly #counts: Map<string, number>;

  private constructor(counts: Map<string, number>) {
    this.#counts = counts;
  }

  static async in(folder: string, entries: readonly Dirent[]): Promise<NonUtf8Names> {
    const counts = new Map<string, number>();
    if (!entries.some(({ name }) => name.includes(REPLACEMENT))) return new NonUtf8Names(counts);
    for (const bytes of await readdir(folder, { encoding: 'buffer' })) {
      const name = bytes.toString();
      if (!Buffer.from(name).equals(bytes)) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return new NonUtf8Names(counts);
  }

  /** The file for the next entry with a name. Entries that differ in their bytes can have the same name; the valid one comes last. */
  next(path: string, name: string): string | NonUtf8File {
    const left = this.#counts.get(name) ?? 0;
    if (left === 0) return path;
    this.#counts.set(name, left - 1);
    return { replacedPath: path };
  }
}

const REPLACEMENT = '\u{fffd}';

/** Finds the folders that can contain matching files. */
class Levels {
  readonly #segments: readonly string[];
  readonly #matchers: readonly ((name: string) => boolean)[];
  /** Index of the first segment that can match at any depth; segments before it match folders at their own depth. */
  readonly #anyDepthFrom: number;
  readonly #maxDepth: number;
  readonly #wantsHidden: boolean;

  constructor(segments: readonly string[], compile: (glob: string) => (name: string) => boolean) {
    this.#segments = segments;
    this.#matchers = segments.map(compile);
    const open = segments.findIndex((segment) => segment.includes('**') || !hasEvenBraces(segment));
    this.#anyDepthFrom = open < 0 ? segments.length : open;
    this.#maxDepth = segments.some((segment) => segment.includes('**')) ? Infinity : segments.length - 1;
    this.#wantsHidden = segments.some((segment) => /(^|[{,])\./.test(segment));
  }

  /** Whether a folder can contain matching files. @param depth - of the folder that it is an entry of */
  mayContainFiles(entry: Dirent, depth: number): boolean {
    if (depth >= this.#maxDepth) return false;
    if (depth < this.#anyDepthFrom) return this.#matchers[depth]?.(entry.name) === true;
    // Links below `**` are not followed, since they can form a cycle.
    if (this.#segments.length > 0 && entry.isSymbolicLink()) return false;
    return this.#wantsHidden || !entry.name.startsWith('.');
  }
}

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

async function typeOf(entry: Dirent, path: string): Promise<'folder' | 'file'> {
  if (entry.isDirectory()) return 'folder';
  // A broken link counts as a file; opening it reports the error.
  return entry.isSymbolicLink() && (await isFolder(path)) ? 'folder' : 'file';
}

function withoutEscapes(pattern: string): string {
  return pattern.replace(/\\./g, '');
}

/** A path with slashes. On Windows a backslash separates folders and escapes nothing. */
function slashed(path: string): string {
  return sep === '\\' ? path.replaceAll('\\', '/') : path;
}

/** A file to verify. */
export interface Target {
  /** As the caller named it, or as a pattern matched it. */
  readonly path: string;
  /** Size in bytes when the file was found, for progress; 0 if unknown. */
  readonly bytes: number;
  /** Why the file cannot be verified. */
  readonly problem?: PageStoreError;
}

/**
 * The files that arguments name, each once. An argument that names no file but contains pattern characters is a pattern that
 * the shell has not expanded; its files are sorted by name.
 */
export async function findFiles(args: readonly string[], signal: AbortSignal): Promise<Target[]> {
  const targets = new Map<string, Target>();
  for (const arg of args) {
    for await (const target of targetsOf(arg, signal)) {
      // `resolve` fails if the working directory was removed, so it is called for existing files only. A name that is not
      // UTF-8 can have the same path as another file.
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
    else if ('replacedPath' in found)
      yield { path: found.replacedPath, bytes: 0, problem: notUtf8(found.replacedPath) };
    else yield { path: found.folder, bytes: 0, problem: ioError(found.folder, 'list the folder', found.cause) };
  }
  paths.sort();
  for (const path of paths) yield await targetAt(path);
  if (count === 0) {
    const message = 'no file has this name or matches it as a pattern';
    yield { path: arg, bytes: 0, problem: new PageStoreError('IO', message, { file: arg, errno: 'ENOENT' }) };
  }
}

function notUtf8(path: string): PageStoreError {
  const message = 'the file name is not valid UTF-8, so the file cannot be opened; rename it';
  return new PageStoreError('IO', message, { file: path, errno: 'EILSEQ' });
}

async function targetAt(path: string): Promise<Target> {
  try {
    const stats = await stat(path);
    if (stats.isFile() || stats.isBlockDevice()) return { path, bytes: stats.size };
    const problem = stats.isDirectory()
      ? new PageStoreError('IO', directoryMessage(path), { file: path, errno: 'EISDIR' })
      : // Opening a pipe would wait for a writer.
        new PageStoreError('NOT_A_PAGE_FILE', 'not a page file: a pipe, a socket or a device', { file: path });
    return { path, bytes: 0, problem };
  } catch (error) {
    return { path, bytes: 0, problem: ioError(path, 'open', error) };
  }
}

function directoryMessage(path: string): string {
  return `is a directory; to verify its files: artrie-pages verify ${shellPath(`${path.replace(/\/*$/, '')}/*.part`)}`;
}
