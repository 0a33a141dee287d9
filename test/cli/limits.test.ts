import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, output } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { until } from '../support/lock.ts';

const folder = temporaryFolder();
const path = join(folder, 'a.part');
await output(['create', path]);
await output(['append', path, 'a', 'b']);

/** Runs a line of bash in which `A` is the command. */
function bash(line: string): { readonly exit: number | null; readonly stderr: string } {
  const script = `A() { "${process.execPath}" "${BIN}" "$@"; }; ${line}`;
  const { status, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8' });
  return { exit: status, stderr };
}

const COMMANDS = ['verify a.part', 'append a.part c', 'compact a.part b.part --force', 'repair a.part'];

describe.skipIf(process.platform !== 'linux')('with a limit of open files', () => {
  writeFileSync(join(folder, 'empty.cjs'), '');
  const startsWith = (limit: number): boolean => bash(`ulimit -n ${limit}; "${process.execPath}" empty.cjs`).exit === 0;
  // With fewer, Node itself crashes, or cannot open a script.
  const least = Array.from({ length: 30 }, (_, index) => 16 + index).find(startsWith) ?? 0;

  test.each([1, 2, 4, 7, 11])('of %i more than Node needs, a command works or exits 3 with one line', (more) => {
    const limit = least + more;
    for (const command of COMMANDS) {
      const { exit, stderr } = bash(`ulimit -n ${limit}; A ${command}`);
      expect({ command, exit, isKnown: exit === 0 || exit === 3 }).toMatchObject({ isKnown: true });
      if (exit === 3) expect(stderr).toMatch(/^artrie-pages: [^\n]*too many open files[^\n]*\n$/);
    }
  });
});

describe.skipIf(process.platform !== 'linux')('a command that may write no byte, or was killed before', () => {
  test.each(['create new.part', 'compact a.part new.part', 'recover a.part new.part'])(
    '%s leaves no lock file beside the file that it did not make',
    (command) => {
      for (const before of ['', 'touch new.part.lock;']) {
        const { exit } = bash(`${before} trap "" XFSZ; ulimit -f 0; A ${command} 2> /dev/null`);
        expect({ exit, names: readdirSync(folder).filter((name) => name.startsWith('new.part')) }).toEqual({
          exit: 3,
          names: [],
        });
      }
    },
  );
});

describe('standard input', () => {
  writeFileSync(join(folder, 'sink'), '');
  test.each([
    ['0> sink', 'cannot read standard input'],
    ['< .', 'standard input is a directory'],
  ])('%s exits 3 and is no internal error', (redirection, message) => {
    for (const command of ['append a.part', 'append a.part --framing whole', 'import new.part']) {
      const { exit, stderr } = bash(`A ${command} ${redirection}`);
      expect({ command, exit, stderr }).toMatchObject({ exit: 3 });
      expect(stderr).toContain(message);
      expect(stderr).not.toContain('internal error');
    }
  });

  test('that is closed is empty input', () => {
    expect(bash('A append a.part <&-')).toEqual({ exit: 0, stderr: '' });
  });
});

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)('%s', (signal) => {
  test('stops import with exit 130, and no temporary file and no lock stay', async () => {
    const own = temporaryFolder();
    const child = spawn(process.execPath, [BIN, 'import', join(own, 'target.part')], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.write('{"type":"node","text":"a"}\n');
    await until(() => readdirSync(own).length > 0);
    child.kill(signal);
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(readdirSync(own)).toEqual([]);
  });
});
