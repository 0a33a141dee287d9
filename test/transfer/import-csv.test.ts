import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EpochArena } from '../../src/arena/epoch-arena.ts';
import { KeyArena } from '../../src/arena/key-arena.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { maxNodeBytes } from '../../src/format/page.ts';
import { importCsv } from '../../src/transfer/import-csv.ts';
import { csvImported, partsOf } from '../support/csv.ts';
import { expectSameBytes } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const utf8InLatin1 = (text: string): string => Buffer.from(text).toString('latin1');

/** The nodes that the columns and rows of a table should be, by the description of a node. */
function expectedNodes(table: string, columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap((cells, row) =>
    cells.map((cell, column) => {
      const key = utf8InLatin1(`${table}/${row + 1}/${columns[column]}`);
      return String.fromCharCode(key.length & 255, key.length >> 8) + key + utf8InLatin1(cell);
    }),
  );
}

/** By RFC 4180, as it stands there: what the cells of each file are. */
const FILES: readonly (readonly [what: string, csv: string, columns: string[], rows: string[][]])[] = [
  [
    'lines that end with CRLF',
    'a,b\r\n1,2\r\n3,4\r\n',
    ['a', 'b'],
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  [
    'lines that end with LF',
    'a,b\n1,2\n3,4\n',
    ['a', 'b'],
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  [
    'lines that end with either',
    'a,b\r\n1,2\n3,4\r\n',
    ['a', 'b'],
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  [
    'a last line without an end',
    'a,b\n1,2\n3,4',
    ['a', 'b'],
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  ['quotes around cells', '"a","b"\n"1","2"\n', ['a', 'b'], [['1', '2']]],
  ['a comma in quotes', 'a,b\n"1,5",2\n', ['a', 'b'], [['1,5', '2']]],
  ['two quotes for one', 'a,b\n"say ""hi""",""""\n', ['a', 'b'], [['say "hi"', '"']]],
  ['line ends in quotes', 'a,b\n"x\ny","1\r\n2\r\n"\n', ['a', 'b'], [['x\ny', '1\r\n2\r\n']]],
  [
    'empty cells',
    'a,b,c\n,,\n"",x,\n',
    ['a', 'b', 'c'],
    [
      ['', '', ''],
      ['', 'x', ''],
    ],
  ],
  ['spaces, which belong to the cells', 'a, b\n 1 ,2 \n', ['a', ' b'], [[' 1 ', '2 ']]],
  ['one column', 'a\n1\n\n"2"\n', ['a'], [['1'], [''], ['2']]],
  ['the header alone', 'a,b\n', ['a', 'b'], []],
  ['the header alone, without an end', 'a,b', ['a', 'b'], []],
  ['an empty column name', ',b\n1,2\n', ['', 'b'], [['1', '2']]],
  [
    'names with slashes, quotes and line ends',
    '"a/b","c""d","e\nf"\n1,2,3\n',
    ['a/b', 'c"d', 'e\nf'],
    [['1', '2', '3']],
  ],
  ['a byte order mark', '\ufeffa,b\n1,2\n', ['a', 'b'], [['1', '2']]],
  ['a byte order mark and quotes', '\ufeff"a",b\n1,2\n', ['a', 'b'], [['1', '2']]],
  ['a mark inside, which is a character', 'a\n\ufeff1\n', ['a'], [['\ufeff1']]],
  ['characters beyond ASCII', 'größe,鍵\nx,😀\n', ['größe', '鍵'], [['x', '😀']]],
  ['a carriage return inside a line', 'a,b\n1\r2,3\n', ['a', 'b'], [['1\r2', '3']]],
];

describe('the cells of a CSV file', () => {
  test.each(FILES)('with %s are as in RFC 4180', async (_, csv, columns, rows) => {
    const { report, nodes, bytes } = await csvImported(csv, { table: 'users' });
    expect(nodes.map(latin1)).toEqual(expectedNodes('users', columns, rows));
    expect(report).toMatchObject({
      refs: 'new',
      rows: rows.length,
      columns: columns.length,
      nodes: rows.flat().length,
      bytes: nodes.reduce((sum, { length }) => sum + length, 0),
      freeBlocks: 0,
    });
    // However the input is split: at every byte, and in every other way.
    for (let pieceBytes = 1; pieceBytes < Buffer.byteLength(csv); pieceBytes++)
      expectSameBytes((await csvImported(csv, { table: 'users' }, pieceBytes)).bytes, bytes);
  });

  test('may have any bytes', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1');
    const cell = Buffer.from(`"${all.replaceAll('"', '""')}",\xff\xfe\x80`, 'latin1');
    const csv = Buffer.concat([Buffer.from('a,'), Buffer.from('\xe9\xff', 'latin1'), Buffer.from('\n'), cell]);
    const { nodes } = await csvImported(csv);
    expect(nodes.map(partsOf)).toEqual([
      ['t/1/a', all],
      ['t/1/\xe9\xff', '\xff\xfe\x80'],
    ]);
  });

  test('are those of any table that another program writes', async () => {
    const cell = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n', '\r\n', 'é', '\0', ' '), maxLength: 6 }),
      fc.string({ unit: 'binary', maxLength: 300 }).map((text) => text.replaceAll(/\p{Cs}/gu, '')),
    );
    const table = fc.integer({ min: 1, max: 5 }).chain((columns) =>
      fc.record({
        names: fc.uniqueArray(
          fc.string({ unit: fc.constantFrom('a', 'b', ',', '"', '\n'), minLength: 1, maxLength: 4 }),
          {
            minLength: columns,
            maxLength: columns,
          },
        ),
        rows: fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { maxLength: 12 }),
        end: fc.constantFrom('\n', '\r\n'),
        quotesAll: fc.boolean(),
        pieceBytes: fc.integer({ min: 1, max: 400 }),
        pageFormat: fc.constantFrom('v1' as const, 'v2' as const),
      }),
    );
    await fc.assert(
      fc.asyncProperty(table, async ({ names, rows, end, quotesAll, pieceBytes, pageFormat }) => {
        const written = (text: string): string =>
          quotesAll || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
        const csv = [names, ...rows].map((cells) => cells.map(written).join(',') + end).join('');
        const { nodes } = await csvImported(csv, { table: 'any', pageFormat }, pieceBytes);
        expect(nodes.map(latin1)).toEqual(expectedNodes('any', names, rows));
      }),
      { numRuns: 100 },
    );
  });
});

describe('the key of a cell', () => {
  const keysOf = async (csv: string, id?: string, table = 'users'): Promise<string[]> =>
    (await csvImported(csv, { table, keysOnly: true, ...(id !== undefined && { id }) })).nodes.map((node) =>
      Buffer.from(node).toString(),
    );

  test('has the number of the record, or the id exactly as it is', async () => {
    expect(await keysOf('id,n\n7,a\n9,b\n')).toEqual(['users/1/id', 'users/1/n', 'users/2/id', 'users/2/n']);
    const ids = [
      '7',
      '0',
      '007',
      '18446744073709551615',
      '18446744073709551616',
      '9007199254740993',
      '-1',
      '1e3',
      '',
      'é',
    ];
    expect(await keysOf(`n,id\n${ids.map((id) => `x,${id}\n`).join('')}`, 'id')).toEqual(
      ids.flatMap((id) => [`users/${id}/n`, `users/${id}/id`]),
    );
  });

  test.each([62, 63, 64, 65, 300, 65_535])('may have %d bytes, of which none is cut', async (length) => {
    const long = (kind: string, rest: number): string => kind.repeat(length - rest);
    const id = long('9', 't//c'.length).slice(0, 20);
    expect(await keysOf(`${long('c', 't/1/'.length)}\n1\n`, undefined, 't')).toEqual([`t/1/${long('c', 4)}`]);
    expect(await keysOf(`c,id\n1,${long('x', 't//c'.length)}\n`, 'id', 't').catch(() => ['refused'])).toEqual(
      length === 65_535 ? ['refused'] : [`t/${long('x', 4)}/c`, `t/${long('x', 4)}/id`],
    );
    expect(await keysOf('c\n1\n', undefined, long('t', 4))).toEqual([`${long('t', 4)}/1/c`]);
    expect(await keysOf(`c,id\n1,${id}\n`, 'id', 't')).toEqual([`t/${id}/c`, `t/${id}/id`]);
  });

  test('is unlike every other one, however long and alike the ids are', async () => {
    const ids = Array.from({ length: 500 }, (_, at) => ['', '0', '00'].map((zeros) => `${zeros}${at}`)).flat();
    const keys = await keysOf(`id,${'c'.repeat(50)}\n${ids.map((id) => `${id},\n`).join('')}`, 'id');
    expect(new Set(keys).size).toBe(2 * ids.length);
  });
});

/** Files that are refused. */
const REFUSED: readonly (readonly [what: string, csv: string, id: string | undefined, message: string])[] = [
  [
    'nothing',
    '',
    undefined,
    'the input has no header, a line with the names of the columns; did the command that writes it fail?',
  ],
  ['an empty first line', '\na\n', undefined, 'line 1 of the input: it is empty; expected the names of the columns'],
  [
    'a name twice',
    'a,b,a\n',
    undefined,
    'line 1 of the input: two columns have the name "a", the second is column 3; expected different names',
  ],
  [
    'a record with fewer cells',
    'a,b\n1,2\n3\n',
    undefined,
    'line 3 of the input (record 2): it has 1 cell; expected 2, as in the header',
  ],
  [
    'a record with more cells',
    'a,b\n"1\n2",2\n3,4,5\n',
    undefined,
    'line 4 of the input (record 2): it has 3 cells; expected 2, as in the header',
  ],
  [
    'an empty line',
    'a,b\n1,2\n\n3,4\n',
    undefined,
    'line 3 of the input (record 2): it has 1 cell, an empty line; expected 2, as in the header',
  ],
  [
    'a quote in a cell without quotes',
    'a,b\n1,2\n3,4"5\n',
    undefined,
    'line 3 of the input (cell 2 of the record that begins there): a quote inside a cell without quotes; expected the whole cell in quotes, and two for each inside',
  ],
  [
    'text after a closing quote',
    'a,b\n"1"x,2\n',
    undefined,
    'line 2 of the input (cell 1 of the record that begins there): a quote inside a quoted cell; expected a comma or the end of the line after it, or two quotes',
  ],
  [
    'a quote that is not closed',
    'a,b\n1,2\n3,"4\n5\n',
    undefined,
    'line 3 of the input (cell 2 of the record that begins there): a quoted cell is not closed; expected a quote before the end of the input',
  ],
  [
    'a header whose quote is not closed',
    '"a,b\n1,2\n',
    undefined,
    'line 1 of the input (cell 1 of the record that begins there): a quoted cell is not closed; expected a quote before the end of the input',
  ],
  ['no column of the ids', 'a,b\n1,2\n', 'id', 'line 1 of the input: no column has the name "id"; found "a", "b"'],
  [
    'an id twice',
    'a,id\n1,x\n"2\r\n",y\n3,x\n',
    'id',
    'line 5 of the input (record 3, column "id"): the id "x" is also that of record 1; expected another one',
  ],
  [
    'an empty id twice',
    'a,id\n1,\n2,\n',
    'id',
    'line 3 of the input (record 2, column "id"): the id "" is also that of record 1; expected another one',
  ],
  [
    'an id with a slash',
    'a,id\n1,x/y\n',
    'id',
    `line 2 of the input (record 1, column "id"): the id "x/y" has a '/', which separates the parts of a key`,
  ],
  [
    'lines that end with CR alone',
    'a,b\r1,2\r',
    undefined,
    'line 1 of the input: a carriage return without a line feed; expected lines that end with LF or CRLF',
  ],
  [
    'a key that is too long',
    `${'c'.repeat(65_532)}\n1\n`,
    undefined,
    `line 2 of the input (record 1, column "${'c'.repeat(39)}…): the key would have 65536 bytes; expected at most 65535`,
  ],
  [
    'an id that is too long',
    `a,id\n1,${'x'.repeat(65_536)}\n`,
    'id',
    'line 2 of the input (record 1, column "a"): the key would have 65540 bytes; expected at most 65535',
  ],
];

describe('a CSV file that is refused', () => {
  const errorOf = async (csv: string | Uint8Array, id?: string, pieceBytes?: number): Promise<unknown> =>
    csvImported(csv, id === undefined ? {} : { id }, pieceBytes).then(
      () => 'no error',
      (error: unknown) => error,
    );

  test.each(REFUSED)('because of %s says so, with the line, the record and the column', async (_, csv, id, message) => {
    for (const pieceBytes of [1, 7, 65_536].slice(csv.length > 1000 ? 2 : 0))
      expect(await errorOf(csv, id, pieceBytes)).toMatchObject({
        name: 'PageStoreError',
        code: 'INVALID_LINE',
        message,
      });
  });

  test('because it is UTF-16 says so', async () => {
    for (const mark of ['fffe', 'feff'])
      expect(await errorOf(Buffer.from(`${mark}6100`, 'hex'))).toMatchObject({
        code: 'INVALID_LINE',
        message: 'line 1 of the input: it begins as UTF-16 does; expected UTF-8',
      });
  });

  test('because of a quote that is never closed does not fill the memory', async () => {
    let pulled = 0;
    const endless = function* (): Generator<Uint8Array> {
      yield Buffer.from('a,b\n1,2\n3,"');
      for (; ; pulled++) yield Buffer.alloc(65_536, 'x\n');
    };
    const error = await importCsv(endless(), new MemoryBlockFile(), { table: 't' }).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: 'INVALID_LINE',
      message: 'line 3 of the input: the record has more than 1048582 bytes; is the quote missing that ends a cell?',
    });
    expect(pulled).toBeLessThan(20);
  });

  test('because of a header without an end does not fill the memory', async () => {
    const endless = function* (): Generator<Uint8Array> {
      for (;;) yield Buffer.alloc(65_536, 'ab,');
    };
    await expect(importCsv(endless(), new MemoryBlockFile(), { table: 't' })).rejects.toMatchObject({
      code: 'INVALID_LINE',
      message: 'line 1 of the input: the record has more than 4194304 bytes; is the quote missing that ends a cell?',
    });
  });

  test.each(['v1', 'v2'] as const)('because of a cell that no %s page holds says which one', async (pageFormat) => {
    const most = maxNodeBytes(pageFormat);
    const value = 'x'.repeat(most - 2 - 't/2/big'.length);
    const { nodes } = await csvImported(`a,big\n1,2\n3,${value}\n`, { pageFormat });
    expect(nodes.at(-1)?.length).toBe(most);
    await expect(csvImported(`a,big\n1,2\n3,${value}y\n`, { pageFormat })).rejects.toMatchObject({
      code: 'NODE_TOO_LARGE',
      message: `line 3 of the input (record 2, column "big"): the cell has ${value.length + 1} bytes, and with its key the node has ${most + 1}; expected at most ${most}, which a ${pageFormat} page holds`,
    });
  });

  test('reports the first error of the file, whatever comes after it', async () => {
    expect(await errorOf('a,id\n1,x\n2,x\n3,"4"5\n', 'id')).toMatchObject({
      message: expect.stringContaining('line 3 of the input (record 2, column "id")') as string,
    });
  });
});

describe('importCsv', () => {
  afterEach(() => vi.restoreAllMocks());

  /** Counts what the arenas hold at the end of each of their epochs and rounds. */
  function counted(): { nodes: number; nodeBytes: number; keys: number; epochs: number; mostBytes: number } {
    const counts = { nodes: 0, nodeBytes: 0, keys: 0, epochs: 0, mostBytes: 0 };
    const original = (of: object): ((this: unknown, epoch?: number) => void) =>
      Object.getOwnPropertyDescriptor(of, 'reset')?.value as () => void;
    const [resetNodes, resetKeys] = [original(EpochArena.prototype), original(KeyArena.prototype)];
    vi.spyOn(EpochArena.prototype, 'reset').mockImplementation(function (this: EpochArena, epoch) {
      const { allocations, usedBytes } = this.stats();
      counts.nodes += allocations;
      counts.nodeBytes += usedBytes;
      counts.epochs += allocations > 0 ? 1 : 0;
      counts.mostBytes = Math.max(counts.mostBytes, usedBytes);
      resetNodes.call(this, epoch);
    });
    vi.spyOn(KeyArena.prototype, 'reset').mockImplementation(function (this: KeyArena) {
      counts.keys += this.keyCount;
      resetKeys.call(this);
    });
    return counts;
  }

  const rows = (count: number): string =>
    `id,name,value\n${Array.from({ length: count }, (_, at) => `${at * 3},name ${at},${'v'.repeat(at % 70)}\n`).join('')}`;

  test.each([{}, { id: 'id' }, { keysOnly: true }, { pageFormat: 'v2' as const }])(
    'with %j allocates each node in an epoch and each key in a key arena, and stores just these',
    async (options) => {
      const counts = counted();
      const { report, nodes } = await csvImported(rows(20_000), options);
      expect(report.nodes).toBe(60_000);
      expect(counts).toMatchObject({ nodes: 60_000, nodeBytes: report.bytes, keys: 60_000 });
      expect(counts.epochs).toBeGreaterThan(2);
      expect(counts.epochs).toBe(Math.ceil(report.bytes / (262_144 + 100)));
      expect(counts.mostBytes).toBeLessThan(262_144 + 100);
      expect(nodes.length).toBe(60_000);
    },
  );

  test('ends a batch within a row of many large cells', async () => {
    const counts = counted();
    const values = makeNodes(40, 100_000, 200_000).map((node) => latin1(node).replaceAll(/[",\r\n]/g, '.'));
    const header = values.map((_, at) => `c${at}`).join(',');
    const { nodes } = await csvImported(Buffer.from(`${header}\n${values.join(',')}\n`, 'latin1'));
    expect(nodes.map(partsOf)).toEqual(values.map((value, at) => [`t/1/c${at}`, value]));
    expect(counts).toMatchObject({ nodes: 40, keys: 40 });
    expect(counts.mostBytes).toBeLessThan(2 * 262_144);
  });

  test('reports each key with the ref of its node, in batches', async () => {
    const found: string[] = [];
    let batches = 0;
    const { nodes, report } = await csvImported(rows(8000), {
      onKeys: async (keys) => {
        batches++;
        await Promise.resolve();
        for (let entry = 0; entry < keys.size; entry++) {
          const key = keys.keyAt(entry);
          found.push(`${latin1(key)} ${keys.blockAt(entry)}:${keys.slotAt(entry)}`);
          if (entry % 997 === 0) expect(String(keys.refOf(key))).toBe(`${keys.blockAt(entry)}:${keys.slotAt(entry)}`);
        }
        expect(keys.refOf(Buffer.from('t/0/name'))).toBe(undefined);
        expect(() => keys.keyAt(keys.size)).toThrow(RangeError);
      },
    });
    expect(batches).toBeGreaterThan(2);
    expect(report.pages).toBeGreaterThan(2);
    let [block, slot] = [0, 0];
    const refs = new Map(found.map((line) => line.split(' ') as [string, string]));
    expect(refs.size).toBe(24_000);
    for (const node of nodes) {
      const ref = refs.get(partsOf(node)[0]) ?? '';
      slot++;
      if (ref !== `${block}:${slot}`) [block, slot] = [block + 1, 0];
      expect(ref).toBe(`${block}:${slot}`);
    }
  });

  test('does not call onKeys for a file without rows, and calls onDurable once, at the end', async () => {
    const calls: string[] = [];
    await csvImported('a,b\n', { onKeys: () => void calls.push('keys'), onDurable: () => void calls.push('durable') });
    expect(calls).toEqual(['durable']);
  });

  test('gives the file its name between onDurable and onPublished, and takes it back for an error', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'import-csv-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'f.part');
    const rows = [Buffer.from('a\n1\n')];
    const seen: boolean[] = [];
    const look = (): void => void seen.push(existsSync(path));
    await importCsv(rows, path, { table: 't', onDurable: look, onPublished: look });
    expect(seen).toEqual([false, true]);
    chmodSync(path, 0o604);
    const before = readFileSync(path);
    const fail = (): never => {
      throw new Error('on purpose');
    };
    const failing = importCsv(rows, path, { table: 't', replace: true, keepOwner: true, onPublished: fail });
    await expect(failing).rejects.toThrow('on purpose');
    expect(readFileSync(path).equals(before)).toBe(true);
    await importCsv(rows, path, { table: 'u', replace: true, keepOwner: true });
    expect(readFileSync(path).equals(before)).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o604);
    expect(readdirSync(folder)).toEqual(['f.part', 'f.part.lock']);
  });

  test('stops for its signal, and for an error of a callback', async () => {
    const abort = new AbortController();
    const reason = new Error('on purpose');
    const endless = function* (): Generator<Uint8Array> {
      yield Buffer.from('a,b\n');
      for (let pieces = 0; ; pieces++) {
        if (pieces === 20) abort.abort(reason);
        yield Buffer.from('1,2\n'.repeat(1000));
      }
    };
    const file = new MemoryBlockFile();
    await expect(importCsv(endless(), file, { table: 't', signal: abort.signal })).rejects.toBe(reason);
    const fail = (): never => {
      throw reason;
    };
    await expect(csvImported('a\n1\n', { onKeys: fail })).rejects.toBe(reason);
    await expect(csvImported('a\n1\n', { onDurable: fail })).rejects.toBe(reason);
  });

  const wrong = (value: unknown): never => value as never;
  const calls: readonly (readonly [
    what: string,
    call: () => Promise<unknown>,
    type: ErrorConstructor,
    named: string,
  ])[] = [
    ['no rows', () => importCsv(wrong(null), new MemoryBlockFile(), { table: 't' }), TypeError, 'importCsv: rows'],
    [
      'text as rows',
      () => importCsv(wrong('a\n'), new MemoryBlockFile(), { table: 't' }),
      TypeError,
      'importCsv: rows',
    ],
    [
      'lines of text',
      () => importCsv(wrong(['a\n']), new MemoryBlockFile(), { table: 't' }),
      TypeError,
      'importCsv: rows',
    ],
    ['no target', () => importCsv([], wrong(undefined), { table: 't' }), TypeError, 'importCsv: target'],
    ['no options', () => importCsv([], new MemoryBlockFile(), wrong(undefined)), TypeError, 'importCsv: options'],
    ['an unknown option', () => csvImported('a\n', wrong({ keys: true })), TypeError, "'keys'"],
    ['no table', () => csvImported('a\n', { table: wrong(undefined) }), TypeError, 'options.table'],
    ['a table with a slash', () => csvImported('a\n', { table: 'a/b' }), TypeError, 'options.table'],
    ['a table with half a pair', () => csvImported('a\n', { table: '\ud800' }), TypeError, 'surrogate'],
    ['an id with half a pair', () => csvImported('a\n', { id: '\ud800' }), TypeError, 'surrogate'],
    ['a number as id', () => csvImported('a\n', { id: wrong(7) }), TypeError, 'options.id'],
    ['keysOnly 1', () => csvImported('a\n', { keysOnly: wrong(1) }), TypeError, 'options.keysOnly'],
    ['onKeys that is no function', () => csvImported('a\n', { onKeys: wrong({}) }), TypeError, 'options.onKeys'],
    [
      'onDurable that is no function',
      () => csvImported('a\n', { onDurable: wrong(1) }),
      TypeError,
      'options.onDurable',
    ],
    [
      'onPublished that is no function',
      () => csvImported('a\n', { onPublished: wrong(1) }),
      TypeError,
      'options.onPublished',
    ],
    ['keepOwner 1', () => csvImported('a\n', { keepOwner: wrong(1) }), TypeError, 'options.keepOwner'],
    ['a format v3', () => csvImported('a\n', { pageFormat: wrong('v3') }), RangeError, 'options.pageFormat'],
    ['a signal of its own', () => csvImported('a\n', { signal: wrong({}) }), TypeError, 'options.signal'],
  ];

  test.each(calls)('refuses %s', async (_, call, type, named) => {
    const error = await call().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain(named);
  });
});
