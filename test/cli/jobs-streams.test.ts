import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  BIN,
  expectOneError,
  output,
  publicCopy,
  runCli,
  runInProcess,
  TELLS_WHEN_IT_LISTENS,
} from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { hexLines, TWO_SEGMENTS } from '../support/hex-lines.ts';
import { until } from '../support/lock.ts';

const HEX: readonly string[] = ['--encoding', 'hex'];

const folder = temporaryFolder();
let files = 0;
async function newFile(): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path]);
  return path;
}

/** What takes longer than a second tells how far it is. */
const withoutProgress = (path: string, stderr: string): string =>
  stderr.replaceAll(new RegExp(`^${path}: .*\n`, 'gm'), '');

describe('a stream that goes on', () => {
  interface Fed {
    readonly child: ChildProcess;
    readonly send: (text: string) => void;
    readonly refs: () => string;
    readonly stderr: () => string;
    readonly exit: Promise<number | null>;
  }

  function feed(path: string, ...args: string[]): Fed {
    const child = spawn(process.execPath, [BIN, 'append', path, ...HEX, '--jobs', '2', ...args], { stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    return {
      child,
      send: (text) => child.stdin.write(text),
      refs: () => stdout,
      stderr: () => withoutProgress(path, stderr),
      exit,
    };
  }

  test('a pause makes complete lines durable, and prints their refs', async () => {
    const path = await newFile();
    const { child, send, refs, stderr, exit } = feed(path);
    send('61\n6262\n63');
    await until(() => refs() === '1:0\n1:1\n');
    expect(await output(['read', path, '--all'])).toBe('a\nbb\n');
    send('63\n');
    await until(() => refs() === '1:0\n1:1\n1:2\n');
    send(hexLines(TWO_SEGMENTS));
    await until(() => refs().split('\n').length === TWO_SEGMENTS + 4);
    send('64');
    child.stdin?.end();
    expect({ exit: await exit, stderr: stderr() }).toEqual({ exit: 0, stderr: '' });
    expect(refs().split('\n')).toHaveLength(TWO_SEGMENTS + 5);
    expect((await output(['read', path, '--all'])).startsWith('a\nbb\ncc\n')).toBe(true);
  });

  test('a bad line is refused as soon as the input pauses after it', async () => {
    const path = await newFile();
    const { send, refs, stderr, exit } = feed(path);
    send('61\n6\n62\n');
    expect(await exit).toBe(2);
    expect(refs()).toBe('1:0\n');
    expect(stderr()).toContain("node 2 of the input: '6' is not hex");
  });

  test.each([{ options: [] }, { options: ['--batch', '7'] }])(
    'SIGINT while input pours in exits 130, and every node that was printed is in the file, with $options',
    async ({ options }) => {
      const path = await newFile();
      const { child, send, refs, stderr, exit } = feed(path, ...options);
      const lines = hexLines(2000);
      const pour = (): void => {
        if (child.exitCode !== null || child.stdin?.writable !== true) return;
        send(lines);
        setTimeout(pour, child.stdin.writableLength > 2 ** 22 ? 5 : 0);
      };
      pour();
      await until(() => refs() !== '' || child.exitCode !== null);
      child.kill('SIGINT');
      expect({ exit: await exit, stderr: stderr() }).toEqual({ exit: 130, stderr: '' });
      const count = refs().split('\n').length - 1;
      expect(count).toBeGreaterThan(0);
      const nodes = await output(['read', path, '--all', '--encoding', 'hex']);
      expect(nodes).toBe(hexLines(count));
      expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
    },
  );

  test('SIGINT in a pause exits 130', async () => {
    const path = await newFile();
    const { child, send, refs, exit } = feed(path);
    send('61\n');
    await until(() => refs() === '1:0\n');
    child.kill('SIGINT');
    expect(await exit).toBe(130);
    expect(await output(['read', path, '--all'])).toBe('a\n');
  });

  /** Runs a script of bash, of which $1 to $4 are node, the executable, a page file and the input. */
  async function bash(script: string, path: string, input: string): Promise<{ stdout: string; stderr: string }> {
    const inputPath = join(folder, `${files++}.input`);
    writeFileSync(inputPath, input);
    const child = spawn('bash', ['-c', script, 'bash', process.execPath, BIN, path, inputPath], { stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    return { stdout, stderr: withoutProgress(path, stderr) };
  }

  test('a closed stdout ends it quietly, and the printed nodes are in the file', async () => {
    const path = await newFile();
    const command = `"$1" "$2" append "$3" --encoding hex --jobs 2 --input "$4" | head -1; echo "\${PIPESTATUS[0]}"`;
    const told = await bash(command, path, `${hexLines(40 * TWO_SEGMENTS)}xy\n`);
    expect(told).toEqual({ stdout: '1:0\n0\n', stderr: '' });
    expect((await output(['read', path, '1:0', '--encoding', 'hex'])).concat('\n')).toBe(hexLines(1));
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });

  test('a closed stdout before a bad line ends it quietly, as without threads', async () => {
    const path = await newFile();
    for (const jobs of [1, 2]) {
      const append = `"$1" "$2" append "$3" --encoding hex --batch 1 --jobs ${jobs} --input "$4"`;
      const told = await bash(`{ sleep 0.2; ${append}; echo "$?" >&2; } | true`, path, '61\n62\n63\n64\nxy\n');
      expect({ jobs, ...told }).toEqual({ jobs, stdout: '', stderr: '0\n' });
    }
  });
});

describe('a thread that fails', () => {
  const bin = publicCopy();
  const workerPath = join(bin, '../../dist/bin/decode-worker.js');
  const onMessage = (body: string): string =>
    `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { ${body} });`;

  test.each([
    { what: 'throws when it starts', code: "throw new Error('broken')", told: 'broken' },
    { what: 'throws at its work', code: onMessage("throw new Error('broken')"), told: 'broken' },
    { what: 'ends at its work', code: onMessage('process.exit(7)'), told: 'exit code 7' },
    { what: 'ends by itself', code: '', told: 'exit code 0' },
    { what: 'is not there', code: undefined, told: 'decode-worker.js' },
  ])('and $what ends the command with an error, and no node in the file', async ({ code, told }) => {
    rmSync(workerPath, { force: true });
    if (code !== undefined) writeFileSync(workerPath, code);
    for (const input of ['61\n', hexLines(5 * TWO_SEGMENTS)]) {
      const path = await newFile();
      const before = readFileSync(path);
      const args = ['append', path, ...HEX, '--jobs', '2'];
      const { exit, stdout, stderr } = await runCli(args, { bin, input: Buffer.from(input) });
      expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
      expectOneError(stderr);
      expect(stderr.toString()).toContain(told);
      expect(readFileSync(path).equals(before)).toBe(true);
    }
  });

  test('and hangs can be interrupted', async () => {
    writeFileSync(workerPath, onMessage("console.error('at work'); for (;;);"));
    const path = await newFile();
    const args = ['--import', TELLS_WHEN_IT_LISTENS, bin, 'append', path, ...HEX, '--jobs', '2'];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    const listens = new Promise((resolve) => child.stderr.once('data', resolve));
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    child.stdin.on('error', () => undefined);
    child.stdin.end(hexLines(5 * TWO_SEGMENTS));
    await listens;
    // By then all input has been read, or waits for a thread.
    await new Promise((resolve) => setTimeout(resolve, 500));
    child.kill('SIGINT');
    expect(await exit).toBe(130);
  });
});
