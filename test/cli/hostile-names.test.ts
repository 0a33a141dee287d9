import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jsonLines, type Result, runInProcess } from '../support/cli.ts';
import { loadCorpus } from '../support/corpus.ts';
import { temporaryFolder } from '../support/files.ts';

const corpus = loadCorpus();
const damage = (name: string): Uint8Array => {
  const file = corpus.find((each) => each.name === name);
  if (!file) throw new Error(`no damaged file ${name}`);
  return file.bytes();
};

const before = process.cwd();
const folder = temporaryFolder();
let folders = 0;
/** @returns an empty folder */
function newFolder(): string {
  const path = join(folder, String(folders++));
  mkdirSync(path);
  return path;
}
beforeEach(() => process.chdir(newFolder()));
afterAll(() => process.chdir(before));

/** What must reach neither a terminal nor the log of a build, except for the line feeds between lines. */
const CONTROL = /[^\P{Cc}\n]|[\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

async function run(...args: string[]): Promise<Result> {
  const result = await runInProcess(args);
  const texts = { args, stdout: result.stdout.toString(), stderr: result.stderr };
  expect({ args, controls: [texts.stdout, texts.stderr].filter((text) => CONTROL.test(text)) }).toEqual({
    args,
    controls: [],
  });
  // A forged line would begin with it.
  expect(`${texts.stdout}\n${texts.stderr}`).not.toMatch(/^fake/m);
  return result;
}

describe.each([
  ['a colour and a line feed', 'p\u001b[31m\nfake: ok'],
  ['a C1 control', 'p\u009b31m\u0085fake: ok'],
  ['DEL', 'p\u007f\rfake: ok'],
  ['bidirectional overrides', 'p\u202egpj\u202c\u2066x\u2069\u200f'],
  ['line separators', 'p\u2028fake\u2029'],
])('a file name with %s is escaped', (_, name) => {
  test('by commands that succeed', async () => {
    const path = `${name}.part`;
    for (const json of [[], ['--json']]) {
      rmSync(path, { force: true });
      const commands: string[][] = [
        ['create', path],
        ['allocate', path],
        ['append', path, 'one', 'two'],
        ['read', path, '2:0'],
        ['update', path, '2:0', 'six'],
        ['free', path, '1'],
        ['finalize', path],
        ['stat', path],
        ['dump', path],
        ['dump', path, '--block', '2'],
        ['verify', path],
        ['export', path],
        ['compact', path, `${name}.2`, '--force'],
        ['diff', path, `${name}.2`],
        ['diff', '--brief', path, `${name}.2`],
        ['recover', path, `${name}.3`, '--force'],
        ['repair', path],
        ['repair', path, '--dry-run'],
      ];
      for (const command of commands) {
        const { exit, stderr } = await run(...command, ...json);
        expect({ command, isDone: exit < 2, stderr }).toMatchObject({ command, isDone: true });
      }
      const { stdout } = await run('verify', '--json', path);
      expect(jsonLines(stdout)[0]).toMatchObject({ file: path });
      writeFileSync('lines', '{"type":"node","text":"a"}\n');
      expect((await run('import', `${name}.4`, '--force', '--input', 'lines', ...json)).exit).toBe(0);
    }
    for (const format of ['junit', 'sarif', 'github']) await run('verify', '--format', format, path);
  });

  test('by commands that fail', async () => {
    await run('stat', name);
    await run('verify', name);
    await run('create', `${name}/x`);
    await run('append', name, 'x');
    await run(name);
    await run('read', name, name);
    await run('append', '--input', name, name);
    for (const kind of ['node-bytes', 'node-bit-v1', 'header-version-to-come']) {
      for (const json of [[], ['--json']]) {
        writeFileSync(name, damage(kind));
        rmSync(`${name}.undo`, { force: true });
        for (const command of ['stat', 'export', 'finalize', 'dump', 'verify', 'repair'])
          await run(command, name, ...json);
        await run('compact', name, `${name}.2`, ...json);
        await run('recover', name, `${name}.3`, '--force', ...json);
        await run('diff', name, `${name}.3`, ...json);
        if (existsSync(`${name}.undo`)) await run('repair', name, '--undo', `${name}.undo`, ...json);
      }
    }
    for (const debug of ['', '1']) {
      const { stderr } = await runInProcess(['stat', `${name}.none`], { env: { ARTRIE_PAGES_DEBUG: debug } });
      expect(stderr).not.toMatch(CONTROL);
    }
  });
});

test('a node with bidirectional controls is exported with escapes, and imported as it was', async () => {
  const text = 'a\u202egpj\u202c \u2066b\u2069 \u200f\u200e c';
  await run('create', 'a.part');
  await run('append', 'a.part', text);
  const { stdout } = await run('export', 'a.part');
  expect(jsonLines(stdout)).toContainEqual(expect.objectContaining({ type: 'node', text }));
  writeFileSync('export', stdout);
  await run('import', 'b.part', '--input', 'export');
  const { stdout: node } = await runInProcess(['read', 'b.part', '1:0']);
  expect(node.toString()).toBe(text);
});

describe('no suggested command runs anything but artrie-pages with the name of the file', () => {
  const tools = temporaryFolder();
  beforeAll(() => {
    // Records its arguments.
    const tool = join(tools, 'artrie-pages');
    writeFileSync(tool, '#!/bin/sh\nprintf "%s\\0" "$@" >>"$RECORD"\nprintf "\\0" >>"$RECORD"\n');
    chmodSync(tool, 0o755);
  });

  /** Pastes each command of a text into bash, up to the end of its line. @returns the arguments of the calls */
  function pasted(texts: readonly string[]): string[][] {
    const empty = newFolder();
    const record = join(newFolder(), 'record');
    const lines = texts
      .flatMap((text) => text.split('\n'))
      // The name of the file is before the first colon, and may contain anything.
      .flatMap((line) => line.slice('artrie-pages: '.length).split(/(?:; |^)(?:[^;]*: )?(?=artrie-pages [a-z])/))
      .filter((line) => line.startsWith('artrie-pages '));
    expect(lines.join()).not.toBe('');
    execFileSync('bash', ['-c', lines.join('\n')], {
      cwd: empty,
      env: { HOME: empty, PATH: `${tools}:${process.env['PATH'] ?? ''}`, RECORD: record },
      stdio: 'pipe',
    });
    expect(readdirSync(empty)).toEqual([]);
    if (!existsSync(record)) return [];
    const calls = execFileSync('cat', [record], { encoding: 'utf8' }).split('\0\0').slice(0, -1);
    return calls.map((call) => call.split('\0'));
  }

  test.each([
    '$(touch pwned) b.part',
    '`touch pwned`',
    "it's; touch pwned",
    "x'; touch pwned; '",
    '"; touch pwned; "',
    'line\ntouch pwned',
    "line\n'; touch pwned #",
    '-x && touch pwned',
    '--undo',
    '> pwned',
    '| touch pwned',
    '~',
    'a\\',
    '\u202e$(touch pwned)',
    '!!',
  ])('%j', async (name) => {
    const texts: string[] = [];
    const take = async (...args: string[]): Promise<void> => {
      const { stdout, stderr } = await runInProcess(args);
      texts.push(stderr, stdout.toString().replaceAll(/^ *next: /gm, 'artrie-pages: '));
      if (args.includes('--json')) {
        for (const { next } of jsonLines(stdout)) if (typeof next === 'string') texts.push(`artrie-pages: ${next}`);
      }
    };
    await take('append', '--', name, 'x');
    for (const kind of ['node-bytes', 'node-bit-v1', 'header-version-to-come']) {
      rmSync(`./${name}.undo`, { force: true });
      writeFileSync(`./${name}`, damage(kind));
      for (const command of ['stat', 'export', 'finalize', 'verify']) await take(command, '--', name);
      await take('verify', '--json', '--', name);
      await take('read', '--', name, '1:0');
      await take('compact', '--', name, 'new.part');
      await take('diff', '--', name, name);
      await take('repair', '--', name);
      await take('repair', '--json', '--', name);
    }
    rmSync(`./${name}`);
    await take('create', '--', name);
    await take('append', '--', name, 'node');
    await take('update', '--', name, '1:0', 'longer');
    rmSync(`./${name}`);
    mkdirSync(`./${name}`);
    await take('verify', '--', name);

    const calls = pasted(texts);
    expect(calls.length).toBeGreaterThan(15);
    const path = name.startsWith('-') ? `./${name}` : name;
    const named = new Set([path, `${path}.recovered`, `${path}.undo`]);
    for (const [, ...args] of calls) {
      const rest = args.filter((arg) => !named.has(arg) && !/^(--[a-z-]+|\d+|TARGET|DATA|.*\/\*\.part)$/s.test(arg));
      expect(rest).toEqual([]);
    }
    expect(existsSync('pwned')).toBe(false);
  });
});
