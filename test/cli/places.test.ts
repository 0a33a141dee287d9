import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PageStore } from '../../src/store/page-store.ts';
import { expectOneError, output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const root = temporaryFolder();
let folders = 0;

/** A folder with `a.part`, of one node, and `lines`, from which it could be imported. */
async function newFolder(): Promise<string> {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  await output(['create', join(folder, 'a.part')]);
  await output(['append', join(folder, 'a.part'), 'node']);
  writeFileSync(join(folder, 'lines'), '{"type":"node","text":"a"}\n');
  return folder;
}

/** Each file with its bytes; the link leads to none, and what is said in a lock file of the last writer is of no matter. */
const contents = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name !== 'link' && !name.endsWith('.part.lock'))
    .map((name) => `${name} ${readFileSync(join(folder, name)).toString('latin1')}`);

/** Command lines that would make a file `made`, by what it would be. */
const MAKERS: readonly (readonly [what: string, args: (folder: string, made: string) => string[]])[] = [
  ['the new file of create', (_, made) => ['create', made, '--force']],
  ['the new file of import', (folder, made) => ['import', made, '--input', join(folder, 'lines'), '--force']],
  ['the new file of compact', (folder, made) => ['compact', join(folder, 'a.part'), made, '--force']],
  ['the map of compact', (folder, made) => ['compact', join(folder, 'a.part'), join(folder, 'b.part'), '--map', made]],
  ['the new file of recover', (folder, made) => ['recover', join(folder, 'a.part'), made, '--force']],
  ['the map of recover', (folder, made) => ['recover', join(folder, 'a.part'), join(folder, 'b.part'), '--map', made]],
  ['the undo file of repair', (folder, made) => ['repair', join(folder, 'a.part'), '--undo-file', made]],
  ['the report of verify', (folder, made) => ['verify', join(folder, 'a.part'), '--output', made]],
];

describe.each(MAKERS)('%s', (_, args) => {
  test.each(['a.part.journal', 'a.part.lock', 'a.part.lock.pid', 'a link to a journal that is not there'])(
    'is not created as %s',
    async (name) => {
      const folder = await newFolder();
      const path = join(folder, 'a.part');
      const [link, other] = [join(folder, 'link'), join(folder, 'linked.part')];
      symlinkSync(`${path}.journal`, link);
      symlinkSync(path, other);
      // Damage that can be mended, so that there is something to undo: a bit of the magic in block 0.
      const bytes = readFileSync(path);
      bytes[0]! ^= 1;
      if (args(folder, '')[0] === 'repair') writeFileSync(path, bytes);
      const before = contents(folder);
      const made = name.startsWith('a link') ? link : join(folder, name);
      const { exit, stderr } = await runInProcess(args(folder, made));
      expect({ exit, stderr }).toEqual({ exit: 3, stderr: expect.stringContaining('choose another path for the') });
      expectOneError(stderr);
      expect(contents(folder)).toEqual(before);
    },
  );
});

test('a map is created neither as the journal of the new file, nor as a lock file with another name', async () => {
  const folder = await newFolder();
  const [source, target, hard] = ['a.part', 'b.part', 'hard'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  linkSync(`${source}.lock`, hard);
  for (const command of ['compact', 'recover']) {
    for (const map of [`${target}.journal`, `${target}.lock`, hard]) {
      const { exit, stderr } = await runInProcess([command, source, target, '--map', map, '--force']);
      expect({ exit, stderr }).toEqual({ exit: 3, stderr: expect.stringContaining('choose another path for the map') });
    }
  }
});

test('a name with the suffix of a journal is allowed if there is no such page file', async () => {
  const folder = await newFolder();
  await output(['create', join(folder, 'c.journal')]);
  const store = await PageStore.create(join(folder, 'd.lock'));
  await store.close();
  await output(['verify', join(folder, 'a.part'), '--output', join(folder, 'report.lock'), '--quiet']);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['c.journal', 'd.lock', 'report.lock']));
});
