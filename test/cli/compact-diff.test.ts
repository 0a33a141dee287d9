import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../src/cli/context.ts';
import { MAX_BLOCKS } from '../../src/format/layout.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { expectOneError, jsonLines, output, runCli, runInProcess } from '../support/cli.ts';
import { goldenNodes, goldenPath, temporaryFolder } from '../support/files.ts';
import { specNodes } from '../support/spec-reader.ts';

const root = temporaryFolder();
let folders = 0;
function newFolder(): string {
  const path = join(root, String(folders++));
  mkdirSync(path);
  return path;
}

/** A folder with `a.part`: pages in blocks 1 and 4, the first with three nodes, and two free blocks. */
async function withFile(): Promise<{ folder: string; a: string; b: string }> {
  const folder = newFolder();
  const [a, b] = [join(folder, 'a.part'), join(folder, 'b.part')];
  await output(['create', a]);
  await output(['append', a, 'one', 'two', 'one']);
  await output(['allocate', a, '--count', '3']);
  await output(['free', a, '2', '3']);
  return { folder, a, b };
}

/** Runs a command that fails, and expects that it leaves the files of a folder as they are, but for a lock. @returns its error */
async function failure(exit: number, folder: string, args: readonly string[]): Promise<string> {
  const state = (): string[] =>
    readdirSync(folder)
      .filter((name) => !name.endsWith('.lock'))
      .map((name) => `${name} ${readFileSync(join(folder, name)).toString('latin1')}`);
  const before = state();
  const result = await runInProcess(args);
  expect({ args, exit: result.exit, stdout: result.stdout.toString() }).toEqual({ args, exit, stdout: '' });
  expectOneError(result.stderr);
  expect(state().join('\n') === before.join('\n')).toBe(true);
  return result.stderr;
}

describe('compact', () => {
  test('prints the file before and after', async () => {
    const { a, b } = await withFile();
    const lines = (await output(['compact', a, b, '--dedupe', '--page-format', 'v2'])).split('\n');
    expect(lines.map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
      ' | before | after',
      'bytes | 1,310,720 | 524,288',
      'blocks | 5 | 2',
      'pages, V1 | 2 | 0',
      'pages, V2 | 0 | 1',
      'finalized pages | 0 | 0',
      'free blocks | 2 | 0',
      'unwritten blocks | 0 | 0',
      'nodes | 3 | 2',
      'fill of pages | 0.0% | 0.0%',
      '1 duplicate node left out',
      '',
    ]);
    expect(specNodes(readFileSync(b)).map(({ bytes }) => bytes.toString())).toEqual(['one', 'two']);
  });

  test('--json prints a summary with the same figures', async () => {
    const { a, b } = await withFile();
    const [summary, ...rest] = jsonLines(await output(['compact', a, b, '--json']));
    expect(rest).toEqual([]);
    expect(summary).toMatchObject({
      type: 'summary',
      schema: 1,
      command: 'compact',
      file: a,
      target: b,
      pageFormat: 'v1',
      duplicateNodes: 0,
      before: { bytes: 1_310_720, blocks: 5, pages: { v1: 2, v2: 0 }, nodes: 3, freeBlocks: 2 },
      after: { bytes: 524_288, blocks: 2, pages: { v1: 1, v2: 0 }, nodes: 3, freeBlocks: 0 },
    });
  });

  test('--map writes a line for each node, in order', async () => {
    const { a, b, folder } = await withFile();
    const map = join(folder, 'map');
    await output(['compact', a, b, '--map', map, '--dedupe']);
    expect(readFileSync(map, 'utf8')).toBe('1:0 1:0\n1:1 1:1\n1:2 1:0\n');
    expect(await failure(3, folder, ['compact', a, join(folder, 'c.part'), '--map', map])).toContain('--force');
    await output(['compact', a, b, '--map', map, '--force']);
    expect(readFileSync(map, 'utf8')).toBe('1:0 1:0\n1:1 1:1\n1:2 1:2\n');
  });

  test('--map of a file of libdictenstein maps every ref to the same node', async () => {
    const folder = newFolder();
    const [target, map] = [join(folder, 'b.part'), join(folder, 'map')];
    await output(['compact', goldenPath('arenas'), target, '--page-format', 'v2', '--map', map]);
    const after = new Map(specNodes(readFileSync(target)).map(({ ref, bytes }) => [ref, bytes.toString('hex')]));
    const lines = readFileSync(map, 'utf8').trimEnd().split('\n');
    const led = lines.map((line) => `${line.split(' ')[0]} ${after.get(line.split(' ')[1] ?? '')}`);
    expect(led).toEqual(goldenNodes('arenas').map(({ ref, hex }) => `${ref} ${hex}`));
  });

  test('refuses a target that exists without --force, and the source under any name', async () => {
    const { a, b, folder } = await withFile();
    writeFileSync(b, 'something else');
    expect(await failure(3, folder, ['compact', a, b])).toContain('--force');
    await output(['compact', a, b, '--force']);
    const [link, hardLink] = [join(folder, 'link'), join(folder, 'hard')];
    symlinkSync(a, link);
    linkSync(a, hardLink);
    for (const same of [a, join(folder, '.', 'a.part'), link, hardLink]) {
      expect(await failure(3, folder, ['compact', a, same, '--force'])).toContain('the same file');
      expect(await failure(3, folder, ['compact', a, join(folder, 'c.part'), '--force', '--map', same])).toContain(
        'map',
      );
    }
    const c = join(folder, 'c.part');
    expect(await failure(3, folder, ['compact', a, c, '--map', join(folder, 'x/../c.part')])).toContain('map');
  });

  test('names the first damage of a source and the command that salvages its nodes', async () => {
    const { a, b, folder } = await withFile();
    writeFileSync(
      a,
      damaged(readFileSync(a), (copy) => (copy[262_144 + 70]! ^= 1)),
    );
    const error = await failure(5, folder, ['compact', a, b, '--map', join(folder, 'map')]);
    expect(error).toMatch(/page 1: stored checksum .* at byte 262168; .*artrie-pages recover/);
  });

  test('refuses a file with a trie as wrong usage', async () => {
    const { a, b, folder } = await withFile();
    writeFileSync(a, withHeader(readFileSync(a), { rootPointer: 64n << 18n }));
    expect(await failure(2, folder, ['compact', a, b])).toContain('cannot rewrite the pointers');
  });

  test('that is interrupted leaves nothing and exits 130', async () => {
    const { a, b, folder } = await withFile();
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    const { exit, stderr } = await runInProcess(['compact', a, b, '--map', join(folder, 'map')], { signal });
    expect({ exit, stderr }).toEqual({ exit: 130, stderr: '' });
    expect(readdirSync(folder)).toEqual(['a.part', 'a.part.lock']);
  });
});

describe('diff', () => {
  test('prints nothing for files that are the same, and exits 0', async () => {
    const { a, b } = await withFile();
    await output(['compact', a, b, '--page-format', 'v2']);
    expect(await output(['diff', a, a])).toBe('');
    expect(await output(['diff', '--nodes', a, b])).toBe('');
    expect(await output(['diff', '--brief', a, a])).toBe('');
  });

  test('prints a line for each difference, and exits 1', async () => {
    const { a, b } = await withFile();
    await output(['compact', a, b]);
    await output(['update', b, '1:1', 'twa']);
    await output(['append', b, 'four']);
    const { exit, stdout, stderr } = await runInProcess(['diff', a, b]);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    expect(stdout.toString().split('\n')).toEqual([
      'header entryCount  3 -> 4',
      'changed 1:1  3 bytes -> 3 bytes, from byte 2',
      'added 1:3  4 bytes',
      'block 2  free -> absent',
      'block 3  free -> absent',
      'block 4  page -> absent',
      '',
    ]);
    const byNodes = await runInProcess(['diff', '--nodes', a, b]);
    expect(byNodes.stdout.toString()).toBe('removed 1:1  3 bytes\nadded 1:1  3 bytes\nadded 1:3  4 bytes\n');
    expect((await runInProcess(['diff', '--brief', a, b])).stdout.toString()).toBe(`${a} and ${b} differ\n`);
  });

  test('--json prints a line for each difference, and a summary', async () => {
    const { a, b } = await withFile();
    await output(['compact', a, b]);
    await output(['update', b, '1:1', 'twa']);
    const { exit, stdout } = await runInProcess(['diff', a, b, '--json']);
    expect(exit).toBe(1);
    expect(jsonLines(stdout)).toEqual([
      { type: 'changed', block: 1, slot: 1, aBytes: 3, bBytes: 3, firstByte: 2 },
      { type: 'block', block: 2, field: 'content', a: 'free', b: 'absent' },
      { type: 'block', block: 3, field: 'content', a: 'free', b: 'absent' },
      { type: 'block', block: 4, field: 'content', a: 'page', b: 'absent' },
      {
        type: 'summary',
        schema: 1,
        command: 'diff',
        file: a,
        other: b,
        compare: 'places',
        same: false,
        sequencesCompared: true,
        differences: { header: 0, block: 3, added: 0, removed: 0, changed: 1, damaged: 0 },
        nodes: { a: 3, b: 3 },
        changed: false,
      },
    ]);
  });

  test('exits 5 if damage was not compared, and says what is damaged', async () => {
    const { a, b } = await withFile();
    writeFileSync(
      b,
      damaged(readFileSync(a), (copy) => (copy[262_144 + 70]! ^= 1)),
    );
    for (const options of [[], ['--nodes'], ['--brief']]) {
      const { exit, stdout, stderr } = await runInProcess(['diff', b, b, ...options]);
      expect(exit).toBe(5);
      expect(stdout.toString()).toMatch(/^(damaged .*page 1: stored checksum .*\n){2}$/);
      expectOneError(stderr);
    }
  });

  test('does not trust a block count beyond the file', async () => {
    const { a, b } = await withFile();
    writeFileSync(b, withHeader(readFileSync(a), { blockCount: MAX_BLOCKS }));
    const { exit, stdout } = await runInProcess(['diff', a, b]);
    expect(exit).toBe(5);
    expect(stdout.toString()).toMatch(/^damaged .*blockCount is 16777216, the file has 5 whole blocks\n$/);
  });

  test('of a missing file exits 3, and exits 130 if interrupted', async () => {
    const { a, folder } = await withFile();
    await failure(3, folder, ['diff', a, join(folder, 'none')]);
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    expect((await runInProcess(['diff', a, a], { signal })).exit).toBe(130);
  });

  test('writes nothing, and takes no lock', async () => {
    const { a, folder } = await withFile();
    const copy = join(newFolder(), 'copy.part');
    writeFileSync(copy, readFileSync(a));
    const { exit } = await runCli(['diff', a, copy]);
    expect(exit).toBe(0);
    expect(existsSync(`${copy}.lock`)).toBe(false);
    expect(readdirSync(folder)).toEqual(['a.part', 'a.part.lock']);
  });
});
