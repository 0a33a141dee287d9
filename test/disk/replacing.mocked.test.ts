import type * as fs from 'node:fs';
import type * as fsPromises from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { copyFileSync, fdatasyncSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeOverwriteJournal } from '../../src/disk/journal.ts';
import { fileIdIn } from '../../src/format/file-id.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { output, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

// Not the whole module: with its classes, streams would be wrapped, which the parser of CSV does not survive.
vi.mock('node:fs', async (load) => {
  const actual = await load<typeof fs>();
  return { ...actual, fdatasyncSync: vi.fn(actual.fdatasyncSync) };
});
vi.mock('node:fs/promises', { spy: true });

/** Called before each system call that makes something durable or changes a name. */
let onCall: (call: string) => void = () => undefined;

const root = temporaryFolder();
const probe = await open(join(root, 'probe'), 'w');
const handles = Object.getPrototypeOf(probe) as Pick<FileHandle, 'sync' | 'datasync'>;
await probe.close();

for (const name of ['sync', 'datasync'] as const) {
  const call = handles[name];
  handles[name] = async function (this: FileHandle): Promise<void> {
    onCall(name);
    return call.call(this);
  };
}

const actual = await vi.importActual<typeof fsPromises>('node:fs/promises');
const actualFs = await vi.importActual<typeof fs>('node:fs');

beforeEach(() => {
  onCall = () => undefined;
  vi.mocked(fdatasyncSync).mockImplementation((fd) => {
    onCall('fdatasync');
    actualFs.fdatasyncSync(fd);
  });
  vi.mocked(rename).mockImplementation(async (from, to) => (onCall('rename'), actual.rename(from, to)));
  vi.mocked(link).mockImplementation(async (from, to) => (onCall('link'), actual.link(from, to)));
  vi.mocked(unlink).mockImplementation(async (path) => (onCall('unlink'), actual.unlink(path)));
  vi.mocked(rm).mockImplementation(async (path, options) => (onCall('rm'), actual.rm(path, options)));
});

let folders = 0;

/**
 * A folder with `a.part`, the lines of an export of it, and what exists before the command: nothing; a file and a map
 * that are replaced; or these and the journal of a killed update, after which node 1:0 is `before` again.
 */
async function newFolder(exists: 'nothing' | 'a file' | 'a journal'): Promise<string> {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  const [a, b] = [join(folder, 'a.part'), join(folder, 'b.part')];
  await output(['create', a]);
  await output(['append', a, 'one', 'two', 'one']);
  writeFileSync(join(folder, 'lines'), await output(['export', a]));
  writeFileSync(join(folder, 'cells.csv'), 'a,b\n1,2\n');
  if (exists === 'nothing') return folder;
  await output(['create', b]);
  await output(['append', b, 'before', 'other']);
  writeFileSync(join(folder, 'map'), 'the old map');
  if (exists === 'a file') return folder;
  const bytes = readFileSync(b);
  const page = bytes.subarray(fileOffset(1), fileOffset(2));
  const change = { block: 1, image: page.slice(), bytes: text('after!'), changed: { start: 64, end: 70 } };
  const journal = encodeOverwriteJournal({ ...change, head: new Uint8Array(64) }, fileIdIn(bytes));
  writeFileSync(`${b}.journal`, journal);
  page.set(text('aft'), 64);
  writeFileSync(b, bytes);
  return folder;
}

const COPIED = ['one', 'two', 'one'];
const CELLS = ['t/1/a', 't/1/b'];
const mapOf = (folder: string): string[] => ['--map', join(folder, 'map')];
const csvOf = (folder: string): string[] => ['--csv', join(folder, 'cells.csv'), '--table', 't', '--keys-only'];
const linesOf = (folder: string): string[] => ['--input', join(folder, 'lines')];

const REPLACE = 'compact --replace';

/** With the nodes that the new file has. */
type Command = readonly [name: string, args: (folder: string) => string[], nodes: readonly string[]];
const COMMANDS: readonly Command[] = [
  ['create', (folder) => ['create', join(folder, 'b.part')], []],
  ['import', (folder) => ['import', join(folder, 'b.part'), ...linesOf(folder)], COPIED],
  ['import --replace', (folder) => ['import', join(folder, 'b.part'), '--replace', ...linesOf(folder)], COPIED],
  ['import --csv', (folder) => ['import', join(folder, 'b.part'), ...csvOf(folder), ...mapOf(folder)], CELLS],
  ['compact', (folder) => ['compact', join(folder, 'a.part'), join(folder, 'b.part'), ...mapOf(folder)], COPIED],
  [REPLACE, (folder) => ['compact', join(folder, 'b.part'), '--replace', ...mapOf(folder)], ['before', 'other']],
  ['recover', (folder) => ['recover', join(folder, 'a.part'), join(folder, 'b.part'), ...mapOf(folder)], COPIED],
];

/** Each name with a hash of the bytes. */
const contentOf = (folder: string): string[] =>
  readdirSync(folder).map(
    (name) =>
      `${name} ${createHash('md5')
        .update(readFileSync(join(folder, name)))
        .digest('hex')}`,
  );

/** What a writer finds in `b.part`, which has no journal afterwards. */
async function nodesOf(folder: string): Promise<string[]> {
  const path = join(folder, 'b.part');
  const store = await PageStore.open(path);
  await store.append(text('new'));
  await store.close();
  expect(readdirSync(folder)).not.toContain('b.part.journal');
  return (await output(['read', path, '--all'])).split('\n').map((line) => line.replace(/^\S+ /, ''));
}

describe.each(COMMANDS)('%s', (name, args, copied) => {
  const kinds = name === REPLACE ? (['a file'] as const) : (['nothing', 'a file'] as const);

  test.each(kinds)('that fails at any call leaves what was there: %s', async (exists) => {
    const force = exists === 'nothing' ? [] : ['--force'];
    let failed = 0;
    for (let failing = 1; ; failing++) {
      const folder = await newFolder(exists);
      const before = contentOf(folder);
      let calls = 0;
      let failedCall: string | undefined;
      onCall = (call) => {
        if (++calls !== failing) return;
        failedCall = call;
        throw Object.assign(new Error('EIO'), { code: 'EIO' });
      };
      const { exit, stderr } = await runInProcess([...args(folder), ...force]);
      onCall = () => undefined;
      if (failedCall === undefined) break;
      // What is only tidied up, or kept in case of a later failure, does not make the command fail.
      if (exit === 0) {
        expect(['link', 'rm', 'unlink']).toContain(failedCall);
        expect(await nodesOf(folder)).toContain('new');
        continue;
      }
      failed++;
      expect({ failedCall, exit, stderr, content: contentOf(folder) }).toMatchObject({ exit: 3, content: before });
    }
    expect(failed).toBeGreaterThan(3);
  });

  test('of a file with a journal can be killed at any call, and leaves the old file or the new one', async () => {
    const folder = await newFolder('a journal');
    const states: string[] = [];
    onCall = (call) => {
      const state = `${folder}-${states.length}-${call}`;
      mkdirSync(state);
      for (const each of readdirSync(folder)) copyFileSync(join(folder, each), join(state, each));
      states.push(state);
    };
    const { exit, stderr } = await runInProcess([...args(folder), '--force']);
    onCall = () => undefined;
    expect({ exit, stderr }).toMatchObject({ exit: 0 });
    expect(readdirSync(folder).filter((each) => /journal|new|old/.test(each))).toEqual([]);
    const isOld: boolean[] = [];
    for (const state of states) {
      const nodes = await nodesOf(state);
      isOld.push(nodes.includes('before'));
      if (nodes.includes('before')) expect(nodes.slice(0, 3)).toEqual(['before', 'other', 'new']);
      else expect(nodes.slice(0, -2)).toEqual(copied);
    }
    // A compacted file has the nodes of the old one.
    if (name === REPLACE) return;
    // First it is the old file, then the new one, and never the old one again.
    expect(isOld).toEqual(isOld.toSorted((a, b) => Number(b) - Number(a)));
    expect(new Set(isOld).size).toBe(2);
  });
});
