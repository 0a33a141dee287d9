import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { jsonLines, runInProcess } from '../support/cli.ts';
import { type DamagedFile, loadCorpus } from '../support/corpus.ts';
import { writeCorpus } from '../support/damaged/goldens.ts';
import { temporaryFolder } from '../support/files.ts';
import { withHeader } from '../support/damage.ts';
import { makeNodes } from '../support/nodes.ts';

const corpus = loadCorpus();
const [folder, empty] = [temporaryFolder(), temporaryFolder()];
const before = process.cwd();

beforeAll(() => {
  writeCorpus(folder, corpus);
  process.chdir(folder);
});
afterAll(() => process.chdir(before));

/** The distinct commands that verify says to run next. */
async function nextOf(file: string, options: readonly string[] = []): Promise<string[]> {
  const { stdout } = await runInProcess(['verify', '--json', '--quiet', ...options, '--', file]);
  return [...new Set(jsonLines(stdout).flatMap(({ type, next }) => (type === 'finding' ? [next as string] : [])))];
}

/** The words of each command line, as a shell takes it apart. */
function wordsOf(commands: readonly string[]): string[][] {
  const script = commands.map((command) => `printf '%s\\0' ${command}; printf '\\0'`).join('\n');
  const output = execFileSync('bash', ['-c', script], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return output
    .split('\0\0')
    .slice(0, -1)
    .map((words) => words.split('\0'));
}

test('the next command that verify prints for each damaged file is a valid command line', async () => {
  const commands: string[] = [];
  const files: DamagedFile[] = [];
  for (const file of corpus) {
    for (const command of await nextOf(`${file.name}.part`, file.options)) {
      commands.push(command);
      files.push(file);
    }
  }
  expect(commands.length).toBeGreaterThan(130);
  const lines = wordsOf(commands);
  expect(lines).toHaveLength(commands.length);
  // Where there is no such file, a command line that is wrong is told of as that, and one that is right is not.
  process.chdir(empty);
  for (const [index, [tool, ...args]] of lines.entries()) {
    expect(tool).toBe('artrie-pages');
    expect(args).toContain(`${files[index]!.name}.part`);
    expect({ args, exit: (await runInProcess(args)).exit }).toEqual({ args, exit: 3 });
  }
  expect((await runInProcess(['repair', '--dry', 'none.part'])).exit).toBe(2);
  process.chdir(folder);
  expect(new Set(lines.map(([, command]) => command))).toEqual(new Set(['dump', 'repair', 'recover', 'finalize']));
});

describe('a file whose name a shell would split', () => {
  const damage = (name: string): Uint8Array => corpus.find((file) => file.name === name)!.bytes();

  test.each([
    'with spaces',
    "it's",
    '"quoted"',
    '-dash',
    '--help',
    'line\nbreak',
    "tab\tand 'quote' \\ \r\n",
    '$(exit) `exit` $HOME',
    '*?[a]',
    '~',
    'ünï\u2028\u0085',
    'back\\slash',
    '; exit #',
  ])('%j: each next command is of that file, and runs', async (name) => {
    writeFileSync(name, damage('node-bytes'));
    const [recover, ...rest] = wordsOf(await nextOf(name));
    expect(rest).toEqual([]);
    const path = name.startsWith('-') ? `./${name}` : name;
    expect(recover).toEqual(['artrie-pages', 'recover', path, `${path}.recovered`]);
    expect((await runInProcess(recover!.slice(1))).exit).toBeLessThan(2);
    expect(existsSync(join(folder, `${name}.recovered`))).toBe(true);

    writeFileSync(name, damage('node-bit-v1'));
    const [repair] = wordsOf(await nextOf(name));
    expect(repair).toEqual(['artrie-pages', 'repair', '--dry-run', path]);
    expect((await runInProcess(repair!.slice(1))).exit).toBe(1);

    writeFileSync(name, damage('header-version-to-come'));
    const [dump] = wordsOf(await nextOf(name));
    expect(dump).toEqual(['artrie-pages', 'dump', path, '--block', '0']);
  });

  test.each(['line\nbreak', "tab\tand 'quote'"])('%j: the command in the text report is on one line', async (name) => {
    writeFileSync(name, damage('node-bit-v1'));
    const { stdout } = await runInProcess(['verify', name]);
    const [, command = ''] = /^ {2}next: (.*)$/m.exec(stdout.toString()) ?? [];
    expect(wordsOf([command])).toEqual([['artrie-pages', 'repair', '--dry-run', name]]);
  });
});

describe('every message that suggests a command quotes the path of the file', () => {
  /** The command lines that a message suggests, as a shell splits them. */
  const suggestedIn = (message: string): string[][] =>
    wordsOf([...message.matchAll(/artrie-pages (?!: )[a-z]+ [^;\n]*/g)].map(([command]) => command));

  const damage = (name: string): Uint8Array => corpus.find((file) => file.name === name)!.bytes();

  describe.each(['with spaces.part', "it's.part", '-dash.part'])('%j', (name) => {
    const path = name.startsWith('-') ? `./${name}` : name;
    const verify = ['artrie-pages', 'verify', path];

    test.each<readonly [string, string, readonly string[], readonly (readonly string[])[]]>([
      ['read', 'node-bytes', ['read', '--', name, '1:0'], [verify]],
      ['stat', 'node-bytes', ['stat', '--', name], [verify]],
      ['finalize', 'node-bytes', ['finalize', '--', name], [verify]],
      ['diff', 'node-bytes', ['diff', '--', name, 'node-bit-v1.part'], [[...verify, 'node-bit-v1.part']]],
      ['export', 'node-bytes', ['export', '--', name], [['artrie-pages', 'recover', path, 'TARGET'], verify]],
      ['compact', 'node-bytes', ['compact', '--', name, 'new'], [['artrie-pages', 'recover', path, 'TARGET'], verify]],
      ['repair', 'node-bytes', ['repair', '--', name], [['artrie-pages', 'recover', path, `${path}.recovered`]]],
      [
        'repair that changes',
        'node-bit-v1',
        ['repair', '--', name],
        [['artrie-pages', 'repair', path, '--undo', `${path}.undo`]],
      ],
    ])('%s', async (_, damaged, args, expected) => {
      writeFileSync(name, damage(damaged));
      rmSync(`${name}.undo`, { force: true });
      const { stderr } = await runInProcess(args);
      expect(suggestedIn(stderr)).toEqual(expected);
    });
  });
});

describe('a bit in a page with so many bytes that repair flips it only with --likely-bits', () => {
  async function fullPage(): Promise<Uint8Array> {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: 'v2' });
    await store.appendMany(makeNodes(3000, 60, 70));
    await store.close();
    return file.bytes.slice();
  }

  test.each([
    ['alone', {}, ['PAGE_CHECKSUM']],
    ['with a count that can be set once the page is mended', { entryCount: 5n }, ['PAGE_CHECKSUM', 'ENTRY_COUNT']],
  ])('of a node, %s: the next command has the option, and mends the file', async (_, header, codes) => {
    const bytes = withHeader(await fullPage(), header);
    bytes[BLOCK_BYTES + 5000]! ^= 8;
    const file = join(folder, 'full.part');
    writeFileSync(file, bytes);
    const found = jsonLines((await runInProcess(['verify', '--json', '--fail-on', 'warning', file])).stdout);
    expect(found.map(({ code }) => code)).toEqual(expect.arrayContaining(codes));
    expect(await nextOf(file)).toContain(`artrie-pages repair --dry-run --likely-bits ${file}`);
    expect(await nextOf(file)).not.toContain(`artrie-pages repair --dry-run ${file}`);
    expect((await runInProcess(['repair', '--dry-run', file])).exit).toBe(5);
    expect((await runInProcess(['repair', '--likely-bits', file])).exit).toBe(0);
    expect(await nextOf(file)).toEqual([]);
  });

  test('of the header: without the option', async () => {
    const bytes = await fullPage();
    bytes[BLOCK_BYTES + 13]! ^= 8;
    const file = join(folder, 'full.part');
    writeFileSync(file, bytes);
    expect(await nextOf(file)).toEqual([`artrie-pages repair --dry-run ${file}`]);
  });
});
