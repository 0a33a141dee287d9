import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import pkg from '../../package.json' with { type: 'json' };
import { Interrupted } from '../../src/cli/context.ts';
import { COMMANDS, expectOneError, jsonLines, output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { specNodes } from '../support/spec-reader.ts';

const folder = temporaryFolder();
let folders = 0;

function newPath(): string {
  const path = join(folder, String(folders++));
  mkdirSync(path);
  return join(path, 'file.part');
}

async function newFile(...options: string[]): Promise<string> {
  const path = newPath();
  await output(['create', path, ...options]);
  return path;
}

const stdin = (text: string): { stdin: Uint8Array[] } => ({ stdin: [Buffer.from(text, 'latin1')] });

/** Runs a command that fails, and expects that the file stays as it is. @returns its error */
async function failure(exit: number, path: string, args: readonly string[]): Promise<string> {
  const before = readFileSync(path);
  const result = await runInProcess(args);
  expect({ args, exit: result.exit, stdout: result.stdout.toString() }).toEqual({ args, exit, stdout: '' });
  expectOneError(result.stderr);
  expect(readFileSync(path).equals(before)).toBe(true);
  return result.stderr;
}

describe('the program itself', () => {
  test('--version prints the version of the package', async () => {
    expect(await output(['--version'])).toBe(`${pkg.version}\n`);
  });

  test('--help and help print every command on stdout', async () => {
    const help = await output(['--help']);
    for (const name of COMMANDS) {
      expect(help).toMatch(new RegExp(`^  ${name} `, 'm'));
      expect(await output([name, '--help'])).toMatch(new RegExp(`^Usage: artrie-pages ${name} `));
      expect(await output(['help', name])).toBe(await output([name, '--help']));
    }
    expect(await output(['help'])).toBe(help);
  });

  test('no command is wrong usage: the help is on stderr', async () => {
    const { exit, stdout, stderr } = await runInProcess([]);
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toBe(await output(['--help']));
  });

  test.each([['append'], ['read', '--all'], ['stat'], ['dump'], ['verify']])(
    '%s that is interrupted exits 130 with nothing on stderr',
    async (name, ...rest) => {
      const path = await newFile();
      const signal = AbortSignal.abort(new Interrupted('SIGINT'));
      const { exit, stderr } = await runInProcess([name, path, ...rest], { signal, ...stdin('never\n') });
      expect({ exit, stderr }).toEqual({ exit: 130, stderr: '' });
    },
  );
});

describe('create', () => {
  test('prints the path and creates a header block and one empty page', async () => {
    const path = newPath();
    expect(await output(['create', path])).toBe(`${path}\n`);
    expect(statSync(path).size).toBe(524_288);
    expect(specNodes(readFileSync(path))).toEqual([]);
    expect(readdirSync(join(path, '..'))).toEqual(['file.part', 'file.part.lock']);
  });

  test('--json prints a summary', async () => {
    const path = newPath();
    expect(jsonLines(await output(['create', path, '--json', '--page-format', 'v2']))).toEqual([
      { type: 'summary', schema: 1, command: 'create', file: path, pageFormat: 'v2', blocks: 2 },
    ]);
  });

  test('refuses a file that exists, page file or not, and --force replaces it', async () => {
    const path = await newFile();
    await output(['append', path, 'old']);
    await failure(3, path, ['create', path]);
    expect(await output(['create', path, '--force'])).toBe(`${path}\n`);
    expect(await output(['read', path, '--all'])).toBe('');
    writeFileSync(path, 'a letter');
    await failure(3, path, ['create', path]);
    expect(await output(['create', path, '--force'])).toBe(`${path}\n`);
    expect(await output(['read', path, '--all'])).toBe('');
    expect(readdirSync(join(path, '..'))).toEqual(['file.part', 'file.part.lock']);
  });

  test('--force creates a file if there is none, and does not replace a directory', async () => {
    const path = newPath();
    expect(await output(['create', path, '--force'])).toBe(`${path}\n`);
    const { exit, stderr } = await runInProcess(['create', join(path, '..'), '--force']);
    expect(exit).toBe(3);
    expectOneError(stderr);
    expect(existsSync(path)).toBe(true);
  });
});

describe('allocate and free', () => {
  test('allocate prints the id of each block', async () => {
    const path = await newFile();
    expect(await output(['allocate', path])).toBe('2\n');
    expect(await output(['allocate', path, '--count', '3'])).toBe('3\n4\n5\n');
    expect(statSync(path).size).toBe(6 * 262_144);
    expect(jsonLines(await output(['allocate', path, '--json']))).toEqual([
      { type: 'block', block: 6 },
      { type: 'summary', schema: 1, command: 'allocate', file: path, blocks: 1 },
    ]);
  });

  test('a block that was freed is the next to be allocated, before the file grows', async () => {
    const path = await newFile();
    await output(['allocate', path, '--count', '3']);
    expect(await output(['free', path, '2', '3'])).toBe('2\n3\n');
    const again = (await output(['allocate', path, '--count', '3'])).trim().split('\n').map(Number);
    expect(again.toSorted((a, b) => a - b)).toEqual([2, 3, 5]);
    expect(again.at(-1)).toBe(5);
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });

  test('a free block has no nodes, and cannot be freed again', async () => {
    const path = await newFile();
    await output(['append', path, 'gone']);
    expect(await output(['free', path, '1'])).toBe('1\n');
    expect(await failure(2, path, ['read', path, '1:0'])).toContain('free');
    expect(await failure(2, path, ['free', path, '1'])).toContain('block 1 is already free');
    expect(await output(['allocate', path])).toBe('1\n');
    expect(await output(['read', path, '1'])).toBe('');
  });

  test('allocate --page-format sets the format of the pages', async () => {
    const path = await newFile();
    await output(['allocate', path, '--page-format', 'v2']);
    await output(['allocate', path]);
    const rows = jsonLines(await output(['dump', path, '--json']));
    expect(rows.filter(({ type }) => type === 'block').map(({ kind }) => kind)).toEqual([
      'V1 page',
      'V2 page',
      'V2 page',
    ]);
  });
});

describe('update', () => {
  test('replaces a node with one of the same length, and prints the ref', async () => {
    const path = await newFile();
    await output(['append', path, 'one', 'two', 'three']);
    expect(await output(['update', path, '1:1', 'TWO'])).toBe('1:1\n');
    expect(await output(['update', path, '1:0', '00ff0a', '--encoding', 'hex'])).toBe('1:0\n');
    expect(await output(['read', path, '1', '--encoding', 'hex'])).toBe('00ff0a\n54574f\n7468726565\n');
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });

  test('refuses a node of another length', async () => {
    const path = await newFile();
    await output(['append', path, 'one']);
    for (const data of ['', 'on', 'four']) {
      expect(await failure(2, path, ['update', path, '1:0', data])).toContain('the node at 1:0 has 3 bytes');
    }
    expect(await failure(2, path, ['update', path, '1:0', 'zz', '--encoding', 'hex'])).toContain("'zz' is not hex");
  });
});

describe('finalize', () => {
  test('finalizes every page, and a second run says that it already was', async () => {
    const path = await newFile();
    await output(['append', path, 'a', 'b']);
    await output(['allocate', path]);
    expect(await output(['finalize', path])).toBe('block 1: finalized, 2 nodes\nblock 2: finalized, 0 nodes\n');
    const bytes = readFileSync(path);
    expect(await output(['finalize', path])).toBe(
      'block 1: already finalized, 2 nodes\nblock 2: already finalized, 0 nodes\n',
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect((await runInProcess(['verify', path, '--require-finalized', '--require-checksums'])).exit).toBe(0);
  });

  test('--block seals the named page, and the next node goes to another page', async () => {
    const path = await newFile();
    await output(['append', path, 'a']);
    await output(['allocate', path]);
    expect(await output(['finalize', path, '--block', '2'])).toBe('block 2: finalized, 0 nodes\n');
    expect(jsonLines(await output(['finalize', path, '--json']))).toEqual([
      { type: 'page', block: 1, outcome: 'sealed', nodes: 1 },
      { type: 'page', block: 2, outcome: 'was sealed', nodes: 0 },
      { type: 'summary', schema: 1, command: 'finalize', file: path, sealed: 1, sealedBefore: 1, damaged: 0 },
    ]);
    expect(await output(['append', path, 'b'])).toBe('3:0\n');
  });

  test.each([
    ['--block', '1', 'FILE'],
    ['--block', '1', '3', 'FILE'],
    ['FILE', '--block', '1', '3'],
    ['--block', '1', '--json', 'FILE', '3'],
    ['--block', '1', '--block', '3', 'FILE'],
  ])('takes the file anywhere beside the ids of --block: %s %s %s %s %s', async (...args) => {
    const path = await newFile();
    await output(['allocate', path, '--count', '2']);
    const given = args.filter((arg) => arg !== undefined);
    const printed = await output(['finalize', ...given.map((arg) => (arg === 'FILE' ? path : arg))]);
    const blocks = [...printed.matchAll(/block(?:": ?| )?"?:?(\d)/g)].map(([, block]) => block);
    expect(blocks).toEqual(given.filter((arg) => /^\d$/.test(arg)));
  });

  test('a file whose name is a number comes first', async () => {
    const folder = process.cwd();
    process.chdir(temporaryFolder());
    try {
      await output(['create', '7']);
      expect(await output(['finalize', '7', '--block', '1'])).toBe('block 1: finalized, 0 nodes\n');
      expect((await runInProcess(['finalize', '7', '1'])).exit).toBe(2);
      expect((await runInProcess(['finalize', 'a.part', '--block', '1', 'b.part'])).exit).toBe(2);
    } finally {
      process.chdir(folder);
    }
  });
});
