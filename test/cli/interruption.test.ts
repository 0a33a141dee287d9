import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES, PAGE_HEADER_BYTES } from '../../src/format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER } from '../../src/format/page-header.ts';
import { BIN, output, runCli, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { Ledger, keyOf } from '../support/kills/ledger.ts';
import { examine } from '../support/kills/examine.ts';
import { nodeFor } from '../support/kills/payload.ts';
import { startAppend } from '../support/kills/victim.ts';
import { until } from '../support/lock.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const STREAM = 1;
/** So many that sealing them takes a while; they are empty, and the file has holes in their places. */
const PAGES = 600;

const folder = temporaryFolder();
let files = 0;
async function newFile(...options: string[]): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path, ...options]);
  return path;
}

/** The next writer finds nothing to wait for, to break or to put right. */
async function expectFreeAndSound(path: string): Promise<void> {
  expect((await runInProcess(['verify', path, '--fail-on', 'info'])).exit).toBe(0);
  expect(existsSync(`${path}.journal`)).toBe(false);
  const next = await runCli(['allocate', path]);
  expect({ exit: next.exit, stderr: next.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
}

describe.each(SIGNALS)('%s to a writer', (signal) => {
  test.each([{ options: ['--batch', '1'] }, { options: ['--batch', '7'] }, { options: [] }])(
    'that is fed without end finishes the batch or drops it, with $options',
    async ({ options }) => {
      const path = await newFile();
      const append = startAppend(path, options);
      const fed = append.feed(STREAM, 0);
      await append.firstWord(30_000);
      append.send(signal);
      await fed;
      expect(await append.finish()).toBe(130);
      // What takes longer than a second tells how far it is.
      expect(append.stderr.split('\n').filter((line) => !line.startsWith(`${path}: `))).toEqual(['']);

      const ledger = new Ledger();
      for (const [index, line] of append.takeLines().entries()) {
        const [block = 0, slot = 0] = line.split(':').map(Number);
        ledger.append(keyOf(block, slot), { stream: STREAM, index, version: 0 });
      }
      const { refs, extra, faults } = await examine(path, ledger, STREAM);
      // All that is in the file was printed: an interruption is no crash.
      expect({ faults, extra: extra.size }).toEqual({ faults: [], extra: 0 });
      expect(refs).toBe(ledger.nodeCount);
      expect(refs).toBeGreaterThan(0);
      await expectFreeAndSound(path);
    },
  );

  test('in the middle of finalize leaves the printed pages finalized, and the rest unchanged', async () => {
    const path = await newFile('--page-format', 'v2');
    await output(['allocate', path, '--count', String(PAGES - 1)]);
    const { child, exit, stdout } = start(['finalize', path]);
    await until(() => isSealed(path, 1) || child.exitCode !== null);
    child.kill(signal);
    expect(await exit).toBe(130);
    const told = stdout().match(/^block \d+: finalized/gm)?.length ?? 0;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(PAGES);
    const unsealed = await runInProcess(['verify', path, '--require-finalized', '--json']);
    expect(unsealed.stdout.toString().match(/PAGE_NOT_FINALIZED/g)).toHaveLength(PAGES - told);
    await expectFreeAndSound(path);
    expect((await runCli(['finalize', path, '--quiet'])).exit).toBe(0);
    expect((await runInProcess(['verify', path, '--require-finalized', '--fail-on', 'info'])).exit).toBe(0);
  });

  test('in the middle of update lets it finish, and no journal stays', async () => {
    const path = await newFile();
    const [old, changed] = [0, 1].map((version) => nodeFor({ stream: STREAM, index: 0, version }).toString('hex'));
    await output(['append', path, old!, '--encoding', 'hex']);
    const { child, exit } = start(['update', path, '1:0', changed!, '--encoding', 'hex']);
    await until(() => existsSync(`${path}.journal`) || child.exitCode !== null);
    child.kill(signal);
    expect([0, 130]).toContain(await exit);
    expect(await output(['read', path, '1:0', '--encoding', 'hex', '--framing', 'lines'])).toBe(`${changed}\n`);
    await expectFreeAndSound(path);
  });
});

function isSealed(path: string, block: number): boolean {
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  const file = openSync(path, 'r');
  readSync(file, head, 0, head.length, block * BLOCK_BYTES);
  closeSync(file);
  return (PAGE_HEADER.read(head).flags & PAGE_FLAG.finalized) !== 0;
}

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly exit: Promise<number | null>;
  readonly stdout: () => string;
}

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, exit, stdout: () => text };
}
