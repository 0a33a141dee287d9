import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { expectOneError, jsonLines, publicCopy, runCli, runInProcess, unprivileged } from '../support/cli.ts';
import { goldenBytes, temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const bin = publicCopy();
/** One bit of its header is wrong, and one of a node. */
let broken: Uint8Array;
let original: Uint8Array;

beforeAll(async () => {
  original = await smallFile('v1');
  broken = damaged(original, (copy) => {
    copy[40]! ^= 1;
    copy[BLOCK_BYTES + 70]! ^= 2;
  });
});

function file(name: string, bytes: Uint8Array = broken): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('repair --dry-run', () => {
  test('prints each change as bytes before and after, writes nothing, and exits 1', async () => {
    const path = file('dry.part');
    const { exit, stdout, stderr } = await runInProcess(['repair', path, '--dry-run']);
    expect(stdout.toString()).toBe(
      [
        'page-bit at block 1, byte 262214: 29 -> 2b',
        'header-bit at block 0, byte 40 (entryCount): 1500000000000000 -> 1400000000000000',
        `${path}: repairable; 2 blocks, 2 changes to make`,
        '',
      ].join('\n'),
    );
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    expect(readFileSync(path).equals(broken)).toBe(true);
    expect(existsSync(`${path}.lock`) || existsSync(`${path}.undo`)).toBe(false);
  });

  test('exits 0 if there is nothing to repair, and 5 if nothing can be repaired', async () => {
    expect((await runInProcess(['repair', file('sound.part', original), '--dry-run'])).exit).toBe(0);
    const noise = damaged(original, (copy) => copy.fill(9, BLOCK_BYTES + 70, BLOCK_BYTES + 90));
    const path = file('noise.part', noise);
    const { exit, stdout, stderr } = await runInProcess(['repair', path, '--dry-run']);
    expect(exit).toBe(5);
    expect(stdout.toString()).toContain('not repaired PAGE_CHECKSUM at block 1, byte 262168');
    expect(stderr).toContain(`artrie-pages recover ${path} ${path}.recovered`);
  });

  test('works on a read-only file in a read-only folder', async () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed);
    chmodSync(folder, 0o755);
    const path = file('closed/read-only.part');
    chmodSync(path, 0o444);
    chmodSync(closed, 0o555);
    const { exit } = await runCli(['repair', path, '--dry-run'], { ...unprivileged, bin });
    const real = await runCli(['repair', path], { ...unprivileged, bin });
    chmodSync(closed, 0o755);
    expect(exit).toBe(1);
    expect(real.exit).toBe(3);
    expectOneError(real.stderr);
    expect(readFileSync(path).equals(broken)).toBe(true);
  });
});

describe('repair', () => {
  test('repairs a file, keeps what it overwrites, and --undo restores it', async () => {
    const path = file('real.part');
    const { exit, stdout, stderr } = await runInProcess(['repair', path]);
    expect(stdout.toString()).toContain(`${path}: ok; 2 blocks, 2 changes made\n`);
    expect({ exit, stderr }).toEqual({
      exit: 0,
      stderr: `artrie-pages: ${path}: to undo: artrie-pages repair ${path} --undo ${path}.undo\n`,
    });
    expect(readFileSync(path).equals(original)).toBe(true);
    expect((await runInProcess(['verify', path])).exit).toBe(0);
    const second = await runInProcess(['repair', path]);
    expect([second.exit, second.stdout.toString(), second.stderr]).toEqual([
      0,
      `${path}: ok; 2 blocks, 0 changes made\n`,
      '',
    ]);
    expect(existsSync(`${path}.undo.1`)).toBe(false);
    const undo = await runInProcess(['repair', path, '--undo', `${path}.undo`]);
    expect([undo.exit, undo.stderr]).toEqual([0, '']);
    expect(undo.stdout.toString()).toBe(
      [
        'page-bit at block 1, byte 262214: 2b -> 29',
        'header-bit at block 0, byte 40 (entryCount): 1400000000000000 -> 1500000000000000',
        `${path}: 2 changes undone`,
        '',
      ].join('\n'),
    );
    expect(readFileSync(path).equals(broken)).toBe(true);
    const twice = await runInProcess(['repair', path, '--undo', `${path}.undo`]);
    expect(twice.stdout.toString()).toBe(`${path}: 0 changes undone, 2 had not been made\n`);
  });

  test('never overwrites an undo file', async () => {
    const path = file('again.part');
    await runInProcess(['repair', path]);
    const first = readFileSync(`${path}.undo`);
    writeFileSync(path, broken);
    expect((await runInProcess(['repair', path])).stderr).toContain(`${path}.undo.1`);
    expect(readFileSync(`${path}.undo`).equals(first)).toBe(true);
    writeFileSync(path, broken);
    const named = await runInProcess(['repair', path, '--undo-file', `${path}.undo`]);
    expect(named.exit).toBe(3);
    expectOneError(named.stderr);
    expect(readFileSync(path).equals(broken)).toBe(true);
    symlinkSync(join(folder, 'elsewhere'), `${path}.link`);
    expect((await runInProcess(['repair', path, '--undo-file', `${path}.link`])).exit).toBe(3);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  test('exits 5 if damage remains, and names the next command', async () => {
    const path = file(
      'half.part',
      damaged(broken, (copy) => copy.fill(9, BLOCK_BYTES + 70, BLOCK_BYTES + 90)),
    );
    const { exit, stdout, stderr } = await runInProcess(['repair', path]);
    expect(exit).toBe(5);
    expect(stdout.toString()).toContain(`${path}: damaged; 2 blocks, 1 change made, 1 error not repaired`);
    expect(stderr).toContain('artrie-pages recover ');
    expect((await runInProcess(['verify', path])).exit).toBe(1);
  });

  test('prints the same as JSON Lines', async () => {
    const path = file('json.part', goldenBytes('stale-header'));
    const { stdout } = await runInProcess(['repair', path, '--json', '--quiet']);
    expect(jsonLines(stdout)).toEqual([
      {
        type: 'change',
        repair: 'header-count',
        block: 0,
        offset: 48,
        field: 'checksum',
        before: '543aee334fc124c1',
        after: '273184bb35cf67c5',
      },
      {
        type: 'summary',
        schema: 1,
        command: 'repair',
        file: path,
        dryRun: false,
        blocks: 2,
        changes: 1,
        left: 0,
        warnings: 0,
        stalePages: 0,
        again: false,
        changed: false,
        undoFile: `${path}.undo`,
      },
    ]);
    const undo = await runInProcess(['repair', path, '--undo', `${path}.undo`, '--json']);
    expect(jsonLines(undo.stdout).at(-1)).toEqual({
      type: 'summary',
      schema: 1,
      command: 'repair',
      file: path,
      undo: `${path}.undo`,
      changes: 1,
      unchanged: 0,
    });
  });

  test('that is interrupted before it writes leaves no undo file', async () => {
    const path = file('interrupted.part');
    const { exit } = await runInProcess(['repair', path], {
      signal: AbortSignal.abort(new (await import('../../src/cli/context.ts')).Interrupted('SIGINT')),
    });
    expect(exit).toBe(130);
    expect(existsSync(`${path}.undo`)).toBe(false);
    expect(readFileSync(path).equals(broken)).toBe(true);
  });
});

describe('repair --undo', () => {
  test('refuses a file that has changed since, and writes nothing', async () => {
    const path = file('changed.part');
    await runInProcess(['repair', path]);
    await runInProcess(['append', path, 'more']);
    const before = readFileSync(path);
    const { exit, stderr } = await runInProcess(['repair', path, '--undo', `${path}.undo`]);
    expect(exit).toBe(3);
    expectOneError(stderr);
    expect(stderr).toContain('has been written to since it was repaired');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each([
    ['cut short', (undo: Buffer) => undo.subarray(0, undo.length - 1)],
    ['too long', (undo: Buffer) => Buffer.concat([undo, Buffer.from([0])])],
    ['changed in a patch', (undo: Buffer) => undo.map((byte, at) => (at === undo.length - 1 ? byte ^ 1 : byte))],
    ['changed in its header', (undo: Buffer) => undo.map((byte, at) => (at === 9 ? byte ^ 1 : byte))],
    ['empty', () => Buffer.alloc(0)],
    ['words', () => Buffer.from('my diary')],
  ])('refuses an undo file that is %s', async (name, spoil) => {
    const path = file(`undo ${name}.part`);
    await runInProcess(['repair', path]);
    writeFileSync(`${path}.undo`, spoil(readFileSync(`${path}.undo`)));
    const { exit, stderr } = await runInProcess(['repair', path, '--undo', `${path}.undo`]);
    expect(exit).toBe(3);
    expectOneError(stderr);
    expect(readFileSync(path).equals(original)).toBe(true);
  });

  test('cannot be combined with the options of a repair', async () => {
    const path = file('options.part');
    for (const option of ['--dry-run', '--stale-checksums', '--likely-bits']) {
      expect((await runInProcess(['repair', path, '--undo', 'x', option])).exit).toBe(2);
    }
  });

  test('refuses an undo file that does not exist, and a folder', async () => {
    const path = file('missing.part');
    for (const undo of [join(folder, 'none'), folder]) {
      const { exit, stderr } = await runInProcess(['repair', path, '--undo', undo]);
      expect(exit).toBe(3);
      expectOneError(stderr);
    }
  });
});

test.each([
  ['missing', undefined, 'no such file'],
  ['empty', new Uint8Array(0), 'the file is empty'],
  ['words', Buffer.from('my diary, which is no page file'), 'not a page file'],
])('repair refuses %s, which is not a page file', async (name, bytes, message) => {
  const path = join(folder, `${name}.none`);
  if (bytes) writeFileSync(path, bytes);
  for (const options of [[], ['--dry-run']]) {
    const { exit, stderr } = await runInProcess(['repair', path, ...options]);
    expect(exit).toBe(3);
    expect(stderr).toContain(message);
  }
  expect(existsSync(`${path}.lock`)).toBe(false);
});
