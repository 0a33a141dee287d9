import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

/** From the lowest up. A floor uses the floors before it; `not` lists those of them that it does not. */
const FLOORS: readonly { name: string; not?: readonly string[] }[] = [
  { name: 'bytes' },
  { name: 'format' },
  { name: 'arena', not: ['format'] },
  { name: 'disk', not: ['arena'] },
  { name: 'store' },
  { name: 'trie', not: ['arena'] },
  { name: 'salvage', not: ['arena', 'store', 'trie'] },
  { name: 'verify', not: ['arena', 'store', 'trie'] },
  { name: 'repair', not: ['arena', 'store', 'trie'] },
  { name: 'recover', not: ['arena', 'trie', 'repair'] },
  { name: 'transfer', not: ['repair', 'recover'] },
  { name: 'view', not: ['arena', 'verify', 'repair', 'recover', 'transfer'] },
  { name: 'report', not: ['arena', 'store', 'trie'] },
  { name: 'cli' },
];

/** Files of src/ itself: these are used by every floor, the others are the public entry points and use every floor but cli. */
const COMMON = ['errors.ts', 'arguments.ts'];

interface SourceFile {
  readonly path: string;
  readonly floor: string;
  readonly text: string;
  /** Paths of imported files under src/, and names of modules. */
  readonly imports: readonly string[];
}

const SRC = join(import.meta.dirname, '../src');
const files: SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const imports = [...text.matchAll(/(?:\bfrom|\bimport\(?)\s*'([^']+)'/g)].map(([, name = '']) =>
      name.startsWith('.') ? normalize(join(dirname(path), name)) : name,
    );
    return { path, floor: floorOf(path), text, imports };
  });

function floorOf(path: string): string {
  return path.includes(sep) ? path.slice(0, path.indexOf(sep)) : '';
}

const level = (floor: string): number => FLOORS.findIndex(({ name }) => name === floor);

describe('the floors of src/', () => {
  it('are the folders there are', () => {
    expect([...new Set(files.map(({ floor }) => floor))].toSorted()).toEqual(
      ['', ...FLOORS.map(({ name }) => name)].toSorted(),
    );
  });

  it('use only the floors under them', () => {
    const wrong = files.flatMap(({ path, floor, imports }) =>
      imports
        .filter((target) => target.endsWith('.ts') && !mayUse(floor, path, target))
        .map((target) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('have no module that reads files but disk/node-*.ts and cli/, and no other that uses the process', () => {
    const io = files.filter(({ path, floor, imports }) => {
      const touchesFiles = imports.some((name) => /^(node:)?(fs|fs\/promises|net|http|https)$/.test(name));
      return touchesFiles && floor !== 'cli' && !path.startsWith(join('disk', 'node-'));
    });
    expect(io.map(({ path }) => path)).toEqual([]);
    const usesProcess = files.filter(
      ({ floor, text }) => floor !== 'cli' && /(^|[^.\w'])process\.\w/m.test(withoutComments(text)),
    );
    expect(usesProcess.map(({ path }) => path)).toEqual([]);
  });

  it('have files of at most 600 lines', () => {
    expect(files.filter(({ text }) => text.split('\n').length > 601).map(({ path }) => path)).toEqual([]);
  });
});

function mayUse(floor: string, path: string, target: string): boolean {
  const used = floorOf(target);
  if (floor === '') return used !== 'cli' && !(COMMON.includes(path) && used !== '');
  if (used === '') return COMMON.includes(target);
  const not = FLOORS[level(floor)]?.not ?? [];
  return level(used) <= level(floor) && !not.includes(used);
}

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
