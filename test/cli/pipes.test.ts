import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BIN, expectOneError, output, runCli, runInProcess } from '../support/cli.ts';
import { goldenPath, temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
/** 30,000 nodes of 40 bytes: more than any pipe holds. */
const full = join(folder, 'full.part');
/** A page whose directory is nonsense: thousands of findings. */
const damaged = join(folder, 'damaged.part');
const numbers = join(folder, 'numbers.txt');

let files = 0;
async function newFile(): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path]);
  return path;
}

beforeAll(async () => {
  await output(['create', full]);
  await output(['append', full, '--quiet'], { stdin: [Buffer.from(`${'x'.repeat(40)}\n`.repeat(30_000))] });
  copyFileSync(full, damaged);
  const bytes = readFileSync(damaged);
  bytes.fill(0xff, 2 * 262_144 - 8 * 3000, 2 * 262_144);
  writeFileSync(damaged, bytes);
  writeFileSync(numbers, Array.from({ length: 400_000 }, (_, index) => `${index}\n`).join(''));
});

interface Shell {
  /** What the script printed. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script of bash in which `pages` is the executable, and $1 and on are the arguments. */
async function bash(script: string, ...args: string[]): Promise<Shell> {
  const pages = `pages() { "${process.execPath}" "${BIN}" "$@"; }`;
  const child = spawn('bash', ['-c', `set -o pipefail; ${pages}; ${script}`, 'bash', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  await new Promise((resolve) => child.once('close', resolve));
  return { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

describe('a closed pipe ends the program quietly', () => {
  test('read --all | head -1', async () => {
    const { stdout, stderr } = await bash('pages read "$1" --all | head -1; echo "${PIPESTATUS[0]}"', full);
    expect({ stdout, stderr }).toEqual({ stdout: `${'x'.repeat(40)}\n0\n`, stderr: '' });
  });

  test('read --all --json | head -1', async () => {
    const { stdout, stderr } = await bash('pages read "$1" --all --json | head -1; echo "${PIPESTATUS[0]}"', full);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^\{"type":"node","ref":"1:0",.*\}\n0\n$/);
  });

  test('dump --hex | head -1', async () => {
    const { stdout, stderr } = await bash('pages dump "$1" --block 1 --hex | head -1; echo "${PIPESTATUS[0]}"', full);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^0000040000 .*\n0\n$/);
  });

  test('append | head -1, and what was printed is in the file, which is valid', async () => {
    const path = await newFile();
    const { stdout, stderr } = await bash('pages append "$1" <"$2" | head -1; echo "${PIPESTATUS[0]}"', path, numbers);
    expect({ stdout, stderr }).toEqual({ stdout: '1:0\n0\n', stderr: '' });
    expect(await output(['read', path, '1:0'])).toBe('0');
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });

  test('a reader that has gone before the first byte', async () => {
    const { stdout, stderr } = await bash('{ sleep 0.3; pages read "$1" --all; echo "$?" >&2; } | true', full);
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '0\n' });
  });

  test('verify of a damaged file still exits 1', async () => {
    const { stdout, stderr } = await bash('pages verify "$1" | head -1; echo "${PIPESTATUS[0]}"', damaged);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^.*: error SLOT_BOUNDS .*\n1\n$/);
  });

  test('verify of several files checks those after the one that closed it', async () => {
    const { stdout, stderr } = await bash(
      '{ sleep 0.3; pages verify "$1" "$2"; echo "$?" >&2; } | true',
      full,
      goldenPath('stale-header'),
    );
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '1\n' });
  });

  test('an error keeps its exit code if its reader has gone', async () => {
    const { stdout } = await bash('pages stat "$1" 2>&1 | true; echo "${PIPESTATUS[0]}"', join(folder, 'none'));
    expect(stdout).toBe('3\n');
  });
});

describe('a stdout that cannot be written', () => {
  async function runFull(args: readonly string[]): Promise<{ exit: number | null; stderr: string }> {
    const fd = openSync('/dev/full', 'w');
    try {
      const { exit, stderr } = await runCli(args, { stdout: fd });
      return { exit, stderr: stderr.toString() };
    } finally {
      closeSync(fd);
    }
  }

  const told = { exit: 3, stderr: 'artrie-pages: standard output: write failed (ENOSPC)\n' };

  test('read of more than a buffer exits 3 and says so', async () => {
    expect(await runFull(['read', full, '--all'])).toEqual(told);
  });

  test('read of a few bytes exits 3 and says so', async () => {
    expect(await runFull(['read', full, '1:0'])).toEqual(told);
  });

  test.each([['stat'], ['dump'], ['finalize'], ['allocate']])('%s exits 3 and says so', async (name) => {
    const path = await newFile();
    expect(await runFull([name, path])).toEqual(told);
  });

  test('append exits 3, and what was committed stays', async () => {
    const path = await newFile();
    expect(await runFull(['append', path, 'kept'])).toEqual(told);
    expect(await output(['read', path, '1:0'])).toBe('kept');
  });

  test('verify exits 3 and names stdout, not the file that it checks', async () => {
    expect(await runFull(['verify', damaged])).toEqual(told);
  });

  test('verify exits 3, not 1, if its findings could not be written', async () => {
    const { exit, stderr } = await runFull(['verify', goldenPath('stale-header'), damaged]);
    expect(exit).toBe(3);
    expectOneError(stderr);
  });

  test.each([['--version'], ['--help']])('%s exits 3 and says so', async (option) => {
    expect(await runFull([option])).toEqual(told);
  });
});
