import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assertUtf8Arguments } from '../../src/cli/raw-arguments.ts';
import { output } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const bin = join(import.meta.dirname, '../../bin/artrie-pages.js');

/** Runs a command line by a shell; `$bad` is an argument with a byte that is not UTF-8. */
function shell(line: string): { exit: number | null; stderr: string } {
  const script = `bad=$(printf 'caf\\351'); "${process.execPath}" "${bin}" ${line}`;
  const { status, stderr } = spawnSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
  return { exit: status, stderr };
}

describe.skipIf(process.platform !== 'linux')('an argument that is not UTF-8', () => {
  test.each(['append a.part "$bad"', 'create "$bad.part"', 'append a.part --input "$bad"', 'read a.part "$bad"'])(
    'is refused and nothing is written: %s',
    async (line) => {
      await output(['create', join(folder, 'a.part'), '--force']);
      const before = { names: readdirSync(folder), bytes: readFileSync(join(folder, 'a.part')) };
      const { exit, stderr } = shell(line);
      expect(exit).toBe(2);
      expect(stderr).toContain('is not valid UTF-8');
      expect(readdirSync(folder)).toEqual(before.names);
      expect(readFileSync(join(folder, 'a.part')).equals(before.bytes)).toBe(true);
    },
  );
});

test('U+FFFD itself is an argument like any other where the bytes can be seen', () => {
  expect(() => assertUtf8Arguments(['a\uFFFD'], () => Buffer.from('node\0bin\0a\uFFFD\0'))).not.toThrow();
});

test('U+FFFD is refused where the bytes cannot be seen', () => {
  expect(() => assertUtf8Arguments(['a\uFFFD'], () => undefined)).toThrow('contains U+FFFD');
});
