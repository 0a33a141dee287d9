import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type CommandName,
  COMMANDS,
  expectOneError,
  output,
  publicCopy,
  runCli,
  runInProcess,
  unprivileged,
} from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { random } from '../support/nodes.ts';

const folder = temporaryFolder();
const bin = publicCopy();

const WRITERS: readonly CommandName[] = ['allocate', 'append', 'update', 'free', 'finalize'];
const LOOKING: readonly CommandName[] = ['read', 'stat', 'dump', 'verify'];

/** A command line that a file with one node in block 1 lets succeed. */
function commandLine(name: CommandName, file: string): string[] {
  const rest: Partial<Record<CommandName, string[]>> = {
    append: ['x'],
    read: ['1'],
    update: ['1:0', 'x'],
    free: ['1'],
    compact: [`${file}.compacted`],
    diff: [file],
    recover: [`${file}.recovered`],
    get: ['x'],
  };
  return [name, file, ...(rest[name] ?? [])];
}

/** A new path in a folder of its own, so that what a command leaves beside a file is seen. */
let folders = 0;
function newPath(): string {
  const path = join(folder, String(folders++));
  mkdirSync(path);
  return join(path, 'file.part');
}

async function pageFile(nodes: readonly string[] = ['n']): Promise<string> {
  const path = newPath();
  await output(['create', path]);
  await output(['append', path, ...nodes]);
  return path;
}

/** A page file that ends in the middle of block 1. */
async function cutFile(): Promise<string> {
  const path = await pageFile();
  truncateSync(path, 393_216);
  return path;
}

function fileWith(bytes: Uint8Array): string {
  const path = newPath();
  writeFileSync(path, bytes);
  return path;
}

const next = random(7);
const randomBytes = Uint8Array.from({ length: 100 }, () => Math.floor(next() * 256));
const textBytes = Buffer.from('A line of a text that is no page file.\n'.repeat(8000)).subarray(0, 307_200);

/** What may not change when a command fails: the names beside the file, and its bytes. */
function stateOf(path: string): { names: string[]; bytes: Buffer | undefined } {
  const names = readdirSync(join(path, '..'));
  try {
    return { names, bytes: readFileSync(path) };
  } catch {
    return { names, bytes: undefined }; // a directory, or nothing
  }
}

function expectUnchanged(path: string, before: ReturnType<typeof stateOf>): void {
  const after = stateOf(path);
  expect(after.names).toEqual(before.names);
  // Not toEqual: it takes seconds for so many bytes.
  expect(after.bytes?.toString('latin1') === before.bytes?.toString('latin1')).toBe(true);
}

/** Runs a command that fails before it has any output. */
async function expectFailure(args: readonly string[], path: string, exit: number): Promise<void> {
  const before = stateOf(path);
  const result = await runInProcess(args);
  expect(result.exit).toBe(exit);
  expectOneError(result.stderr);
  expectUnchanged(path, before);
  expect(result.stdout.toString()).toBe('');
}

describe('a file that is not a page file', () => {
  const others = COMMANDS.filter((name) => name !== 'create');

  test.each(others.filter((name) => name !== 'import'))('%s of a file that does not exist exits 3', async (name) => {
    const path = newPath();
    await expectFailure(commandLine(name, path), path, 3);
    expect(existsSync(path)).toBe(false);
  });

  test('create of a file that does not exist makes it', async () => {
    const path = newPath();
    expect(await output(['create', path])).toBe(`${path}\n`);
    expect(readdirSync(join(path, '..'))).toEqual(['file.part', 'file.part.lock']);
  });

  test('create in a folder that does not exist exits 3', async () => {
    const path = newPath();
    await expectFailure(['create', join(path, 'inner.part')], path, 3);
  });

  test.each(COMMANDS)('%s of a directory exits 3', async (name) => {
    const path = newPath();
    mkdirSync(path);
    await expectFailure(commandLine(name, path), path, 3);
  });

  test.each(COMMANDS)('%s of an empty file exits 3', async (name) => {
    const path = fileWith(new Uint8Array(0));
    await expectFailure(commandLine(name, path), path, 3);
  });

  test.each(COMMANDS)('%s of 100 random bytes exits 3', async (name) => {
    const path = fileWith(randomBytes);
    await expectFailure(commandLine(name, path), path, 3);
  });

  test.each(COMMANDS)('%s of a text of 300 KiB exits 3', async (name) => {
    const path = fileWith(textBytes);
    await expectFailure(commandLine(name, path), path, 3);
  });
});

describe('a page file that ends in the middle of a block', () => {
  test.each(WRITERS)('%s exits 5 and writes nothing', async (name) => {
    const path = await cutFile();
    await expectFailure(commandLine(name, path), path, 5);
  });

  test('read of the block that is cut exits 5', async () => {
    const path = await cutFile();
    await expectFailure(['read', path, '1'], path, 5);
    await expectFailure(['read', path, '--all'], path, 5);
  });

  test('create refuses it with 3', async () => {
    const path = await cutFile();
    await expectFailure(['create', path], path, 3);
  });

  test('stat exits 5, says why in one line, and changes nothing', async () => {
    const path = await cutFile();
    const before = stateOf(path);
    const { exit, stderr } = await runInProcess(['stat', path]);
    expect(exit).toBe(5);
    expectOneError(stderr);
    expectUnchanged(path, before);
  });

  test('stat counts what is valid, says how much is not, and exits 5', async () => {
    const { exit, stdout, stderr } = await runInProcess(['stat', await cutFile()]);
    expect(exit).toBe(5);
    expect(stdout.toString()).toMatch(/^damaged pages +1$/m);
    expect(stderr).toContain('1 damaged page left out of the counts');
  });

  test('dump shows it and exits 0', async () => {
    const path = await cutFile();
    const before = stateOf(path);
    expect(await output(['dump', path])).toMatch(/\n +1 {2}cut off +FILE_SIZE\n$/);
    expectUnchanged(path, before);
  });

  test('verify reports where it is cut and exits 1', async () => {
    const path = await cutFile();
    const before = stateOf(path);
    const { exit, stdout, stderr } = await runInProcess(['verify', path]);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    expect(stdout.toString()).toContain('error FILE_SIZE at block 1, byte 262144: ');
    expectUnchanged(path, before);
  });
});

// Permissions do not hold for root, so these are processes of another user.
describe('a file that may not be read or written', () => {
  chmodSync(folder, 0o755);

  async function run(
    name: CommandName,
    mode: number,
  ): Promise<{ exit: number | null; stdout: string; stderr: string }> {
    const path = await pageFile();
    const before = stateOf(path);
    chmodSync(path, mode);
    const { exit, stdout, stderr } = await runCli(commandLine(name, path), { bin, ...unprivileged });
    chmodSync(path, 0o600);
    expectUnchanged(path, before);
    return { exit, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  test.concurrent.each(COMMANDS)('%s of a file without read permission exits 3', async (name) => {
    const { exit, stdout, stderr } = await run(name, 0o000);
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expectOneError(stderr);
  });

  test.concurrent.each(['create', ...WRITERS] as const)('%s of a read-only file exits 3', async (name) => {
    const { exit, stdout, stderr } = await run(name, 0o444);
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expectOneError(stderr);
  });

  test.concurrent.each(LOOKING)('%s of a read-only file works', async (name) => {
    const { exit, stdout, stderr } = await run(name, 0o444);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).not.toBe('');
  });

  test('create in a folder that may not be written exits 3', async () => {
    const path = newPath();
    const { exit, stdout, stderr } = await runCli(['create', path], { bin, ...unprivileged });
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
    expectOneError(stderr);
    expect(existsSync(path)).toBe(false);
  });
});
