import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFiles } from '../../../src/cli/find-files.ts';
import { isPattern, matchingPaths } from '../../../src/cli/find-files.ts';
import { temporaryFolder } from '../../support/files.ts';

const folder = temporaryFolder();
const before = process.cwd();
const { signal } = new AbortController();

const FILES = [
  'a.part',
  'b.part',
  'b.txt',
  '.hidden.part',
  'deep/c.part',
  'deep/er/d.part',
  'deep/er/still/e.part',
  '.dot/f.part',
  'old (1)/g.part',
  'odd[1]/h.part',
  'odd[1]/i.part',
  'odd1/j.part',
  '!k.part',
  'star*.part',
];

beforeAll(() => {
  process.chdir(folder);
  for (const file of FILES) {
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '');
  }
  mkdirSync('folder.part');
  symlinkSync('..', 'deep/up');
  symlinkSync('deep', 'link');
  symlinkSync('nowhere', 'dangling.part');
});

afterAll(() => process.chdir(before));

async function matches(pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const each of matchingPaths(pattern, signal)) {
    if (typeof each !== 'string') throw new Error(`not a path: ${JSON.stringify(each)}`);
    found.push(each);
  }
  return found.toSorted();
}

describe('a pattern', () => {
  test.each<[string, string[]]>([
    ['?.part', ['a.part', 'b.part']],
    ['[ab].part', ['a.part', 'b.part']],
    ['[!a].part', ['b.part']],
    ['{b,deep/c}.part', ['b.part', 'deep/c.part']],
    ['{deep/er,odd1}/*.part', ['deep/er/d.part', 'odd1/j.part']],
    ['./?.part', ['./a.part', './b.part']],
    ['deep/../?.part', ['deep/../a.part', 'deep/../b.part']],
    ['*.txt', ['b.txt']],
    ['*.part', ['!k.part', 'a.part', 'b.part', 'dangling.part', 'star*.part']],
    ['.*.part', ['.hidden.part']],
    ['.*/*.part', ['.dot/f.part']],
    ['*/c.part', ['deep/c.part', 'link/c.part']],
    ['deep/**/*.part', ['deep/c.part', 'deep/er/d.part', 'deep/er/still/e.part']],
    ['**/d.part', ['deep/er/d.part']],
    ['**/f.part', []],
    ['**/.dot/*.part', ['.dot/f.part']],
    [
      'd*/*/*.part',
      [
        'deep/er/d.part',
        'deep/up/!k.part',
        'deep/up/a.part',
        'deep/up/b.part',
        'deep/up/dangling.part',
        'deep/up/star*.part',
      ],
    ],
    ['old (1)/*', ['old (1)/g.part']],
    // An existing folder with this name takes precedence over the pattern.
    ['odd[1]/*.part', ['odd[1]/h.part', 'odd[1]/i.part']],
    ['odd\\[1\\]/?.part', ['odd[1]/h.part', 'odd[1]/i.part']],
    ['odd[12]/*.part', ['odd1/j.part']],
    ['!?.part', ['!k.part']],
    ['star\\**', ['star*.part']],
    ['none/*.part', []],
    ['a.part/*', []],
    ['*/', []],
    ['d*//c.part', ['deep/c.part']],
    ['[^a].part', ['b.part']],
  ])('%j matches %j', async (pattern, expected) => {
    expect(await matches(pattern)).toEqual(expected);
  });

  test('with an absolute path matches absolute paths', async () => {
    expect(await matches(`${folder}/?.part`)).toEqual([`${folder}/a.part`, `${folder}/b.part`]);
  });

  test.each<[string, boolean]>([
    ['a.part', false],
    ['a (1)!.part', false],
    ['a*.part', true],
    ['a\\*.part', false],
    ['{a,b}', true],
    ['', false],
  ])('is recognized by its characters: %j, %j', (path, expected) => {
    expect(isPattern(path)).toBe(expected);
  });
});

describe('files that arguments name', () => {
  const find = async (...args: string[]): Promise<string[]> =>
    (await findFiles(args, signal)).map(({ path, problem }) => (problem ? `${path}: ${problem.code}` : path));

  test('are in the order of the arguments, and those of a pattern are sorted by name', async () => {
    expect(await find('deep/c.part', '?.part')).toEqual(['deep/c.part', 'a.part', 'b.part']);
  });

  test('are included once, with the name that came first', async () => {
    expect(await find('./b.part', 'b.part', '?.part', `${folder}/a.part`, 'deep/../a.part')).toEqual([
      './b.part',
      'a.part',
    ]);
  });

  test('an existing file takes precedence over a pattern', async () => {
    writeFileSync('[ab].txt', '');
    expect(await find('[ab].txt')).toEqual(['[ab].txt']);
    expect(await find('star*.part')).toEqual(['star*.part']);
  });

  test('a pattern without matches, a missing file and a folder are a problem each', async () => {
    expect(await find('*.none', 'none.part', 'a.part', 'deep', '')).toEqual([
      '*.none: IO',
      'none.part: IO',
      'a.part',
      'deep: IO',
      ': IO',
    ]);
  });

  test('a broken link that a pattern matches is reported', async () => {
    expect(await find('d*.part')).toEqual(['dangling.part: IO']);
  });

  test('an interruption ends the search', async () => {
    await expect(findFiles(['**/*.part'], AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
