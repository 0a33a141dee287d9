import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectOneError, output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const path = join(temporaryFolder(), 'file.part');
let bytes: Buffer;

beforeAll(async () => {
  await output(['create', path]);
  await output(['append', path, 'one', 'two']);
  bytes = readFileSync(path);
});

/** Runs a command line that is wrong: nothing is printed or written, and the exit code is 2. */
async function expectWrongUsage(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await runInProcess(args);
  expect({ args, exit, stdout: stdout.toString() }).toEqual({ args, exit: 2, stdout: '' });
  expectOneError(stderr);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  return stderr;
}

const COMMAND_LINES: readonly (readonly string[])[] = [
  ['create', path],
  ['allocate', path],
  ['append', path, 'x'],
  ['read', path, '1'],
  ['update', path, '1:0', 'new'],
  ['free', path, '1'],
  ['finalize', path],
  ['stat', path],
  ['dump', path],
  ['verify', path],
  ['export', path],
  ['import', path],
  ['repair', path],
];

describe.each(COMMAND_LINES.map(([name, ...rest]) => ({ name: name ?? '', rest })))('$name', ({ name, rest }) => {
  test('an unknown option is wrong usage', async () => {
    expect(await expectWrongUsage([name, ...rest, '--no-such-option'])).toContain('--no-such-option');
  });

  test('no FILE is wrong usage', async () => {
    await expectWrongUsage([name]);
  });

  test('an unknown option with a file that does not exist is wrong usage, not an input error', async () => {
    await expectWrongUsage([name, `${path}.none`, ...rest.slice(1), '--no-such-option']);
  });
});

test.each<[readonly string[], string]>([
  [['read', path, '1', '--encoding', 'foo'], "--encoding: 'foo' is not one of raw, hex, base64"],
  [['read', path, '1', '--encoding'], '--encoding needs a value'],
  [['free', path, '1:0'], "'1:0' is not a block id"],
  [['help', 'reed'], "unknown command 'reed'"],
  [['create', ''], 'FILE must not be empty'],
  [['diff', path, ''], 'B must not be empty'],
])('%j says what is wrong', async (args, message) => {
  expect(await expectWrongUsage(args)).toContain(message);
});

const BAD_REFS = ['', 'x', '1:', ':1', '1:0-', '1:1-0', '1:0:0', '1.5', '1:0,1', '0x1:0', '1:0 ', '123456789:0'];

describe('a bad REF is wrong usage', () => {
  test.each(BAD_REFS)('read %j', async (ref) => {
    await expectWrongUsage(['read', path, ref]);
  });

  test.each([...BAD_REFS, '1', '1:0-1'])('update %j, which takes one node', async (ref) => {
    await expectWrongUsage(['update', path, ref, 'new']);
  });

  test.each([...BAD_REFS, '1', '1:0-1'])('dump --slot %j, which takes one node', async (ref) => {
    await expectWrongUsage(['dump', path, '--slot', ref]);
  });

  test.each(['x', '', '1:0', '-1', '1.5'])('free and finalize and dump of block %j', async (block) => {
    await expectWrongUsage(['free', path, block]);
    await expectWrongUsage(['finalize', path, '--block', block]);
    await expectWrongUsage(['dump', path, '--block', block]);
  });
});

describe('a REF past the end is wrong usage', () => {
  test.each(['9', '9:0', '99999999:0', '1:2', '1:99999999', '1:0-2', '1:2-3', '0', '0:0'])('read %s', async (ref) => {
    await expectWrongUsage(['read', path, ref]);
  });

  test.each(['9:0', '99999999:0', '1:2', '1:99999999', '0:0'])('update and dump --slot %s', async (ref) => {
    await expectWrongUsage(['update', path, ref, 'new']);
    await expectWrongUsage(['dump', path, '--slot', ref]);
  });

  test.each(['2', '9', '99999999'])('free and finalize and dump of block %s', async (block) => {
    await expectWrongUsage(['free', path, block]);
    await expectWrongUsage(['finalize', path, '--block', block]);
    await expectWrongUsage(['dump', path, '--block', block]);
  });

  test('free of the header block', async () => {
    await expectWrongUsage(['free', path, '0']);
  });
});

describe('what no command accepts is wrong usage', () => {
  test.each([
    'create FILE --force --page-format v3',
    'allocate FILE --count 0',
    'allocate FILE --count -1',
    'allocate FILE --count 1.5',
    'allocate FILE --page-format V1',
    'append FILE --batch 0 x',
    'append FILE --framing csv x',
    'append FILE --encoding utf8 x',
    'append FILE --input FILE x',
    'read FILE',
    'read FILE 1:0 --all',
    'read FILE --all --framing tabs',
    'verify FILE --fail-on fatal',
    'verify FILE --format xml',
    'stat FILE FILE',
    'no-such-command FILE',
  ])('%s', async (line) => {
    await expectWrongUsage(line.split(' ').map((word) => (word === 'FILE' ? path : word)));
  });
});

describe('an error is one line, whatever it quotes', () => {
  test('a REF with a line break in it', async () => {
    await expectWrongUsage(['read', path, '1\n2']);
  });

  test('a command with a line break in it', async () => {
    await expectWrongUsage(['no\nsuch']);
  });

  test('hex input that ends with a line break, taken as a whole', async () => {
    const { exit, stderr } = await runInProcess(['append', path, '--framing', 'whole', '--encoding', 'hex'], {
      stdin: [Buffer.from('6162\n')],
    });
    expect(exit).toBe(2);
    expectOneError(stderr);
  });
});

describe('ARTRIE_PAGES_DEBUG', () => {
  test('a stack trace follows the error if it is set', async () => {
    const { exit, stderr } = await runInProcess(['read', path, 'x'], { env: { ARTRIE_PAGES_DEBUG: '1' } });
    expect(exit).toBe(2);
    expect(stderr).toMatch(/^artrie-pages: .+\n/);
    expect(stderr).toContain('    at ');
  });

  test('there is none if it is set but empty', async () => {
    const { stderr } = await runInProcess(['read', path, 'x'], { env: { ARTRIE_PAGES_DEBUG: '' } });
    expectOneError(stderr);
  });
});
