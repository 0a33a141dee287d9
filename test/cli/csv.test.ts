import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, expectOneError, jsonLines, output, runCli, runInProcess } from '../support/cli.ts';
import { partsOf } from '../support/csv.ts';
import { FIXTURES, temporaryFolder } from '../support/files.ts';
import { specNodes } from '../support/spec-reader.ts';

const folder = temporaryFolder();
const USERS = join(FIXTURES, 'csv/users.csv');
let files = 0;
const newPath = (suffix = '.part'): string => join(folder, `${files++}${suffix}`);

/** The cells of the fixture, by hand. Characters are bytes. */
const CELLS = [
  ['users/1/id', '1'],
  ['users/1/name', 'Ada'],
  ['users/1/quote', 'The engine "weaves" patterns, not numbers'],
  ['users/2/id', '2'],
  ['users/2/name', 'Grace'],
  ['users/2/quote', ''],
  ['users/3/id', '17'],
  ['users/3/name', 'Zo\xc3\xab'],
  ['users/3/quote', 'Two\nlines'],
] as const;

const nodesIn = (path: string): Uint8Array[] => specNodes(readFileSync(path)).map(({ bytes }) => bytes);

/** The names of the files that exist because of `path`. */
const filesOf = (path: string): string[] =>
  readdirSync(folder)
    .filter((name) => join(folder, name).startsWith(path))
    .map((name) => name.slice(path.length - folder.length - 1));

async function imported(csv: string | Uint8Array, ...options: string[]): Promise<string> {
  const path = newPath();
  const input = newPath('.csv');
  writeFileSync(input, csv);
  await output(['import', path, '--csv', input, '--table', 'users', '--quiet', ...options]);
  return path;
}

/** Imports a CSV file, which is refused, and expects that nothing is there for it but the lock file. */
async function refused(csv: string | Uint8Array, ...options: string[]): Promise<{ exit: number; stderr: string }> {
  const path = newPath();
  const args = ['import', path, '--csv', '-', '--table', 'users', ...options];
  const { exit, stdout, stderr } = await runInProcess(args, { stdin: [Buffer.from(csv)] });
  expect(stdout.toString()).toBe('');
  expectOneError(stderr);
  expect(filesOf(path).filter((name) => name !== '.lock')).toEqual([]);
  return { exit, stderr: stderr.replaceAll(path, 'FILE') };
}

describe('import --csv', () => {
  test('stores each cell with its key, and says how many', async () => {
    const path = newPath();
    expect(await output(['import', path, '--csv', USERS, '--table', 'users'])).toBe(
      `${path}: 3 rows, 9 cells packed in the order of the input; 2 blocks, 1 page\n`,
    );
    expect(nodesIn(path).map(partsOf)).toEqual(CELLS);
    expect(await output(['verify', path])).toContain('ok (0 errors, 0 warnings, 0 info)');
    const one = await imported('a\n1');
    expect(nodesIn(one).map(partsOf)).toEqual([['users/1/a', '1']]);
    const none = newPath();
    expect(await output(['import', none, '--csv', '-', '--table', 't'], { stdin: [Buffer.from('a,b\r\n')] })).toBe(
      `${none}: 0 rows, 0 cells packed in the order of the input; 1 block, 0 pages\n`,
    );
    expect(await output(['verify', none])).toContain('ok');
  });

  test('reads the same from a pipe', async () => {
    const path = newPath();
    const { exit, stdout, stderr } = await runCli(['import', path, '--csv', '-', '--table', 'users', '--quiet'], {
      input: readFileSync(USERS),
    });
    expect([exit, stderr.toString()]).toEqual([0, '']);
    expect(stdout.toString()).toContain('3 rows, 9 cells');
    expect(nodesIn(path).map(partsOf)).toEqual(CELLS);
  });

  test('takes the rows in the keys from a column, exactly as its cells are', async () => {
    const path = await imported('n,id\na,18446744073709551615\nb,007\nc,7\nd,x y\n', '--id', 'id');
    expect(nodesIn(path).map(partsOf)).toEqual(
      [
        ['18446744073709551615', 'a'],
        ['007', 'b'],
        ['7', 'c'],
        ['x y', 'd'],
      ].flatMap(([id = '', n]) => [
        [`users/${id}/n`, n],
        [`users/${id}/id`, id],
      ]),
    );
  });

  test('stores keys alone with --keys-only, and V2 pages with --page-format', async () => {
    const path = await imported(readFileSync(USERS), '--keys-only', '--page-format', 'v2');
    expect(nodesIn(path).map((node) => Buffer.from(node).toString('latin1'))).toEqual(CELLS.map(([key]) => key));
    expect(readFileSync(path).toString('latin1', 262_144, 262_152)).toBe('BYTARAV2');
  });

  test('writes a map of keys and refs, in which every key is one line', async () => {
    const [input, map] = [newPath('.csv'), newPath('.map')];
    writeFileSync(input, Buffer.from('"a\nb",c\\d,"e\tf\x01\xc2\x85",\xff\xe9\n1,2,3,4\n', 'latin1'));
    chmodSync(input, 0o640);
    const path = newPath();
    await output(['import', path, '--csv', input, '--table', 'größe', '--map', map]);
    expect(readFileSync(map, 'latin1')).toBe(
      [
        'gr\xc3\xb6\xc3\x9fe/1/a\\nb\t1:0',
        'gr\xc3\xb6\xc3\x9fe/1/c\\\\d\t1:1',
        'gr\xc3\xb6\xc3\x9fe/1/e\\tf\\x01\\xc2\\x85\t1:2',
        'gr\\xc3\\xb6\\xc3\\x9fe/1/\\xff\\xe9\t1:3',
        '',
      ].join('\n'),
    );
    expect(statSync(map).mode & 0o777).toBe(0o640);
    const again = await runInProcess(['import', newPath(), '--csv', input, '--table', 't', '--map', map]);
    expect([again.exit, again.stderr]).toEqual([
      3,
      `artrie-pages: ${map}: the map already exists; use another name, or --force to replace it\n`,
    ]);
    await output(['import', newPath(), '--csv', USERS, '--table', 'users', '--map', map, '--force']);
    expect(readFileSync(map, 'utf8')).toBe(CELLS.map(([key], slot) => `${key}\t1:${slot}\n`).join(''));
  });

  test('gives each line of a map the ref of its node, over many batches and pages', async () => {
    const map = newPath('.map');
    const rows = Array.from({ length: 20_000 }, (_, at) => `${at},${'v'.repeat(at % 50)}\n`).join('');
    const path = await imported(`id,v\n${rows}`, '--map', map);
    const lines = readFileSync(map, 'utf8').split('\n').slice(0, -1);
    expect(lines).toEqual(specNodes(readFileSync(path)).map(({ ref, bytes }) => `${partsOf(bytes)[0]}\t${ref}`));
    expect(lines.length).toBe(40_000);
  });

  test('makes no map if it fails, and does not replace one', async () => {
    const map = newPath('.map');
    writeFileSync(map, 'kept');
    await refused('a,b\n1,2\n3\n', '--map', newPath('.map'));
    await refused('a,b\n1,2\n3\n', '--map', map, '--force');
    expect(readFileSync(map, 'utf8')).toBe('kept');
    expect(filesOf(map)).toEqual(['']);
    const path = newPath();
    for (const taken of [path, USERS, `${path}.lock`]) {
      const { exit, stderr } = await runInProcess([
        'import',
        path,
        '--csv',
        USERS,
        '--table',
        't',
        '--map',
        taken,
        '--force',
      ]);
      expect(exit).toBe(3);
      expect(stderr).toContain('choose another path for the map');
    }
    const full = await runInProcess(['import', path, '--csv', USERS, '--table', 't', '--map', '/dev/full', '--force']);
    expect(full).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('/dev/full: write: no space left') as string,
    });
    expect(existsSync(path)).toBe(false);
  });

  test('prints a JSON summary', async () => {
    const path = newPath();
    const map = newPath('.map');
    const printed = jsonLines(
      await output(['import', path, '--csv', USERS, '--table', 'users', '--map', map, '--json']),
    );
    const bytes = CELLS.reduce((sum, [key, value]) => sum + 2 + key.length + value.length, 0);
    const counts = {
      refs: 'new',
      blocks: 2,
      pages: 1,
      freeBlocks: 0,
      nodes: 9,
      lostSlots: 0,
      bytes,
      rows: 3,
      columns: 3,
      map,
    };
    expect(printed).toEqual([{ type: 'summary', schema: 1, command: 'import', file: path, ...counts }]);
  });

  test('replaces a file only with --force, and keeps it if the input is refused', async () => {
    const path = await imported('a\n1\n');
    const before = readFileSync(path);
    const again = await runInProcess(['import', path, '--csv', USERS, '--table', 'users']);
    expect([again.exit, again.stderr]).toEqual([
      3,
      `artrie-pages: ${path}: file already exists; use --force to replace it\n`,
    ]);
    const bad = await runInProcess(['import', path, '--csv', '-', '--table', 'users', '--force'], {
      stdin: [Buffer.from('a,a\n')],
    });
    expect(bad.exit).toBe(2);
    expect(readFileSync(path).equals(before)).toBe(true);
    await output(['import', path, '--csv', USERS, '--table', 'users', '--force']);
    expect(nodesIn(path).length).toBe(9);
  });

  test('keeps the permissions of a file with --replace, which needs no file, and replaces no map', async () => {
    const [path, map] = [newPath(), newPath('.map')];
    const args = ['import', path, '--csv', USERS, '--table', 'users', '--replace', '--map', map];
    await output(args);
    chmodSync(path, 0o604);
    const refused = await runInProcess(args);
    expect([refused.exit, refused.stderr]).toEqual([3, expect.stringContaining('the map already exists')]);
    await output([...args, '--force']);
    expect(statSync(path).mode & 0o777).toBe(0o604);
    expect(nodesIn(path).map(partsOf)).toEqual(CELLS);
    await output(['import', path, '--csv', USERS, '--table', 'users', '--force']);
    expect(statSync(path).mode & 0o777).toBe(0o666 & ~process.umask());
  });
});

describe('import --csv refuses', () => {
  test.each([
    [
      'nothing',
      '',
      [],
      'artrie-pages: FILE: the input has no header, a line with the names of the columns; did the command that writes it fail? (FILE was not created)\n',
    ],
    [
      'a name twice',
      'a,a\n',
      [],
      'artrie-pages: FILE: line 1 of the input: two columns have the name "a", the second is column 2; expected different names (FILE was not created)\n',
    ],
    [
      'a missing cell',
      'a,b\n1,2\n3\n',
      [],
      'artrie-pages: FILE: line 3 of the input (record 2): it has 1 cell; expected 2, as in the header (FILE was not created)\n',
    ],
    [
      'a broken quote',
      'a\n"1\n',
      [],
      'artrie-pages: FILE: line 2 of the input (cell 1 of the record that begins there): a quoted cell is not closed; expected a quote before the end of the input (FILE was not created)\n',
    ],
    [
      'an unknown --id',
      'a\n1\n',
      ['--id', 'b'],
      'artrie-pages: FILE: line 1 of the input: no column has the name "b"; found "a" (FILE was not created)\n',
    ],
    [
      'an id twice',
      'a\n1\n1\n',
      ['--id', 'a'],
      'artrie-pages: FILE: line 3 of the input (record 2, column "a"): the id "1" is also that of record 1; expected another one (FILE was not created)\n',
    ],
    [
      'an id with a slash',
      'a\n1/2\n',
      ['--id', 'a'],
      `artrie-pages: FILE: line 2 of the input (record 1, column "a"): the id "1/2" has a '/', which separates the parts of a key (FILE was not created)\n`,
    ],
    [
      'a cell that is too large',
      `a,big\n1,${'x'.repeat(300_000)}\n`,
      [],
      'artrie-pages: FILE: line 2 of the input (record 1, column "big"): the cell has 300000 bytes, and with its key the node has 300013; expected at most 262008, which a v1 page holds (FILE was not created)\n',
    ],
  ])('%s with exit 2, the line and the cell', async (_, csv, options, message) => {
    expect(await refused(csv, ...options)).toEqual({ exit: 2, stderr: message });
  });

  test.each([
    [['--csv'], '--csv needs a value'],
    [['--csv', ''], '--csv must not be empty'],
    [['--csv', USERS], '--csv needs --table NAME'],
    [['--csv', USERS, '--table', ''], '--table must not be empty'],
    [['--csv', USERS, '--table', 'a/b'], "--table must be a name without '/'"],
    [['--csv', USERS, '--table', 'a', '--map', ''], '--map must not be empty'],
    [['--csv', USERS, '--table', 'a', '--input', USERS], '--csv and --input cannot be used together'],
    [['--table', 'a'], '--table needs --csv'],
    [['--input', USERS, '--id', 'a'], '--id needs --csv'],
    [['--keys-only'], '--keys-only needs --csv'],
    [['--map', 'x'], '--map needs --csv'],
  ])('%j as wrong usage', async (options, message) => {
    const path = newPath();
    const { exit, stderr } = await runInProcess(['import', path, ...options]);
    expect([exit, stderr]).toEqual([2, `artrie-pages: ${message}; see artrie-pages import --help\n`]);
    expect(filesOf(path)).toEqual([]);
  });

  test('a file that is not there, or is a directory, by the option', async () => {
    const path = newPath();
    const { exit, stderr } = await runInProcess(['import', path, '--csv', join(folder, 'none'), '--table', 't']);
    expect([exit, stderr]).toEqual([3, `artrie-pages: ${join(folder, 'none')}: no such file (--csv)\n`]);
    const directory = await runInProcess(['import', path, '--csv', folder, '--table', 't']);
    expect([directory.exit, directory.stderr]).toEqual([
      3,
      `artrie-pages: ${folder}: this is a directory; --csv needs a file\n`,
    ]);
    expect(filesOf(path).filter((name) => name !== '.lock')).toEqual([]);
  });

  test('to go on after SIGINT, and leaves neither file nor map', async () => {
    const [path, map] = [newPath(), newPath('.map')];
    const child = spawn(process.execPath, [BIN, 'import', path, '--csv', '-', '--table', 't', '--map', map], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.write(`a,b\n${'1,2\n'.repeat(1000)}`);
    const closed = once(child, 'close');
    while (!filesOf(path).some((name) => name.endsWith('.new')))
      await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
    expect([filesOf(path), filesOf(map)]).toEqual([[], []]);
  });
});

describe('read --key', () => {
  test.each([[[]], [['--page-format', 'v2']], [['--id', 'id']]])(
    'prints the value of a key, imported with %j',
    async (options) => {
      const path = await imported(readFileSync(USERS), ...options);
      const row = options.includes('--id') ? '17' : '3';
      rmSync(`${path}.lock`);
      chmodSync(path, 0o444);
      for (const [key, value] of CELLS) {
        const asked = key.replace('/3/', `/${row}/`);
        expect(await output(['read', path, '--key', asked]), asked).toBe(value);
      }
      expect(filesOf(path)).toEqual(['']);
      expect(await output(['read', path, '--key', `users/${row}/quote`, '--encoding', 'hex'])).toBe(
        '54776f0a6c696e6573',
      );
      expect(await output(['read', path, '--key', 'users/1/id', '--framing', 'u32'])).toBe('\x01\0\0\x001');
    },
  );

  test('prints several in the order asked for, framed', async () => {
    const path = await imported(readFileSync(USERS));
    const asked = ['users/2/name', 'users/1/name', 'users/2/quote', 'users/2/name'].flatMap((key) => ['--key', key]);
    expect(await output(['read', path, ...asked])).toBe('Grace\nAda\n\nGrace\n');
    expect(await output(['read', path, ...asked, '--framing', 'nul'])).toBe('Grace\0Ada\0\0Grace\0');
    expect(jsonLines(await output(['read', path, ...asked.slice(0, 4), '--json']))).toEqual([
      { type: 'node', ref: '1:4', key: 'users/2/name', bytes: 5, encoding: 'base64', data: 'R3JhY2U=' },
      { type: 'node', ref: '1:1', key: 'users/1/name', bytes: 3, encoding: 'base64', data: 'QWRh' },
      { type: 'summary', schema: 1, command: 'read', file: path, nodes: 2, bytes: 8 },
    ]);
  });

  test('finds a key alone, with an empty value', async () => {
    const path = await imported(readFileSync(USERS), '--keys-only');
    expect(await output(['read', path, '--key', 'users/3/name'])).toBe('');
    expect(await output(['read', path, '--key', 'users/3/name', '--key', 'users/1/id'])).toBe('\n\n');
  });

  test('finds every key of a large file, and keys of any length', async () => {
    const column = 'c'.repeat(300);
    const path = await imported(
      `id,${column}\n${Array.from({ length: 5000 }, (_, at) => `${at * 2},v${at}\n`).join('')}`,
      '--id',
      'id',
    );
    const rows = Array.from({ length: 100 }, (_, at) => at * 49);
    const printed = await output(['read', path, ...rows.flatMap((row) => ['--key', `users/${2 * row}/${column}`])]);
    expect(printed).toBe(rows.map((row) => `v${row}\n`).join(''));
  });

  test('prints those that are there, then an error with exit 1 for the others', async () => {
    const path = await imported(readFileSync(USERS));
    const keys = ['users/9/name', 'users/2/name', 'users/2'].flatMap((key) => ['--key', key]);
    const { exit, stdout, stderr } = await runInProcess(['read', path, ...keys]);
    expect([exit, stdout.toString(), stderr]).toEqual([
      1,
      'Grace\n',
      `artrie-pages: ${path}: no node has the key 'users/9/name' or 'users/2'\n`,
    ]);
    const many = Array.from({ length: 8 }, (_, at) => ['--key', `none${at}`]).flat();
    expect((await runInProcess(['read', path, ...many])).stderr).toBe(
      `artrie-pages: ${path}: no node has the key 'none0' or 'none1' or 'none2' or 'none3' or 'none4' and 3 others\n`,
    );
  });

  test('is wrong usage beside REFs and --all, and with an empty key', async () => {
    const path = await imported('a\n1\n');
    for (const args of [
      ['1:0', '--key', 'a'],
      ['--all', '--key', 'a'],
    ]) {
      const { exit, stderr } = await runInProcess(['read', path, ...args]);
      expect([exit, stderr]).toEqual([
        2,
        'artrie-pages: --key cannot be used together with REFs or --all; see artrie-pages read --help\n',
      ]);
    }
    const empty = await runInProcess(['read', path, '--key', '']);
    expect([empty.exit, empty.stderr]).toEqual([
      2,
      'artrie-pages: --key must not be empty; see artrie-pages read --help\n',
    ]);
  });

  test('stops at a damaged page', async () => {
    const path = await imported('a\n1\n');
    const bytes = readFileSync(path);
    bytes[262_144 + 70]! ^= 1;
    writeFileSync(path, bytes);
    expect((await runInProcess(['read', path, '--key', 'users/1/a'])).exit).toBe(5);
  });

  test('fails if standard output is full', async () => {
    const path = await imported('a\n1\n');
    const fd = openSync('/dev/full', 'w');
    try {
      const { exit, stderr } = await runCli(['read', path, '--key', 'users/1/a'], { stdout: fd });
      expect([exit, stderr.toString()]).toEqual([3, 'artrie-pages: standard output: write failed (ENOSPC)\n']);
    } finally {
      closeSync(fd);
    }
  });
});
