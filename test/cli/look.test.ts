import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectOneError, jsonLines, output, runInProcess } from '../support/cli.ts';
import { GOLDEN_NAMES, goldenPath, temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const v1 = goldenPath('v1');
const stale = goldenPath('stale-header');
const none = join(folder, 'none.part');

describe('stat', () => {
  test('prints counts, space by kind and node lengths', async () => {
    expect(await output(['stat', v1])).toBe(
      [
        'blocks                                 3',
        'pages, V1                              2',
        'pages, V2                              0',
        'finalized pages                        0',
        'free or unwritten                      0',
        'nodes                                  5',
        'shortest node, bytes                   0',
        'longest node, bytes                   13',
        'fill of pages                       0.0%',
        '',
        'space, bytes',
        'headers                          262,272    33.3%',
        'nodes                                 39     0.0%',
        'directory                             40     0.0%',
        'free                             524,081    66.6%',
        'blocks not in use                      0     0.0%',
        '',
        'node length                        nodes    share',
        '0                                      1    20.0%  ##############',
        '1                                      0     0.0%',
        '2 to 3                                 0     0.0%',
        '4 to 7                                 1    20.0%  ##############',
        '8 to 15                                3    60.0%  ########################################',
        '',
      ].join('\n'),
    );
  });

  test('--json prints a summary whose space adds up to the size of the file', async () => {
    const [summary, ...rest] = jsonLines(await output(['stat', v1, '--json']));
    expect(rest).toEqual([]);
    expect(summary).toMatchObject({ type: 'summary', schema: 1, command: 'stat', file: v1, blocks: 3, nodes: 5 });
    const space = ['headerBytes', 'nodeBytes', 'directoryBytes', 'freeBytes'].map((name) => Number(summary?.[name]));
    expect(space.reduce((sum, bytes) => sum + bytes, 0)).toBe(786_432);
  });
});

describe('dump', () => {
  test('of a golden file: the file header and a row for each block', async () => {
    expect(await output(['dump', v1])).toBe(
      [
        'offset  field                                value  meaning',
        '     0  magic                   0x5041525400010000  0x5041_5254_0001_0000',
        '     8  version                                  2  1 or 2',
        '    12  flags                                  0x0  0',
        '    16  rootPointer                            0x0  pointer to the root descriptor, or 0',
        '    24  blockCount                               3  blocks in the file, including block 0',
        '    28  padding                                  0  0',
        '    32  freeListHead                           0x0  link to the first free block, or 0 for none',
        '    40  entryCount                               5  terms of the trie; without a root pointer, nodes in all pages, or 0 if not counted',
        '    48  checksum                0x81ac893b5512eb73  FNV-1a, 64 bit, of the fields above except the padding, in version 2 also of the field below',
        '    56  imageCheckpointLsn                       0  used by the trie since version 2; 0 in version 1',
        '    88  digest                              absent  none; the next commit makes it',
        ' 10240  file id                             absent  tells which file a journal is of',
        ' 12288  header copy                         absent  backup of the file header and root descriptor',
        '',
        '   block  kind        state        nodes  node bytes  directory      free    fill  checksum  problem',
        '       1  V1 page     open             5          39         40   262,001    0.1%  absent',
        '       2  V1 page     open             0           0          0   262,080    0.0%  absent',
        '',
      ].join('\n'),
    );
  });

  test('--block: header fields, directory and nodes of one page', async () => {
    const text = await output(['dump', v1, '--block', '1']);
    expect(text).toMatch(/^block 1, V1 page at byte 262144\n/);
    expect(text).toMatch(
      /\n {2}slot {2}entry at {3}node at {5}bytes {2}node\n {5}0 {4}262136 {8}64 {8}11 {2}hello world\n/,
    );
  });

  test('--slot: one node', async () => {
    expect(await output(['dump', v1, '--slot', '1:0'])).toBe(
      'node 1:0: 11 bytes at byte 262208, directory entry at byte 524280\n' +
        '0000040040  68 65 6c 6c 6f 20 77 6f 72 6c 64                 |hello world|\n',
    );
  });

  test('--hex: a hexdump with the name of each region', async () => {
    const text = await output(['dump', v1, '--block', '1', '--hex']);
    expect(text).toContain('|hello world|       node 1:0 = 11 bytes\n');
    expect(text).toMatch(/\|@\.{7}\| {10}slot 1:0 = 64, 11\n$/);
    expect(await output(['dump', v1, '--hex'])).toMatch(/^0000000000 .*magic/);
  });

  test('--json: the header, a line per block, and a summary', async () => {
    const objects = jsonLines(await output(['dump', v1, '--json']));
    expect(objects.map(({ type }) => type)).toEqual(['header', 'digest', 'block', 'block', 'summary']);
    expect(objects[0]).toMatchObject({ magic: '5782993917251223552', entryCount: '5', blockCount: 3 });
    expect(objects.at(-1)).toEqual({
      type: 'summary',
      schema: 1,
      command: 'dump',
      file: v1,
      bytes: 786_432,
      blocks: 3,
    });
  });
});

describe('verify', () => {
  const finding = (file: string, page: number, byte: number): string =>
    `${file}: info PAGE_CHECKSUM_ABSENT at block ${page}, byte ${byte}: page ${page}: no checksum, so its bytes cannot be verified\n`;
  const v1Report =
    finding(v1, 1, 262_154) +
    finding(v1, 2, 524_298) +
    `${v1}: ok (0 errors, 0 warnings, 2 info); 3 blocks, 2 pages, 5 nodes\n`;

  test('prints findings and a summary', async () => {
    expect(await output(['verify', v1])).toBe(v1Report);
  });

  test.each(['--json', '--format=json'])('%s: each line is an object, the last the summary', async (option) => {
    const { exit, stdout, stderr } = await runInProcess(['verify', v1, stale, option]);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' });
    const objects = jsonLines(stdout);
    expect(objects.map(({ type }) => type)).toEqual([
      'finding',
      'finding',
      'file',
      'finding',
      'finding',
      'file',
      'summary',
    ]);
    expect(objects[0]).toMatchObject({
      code: 'PAGE_CHECKSUM_ABSENT',
      severity: 'info',
      file: v1,
      block: 1,
      offset: 262_154,
    });
    expect(objects.at(-1)).toEqual({
      type: 'summary',
      schema: 1,
      command: 'verify',
      files: 2,
      failed: 1,
      unreadable: 0,
      error: 1,
      warning: 0,
      info: 3,
      interrupted: false,
      unchecked: 0,
      exit: 1,
    });
  });

  test.each([
    ['v1', [], 0],
    ['v1', ['--fail-on', 'warning'], 0],
    ['v1', ['--fail-on', 'info'], 1],
    ['v1', ['--require-checksums'], 1],
    ['v1', ['--require-finalized'], 1],
    ['v2-unfinalized', [], 0],
    ['v2-unfinalized', ['--fail-on', 'error'], 0],
    ['v2-unfinalized', ['--fail-on', 'warning'], 1],
    ['stale-header', [], 1],
  ] as const)('the golden file %s with %j exits %i', async (name, options, expected) => {
    const { exit, stderr } = await runInProcess(['verify', goldenPath(name), ...options]);
    expect({ exit, stderr }).toEqual({ exit: expected, stderr: '' });
  });

  test('--output writes the report to a file, in the given format', async () => {
    const report = join(folder, 'report');
    expect(await output(['verify', v1, '--output', report])).toBe(v1Report);
    expect(readFileSync(report, 'utf8')).toBe(v1Report);
    expect(await output(['verify', v1, '--format', 'json', '--output', report])).toBe(v1Report);
    expect(jsonLines(readFileSync(report)).at(-1)).toMatchObject({ type: 'summary', files: 1, info: 2 });
  });

  test('--output that cannot be written exits 3', async () => {
    const report = join(folder, 'no-such-folder', 'report');
    const { exit, stdout, stderr } = await runInProcess(['verify', v1, '--output', report]);
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
    expectOneError(stderr);
    expect(stderr).toContain(report);
  });

  test('other files are checked even if one does not exist: exit 3, or 1 with findings', async () => {
    const sound = await runInProcess(['verify', none, v1]);
    const total = '2 files: 1 unreadable, 1 ok; 0 errors, 0 warnings, 2 info\n';
    expect({ exit: sound.exit, stdout: sound.stdout.toString() }).toEqual({ exit: 3, stdout: v1Report + total });
    expectOneError(sound.stderr);
    expect(sound.stderr).toContain(none);

    for (const files of [
      [none, stale, v1],
      [stale, none, v1],
    ]) {
      const { exit, stdout, stderr } = await runInProcess(['verify', ...files]);
      expect(exit).toBe(1);
      expect(stdout.toString()).toContain(`${stale}: damaged (1 error`);
      expect(stdout.toString()).toContain(`\n${v1Report}3 files: 1 damaged, 1 unreadable, 1 ok; `);
      expectOneError(stderr);
    }
    expect(existsSync(none)).toBe(false);
  });

  test('--json counts a file that does not exist as unreadable', async () => {
    const { exit, stdout } = await runInProcess(['verify', none, v1, '--json']);
    const objects = jsonLines(stdout);
    expect(exit).toBe(3);
    expect(objects[0]).toMatchObject({ type: 'error', code: 'IO', file: none });
    expect(objects.at(-1)).toMatchObject({ type: 'summary', files: 2, failed: 0, unreadable: 1 });
  });

  test('an error is printed once if the report also goes to a file', async () => {
    const { exit, stderr } = await runInProcess(['verify', none, '--output', join(folder, 'once')]);
    expect(exit).toBe(3);
    expectOneError(stderr);
  });
});

test('commands that only read leave golden files unchanged', async () => {
  for (const name of GOLDEN_NAMES) {
    const path = goldenPath(name);
    const before = readFileSync(path);
    for (const args of [['stat'], ['dump'], ['verify'], ['read', '--all', '--quiet']]) {
      const [command = '', ...rest] = args;
      await runInProcess([command, path, ...rest]);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
  }
});
