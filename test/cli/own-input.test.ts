import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIN, output, runInProcess } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'own-input-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('import does not overwrite its input, also through a link', async () => {
  const [lines, other] = [join(folder, 'l.jsonl'), join(folder, 'link')];
  writeFileSync(lines, '{"type":"node","text":"a"}\n');
  symlinkSync(lines, other);
  for (const path of [lines, other]) {
    const told = await runInProcess(['import', path, '--input', lines, '--force']);
    expect(told.exit).toBe(3);
    expect(told.stderr).toContain('this is the same file as');
  }
  expect(readFileSync(lines, 'utf8')).toBe('{"type":"node","text":"a"}\n');
});

describe('a command whose input is its own output is refused before anything is written', () => {
  const page = join(folder, 's.part');
  const [link, hardLink, copy] = [join(folder, 'sym'), join(folder, 'hard'), join(folder, 'copy.part')];
  let before: Buffer;

  beforeAll(async () => {
    await output(['create', page]);
    await output(['append', page, 'first\nsecond', 'third']);
    symlinkSync(page, link);
    linkSync(page, hardLink);
    copyFileSync(page, copy);
    before = readFileSync(page);
  });

  /** Runs a shell script in which `pages` is the program, for at most 10 s. @returns exit code and standard error */
  async function shell(script: string): Promise<{ exit: number; stderr: string }> {
    const whole = `pages() { timeout 10 "${process.execPath}" "${BIN}" "$@"; }\n(${script}) 2> err; echo $?`;
    const { stdout } = await promisify(execFile)('bash', ['-c', whole], { cwd: folder });
    return { exit: Number(stdout.trim().split('\n').at(-1)), stderr: readFileSync(join(folder, 'err'), 'utf8') };
  }

  const itself = 'the input is this file itself, or its lock or journal';

  test.each([
    'pages append s.part --input s.part',
    'pages append s.part --input sym',
    'pages append sym --input s.part',
    'pages append s.part --input hard',
    'pages append hard --input s.part',
    'pages append s.part --input ./../"${PWD##*/}"/s.part',
    'pages append s.part --input /proc/self/fd/7 7< s.part',
    'pages append s.part --input /dev/stdin < s.part',
    'pages append /proc/self/fd/7 --input s.part 7< s.part',
    'pages append s.part < s.part',
    'pages append s.part < hard',
    'pages append s.part --input - < sym',
    'pages append s.part --framing whole --encoding hex --jobs 2 < s.part',
    'pages append s.part --input s.part.lock',
    'pages append s.part < s.part.lock',
    'pages import s.part --force < s.part',
    'pages import sym --force < s.part',
    'pages import s.part --force < hard',
    'pages import s.part --force --input - < s.part',
    'pages import s.part < s.part',
    'pages import s.part --replace < s.part',
    'pages import s.part --csv - --table t --force < s.part',
    'pages import sym --csv - --table t --replace < hard',
    'pages import new.part --csv - --table t --map s.part --force < s.part',
    'pages import new.part --csv - --table t --map sym --force < hard',
  ])('%s', async (script) => {
    const { exit, stderr } = await shell(script);
    expect(exit).toBe(2);
    expect(stderr).toContain(itself);
    expect(readFileSync(page).equals(before)).toBe(true);
  });

  test.each([
    ['pages append s.part --input refs >> refs', 'standard output goes to the file that is the input'],
    ['pages append s.part < refs >> refs', 'standard output goes to the file that is the input'],
    ['pages append s.part --input refs 2>> refs', ''],
    ['pages import new.part --input refs >> refs', 'standard output goes to the file that is the input'],
    ['pages import new.part --csv refs --table t >> refs', 'standard output goes to the file that is the input'],
    ['pages import new.part --csv - --table t < refs >> refs', 'standard output goes to the file that is the input'],
    ['pages import new.part --csv - --table t --map refs --force < refs', 'the input is this file itself'],
    ['pages import new.part --csv copy.part --table t --map refs --force >> refs', 'standard output goes to this file'],
    ['pages import s.part --csv refs --table t --replace >> s.part', 'standard output goes to this file'],
    ['pages compact s.part --replace >> s.part', 'standard output goes to this file'],
    ['pages read s.part --all >> s.part', 'standard output goes to this file'],
    ['pages export sym >> s.part', 'standard output goes to this file'],
    ['pages stat s.part 1<> hard', 'standard output goes to this file'],
    ['pages dump s.part 2>> s.part', ''],
    ['pages append s.part x >> s.part', 'standard output goes to this file'],
    ['pages update s.part 1:1 third >> s.part', 'standard output goes to this file'],
    ['pages diff s.part copy.part >> s.part', 'standard output goes to this file'],
    ['pages compact s.part new.part >> s.part', 'standard output goes to this file'],
    ['pages recover s.part new.part >> s.part', 'standard output goes to this file'],
    ['pages repair s.part --dry-run >> s.part', 'standard output goes to this file'],
    ['pages verify s.part >> s.part', 'standard output goes to this file'],
    ['pages verify "*.part" >> s.part', 'standard output goes to this file'],
  ])('%s', async (script, message) => {
    const refs = join(folder, 'refs');
    writeFileSync(refs, 'a\nb\n');
    const { exit, stderr } = await shell(script);
    // What goes to standard error is in the file itself.
    const added = script.includes('verify') ? 'standard output goes to this file' : message;
    expect({ exit, isSaid: stderr.includes(added) }).toEqual({ exit: 2, isSaid: true });
    const bytes = readFileSync(page);
    expect(bytes.subarray(0, before.length).equals(before)).toBe(true);
    expect(existsSync(join(folder, 'new.part'))).toBe(false);
    writeFileSync(page, before);
    if (message !== '') expect(readFileSync(refs, 'utf8')).toBe('a\nb\n');
  });

  test.each([
    'pages compact s.part s.part --force',
    'pages compact s.part sym --force',
    'pages compact s.part hard --force',
    'pages compact sym /proc/self/fd/7 --force 7< s.part',
    'pages recover s.part s.part --force',
    'pages recover hard s.part --force',
    'pages compact s.part new.part --map s.part --force',
    'pages compact s.part new.part --map hard --force',
    'pages recover s.part new.part --map sym --force',
    'pages verify s.part --output s.part',
    'pages verify s.part --output hard',
    'pages repair s.part --undo-file hard',
    'pages repair s.part --undo s.part',
    'pages import s.part --force --input hard',
    'pages import s.part --replace --input sym',
    'pages import s.part --csv hard --table t --replace',
    'pages import new.part --csv s.part --table t --map sym --force',
    'pages import new.part --csv copy.part --table t --map new.part --force',
    'pages compact s.part --replace --map hard --force',
  ])('%s, as another path for the new file is needed', async (script) => {
    const { exit } = await shell(script);
    expect([0, 3]).toContain(exit);
    expect(readFileSync(page).equals(before)).toBe(true);
    expect(existsSync(join(folder, 'new.part'))).toBe(false);
  });

  test('other files, pipes and devices stay allowed', async () => {
    const target = join(folder, 'free.part');
    await output(['create', target]);
    expect((await shell('pages append free.part --input refs > out')).exit).toBe(0);
    expect((await shell('pages append free.part < refs > /dev/null')).exit).toBe(0);
    expect((await shell('pages append free.part < /dev/null > /dev/null')).exit).toBe(0);
    expect((await shell('pages read free.part --all | pages append free.part -q')).exit).toBe(0);
    expect((await shell('pages export s.part | pages import s.part --force')).exit).toBe(0);
  });
});
