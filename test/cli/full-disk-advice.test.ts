import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { BIN } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();

/** Runs a script in a file system of 1 MiB; only there it is mounted. */
function onSmallDisk(script: string): {
  readonly stderr: string;
  readonly stdout: string;
  readonly status: number | null;
} {
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && cd "$1"';
  const args = ['-m', 'sh', '-c', `${mount} && ${script}`, 'sh', folder, process.execPath, BIN];
  return spawnSync('unshare', args, { encoding: 'utf8' });
}

const LINES = "head -c 2000000 /dev/zero | tr '\\0' a | fold -w 1000";

describe.skipIf(onSmallDisk('true').status !== 0)('append on a full disk (needs the right to mount)', () => {
  test('says what --batch does', () => {
    const { stderr } = onSmallDisk(`"$2" "$3" create -q a.part && ${LINES} | "$2" "$3" append -q a.part`);
    expect(stderr).toMatch(/no space left on the device.*\(nothing was appended\); --batch N commits every N nodes/);
  });

  test('with --batch has committed part by part', () => {
    const { stderr } = onSmallDisk(`"$2" "$3" create -q a.part && ${LINES} | "$2" "$3" append -q --batch 5 a.part`);
    expect(stderr).toMatch(/no space left on the device.*\(\d+ nodes before it were appended\)\n$/);
  });
});
