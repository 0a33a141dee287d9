import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, output, TELLS_WHEN_IT_LISTENS } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/lock.ts';

const folder = temporaryFolder();
let files = 0;

/** Has `append` read from a named pipe. */
async function appendFromPipe(...options: string[]): Promise<{
  readonly path: string;
  readonly pipe: string;
  readonly refs: () => string;
  /** Resolves when a signal does not simply end it any more. */
  readonly listens: Promise<unknown>;
  readonly interrupt: () => void;
  readonly exit: Promise<number | null>;
}> {
  const path = join(folder, `${files++}.part`);
  const pipe = `${path}.fifo`;
  execFileSync('bash', ['-c', 'mkfifo "$0"', pipe]);
  await output(['create', path]);
  const args = ['--import', TELLS_WHEN_IT_LISTENS, BIN, 'append', path, '--input', pipe, ...options];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const listens = once(child.stderr, 'data');
  let refs = '';
  child.stdout.on('data', (chunk: Buffer) => (refs += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { path, pipe, refs: () => refs, listens, interrupt: () => child.kill('SIGINT'), exit };
}

describe('append --input of a named pipe', () => {
  test('waits for a writer, and ends with it', async () => {
    const { path, pipe, refs, exit } = await appendFromPipe();
    const writer = await open(pipe, 'w');
    await writer.write('one\ntw');
    await until(() => refs() === '1:0\n');
    await writer.write('o\n');
    await until(() => refs() === '1:0\n1:1\n');
    await writer.close();
    expect(await exit).toBe(0);
    expect(await output(['read', path, '--all'])).toBe('one\ntwo\n');
  });

  test.each([[[]], [['--dedupe']], [['--encoding', 'hex', '--jobs', '2']], [['--framing', 'whole']]])(
    'can be interrupted while nobody writes to it, with %j',
    async (options) => {
      const { listens, interrupt, exit } = await appendFromPipe(...options);
      await listens;
      // By then it waits for the pipe; that it may not yet do so is no other outcome.
      await new Promise((resolve) => setTimeout(resolve, 200));
      interrupt();
      expect(await exit).toBe(130);
    },
  );

  test('can be interrupted while its writer pauses, and what was printed stays', async () => {
    const { path, pipe, refs, interrupt, exit } = await appendFromPipe();
    const writer = await open(pipe, 'w');
    await writer.write('one\nrest');
    await until(() => refs() === '1:0\n');
    interrupt();
    expect(await exit).toBe(130);
    await writer.close();
    expect(await output(['read', path, '--all'])).toBe('one\n');
  });
});
