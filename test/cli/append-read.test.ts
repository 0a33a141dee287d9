import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectOneError, jsonLines, output, runInProcess } from '../support/cli.ts';
import { goldenNodes, goldenPath, temporaryFolder } from '../support/files.ts';
import { specNodes } from '../support/spec-reader.ts';

const folder = temporaryFolder();
let files = 0;

async function newFile(...options: string[]): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path, ...options]);
  return path;
}

const chunks = (...texts: string[]): { stdin: Uint8Array[] } => ({ stdin: texts.map((text) => Buffer.from(text)) });

describe('append', () => {
  test('each DATA argument is a node, whose ref is printed', async () => {
    const path = await newFile();
    expect(await output(['append', path, 'one', '', 'three\n'])).toBe('1:0\n1:1\n1:2\n');
    expect(await output(['append', path, '666f7572', '--encoding', 'hex'])).toBe('1:3\n');
    expect(await output(['append', path, 'Zml2ZQ==', '--encoding', 'base64'])).toBe('1:4\n');
    expect(specNodes(readFileSync(path)).map(({ bytes }) => bytes.toString())).toEqual([
      'one',
      '',
      'three\n',
      'four',
      'five',
    ]);
  });

  test('each line of stdin is a node: an empty line is an empty one, and the last needs no line break', async () => {
    const path = await newFile();
    expect(await output(['append', path], chunks('a\n\nb', 'c\n', 'last'))).toBe('1:0\n1:1\n1:2\n1:3\n');
    expect(await output(['read', path, '--all'])).toBe('a\n\nbc\nlast\n');
  });

  test('an empty stdin appends nothing', async () => {
    const path = await newFile();
    const before = readFileSync(path);
    expect(await output(['append', path])).toBe('');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('--input reads a file, and - is stdin', async () => {
    const path = await newFile();
    const input = join(folder, 'input.txt');
    writeFileSync(input, 'from\na file\n');
    expect(await output(['append', path, '--input', input], chunks('not this\n'))).toBe('1:0\n1:1\n');
    expect(await output(['append', path, '--input', '-'], chunks('from stdin\n'))).toBe('1:2\n');
    expect(await output(['read', path, '--all'])).toBe('from\na file\nfrom stdin\n');
  });

  test('--input that cannot be read exits 3, names it, and changes nothing', async () => {
    const path = await newFile();
    const directory = join(folder, 'a-directory');
    mkdirSync(directory);
    const before = readFileSync(path);
    for (const input of [join(folder, 'none.txt'), directory]) {
      const { exit, stdout, stderr } = await runInProcess(['append', path, '--input', input]);
      expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 3, stdout: '' });
      expectOneError(stderr);
      expect(stderr).toContain(input);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each(['1', '2', '3', '100'])('--batch %s prints the same refs', async (batch) => {
    const path = await newFile();
    expect(await output(['append', path, '--batch', batch], chunks('a\nb\nc\nd\ne\n'))).toBe(
      '1:0\n1:1\n1:2\n1:3\n1:4\n',
    );
    expect(await output(['read', path, '--all'])).toBe('a\nb\nc\nd\ne\n');
  });

  test('--quiet appends without printing refs, and --json prints them and a summary', async () => {
    const path = await newFile();
    expect(await output(['append', path, '--quiet', 'a', 'b'])).toBe('');
    expect(jsonLines(await output(['append', path, '--json', 'c', 'four']))).toEqual([
      { type: 'node', ref: '1:2' },
      { type: 'node', ref: '1:3' },
      { type: 'summary', schema: 1, command: 'append', file: path, nodes: 2, bytes: 5 },
    ]);
  });

  test('bad hex in line 3 exits 2, and the two nodes before it are in the file and their refs printed', async () => {
    const path = await newFile();
    const { exit, stdout, stderr } = await runInProcess(
      ['append', path, '--encoding', 'hex'],
      chunks('6f6e65\n74776f\nthree\n666f7572\n'),
    );
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 2, stdout: '1:0\n1:1\n' });
    expectOneError(stderr);
    expect(stderr).toContain("node 3 of the input: 'three' is not hex");
    expect(stderr).toContain('2 nodes before it were appended');
    expect(await output(['read', path, '--all'])).toBe('one\ntwo\n');
  });

  test.each([
    ['base64', 'YQ==\nYQ\n'],
    ['base64', 'YQ==\nY-_=\n'],
    ['hex', '61\n6\n'],
    ['hex', '61\n61 62\n'],
  ])('bad %s in line 2 exits 2: %j', async (encoding, input) => {
    const path = await newFile();
    const { exit, stdout, stderr } = await runInProcess(['append', path, '--encoding', encoding], chunks(input));
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 2, stdout: '1:0\n' });
    expectOneError(stderr);
    expect(await output(['read', path, '--all'])).toBe('a\n');
  });

  test('u32 input that is cut exits 2, and what came before is in the file', async () => {
    const path = await newFile();
    const { exit, stdout, stderr } = await runInProcess(
      ['append', path, '--framing', 'u32'],
      chunks('\x03\0\0\0one\x05\0\0\0fou'),
    );
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 2, stdout: '1:0\n' });
    expectOneError(stderr);
    expect(await output(['read', path, '--all'])).toBe('one\n');
  });

  test('a node that fits no page exits 2, and what came before is in the file', async () => {
    const path = await newFile();
    const { exit, stdout, stderr } = await runInProcess(['append', path], chunks('a\n', `${'x'.repeat(262_144)}\nb\n`));
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 2, stdout: '1:0\n' });
    expectOneError(stderr);
    expect(await output(['read', path, '--all'])).toBe('a\n');
  });
});

describe('read', () => {
  const v1 = goldenPath('v1');

  test('a single REF prints exactly the bytes of the node', async () => {
    for (const { ref, hex } of goldenNodes('v1')) {
      expect(Buffer.from(await output(['read', v1, ref]), 'latin1').toString('hex')).toBe(hex);
      expect(await output(['read', v1, ref, '--encoding', 'hex'])).toBe(hex);
      expect(await output(['read', v1, ref, '--encoding', 'base64'])).toBe(Buffer.from(hex, 'hex').toString('base64'));
    }
  });

  test('a block, a range and several REFs are framed by lines', async () => {
    const hex = goldenNodes('v1').map((node) => node.hex);
    const read = (...refs: string[]): Promise<string> => output(['read', v1, '--encoding', 'hex', ...refs]);
    expect(await read('1')).toBe(hex.map((node) => `${node}\n`).join(''));
    expect(await read('1:1-2')).toBe(`${hex[1]}\n${hex[2]}\n`);
    expect(await read('1:1', '1:0')).toBe(`${hex[1]}\n${hex[0]}\n`);
    expect(await read('1:0', '1:0-1')).toBe(`${hex[0]}\n${hex[0]}\n${hex[1]}\n`);
    expect(await read('2')).toBe('');
    expect(await read('--all')).toBe(await read('1', '2'));
  });

  test('--framing applies to a single node too, if it is given', async () => {
    expect(await output(['read', v1, '1:0', '--framing', 'lines'])).toBe('hello world\n');
    expect(await output(['read', v1, '1:0', '--framing', 'nul'])).toBe('hello world\0');
    expect(await output(['read', v1, '1:0', '--framing', 'u32'])).toBe('\x0b\0\0\0hello world');
    expect(await output(['read', v1, '1:0-1', '--framing', 'whole'])).toBe('hello worldgoodbye world');
  });

  test('--json prints a line per node and a summary', async () => {
    expect(jsonLines(await output(['read', v1, '1:0', '1:2', '--json', '--encoding', 'hex']))).toEqual([
      { type: 'node', ref: '1:0', bytes: 11, encoding: 'hex', data: '68656c6c6f20776f726c64' },
      { type: 'node', ref: '1:2', bytes: 0, encoding: 'hex', data: '' },
      { type: 'summary', schema: 1, command: 'read', file: v1, nodes: 2, bytes: 11 },
    ]);
  });

  test('REFs beside --all are wrong usage', async () => {
    const { exit, stderr } = await runInProcess(['read', goldenPath('v1'), '--all', '1']);
    expect([exit, stderr]).toEqual([2, 'artrie-pages: give REFs or --all, not both; see artrie-pages read --help\n']);
  });

  test('nodes without a directory are noted on stderr, but not with --quiet', async () => {
    const path = goldenPath('v2-unfinalized');
    const noted = await runInProcess(['read', path, '1']);
    expect({ exit: noted.exit, stdout: noted.stdout.toString() }).toEqual({ exit: 0, stdout: '' });
    expectOneError(noted.stderr);
    expect(await output(['read', path, '1', '--quiet'])).toBe('');
  });
});

test.each(['v1', 'v2'])(
  'a page file of format %s is created, filled, changed, finalized and verified',
  async (format) => {
    const path = await newFile('--page-format', format);
    const nodes = Array.from({ length: 3000 }, (_, index) => `node ${index} ${'.'.repeat(index % 300)}`);
    const refs = (await output(['append', path], chunks(`${nodes.join('\n')}\n`))).trim().split('\n');
    expect(refs).toHaveLength(nodes.length);
    expect(new Set(refs).size).toBe(nodes.length);
    expect(refs[0]).toBe('1:0');
    expect(specNodes(readFileSync(path)).map(({ ref }) => ref)).toEqual(refs);
    expect(await output(['read', path, refs[1234] ?? ''])).toBe(nodes[1234]);

    expect(await output(['update', path, '1:7', 'NODE 7 .......'])).toBe('1:7\n');
    nodes[7] = 'NODE 7 .......';
    expect(await output(['read', path, '--all'])).toBe(`${nodes.join('\n')}\n`);
    expect(await output(['finalize', path])).toMatch(/^(block \d+: finalized, [\d,]+ nodes\n){2,}$/);
    expect(await output(['verify', path, '--require-checksums', '--require-finalized', '--fail-on', 'info'])).toMatch(
      /: ok \(0 errors, 0 warnings, 0 info\); \d+ blocks, \d+ pages, 3,000 nodes\n$/,
    );
    expect(await output(['read', path, '--all'])).toBe(`${nodes.join('\n')}\n`);
  },
);
