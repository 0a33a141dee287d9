import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../src/cli/context.ts';
import {
  BIN,
  expectOneError,
  output,
  publicCopy,
  runCli,
  runInProcess,
  TELLS_WHEN_IT_LISTENS,
  unprivileged,
} from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { killHoldersAfterEach, startHolder } from '../support/lock.ts';

const folder = temporaryFolder();
killHoldersAfterEach();
/** It has no node_modules, and so no fs-native-extensions. */
const copy = publicCopy();

let files = 0;
async function newFile(...options: string[]): Promise<string> {
  const below = join(folder, String(files++));
  mkdirSync(below);
  const path = join(below, 'file.part');
  await output(['create', path, ...options]);
  await output(['append', path, 'node']);
  return path;
}

const WRITERS: readonly (readonly string[])[] = [
  ['create', '--force'],
  ['allocate'],
  ['append', 'x'],
  ['update', '1:0', 'edon'],
  ['free', '1'],
  ['finalize'],
];

const commandLine = ([name = '', ...rest]: readonly string[], path: string): string[] => [name, path, ...rest];

describe.each([
  ['with the lock of the system', BIN],
  ['without fs-native-extensions', copy],
])('a file that another process writes to, %s', (_, bin) => {
  test('is refused to every command that writes, with exit 4 and one line that names that process', async () => {
    const path = await newFile();
    const before = readFileSync(path);
    const holder = await startHolder(path, bin);
    const names = readdirSync(join(path, '..'));
    for (const writer of WRITERS) {
      for (const options of [[], ['--break-lock']]) {
        const { exit, stdout, stderr } = await runCli([...commandLine(writer, path), ...options], { bin });
        expect({ writer, exit, stdout: stdout.toString() }).toEqual({ writer, exit: 4, stdout: '' });
        expectOneError(stderr);
        const who = `process ${holder.pid} on host ${hostname()}, since `;
        expect(stderr.toString()).toContain(`artrie-pages: ${path}: another writer holds the lock: ${who}`);
        expect(stderr.toString()).toMatch(/Z; wait for it with --lock-timeout SECONDS\n$/);
      }
    }
    expect(readdirSync(join(path, '..'))).toEqual(names);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(await holder.finish()).toBe(0);
  });

  test('can be read', async () => {
    const path = await newFile();
    const holder = await startHolder(path, bin);
    for (const args of [
      ['read', path, '1:0'],
      ['stat', path],
      ['dump', path],
      ['verify', path],
    ]) {
      expect({ args, exit: (await runCli(args, { bin })).exit }).toEqual({ args, exit: 0 });
    }
    expect(await holder.finish()).toBe(0);
  });

  test('is written to by a waiting writer, once that process has ended', async () => {
    const path = await newFile();
    const holder = await startHolder(path, bin);
    const waiting = runCli(['append', path, 'later', '--lock-timeout', '30'], { bin });
    await setTimeout(500);
    expect(await output(['read', path, '--all'])).toBe('node\n');
    await holder.finish();
    const { exit, stdout } = await waiting;
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 0, stdout: '1:1\n' });
  });

  test('is not waited for longer than --lock-timeout', async () => {
    const path = await newFile();
    const holder = await startHolder(path, bin);
    const start = performance.now();
    const { exit, stderr } = await runCli(['append', path, 'x', '--lock-timeout', '0.7'], { bin });
    expect(performance.now() - start).toBeGreaterThan(700);
    expect(exit).toBe(4);
    expectOneError(stderr);
    expect(await holder.finish()).toBe(0);
  });

  test('is not waited for after SIGINT, and the exit code is 130', async () => {
    const path = await newFile();
    const holder = await startHolder(path, bin);
    const names = readdirSync(join(path, '..'));
    const args = ['--import', TELLS_WHEN_IT_LISTENS, bin, 'append', path, 'x', '--lock-timeout', '600'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => child.once('exit', (exit, signal) => resolve({ exit, signal })));
    await once(child.stderr, 'data');
    await setTimeout(300);
    child.kill('SIGINT');
    expect(await ended).toEqual({ exit: 130, signal: null });
    expect(readdirSync(join(path, '..'))).toEqual(names);
    expect(await holder.finish()).toBe(0);
  });
});

test('a command that is interrupted while it waits exits 130 and prints nothing', async () => {
  const path = await newFile();
  const holder = await startHolder(path);
  const interruption = new AbortController();
  void setTimeout(150).then(() => interruption.abort(new Interrupted('SIGINT')));
  for (const writer of WRITERS) {
    const args = [...commandLine(writer, path), '--lock-timeout', '60'];
    const { exit, stdout, stderr } = await runInProcess(args, { signal: interruption.signal });
    expect({ exit, stdout: stdout.toString(), stderr }).toEqual({ exit: 130, stdout: '', stderr: '' });
  }
  expect(await output(['read', path, '--all'])).toBe('node\n');
  expect(await holder.finish()).toBe(0);
});

test.each(['-1', 'x', '', '1e3', 'Infinity'])('--lock-timeout %j is wrong usage', async (seconds) => {
  const path = await newFile();
  const { exit, stderr } = await runInProcess(['append', path, 'x', '--lock-timeout', seconds]);
  expect(exit).toBe(2);
  expectOneError(stderr);
});

describe('a lock that a killed process left', () => {
  test('is reported, and removed with --break-lock, without system locks', async () => {
    const path = await newFile();
    const holder = await startHolder(path, copy);
    holder.kill('SIGKILL');
    await holder.ended;
    const refused = await runCli(['append', path, 'x'], { bin: copy });
    expect(refused.exit).toBe(4);
    expectOneError(refused.stderr);
    expect(refused.stderr.toString()).toMatch(
      new RegExp(`left its lock ${path}\\.lock\\.pid: process ${holder.pid} on .*; remove it with --break-lock\n$`),
    );
    expect((await runCli(['append', path, 'x', '--break-lock'], { bin: copy })).exit).toBe(0);
    expect(existsSync(`${path}.lock.pid`)).toBe(false);
  });

  test('does not exist with system locks', async () => {
    const path = await newFile();
    const holder = await startHolder(path);
    holder.kill('SIGKILL');
    await holder.ended;
    expect((await runCli(['append', path, 'x'])).exit).toBe(0);
  });
});

test('a folder in which no lock file can be created is an I/O error that names the file', async () => {
  const path = await newFile();
  chmodSync(folder, 0o755);
  chmodSync(join(path, '..'), 0o555);
  chmodSync(path, 0o666);
  const { exit, stderr } = await runCli(['append', path, 'x'], { bin: copy, ...unprivileged });
  chmodSync(join(path, '..'), 0o755);
  expect(exit).toBe(3);
  expectOneError(stderr);
  expect(stderr.toString()).toContain(`${path}.lock.pid: `);
  expect(stderr.toString()).toContain('permission denied');
});

describe('eight processes that append at once', () => {
  const PROCESSES = 8;

  /** Appends in two runs. @returns what was acknowledged: refs and nodes */
  async function appendRuns(path: string, bin: string, name: string): Promise<string[]> {
    const acknowledged: string[] = [];
    for (let run = 0; run < 2; run++) {
      const nodes = Array.from({ length: 20 }, (_, index) => `${name}-${run}-${index}`);
      const args = ['append', path, ...nodes, '--batch', '5', '--lock-timeout', '60', '--break-lock'];
      const { exit, stdout, stderr } = await runCli(args, { bin });
      expect({ exit, stderr: stderr.toString() }).toEqual({ exit: 0, stderr: '' });
      const refs = stdout.toString().trimEnd().split('\n');
      expect(refs).toHaveLength(nodes.length);
      for (const [index, ref] of refs.entries()) acknowledged.push(`${ref} ${nodes[index]}`);
    }
    return acknowledged;
  }

  async function expectFair(path: string, bins: readonly string[]): Promise<void> {
    const runs = bins.map((bin, index) => appendRuns(path, bin, `p${index}`));
    const expected = ['1:0 node', ...(await Promise.all(runs)).flat()];
    const read = await runInProcess(['read', path, '--all', '--json']);
    const found = read.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; ref: string; data: string })
      .filter(({ type }) => type === 'node')
      .map(({ ref, data }) => `${ref} ${Buffer.from(data, 'base64').toString()}`);
    expect(found.toSorted()).toEqual(expected.toSorted());
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
    expect(readdirSync(join(path, '..')).toSorted()).toEqual(['file.part', 'file.part.lock']);
  }

  const of = (...bins: string[]): string[] => Array.from({ length: PROCESSES }, (_, i) => bins[i % bins.length] ?? '');

  test.each([
    ['v1', 'with the lock of the system', of(BIN)],
    ['v2', 'with the lock of the system', of(BIN)],
    ['v1', 'without fs-native-extensions', of(copy)],
    ['v2', 'without fs-native-extensions', of(copy)],
    ['v1', 'some with the one lock and some with the other', of(BIN, copy)],
  ])('to a %s file %s have all that was acknowledged to them in it, once', async (format, _, bins) => {
    const path = await newFile('--page-format', format);
    await expectFair(path, bins);
  });

  test('remove the lock of a killed process once', async () => {
    const path = await newFile();
    const holder = await startHolder(path, copy);
    holder.kill('SIGKILL');
    await holder.ended;
    writeFileSync(`${path}.lock`, '');
    await expectFair(path, of(copy));
  });
});
