import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Encoding, Framing } from '../../src/cli/framing.ts';
import { ENCODINGS, FRAMINGS } from '../../src/cli/options.ts';
import { BIN, output, runCli, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';

const folder = temporaryFolder();
let files = 0;
async function newFile(format = 'v1'): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path, '--page-format', format]);
  return path;
}

/** Nodes as a stream: what `append` is given, and what `read --all` has to give back. */
function streamOf(nodes: readonly Uint8Array[], framing: Framing, encoding: Encoding): Buffer {
  const delimiter = { lines: '\n', nul: '\0', u32: '', whole: '' }[framing];
  return Buffer.concat(
    nodes.flatMap((node) => {
      const data = encoding === 'raw' ? Buffer.from(node) : Buffer.from(Buffer.from(node).toString(encoding));
      const length = Buffer.alloc(framing === 'u32' ? 4 : 0);
      if (framing === 'u32') length.writeUInt32LE(data.length);
      return [length, data, Buffer.from(delimiter)];
    }),
  );
}

/** Nodes with any bytes but the one that the framing ends them with. */
function nodesFor(framing: Framing, encoding: Encoding): Uint8Array[] {
  const nodes = framing === 'whole' ? makeNodes(1, 100_000, 100_000) : makeNodes(400, 0, 3000);
  const delimiter = { lines: 0x0a, nul: 0x00, u32: undefined, whole: undefined }[framing];
  if (encoding !== 'raw' || delimiter === undefined) return nodes;
  return nodes.map((node) => node.map((byte) => (byte === delimiter ? 0xff : byte)));
}

describe('binary in, the same bytes out', () => {
  const table = FRAMINGS.flatMap((framing) => ENCODINGS.map((encoding) => ({ framing, encoding })));

  test.each(table)('framing $framing, encoding $encoding', async ({ framing, encoding }) => {
    const path = await newFile(encoding === 'hex' ? 'v2' : 'v1');
    const nodes = nodesFor(framing, encoding);
    const input = streamOf(nodes, framing, encoding);
    const told = ['--framing', framing, '--encoding', encoding];

    const written = await runCli(['append', path, ...told], { input });
    expect({ exit: written.exit, stderr: written.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    expect(written.stdout.toString().match(/\n/g)).toHaveLength(nodes.length);

    const read = await runCli(['read', path, '--all', ...told]);
    expect({ exit: read.exit, stderr: read.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    expect(read.stdout.equals(input)).toBe(true);
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });
});

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** `append` with an open pipe as its input. */
class OpenAppend {
  readonly child: Child;
  stdout = '';
  stderr = '';
  readonly exit: Promise<number | null>;

  constructor(path: string, ...options: string[]) {
    this.child = spawn(process.execPath, [BIN, 'append', path, ...options], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.child.stdin.on('error', () => undefined); // it ends while it is written to
    this.exit = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** Waits until so much is on stdout, or the process has ended. */
  async until(isEnough: (stdout: string) => boolean): Promise<void> {
    while (!isEnough(this.stdout) && this.child.exitCode === null && this.child.signalCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const lines = (text: string): string[] => text.split('\n').slice(0, -1);

describe('append from a pipe that stays open', () => {
  test('a pause in the input makes the nodes before it durable, and prints their refs', async () => {
    const path = await newFile();
    const run = new OpenAppend(path);
    run.child.stdin.write('a\nb\nhal');
    await run.until((stdout) => stdout.length >= 8);
    expect(run.stdout).toBe('1:0\n1:1\n');
    expect(await output(['read', path, '--all'])).toBe('a\nb\n');

    run.child.stdin.end('f\nlast');
    expect(await run.exit).toBe(0);
    expect(run.stdout).toBe('1:0\n1:1\n1:2\n1:3\n');
    expect(run.stderr).toBe('');
    expect(await output(['read', path, '--all'])).toBe('a\nb\nhalf\nlast\n');
  });

  test.each([[[]], [['--encoding', 'hex', '--jobs', '2']]])(
    'input that never pauses is made durable too, with %j',
    async (options) => {
      const path = await newFile();
      const run = new OpenAppend(path, ...options);
      const feeding = setInterval(() => run.child.stdin.write('6162\n'), 15);
      await run.until((stdout) => stdout !== '');
      clearInterval(feeding);
      run.child.stdin.end();
      expect(await run.exit).toBe(0);
      // All that had come by then, and not a single one.
      expect(lines(run.stdout).length).toBeGreaterThan(1);
      expect(lines(run.stdout)).toEqual(lines(run.stdout).map((_, slot) => `1:${slot}`));
    },
    20_000,
  );

  test('--batch prints refs without waiting for a pause', async () => {
    const path = await newFile();
    const run = new OpenAppend(path, '--batch', '2');
    run.child.stdin.write('a\nb\nc\n');
    await run.until((stdout) => stdout.length >= 8);
    expect(run.stdout.startsWith('1:0\n1:1\n')).toBe(true);
    run.child.stdin.end();
    expect(await run.exit).toBe(0);
    expect(run.stdout).toBe('1:0\n1:1\n1:2\n');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s in a pause exits 130, and what was printed stays',
    async (signal) => {
      const path = await newFile();
      const run = new OpenAppend(path);
      run.child.stdin.write('a\nb\nhal');
      await run.until((stdout) => stdout.length >= 8);
      run.child.kill(signal);
      expect(await run.exit).toBe(130);
      expect(run.stdout).toBe('1:0\n1:1\n');
      expect(run.stderr).toBe('');
      expect(await output(['read', path, '--all'])).toBe('a\nb\n');
      expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
    },
  );

  test('SIGINT while input pours in exits 130, and every node that was printed is in the file', async () => {
    const path = await newFile();
    const run = new OpenAppend(path, '--batch', '500');
    let sent = 0;
    const feed = (): void => {
      while (run.child.exitCode === null && run.child.stdin.writable) {
        const text = Array.from({ length: 1000 }, () => `node ${sent++}\n`).join('');
        if (!run.child.stdin.write(text)) return;
      }
    };
    run.child.stdin.on('drain', feed);
    feed();
    await run.until((stdout) => stdout.length > 20_000);
    run.child.kill('SIGINT');
    expect(await run.exit).toBe(130);
    expect(run.stderr).toBe('');

    const refs = lines(run.stdout);
    const nodes = lines(await output(['read', path, '--all']));
    expect(refs.length).toBeGreaterThan(1000);
    expect(nodes.length).toBe(refs.length);
    expect(nodes).toEqual(refs.map((_, index) => `node ${index}`));
    const last = refs.at(-1) ?? '';
    expect(await output(['read', path, last])).toBe(`node ${refs.length - 1}`);
    expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  });
});
