import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BIN, output, runCli, TELLS_WHEN_IT_LISTENS } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const good = join(folder, 'good.part');
const TAIL_BYTES = 2 ** 41;

beforeAll(async () => {
  await output(['create', good]);
  await output(['append', good, 'a', 'b', 'c']);
});

interface Damage {
  readonly bit31: boolean;
  readonly tail: boolean;
}

/** @returns undefined if the file system has no files of that size */
function damagedFile(name: string, { bit31, tail }: Damage): string | undefined {
  const path = join(folder, name);
  copyFileSync(good, path);
  if (bit31) {
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.from([0x80]), 0, 1, FILE_HEADER.offsets.blockCount + 3);
    closeSync(file);
  }
  if (!tail) return path;
  try {
    truncateSync(path, TAIL_BYTES);
    return path;
  } catch {
    return undefined;
  }
}

/** A process that hangs must fail its test, and not the run. */
const LIMIT_MS = 20_000;

async function stopped(args: readonly string[], signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  const child = spawn(process.execPath, ['--import', TELLS_WHEN_IT_LISTENS, BIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  child.stderr.once('data', () => setTimeout(() => child.kill(signal), 300));
  const exit = await new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, killedBy) => resolve(code ?? killedBy)),
  );
  clearTimeout(limit);
  return exit;
}

describe('bit 31 of the block count', () => {
  test.each([
    [['stat'], 5],
    [['read', '--all'], 5],
    [['export'], 5],
    [['verify'], 1],
    [['dump'], 0],
    [['append', 'x'], 5],
    [['finalize'], 5],
    [['compact', '--replace'], 5],
    [['diff', good], 5],
  ] as const)(
    '%j ends by itself',
    async ([name = '', ...rest], exit) => {
      const path = damagedFile('bit31.part', { bit31: true, tail: false }) ?? '';
      expect((await runCli([name, path, ...rest])).exit).toBe(exit);
    },
    LIMIT_MS,
  );
});

describe.each(['SIGINT', 'SIGTERM'] as const)('%s ends a command on a file of 2 TiB', (signal) => {
  test.each([
    [['append', 'x'], false],
    [['update', '1:0', 'z'], false],
    [['finalize'], false],
    [['verify'], false],
    [['compact', '--replace'], false],
    [['stat'], true],
    [['read', '--all'], true],
    [['export'], true],
    [['recover', join(folder, `target-${signal}`)], true],
    [['diff', good], true],
  ] as const)(
    '%j, with bit 31: %j',
    async ([name = '', ...rest], bit31) => {
      const path = damagedFile(`${signal}.part`, { bit31, tail: true });
      if (path === undefined) return;
      expect(await stopped([name, path, ...rest], signal)).toBe(130);
    },
    LIMIT_MS + 5000,
  );
});
