import {
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  copyFileSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { applyPatches } from '../../src/disk/journal.ts';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();
let files = 0;

interface Paths {
  readonly path: string;
  readonly other: string;
}

/** A page file with two pages, and another one. */
async function newFiles(): Promise<Paths> {
  const below = join(folder, String(files++));
  mkdirSync(below);
  const [path, other] = [join(below, 'f.part'), join(below, 'g.part')];
  for (const each of [path, other]) {
    const store = await PageStore.create(each);
    await store.append(text('one'));
    await store.allocate(1, 'v2');
    await store.close();
  }
  return { path, other };
}

const replacements: Record<string, (paths: Paths) => void> = {
  'another file takes its name': ({ path, other }) => renameSync(other, path),
  'its name is deleted': ({ path }) => unlinkSync(path),
  'it is renamed': ({ path }) => renameSync(path, `${path}.moved`),
  'a link takes its name': ({ path, other }) => {
    unlinkSync(path);
    symlinkSync(other, path);
  },
};

const calls: Record<string, (store: PageStore) => Promise<unknown>> = {
  append: (store) => store.append(text('two')),
  appendMany: (store) => store.appendMany([text('two'), text('three')]),
  allocate: (store) => store.allocate(1),
  free: (store) => store.free(2),
  update: (store) => store.update({ block: 1, slot: 0 }, text('eno')),
  finalize: (store) => store.finalize(),
};

const table = Object.keys(replacements).flatMap((how) => Object.keys(calls).map((call) => ({ how, call })));

test.each(table)('$call is not acknowledged if $how', async ({ how, call }) => {
  const paths = await newFiles();
  const other = readFileSync(paths.other);
  const store = await PageStore.open(paths.path);
  replacements[how]?.(paths);
  await expect(calls[call]?.(store)).rejects.toMatchObject({ code: 'FILE_REPLACED', detail: { file: paths.path } });
  // And the handle stays unusable.
  await expect(store.append(text('three'))).rejects.toMatchObject({ code: 'IO' });
  await store.close().catch(() => undefined);
  expect(existsSync(`${paths.path}.journal`)).toBe(false);
  const found = [paths.path, paths.other].find((path) => existsSync(path) && readFileSync(path).equals(other));
  expect(found).toBeDefined();
});

test('names that lead to the same file are as good as the one that was opened', async () => {
  const { path } = await newFiles();
  const link = `${path}.link`;
  symlinkSync(path, link);
  const store = await PageStore.open(link);
  linkSync(path, `${path}.hard`);
  await store.append(text('two'));
  rmSync(link);
  symlinkSync(`${path}.hard`, link);
  await store.append(text('three'));
  await store.close();
  const reader = await PageStore.open(path, { access: 'read' });
  expect(Buffer.from(await reader.read({ block: 1, slot: 0 })).toString()).toBe('one');
  await reader.close();
});

test('a symbolic link that leads to another file by now is a replaced file', async () => {
  const { path, other } = await newFiles();
  const link = `${path}.link`;
  symlinkSync(path, link);
  const store = await PageStore.open(link);
  rmSync(link);
  symlinkSync(other, link);
  await expect(store.append(text('two'))).rejects.toMatchObject({ code: 'FILE_REPLACED' });
  await store.close().catch(() => undefined);
});

test('a copy that takes the name is another file, although its bytes are the same', async () => {
  const { path } = await newFiles();
  const store = await PageStore.open(path);
  copyFileSync(path, `${path}.copy`);
  renameSync(`${path}.copy`, path);
  await expect(store.append(text('two'))).rejects.toMatchObject({ code: 'FILE_REPLACED' });
  await store.close().catch(() => undefined);
});

test('the patches of a repair are not written to a file that has lost its name, nor a journal beside the new one', async () => {
  const { path, other } = await newFiles();
  const file = await openBlockFile(path, 'write');
  renameSync(other, path);
  const patch = { kind: 1, position: 8, before: new Uint8Array([1]), after: new Uint8Array([2]) };
  await expect(applyPatches(file, [patch])).rejects.toMatchObject({ code: 'FILE_REPLACED' });
  await file.close();
  expect(existsSync(`${path}.journal`)).toBe(false);
});

class NamedFile extends RecordingBlockFile {
  questions = 0;

  override async assertNamed(): Promise<void> {
    this.questions++;
    this.operations.push({ kind: 'size' });
  }
}

test('a commit asks once for its name, after its one sync, and syncs no more than without', async () => {
  const plain = new MemoryBlockFile();
  await (await PageStore.create(plain)).close();
  const file = new NamedFile(plain.bytes.slice());
  const store = await PageStore.open(file);
  for (let commits = 1; commits < 4; commits++) {
    file.operations = [];
    file.questions = 0;
    await store.append(text(`node ${commits}`));
    expect(file.questions).toBe(1);
    expect(file.count('sync')).toBe(1);
    const kinds = file.operations.map(({ kind }) => kind);
    expect(kinds.indexOf('size')).toBe(kinds.indexOf('sync') + 1);
  }
  await store.close();
});

test('a BlockFile without names needs no method for them', async () => {
  const file = new MemoryBlockFile();
  expect('assertNamed' in file).toBe(false);
  const store = await PageStore.create(file);
  await store.append(text('one'));
  await store.close();
});
