import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../../src/format/layout.ts';
import {
  expectOneError,
  jsonLines,
  output,
  publicCopy,
  runCli,
  runInProcess,
  unprivileged,
} from '../../support/cli.ts';
import { goldenPath, temporaryFolder } from '../../support/files.ts';
import { readJunit, sarifProblems } from '../../support/report.ts';

const folder = temporaryFolder();
const bin = publicCopy();
const sound = join(folder, 'sound.part');
const damaged = join(folder, 'stale.part');
const empty = join(folder, 'empty.part');
const text = join(folder, 'text.part');
const forbidden = join(folder, 'forbidden.part');
const missing = join(folder, 'missing.part');
const pipe = join(folder, 'pipe.part');

beforeAll(() => {
  chmodSync(folder, 0o755);
  copyFileSync(goldenPath('v1'), sound);
  copyFileSync(goldenPath('stale-header'), damaged);
  copyFileSync(goldenPath('v1'), forbidden);
  chmodSync(forbidden, 0);
  writeFileSync(empty, '');
  writeFileSync(text, 'Not a page file.\n'.repeat(20_000));
  execFileSync('bash', ['-c', 'mkfifo "$0"', pipe]);
});

/** The names of files in a JSON report, with `ok` or an error code for each. */
function outcomesOf(stdout: Buffer): Record<string, unknown> {
  const outcomes = jsonLines(stdout)
    .filter(({ type }) => type === 'file' || type === 'error')
    .map(({ file, code = 'ok' }) => [basename(String(file)), code]);
  return Object.fromEntries(outcomes) as Record<string, unknown>;
}

describe('files that cannot be read', () => {
  const all = [missing, empty, text, forbidden, pipe, folder, sound];

  test('are reported one by one, and the others are checked', async () => {
    const { exit, stdout, stderr } = await runCli(['verify', ...all, '--json'], { bin, ...unprivileged });
    expect(exit).toBe(3);
    expect(outcomesOf(stdout)).toEqual({
      'missing.part': 'IO',
      'empty.part': 'NOT_A_PAGE_FILE',
      'text.part': 'NOT_A_PAGE_FILE',
      'forbidden.part': 'IO',
      'pipe.part': 'NOT_A_PAGE_FILE',
      [basename(folder)]: 'IO',
      'sound.part': 'ok',
    });
    expect(jsonLines(stdout).at(-1)).toMatchObject({ files: 7, failed: 0, unreadable: 6, exit: 3 });
    const lines = stderr.toString().split('\n');
    expect(lines).toHaveLength(7);
    for (const [index, path] of all.slice(0, 6).entries()) expect(lines[index]).toContain(`artrie-pages: ${path}: `);
  });

  test.each(['text', 'json', 'junit', 'sarif', 'github'])(
    'are in a report as %s as well as on standard error',
    async (format) => {
      const report = join(folder, `report.${format}`);
      const { exit, stderr } = await runInProcess([
        'verify',
        missing,
        sound,
        '--format',
        format,
        '--output',
        report,
        '--quiet',
      ]);
      expect(exit).toBe(3);
      expectOneError(stderr);
      expect(readFileSync(report, 'utf8')).toMatch(
        /missing\.part.*no such file or directory|no such file or directory.*missing\.part/,
      );
    },
  );

  test('a directory is reported with the command that verifies its files', async () => {
    const { exit, stdout, stderr } = await runInProcess(['verify', folder]);
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
    expect(stderr).toBe(
      `artrie-pages: ${folder}: is a directory; to verify its files: artrie-pages verify '${folder}/*.part'\n`,
    );
  });

  test('a folder that cannot be listed is reported, and files outside of it are checked', async () => {
    const top = join(folder, 'tree');
    mkdirSync(join(top, 'closed'), { recursive: true });
    copyFileSync(goldenPath('v1'), join(top, 'open.part'));
    chmodSync(join(top, 'closed'), 0);
    const { exit, stdout } = await runCli(['verify', `${top}/**/*.part`, '--json'], { bin, ...unprivileged });
    expect({ exit, outcomes: outcomesOf(stdout) }).toEqual({ exit: 3, outcomes: { closed: 'IO', 'open.part': 'ok' } });
  });
});

describe('findings mean exit 1', () => {
  const report = join(folder, 'findings');

  test.each<[string, string[]]>([
    ['alone', [damaged]],
    ['before a valid file', [damaged, sound]],
    ['after a valid file', [sound, damaged]],
    ['with --quiet', [damaged, '--quiet']],
    ['with --output', [damaged, '--output', report]],
    ['with a missing file', [missing, damaged]],
    ['with a file of zero bytes', [damaged, empty]],
    ['with a pattern that matches nothing', [`${folder}/*.none`, damaged]],
    ['found by a pattern', [`${folder}/st*.part`]],
    ...['json', 'junit', 'sarif', 'github'].map((format): [string, string[]] => [
      `as ${format}`,
      [damaged, '--format', format],
    ]),
  ])('%s', async (_, args) => {
    expect((await runInProcess(['verify', ...args])).exit).toBe(1);
  });

  test('even if nobody reads the report', () => {
    const formats = ['text', 'json', 'junit', 'sarif', 'github'];
    const loop = formats.map((format) => `"$0" "$1" verify "$2" --format ${format}; echo "$?" >>"$3"`).join('; ');
    const script = `{ sleep 0.2; ${loop}; } | true; while [ "$(wc -l <"$3")" -lt ${formats.length} ]; do sleep 0.1; done`;
    const codes = join(folder, 'codes');
    execFileSync('bash', ['-c', script, process.execPath, bin, damaged, codes], { stdio: 'ignore' });
    expect(readFileSync(codes, 'utf8')).toBe('1\n'.repeat(formats.length));
  });

  test.each([
    ['info', 1],
    ['warning', 0],
    ['error', 0],
  ])('with --fail-on %s, info findings exit %i, in each format', async (failOn, expected) => {
    for (const format of ['text', 'json', 'junit', 'sarif', 'github']) {
      const { exit, stdout } = await runInProcess(['verify', sound, '--fail-on', failOn, '--format', format]);
      expect({ format, exit }).toEqual({ format, exit: expected });
      if (format === 'junit') {
        const failed = readJunit(stdout.toString()).cases.filter(({ outcome }) => outcome === 'failure');
        expect(failed).toHaveLength(expected);
      }
    }
  });
});

describe('--output', () => {
  test.each(['FILE itself', 'a link to it', 'another spelling', 'its lock', 'its journal'])(
    'refuses %s, and writes nothing',
    async (which) => {
      const link = join(folder, 'link.part');
      if (!existsSync(link)) symlinkSync(sound, link);
      const paths: Record<string, string> = {
        'FILE itself': sound,
        'a link to it': link,
        'another spelling': `${folder}/../${basename(folder)}/sound.part`,
        'its lock': `${sound}.lock`,
        'its journal': `${sound}.journal`,
      };
      const before = readFileSync(sound);
      const { exit, stdout, stderr } = await runInProcess(['verify', `${folder}/so*.part`, '--output', paths[which]!]);
      expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
      expectOneError(stderr);
      expect(stderr).toContain('choose another path for the report');
      expect(readFileSync(sound).equals(before)).toBe(true);
      expect([existsSync(`${sound}.lock`), existsSync(`${sound}.journal`)]).toEqual([false, false]);
    },
  );

  test.each(['text', 'json', 'junit', 'sarif', 'github'])(
    'as %s to a full disk causes exit code 3, whatever was found',
    async (format) => {
      for (const args of [[damaged], [sound, damaged, missing]]) {
        const { exit, stderr } = await runInProcess(['verify', ...args, '--format', format, '--output', '/dev/full']);
        expect(exit).toBe(3);
        expect(stderr.split('\n').at(-2)).toMatch(
          /^artrie-pages: \/dev\/full: write the report, which is not complete: .*\(ENOSPC\)$/,
        );
      }
    },
  );

  test('larger than a buffer to a full disk causes exit code 3', async () => {
    const many = join(folder, 'many.part');
    const bytes = readFileSync(goldenPath('arenas'));
    // An invalid directory: a finding for each slot.
    writeFileSync(many, bytes.fill(0xff, 2 * BLOCK_BYTES - 8 * 1000, 2 * BLOCK_BYTES));
    const { exit, stderr } = await runInProcess(['verify', many, '--output', '/dev/full', '--json', '--quiet']);
    expect(exit).toBe(3);
    expectOneError(stderr);
  });

  test('to a folder, or into a missing folder, causes exit code 3 before anything is checked', async () => {
    for (const path of [folder, join(folder, 'none', 'report')]) {
      const { exit, stdout, stderr } = await runInProcess(['verify', damaged, '--output', path]);
      expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
      expectOneError(stderr);
    }
  });

  test('replaces an older report, even a longer one', async () => {
    const report = join(folder, 'older');
    writeFileSync(report, 'x'.repeat(100_000));
    await output(['verify', sound, '--format', 'sarif', '--output', report]);
    expect(sarifProblems(readFileSync(report, 'utf8'))).toEqual([]);
  });

  test('has no colour, and neither has standard output that is not a terminal', async () => {
    const report = join(folder, 'plain');
    const { stdout } = await runInProcess(['verify', damaged, '--output', report]);
    for (const each of [stdout.toString(), readFileSync(report, 'utf8')]) expect(each).not.toContain('\u001b');
  });
});
