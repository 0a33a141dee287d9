import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { columnsOf, progressLine } from '../../src/cli/progress-line.ts';
import { BIN, output } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { killHoldersAfterEach, startHolder } from '../support/lock.ts';
import { trieBytes } from '../support/tries.ts';

const PTY = fileURLToPath(new URL('../support/on_terminal.py', import.meta.url));
const HAS_PYTHON = spawnSync('python3', ['-c', 'import pty, termios']).status === 0;
const folder = temporaryFolder();
killHoldersAfterEach();
let folders = 0;

/** Runs the command on a terminal. @param steps - see the script @returns all that the terminal got, and the exit code */
async function onTerminal(
  columns: number,
  args: readonly string[],
  steps: readonly string[] = [],
  term: string = 'xterm',
): Promise<{ readonly exit: unknown; readonly shown: string }> {
  const env = { ...process.env, TERM: term, NO_COLOR: '' };
  const child = spawn('python3', [PTY, String(columns), process.execPath, BIN, ...args], { env });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (shown += text));
  child.stdin.end(steps.join('\n'));
  const [exit] = (await once(child, 'close')) as [unknown];
  return { exit, shown };
}

/** A file with a huge tail of zeros: looking at it takes seconds. */
async function longFile(name: string): Promise<string> {
  const path = join(folder, String(folders++), name);
  mkdirSync(dirname(path), { recursive: true });
  await output(['create', path]);
  const descriptor = openSync(path, 'r+');
  ftruncateSync(descriptor, 2 ** 40);
  closeSync(descriptor);
  return path;
}

describe.skipIf(!HAS_PYTHON)('on a terminal (needs python3)', () => {
  test('that is dumb a report has no colour and no cursor movement', async () => {
    const path = join(folder, 'dumb.part');
    await output(['create', path]);
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, 'A', 20);
    closeSync(descriptor);
    for (const term of ['xterm', 'dumb']) {
      const { exit, shown } = await onTerminal(80, ['verify', path], [], term);
      expect({ term, exit, isStyled: shown.includes('\u001b') }).toEqual({ term, exit: 1, isStyled: term === 'xterm' });
    }
  });

  test.concurrent.each([
    'a.part',
    `${'folder/'.repeat(12)}words.part`,
    `${'数据/'.repeat(20)}数据数据数据数据数据.part`,
  ])('of 120, 80, 40 and 20 columns the progress of %s stays on one row, resized meanwhile', async (name) => {
    const path = await longFile(name);
    const widths = [80, 40, 20].flatMap((columns) => [`resize ${columns}`, 'redraws 3']);
    const { shown } = await onTerminal(120, ['verify', path], ['redraws 3', ...widths, '^C']);
    const bars = new Map<number, string[]>();
    for (const part of shown.replace('^C', '').split(/(?=\[(?:80|40|20)\])/)) {
      const columns = Number(/^\[(\d+)\]/.exec(part)?.[1] ?? 120);
      // The first redraw may be from before the resize.
      const redraws = part.split('\r\u001b[K').slice(2, -1);
      bars.set(columns, redraws);
      for (const bar of redraws) {
        expect(bar).toMatch(/^[^\p{Cc}]+: \[[#.]{4,24}\] \d+%[^\p{Cc}]*$/u);
        expect(columnsOf(bar)).toBeLessThan(columns);
      }
    }
    expect([...bars.keys()]).toEqual([120, 80, 40, 20]);
    for (const redraws of bars.values()) expect(redraws.length).toBeGreaterThan(0);
  });

  test('append says that it reads from standard input, and Ctrl-D ends it', async () => {
    const path = join(folder, 'typed.part');
    await output(['create', path]);
    const { exit, shown } = await onTerminal(80, ['append', path], ['one', 'two', '^D']);
    expect(shown).toContain('reading nodes from standard input; end it with Ctrl-D on an empty line');
    expect(shown).toContain('1:1');
    expect(exit).toBe(0);
    expect(await output(['read', path, '--all'])).toBe('one\ntwo\n');
  });

  test('terms escapes control characters of a term', async () => {
    const path = join(folder, 'terms.part');
    writeFileSync(path, trieBytes('real', 'bytes'));
    const range = ['--from', '1b', '--to', '1c', '--encoding', 'hex'];
    expect(await output(['terms', path, ...range])).toBe('1b5b33316d\n');
    const { shown } = await onTerminal(80, ['terms', path]);
    expect(shown).toContain(String.raw`\u001b[31m`);
    expect(shown).not.toContain('\u001b[31m');
  });

  test('read escapes control characters of a node, but for tabs and newlines, unless it goes to a pipe', async () => {
    const path = join(folder, 'controls.part');
    await output(['create', path]);
    await output(['append', path, 'a\u001b[31m\tb\nc\u009b\u202e', 'x'.repeat(100_000)]);
    const { shown } = await onTerminal(80, ['read', path, '1:0']);
    expect(shown).toBe(String.raw`a\u001b[31m${'\t'}b${'\r\n'}c\u009b\u202e`);
    expect(await output(['read', path, '1:0'])).toBe(Buffer.from('a\u001b[31m\tb\nc\u009b\u202e').toString('latin1'));
    expect((await onTerminal(80, ['read', path, '1:1'])).shown).toHaveLength(100_000);
  });

  test('append that Ctrl-C ends says how many nodes are saved', async () => {
    const path = join(folder, 'interrupted.part');
    await output(['create', path]);
    const { exit, shown } = await onTerminal(80, ['append', path], ['one', 'two', '^C']);
    expect(shown).toContain('interrupted; 2 nodes appended before, safely on disk');
    expect(exit).toBe(130);
    expect(await output(['read', path, '--all'])).toBe('one\ntwo\n');
  });

  test.each(['compact', 'recover', 'import'])('%s that Ctrl-C ends says that nothing has changed', async (command) => {
    const target = join(folder, `${command}.interrupted`);
    const isImport = command === 'import';
    const args = isImport ? [target] : [await longFile('long.part'), target];
    const { exit, shown } = await onTerminal(200, [command, ...args], isImport ? ['^C'] : ['redraws 1', '^C']);
    expect(shown).toContain(`${target}: interrupted; it was not complete, so nothing under this name has changed`);
    expect(exit).toBe(130);
    expect(existsSync(target)).toBe(false);
  });

  test.each([
    ['allocate', (path: string) => [path]],
    ['create', (path: string) => [path, '--force']],
    ['append', (path: string) => [path, 'node']],
    ['repair', (path: string) => [path]],
    ['compact', (path: string) => [path, '--replace']],
    ['recover', (path: string, source: string) => [source, path, '--force']],
    ['import', (path: string, _: string, lines: string) => [path, '--force', '--input', lines]],
    ['import', (path: string, _: string, lines: string) => [path, '--force', '--csv', lines, '--table', 't']],
  ])('%s says that it waits for another writer, once', async (command, argsOf) => {
    const base = join(folder, `locked-${folders++}`);
    const [path, source, lines] = [`${base}.part`, `${base}.source`, `${base}.lines`];
    await output(['create', path]);
    await output(['create', source]);
    writeFileSync(lines, 'id\n1\n');
    await startHolder(path, BIN);
    const args = argsOf(path, source, lines);
    const { exit, shown } = await onTerminal(400, [command, ...args, '--lock-timeout', '0.3']);
    expect(shown.match(/another writer holds the lock: process \d+[^;]*; waiting up to 0\.3 s for it/g)).toHaveLength(
      1,
    );
    expect(exit).toBe(4);
  });
});

describe('a line of progress', () => {
  const forms = [
    '45% of 123,456 blocks, 12,345 blocks/s, 12 s left',
    '45%, 12,345 blocks/s, 12 s left',
    '45%, 12 s left',
    '45%',
  ] as const;

  test.each([20, 40, 80, 120])('fits %i columns, whatever the name', (columns) => {
    for (const name of [
      'a',
      'a.part',
      `/tmp/${'folder/'.repeat(30)}file.part`,
      '数'.repeat(100),
      'e\u0301'.repeat(90),
    ]) {
      const line = progressLine({ name, share: 0.45, forms: [...forms] }, columns);
      expect(columnsOf(line)).toBeLessThan(columns);
      expect(line).toMatch(/^.+: \[#+\.+\] 45%/);
      const open = progressLine({ name, share: undefined, forms: ['1.5 MiB, 2.0 MiB/s', '1.5 MiB'] }, columns);
      expect(columnsOf(open)).toBeLessThan(columns);
      expect(open).toContain('1.5 MiB');
    }
  });

  test.each([
    [20, '...part: [##..] 45%'],
    [40, '...s/file.part: [###...] 45%, 12 s left'],
    [80, '...ords/file.part: [####....] 45% of 123,456 blocks, 12,345 blocks/s, 12 s left'],
  ])('of %i columns keeps the end of a path', (columns, line) => {
    const name = '/tmp/some/long/folder/with/many/names/and/words/file.part';
    expect(progressLine({ name, share: 0.45, forms: [...forms] }, columns)).toBe(line);
  });

  test('is cut where not even the percentage fits', () => {
    expect(progressLine({ name: 'a.part', share: 0.45, forms: [...forms] }, 3)).toBe('45');
  });
});
