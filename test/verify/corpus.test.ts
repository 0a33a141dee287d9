import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/verify/verify.ts';
import { RULES } from '../../src/verify/rules.ts';
import { jsonLines, runInProcess } from '../support/cli.ts';
import { baseBytes, DAMAGED, type DamagedFile, loadCorpus } from '../support/corpus.ts';
import {
  expectedPath,
  firstDifference,
  type Format,
  FORMATS,
  groupReport,
  groups,
  textReport,
  writeCorpus,
} from '../support/damaged/goldens.ts';
import { makeRecipes } from '../support/damaged/recipes.ts';
import { temporaryFolder } from '../support/files.ts';

const SAME = { is: [], expected: [] };

const corpus = loadCorpus();
const folder = temporaryFolder();
const before = process.cwd();

beforeAll(() => {
  writeCorpus(folder, corpus);
  // Reports contain paths as they were given, so they must not contain the name of a temporary folder.
  process.chdir(folder);
});
afterAll(() => process.chdir(before));

/** The findings of a file in the notation of recipes. */
async function findingsOf({ name, options = [] }: DamagedFile): Promise<{ lines: string[]; error: unknown }> {
  const { stdout } = await runInProcess(['verify', '--json', '--all', ...options, `${name}.part`]);
  const objects = jsonLines(stdout);
  const lines = objects
    .filter(({ type }) => type === 'finding')
    .map((finding) => {
      const { severity, code, block, slot, offset } = finding as unknown as Finding;
      return `${severity} ${code} ${block}${slot === undefined ? '' : `:${slot}`} @${offset}`;
    });
  return { lines, error: objects.find(({ type }) => type === 'error')?.['code'] };
}

/** The findings that a recipe must list: all except those of severity `info` that it omits. */
const relevant = (lines: readonly string[], expected: readonly string[]): string[] =>
  lines.filter((line) => !line.startsWith('info ') || expected.includes(line)).toSorted();

describe.each(corpus)('$name', (file) => {
  test('has exactly the findings that its recipe lists by hand', async () => {
    const { lines, error } = await findingsOf(file);
    expect(relevant(lines, file.expect)).toEqual(file.expect.toSorted());
    expect(error).toBe(file.error);
  });

  test('has the expected text report', async () => {
    expect(firstDifference(await textReport(file), expectedPath(file.name))).toEqual(SAME);
  });

  test('can be dumped, and so can each damaged block', async () => {
    const whole = await runInProcess(['dump', '--json', `${file.name}.part`]);
    expect(whole.exit).toBe(file.error === undefined ? 0 : 3);
    if (file.error !== undefined) return;
    // The damaged blocks that exist, and a summary of the file.
    const blocks = new Set([0, ...file.expect.map((line) => Number.parseInt(line.split(' ')[2]!, 10))]);
    for (const block of blocks) {
      if (block >= Math.ceil(file.bytes().length / 262_144)) continue;
      const { exit, stderr, stdout } = await runInProcess(['dump', `${file.name}.part`, '--block', String(block)]);
      expect({ block, exit, stderr }).toEqual({ block, exit: 0, stderr: '' });
      expect(stdout.length).toBeGreaterThan(100);
    }
  });
});

describe.each([...groups(corpus)])('the report on all files of %s', (name, files) => {
  test.each(Object.keys(FORMATS) as Format[])('is as expected in %s', async (format) => {
    expect(firstDifference(await groupReport(format, files), expectedPath(name, format))).toEqual(SAME);
  });
});

describe('the corpus', () => {
  test('has a file for every rule that verify knows', () => {
    const triggered = new Set(corpus.flatMap((file) => file.expect.map((line) => line.split(' ')[1])));
    expect(RULES.map(({ id }) => id).filter((id) => !triggered.has(id))).toEqual([]);
  });

  test('is what the script makes from its bases', () => {
    const made = makeRecipes(baseBytes);
    expect(corpus.map(({ name }) => name)).toEqual([...made.keys()].toSorted());
    for (const [name, recipe] of made) {
      expect(JSON.parse(readFileSync(join(DAMAGED, `${name}.json`), 'utf8')), name).toEqual(recipe);
    }
  });

  test('contains valid files too, for which verify reports nothing', () => {
    expect(corpus.filter((file) => file.expect.length === 0 && file.error === undefined).length).toBeGreaterThan(5);
  });
});
