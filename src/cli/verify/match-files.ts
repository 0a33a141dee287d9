import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { errnoOf } from '../../disk/io-error.ts';

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
