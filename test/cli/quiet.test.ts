import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS, publicCopy, runCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { trieBytes } from '../support/tries.ts';

// On every version of Node: a V8 flag that it does not know, or a deprecated call, is reported on standard error.

const LINES = Buffer.from('one\ntwo\nthree\n');

let folder: string;
/** What `export` printed, for `import`. */
let exported: Uint8Array | undefined;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = temporaryFolder();
  writeFileSync(at('trie'), trieBytes('real', 'five'));
});

interface Run {
  /** `@name` is a file in the folder of the test. */
  readonly args: readonly string[];
  readonly input?: Uint8Array;
}

/** In this order: each uses the files of those before it. */
const RUNS: readonly Run[] = [
  { args: ['--version'] },
  { args: ['--help'] },
  { args: ['create', '@file'] },
  { args: ['append', '@file'], input: LINES },
  { args: ['append', '--jobs', '2', '--encoding', 'hex', '@file'], input: Buffer.from('6f6e65\n74776f\n') },
  { args: ['update', '@file', '1:0', 'ONE'] },
  { args: ['allocate', '@file'] },
  { args: ['free', '@file', '2'] },
  { args: ['finalize', '@file'] },
  { args: ['read', '@file', '1:0'] },
  { args: ['stat', '@file'] },
  { args: ['dump', '@file'] },
  { args: ['verify', '@file'] },
  { args: ['verify', '--jobs', '2', '@file'] },
  { args: ['export', '@file'] },
  { args: ['import', '@imported'] },
  { args: ['compact', '@file', '@compacted'] },
  { args: ['diff', '@file', '@file'] },
  { args: ['recover', '@file', '@recovered'] },
  { args: ['repair', '@file'] },
  { args: ['terms', '@trie'] },
  { args: ['get', '@trie', 'band'] },
];

test('every command is run below', () => {
  const names = new Set(RUNS.map(({ args }) => args[0]));
  expect(COMMANDS.filter((name) => !names.has(name))).toEqual([]);
});

describe(`on Node ${process.versions.node}, a successful run prints nothing on standard error`, () => {
  test.each(RUNS.map((run) => ({ ...run, name: run.args.join(' ') })))('$name', async ({ args, input }) => {
    const paths = args.map((each) => (each.startsWith('@') ? at(each.slice(1)) : each));
    const given = args[0] === 'import' ? exported : input;
    const { exit, stdout, stderr } = await runCli(paths, given === undefined ? {} : { input: given });
    if (args[0] === 'export') exported = stdout;
    expect({ exit, stderr: stderr.toString() }).toEqual({ exit: 0, stderr: '' });
  });

  test('append, where a package manager has installed fs-native-extensions as a symbolic link', async () => {
    const bin = publicCopy();
    const modules = join(dirname(dirname(bin)), 'node_modules');
    mkdirSync(modules);
    const installed = fileURLToPath(new URL('../../node_modules/fs-native-extensions', import.meta.url));
    symlinkSync(installed, join(modules, 'fs-native-extensions'));
    const file = at('linked');
    await runCli(['create', file], { bin });
    const { exit, stderr } = await runCli(['append', file], { bin, input: LINES });
    expect({ exit, stderr: stderr.toString() }).toEqual({ exit: 0, stderr: '' });
  });
});
