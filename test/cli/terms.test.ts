import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../src/cli/context.ts';
import { expectOneError, jsonLines, output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { artRecord, realTerms, trieBytes, trieOf } from '../support/tries.ts';

const folder = temporaryFolder();

function fileOf(name: string, bytes: Uint8Array = trieBytes('real', name)): string {
  const path = join(folder, `${name}.part`);
  writeFileSync(path, bytes);
  return path;
}

const five = fileOf('five');
const bytes = fileOf('bytes');
const mixed = fileOf('values-mixed');

/** Runs a command that ends in one error. @returns it */
async function failure(exit: number, ...args: string[]): Promise<string> {
  const result = await runInProcess(args);
  expect({ args, exit: result.exit }).toEqual({ args, exit });
  expectOneError(result.stderr);
  return result.stderr;
}

describe('terms', () => {
  test('prints all terms in byte order, a line each', async () => {
    expect(await output(['terms', five])).toBe('apple\napply\nbanana\nband\nbandana\n');
    const terms = realTerms('bytes').map((line) => `${line.split('\t')[0]}\n`);
    expect(await output(['terms', bytes, '--encoding', 'hex'])).toBe(terms.join(''));
    expect(await output(['terms', bytes])).toBe(
      terms.map((hex) => `${Buffer.from(hex, 'hex').toString('latin1')}\n`).join(''),
    );
  });

  test('--values adds a tab and the value in hex, or nothing', async () => {
    const expected = realTerms('values-mixed').map((line) => `${line.replace(/-$/, '')}\n`);
    expect(await output(['terms', mixed, '--values', 'hex', '--encoding', 'hex'])).toBe(expected.join(''));
  });

  test.each([
    ['u8', '61\t28\n'],
    ['u32', '61\t300000000\n'],
    ['u64', '61\t1844674407370955161\n'],
    ['i64', '61\t-1000000007\n'],
    ['string', '61\t\u00e9\n'],
    ['bytes', `61\t${'ff'.repeat(17)}\n`],
  ])('--values %s decodes the values of libdictenstein', async (kind, expected) => {
    const path = fileOf(`values-${kind}`, trieBytes('real', `values-${kind}`));
    const lines = await output(['terms', path, '--values', kind, '--encoding', 'hex', '--limit', '2']);
    expect(Buffer.from(lines, 'latin1').toString().split('\n')[1]).toBe(expected.trimEnd());
    const got = Buffer.from(await output(['get', path, 'a', '--values', kind]), 'latin1').toString();
    expect(`61\t${got}`).toBe(expected);
    const json = jsonLines(Buffer.from(await output(['get', path, 'a', '--values', kind, '--json']), 'latin1'));
    const text = expected.trimEnd().slice(3);
    expect(json[0]).toMatchObject({ value: kind === 'u8' || kind === 'u32' ? Number(text) : text });
  });

  test('--values of another kind than the values is refused', async () => {
    expect(await failure(2, 'terms', mixed, '--values', 'u32')).toContain('a value of 8 bytes');
    expect(await failure(2, 'terms', mixed, '--values', 'string')).toContain('is no string');
    expect(await failure(2, 'terms', mixed, '--values', 'u128')).toContain('u8');
  });

  test('of a folder or a pipe is refused, and does not wait for it', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('bash', ['-c', 'mkfifo "$0"', pipe]);
    expect(await failure(3, 'terms', folder)).toContain('this is a directory');
    expect(await failure(3, 'get', folder, 'a')).toContain('this is a directory');
    expect(await failure(3, 'terms', pipe)).toContain('not a regular file');
  });

  test('--prefix, --from, --to, --limit and --reverse choose terms', async () => {
    expect(await output(['terms', five, '--prefix', 'band'])).toBe('band\nbandana\n');
    expect(await output(['terms', five, '--from', 'apply', '--to', 'band'])).toBe('apply\nbanana\n');
    expect(await output(['terms', five, '--limit', '2', '--reverse'])).toBe('bandana\nband\n');
    expect(await output(['terms', five, '--prefix', '6261', '--to', '62616e64', '--encoding', 'hex'])).toBe(
      '62616e616e61\n',
    );
    expect(await output(['terms', five, '--prefix', 'x'])).toBe('');
  });

  test('--count prints only how many there are', async () => {
    expect(await output(['terms', five, '--count'])).toBe('5\n');
    expect(await output(['terms', five, '--count', '--prefix', 'a'])).toBe('2\n');
    expect(await output(['terms', five, '--count', '--limit', '3'])).toBe('3\n');
    expect(await failure(2, 'terms', five, '--count', '--values', 'hex')).toContain('--count cannot be used');
  });

  test('--format csv quotes fields where RFC 4180 asks for it', async () => {
    const leaf = artRecord({ isFinal: true });
    const root = artRecord({ children: { '"': 0, ',': 0, a: 0, '\n': 0 } });
    const path = fileOf('csv', await trieOf([leaf, root]));
    expect(await output(['terms', path, '--format', 'csv'])).toBe('term\n"\n"\n""""\n","\na\n');
    expect(await output(['terms', path, '--format', 'csv', '--values', 'hex', '--prefix', 'a'])).toBe(
      'term,value\na,\n',
    );
  });

  test('--json prints an object for each term', async () => {
    const lines = jsonLines(
      await output(['terms', mixed, '--json', '--values', 'hex', '--prefix', '6361', '--encoding', 'hex']),
    );
    expect(lines.at(0)).toEqual({ type: 'term', encoding: 'hex', term: '636172', value: '0600000000000000' });
    expect(lines.at(1)).toEqual({ type: 'term', encoding: 'hex', term: '63617274', value: null });
    expect(lines.at(-1)).toMatchObject({ type: 'summary', command: 'terms', terms: 3 });
  });

  test('prints a value that is larger than the buffer of the output', async () => {
    const value = Buffer.alloc(200_000, 0xab);
    const record = Buffer.concat([artRecord({ isFinal: true }), Buffer.alloc(4), value]);
    record[7] = 0xa0;
    record.writeUInt32LE(4, 12);
    record.writeUInt32LE(value.length, 20);
    const path = fileOf('large', await trieOf([record, artRecord({ children: { a: 0 } })]));
    expect(await output(['terms', path, '--values', 'hex'])).toBe(`a\t${value.toString('hex')}\n`);
    expect(await output(['get', path, 'a'])).toBe(`${value.toString('hex')}\n`);
  });

  test('of a cycle ends with exit 5, after the terms before it', async () => {
    const leaf = artRecord({ isFinal: true });
    const path = fileOf('cycle', await trieOf([leaf, artRecord({ children: { a: 0, b: 1 } })]));
    const { exit, stdout, stderr } = await runInProcess(['terms', path]);
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 5, stdout: 'a\n' });
    expect(stderr).toBe(`artrie-pages: ${path}: the trie has a cycle: 1:1 is below itself\n`);
  });

  test('that is interrupted exits 130', async () => {
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    expect(await runInProcess(['terms', fileOf('words20k')], { signal })).toMatchObject({ exit: 130, stderr: '' });
  });

  test('with a bound that is not in its encoding exits 2', async () => {
    expect(await failure(2, 'terms', five, '--from', 'xyz', '--encoding', 'hex')).toContain("'xyz' is not hex");
    await failure(2, 'terms', five, '--limit', '0');
  });
});

describe('get', () => {
  test('prints the value of each term in hex, or an empty line', async () => {
    expect(await output(['get', mixed, 'cart', 'car'])).toBe('\n0600000000000000\n');
    expect(await output(['get', mixed, '636172', '--encoding', 'hex'])).toBe('0600000000000000\n');
    const lines = jsonLines(await output(['get', mixed, 'car', '--json']));
    expect(lines[0]).toEqual({ type: 'term', encoding: 'base64', term: 'Y2Fy', value: '0600000000000000' });
  });

  test('exits 1 where a term is absent, after the others', async () => {
    const { exit, stdout, stderr } = await runInProcess(['get', mixed, 'ca', 'car', 'carts']);
    expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 1, stdout: '0600000000000000\n' });
    expect(stderr).toBe(`artrie-pages: ${mixed}: the trie has no term 'ca' or 'carts'\n`);
  });

  test('finds the empty term', async () => {
    expect(await output(['get', fileOf('emptystring-value'), ''])).toBe('0700000000000000\n');
  });
});

describe.each([['terms'], ['get', 'x']])('%s of another kind of file', (command, ...rest) => {
  test('without a trie exits 3', async () => {
    const path = join(folder, `${command}-none.part`);
    await output(['create', path]);
    expect(await failure(3, command, path, ...rest)).toContain('the file has no trie: its root pointer is 0');
  });

  test('of a char trie or a vocabulary names it, and exits 3', async () => {
    expect(await failure(3, command, fileOf('char-small'), ...rest)).toContain('the file has a char trie');
    expect(await failure(3, command, fileOf('vocab-small'), ...rest)).toContain('a vocabulary of libdictenstein');
  });
});

describe('the log of a trie', () => {
  test('that has records is named in a note, whatever the extension of the file', async () => {
    const path = join(folder, 'logged.trie');
    writeFileSync(path, trieBytes('real', 'five'));
    writeFileSync(join(folder, 'logged.wal'), new Uint8Array(64));
    expect(await output(['get', path, 'band'])).toBe('\n');
    writeFileSync(join(folder, 'logged.wal'), new Uint8Array(65));
    const { exit, stderr } = await runInProcess(['terms', path]);
    expect({ exit, stderr }).toEqual({
      exit: 0,
      stderr: `artrie-pages: ${path}: the log ${join(folder, 'logged.wal')} is not read: what is only in it is not included\n`,
    });
    expect((await runInProcess(['terms', path, '--quiet'])).stderr).toBe('');
  });

  test('is named where the file has no trie yet', async () => {
    const path = fileOf('wal-only');
    writeFileSync(join(folder, 'wal-only.wal'), new Uint8Array(269));
    expect(await failure(3, 'terms', path)).toContain('the log ' + join(folder, 'wal-only.wal'));
  });
});
