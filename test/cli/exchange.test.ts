import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, expectOneError, jsonLines, output, runCli, runInProcess } from '../support/cli.ts';
import { GOOD_LINES, joinLines } from '../support/exchange.ts';
import { goldenPath, temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
let files = 0;
const newPath = (): string => join(folder, `${files++}.part`);

async function fileOf(...nodes: string[]): Promise<string> {
  const path = newPath();
  await output(['create', path]);
  await output(['append', path, '--quiet', '--', ...nodes]);
  return path;
}

const exportOf = async (path: string, ...options: string[]): Promise<string> =>
  Buffer.from(await output(['export', path, ...options]), 'latin1').toString();

/** Imports lines, which are refused, and expects that nothing is there for it but the lock file. */
async function refused(lines: string, ...options: string[]): Promise<{ exit: number; stderr: string }> {
  const path = newPath();
  const { exit, stdout, stderr } = await runInProcess(['import', path, ...options], { stdin: [Buffer.from(lines)] });
  expect(stdout.toString()).toBe('');
  expectOneError(stderr);
  expect(readdirSync(folder).filter((name) => join(folder, name).startsWith(path) && !name.endsWith('.lock'))).toEqual(
    [],
  );
  return { exit, stderr: stderr.replaceAll(path, 'FILE') };
}

describe('export', () => {
  test('prints a line for the file, each page, each node, and a summary', async () => {
    const path = await fileOf('alpha', 'tab\there', 'café "🦀" \\', '');
    await output(['append', path, '--encoding', 'hex', 'ff00']);
    await output(['finalize', path]);
    await output(['allocate', path, '--count', '2', '--page-format', 'v2']);
    await output(['free', path, '2']);
    expect(await exportOf(path)).toBe(
      joinLines([
        '{"type":"file","schema":1,"command":"export","blocks":4}',
        '{"type":"page","block":1,"format":"v1","finalized":true,"nodes":5}',
        '{"type":"node","ref":"1:0","text":"alpha"}',
        '{"type":"node","ref":"1:1","text":"tab\\there"}',
        '{"type":"node","ref":"1:2","text":"café \\"🦀\\" \\\\"}',
        '{"type":"node","ref":"1:3","text":""}',
        '{"type":"node","ref":"1:4","base64":"/wA="}',
        '{"type":"page","block":3,"format":"v2","finalized":false,"nodes":0}',
        '{"type":"summary","schema":1,"command":"export","blocks":4,"pages":2,"freeBlocks":1,"nodes":5,"bytes":29}',
      ]),
    );
  });

  test('writes all nodes in the given encoding, and is JSON Lines with --json too', async () => {
    const path = await fileOf('a');
    expect(await exportOf(path, '--encoding', 'hex')).toContain('{"type":"node","ref":"1:0","hex":"61"}\n');
    expect(await exportOf(path, '--encoding', 'base64')).toContain('{"type":"node","ref":"1:0","base64":"YQ=="}\n');
    expect(await exportOf(path, '--json')).toBe(await exportOf(path));
    expect((await runInProcess(['export', path, '--encoding', 'raw'])).exit).toBe(2);
  });

  test('notes that the bytes of a page without a directory are not exported', async () => {
    const path = goldenPath('v2-unfinalized');
    const told = await runInProcess(['export', path]);
    expect(told.exit).toBe(0);
    expect(told.stderr.split('\n')).toHaveLength(3);
    expect(told.stderr).toContain(
      'block 1 was never finalized: it has node bytes but no directory, so its nodes are skipped',
    );
    expect((await runInProcess(['export', path, '--quiet'])).stderr).toBe('');
  });

  test('ends at a damaged page, says what to do, and its output cannot be imported', async () => {
    const path = await fileOf('alpha', 'beta');
    const bytes = readFileSync(path);
    bytes[262_144 + 70]! ^= 1;
    writeFileSync(path, bytes);
    const { exit, stdout, stderr } = await runInProcess(['export', path]);
    expect(exit).toBe(5);
    expectOneError(stderr);
    expect(stderr).toContain(
      `; the export is incomplete; to salvage what can be read: artrie-pages recover ${path} TARGET`,
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect((await refused(stdout.toString())).exit).toBe(2);
  });

  test('of a file that is not a page file, is empty, or does not exist, is an input error', async () => {
    const path = newPath();
    expect((await runInProcess(['export', path])).exit).toBe(3);
    writeFileSync(path, '');
    expect((await runInProcess(['export', path])).exit).toBe(3);
    writeFileSync(path, 'x'.repeat(300_000));
    expect((await runInProcess(['export', path])).exit).toBe(3);
    expect((await runInProcess(['export', folder])).exit).toBe(3);
  });

  test('ends quietly when the reader has gone', async () => {
    const path = newPath();
    await output(['create', path]);
    await output(['append', path, '--quiet'], { stdin: [Buffer.from(`${'x'.repeat(40)}\n`.repeat(30_000))] });
    const child = spawn(process.execPath, [BIN, 'export', path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(stderr).toBe('');
  });

  test('stops between two pages when it is interrupted', async () => {
    const path = await fileOf('alpha');
    const { Interrupted } = await import('../../src/cli/context.ts');
    const { exit, stdout } = await runInProcess(['export', path], { signal: AbortSignal.abort(new Interrupted()) });
    expect(exit).toBe(130);
    expect(jsonLines(stdout).map(({ type }) => type)).toEqual(['file']);
  });
});

describe('import', () => {
  test('restores the file of an export, from standard input and from a file', async () => {
    const path = await fileOf('alpha', 'beta', '');
    const lines = join(folder, 'export.jsonl');
    writeFileSync(lines, await exportOf(path));
    for (const [options, stdin] of [
      [['--input', lines], []],
      [[], [readFileSync(lines)]],
      [['--input', '-'], [readFileSync(lines)]],
    ] as const) {
      const made = newPath();
      const text = await output(['import', made, ...options], { stdin });
      expect(text).toBe(`${made}: 3 nodes with the refs of the export; 2 blocks, 1 page\n`);
      expect(await exportOf(made)).toBe(await exportOf(path));
      expect((await runInProcess(['verify', made, '--require-checksums', '--fail-on', 'info'])).exit).toBe(0);
    }
  });

  test('prints a summary as JSON', async () => {
    const path = newPath();
    const stdin = [Buffer.from(joinLines(GOOD_LINES))];
    expect(jsonLines(await output(['import', path, '--json'], { stdin }))).toEqual([
      {
        type: 'summary',
        schema: 1,
        command: 'import',
        file: path,
        refs: 'kept',
        blocks: 4,
        pages: 1,
        freeBlocks: 2,
        nodes: 2,
        lostSlots: 0,
        bytes: 2,
      },
    ]);
  });

  test('packs nodes without refs, in pages of the given format', async () => {
    const path = newPath();
    const stdin = [Buffer.from('{"type":"node","text":"one"}\n{"type":"node","text":"two"}')];
    expect(await output(['import', path, '--page-format', 'v2'], { stdin })).toBe(
      `${path}: 2 nodes packed in the order of the input; 2 blocks, 1 page\n`,
    );
    expect(await output(['read', path, '--all'])).toBe('one\ntwo\n');
    expect(await exportOf(path)).toContain('"format":"v2"');
  });

  test('refuses a file that exists without --force, and keeps it if the lines are invalid', async () => {
    const path = await fileOf('kept');
    const before = readFileSync(path);
    const stdin = [Buffer.from(joinLines(GOOD_LINES))];
    expect((await runInProcess(['import', path], { stdin })).exit).toBe(3);
    expect((await runInProcess(['import', path, '--force'], { stdin: [Buffer.from('x')] })).exit).toBe(2);
    expect(readFileSync(path).equals(before)).toBe(true);
    await output(['import', path, '--force'], { stdin });
    expect(await output(['read', path, '--all'])).toBe('a\n\xff\n');
  });

  test('restores a file from its own export in one pipe', async () => {
    const path = await fileOf('alpha', 'beta');
    const before = await exportOf(path);
    await output(['import', path, '--force'], { stdin: [Buffer.from(before)] });
    expect(await exportOf(path)).toBe(before);
  });

  test('creates no file from a truncated export, wherever it is cut', async () => {
    const lines = joinLines(GOOD_LINES);
    for (const end of [0, 1, 20, 38, 39, 150, 200, lines.length - 80, lines.length - 3]) {
      const { exit, stderr } = await refused(lines.slice(0, end));
      expect(exit).toBe(2);
      expect(stderr).toMatch(/^artrie-pages: FILE: (line \d+ of )?the input.* \(FILE was not created\)\n$/);
    }
  });

  test('says how to store nodes of which some were filtered out', async () => {
    const { exit, stderr } = await refused(joinLines(GOOD_LINES.toSpliced(2, 1)));
    expect(exit).toBe(2);
    expect(stderr).toContain(`jq -c 'select(.type == "node") | del(.ref)'`);
  });

  test('is an input error if the input does not exist, and takes no lock', async () => {
    const path = newPath();
    const { exit, stderr } = await runInProcess(['import', path, '--input', join(folder, 'none.jsonl')]);
    expect(exit).toBe(3);
    expectOneError(stderr);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('creates no file when it is interrupted while it waits for lines', async () => {
    const path = newPath();
    const child = spawn(process.execPath, [BIN, 'import', path], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.write(`${GOOD_LINES[0]}\n${GOOD_LINES[1]}\n`);
    const closed = once(child, 'close');
    while (!readdirSync(folder).some((name) => name.endsWith('.new')))
      await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
    expect(existsSync(path)).toBe(false);
  });

  test('keeps a writer out while it runs, and waits for one', async () => {
    const path = await fileOf('kept');
    const child = spawn(process.execPath, [BIN, 'append', path], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write('more\n');
    await once(child.stdout, 'data');
    const stdin = [Buffer.from(joinLines(GOOD_LINES))];
    expect((await runInProcess(['import', path, '--force'], { stdin })).exit).toBe(4);
    child.stdin.end();
    await once(child, 'close');
    await output(['import', path, '--force', '--lock-timeout', '5'], { stdin });
  });
});

test('a filter between the two may remove the refs', async () => {
  const path = newPath();
  copyFileSync(goldenPath('v1'), path);
  const lines = await runCli(['export', path]);
  const edited = jsonLines(lines.stdout)
    .filter(({ type }) => type === 'node')
    .map((node) => JSON.stringify({ ...node, ref: undefined }));
  const made = newPath();
  const run = await runCli(['import', made], { input: Buffer.from(edited.join('\n')) });
  expect({ exit: run.exit, stderr: run.stderr.toString() }).toEqual({ exit: 0, stderr: '' });
  expect(await output(['read', made, '--all', '--encoding', 'hex'])).toBe(
    await output(['read', path, '--all', '--encoding', 'hex']),
  );
});
