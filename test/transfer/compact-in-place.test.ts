import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { encodeOverwriteJournal } from '../../src/disk/journal.ts';
import { fileIdIn } from '../../src/format/file-id.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { nodeOf } from '../../src/format/page.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact, compactInPlace, type CompactInPlaceOptions } from '../../src/transfer/compact.ts';
import { importNodes } from '../../src/transfer/import.ts';
import { verify } from '../../src/verify/verify.ts';
import { BIN, output, runInProcess } from '../support/cli.ts';
import { expectSameBytes, temporaryFolder, withoutFileId } from '../support/files.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { specNodes } from '../support/spec-reader.ts';

const folder = temporaryFolder();
let files = 0;

/** A file with three pages, one of them free, in a folder of its own. */
async function newFile(): Promise<string> {
  const below = join(folder, String(files++));
  mkdirSync(below);
  const path = join(below, 'f.part');
  const store = await PageStore.create(path);
  await store.appendMany(makeNodes(50, 0, 9000));
  await store.allocate(2, 'v1');
  await store.free(2);
  await store.close();
  return path;
}

const nodesOf = (path: string): string[] => specNodes(readFileSync(path)).map(({ bytes }) => bytes.toString('hex'));
const namesBeside = (path: string): string[] => readdirSync(join(path, '..')).toSorted();

test('the file has the bytes that compact writes, with the report of it', async () => {
  const path = await newFile();
  const report = await compact(path, `${path}.copy`, { pageFormat: 'v2' });
  const expected = readFileSync(`${path}.copy`);
  expect(await compactInPlace(path, { pageFormat: 'v2' })).toEqual(report);
  expectSameBytes(withoutFileId(readFileSync(path)), withoutFileId(expected));
  expect(namesBeside(path)).toEqual(['f.part', 'f.part.copy', 'f.part.copy.lock', 'f.part.lock']);
});

test('permissions and owner stay, a link stays a link, and another hard link keeps the old file', async () => {
  const path = await newFile();
  const before = readFileSync(path);
  const [link, hard] = [`${path}.link`, `${path}.hard`];
  linkSync(path, hard);
  symlinkSync(path, link);
  if (process.getuid?.() === 0) chownSync(path, 12_345, 23_456);
  chmodSync(path, 0o4750);
  const { mode, uid, gid, ino } = statSync(path);
  await compactInPlace(link);
  const now = statSync(path);
  expect({ mode: now.mode, uid: now.uid, gid: now.gid }).toEqual({ mode, uid, gid });
  expect(now.ino).not.toBe(ino);
  expect(readFileSync(link).equals(readFileSync(path))).toBe(true);
  expectSameBytes(readFileSync(hard), before);
});

test('no writer has the file meanwhile; one that waits goes on with the new file', async () => {
  const path = await newFile();
  let waiting: Promise<PageStore> | undefined;
  await compactInPlace(path, {
    onDurable: async () => {
      await expect(PageStore.open(path)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
      waiting = PageStore.open(path, { lockTimeout: 20 });
    },
  });
  const store = await waiting;
  const ref = await store?.append(text('late'));
  await store?.close();
  const reader = await PageStore.open(path, { access: 'read' });
  expect(Buffer.from(await reader.read(ref ?? { block: 0, slot: 0 })).toString()).toBe('late');
  await reader.close();
});

test('a file that a writer has is refused', async () => {
  const path = await newFile();
  const store = await PageStore.open(path);
  await expect(compactInPlace(path)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
  await store.append(text('kept'));
  await store.close();
});

test('a reader that has the file open keeps the old one', async () => {
  const path = await newFile();
  const expected = nodesOf(path);
  const reader = await PageStore.open(path, { access: 'read' });
  await compactInPlace(path);
  const found: string[] = [];
  for await (const { page } of reader.pages())
    for (let slot = 0; slot < page.directory.count; slot++) found.push(Buffer.from(nodeOf(page, slot)).toString('hex'));
  expect(found).toEqual(expected);
  await reader.close();
});

const stop = new Error('stopped');
const failures: Record<string, CompactInPlaceOptions> = {
  'a callback throws while it copies': {
    onMoved: () => {
      throw stop;
    },
  },
  'a callback throws at the end': {
    onDurable: () => {
      throw stop;
    },
  },
  'a callback throws when the new file has the name': {
    onPublished: () => {
      throw stop;
    },
  },
  'it is interrupted': { signal: AbortSignal.abort(stop) },
};

test.each(Object.keys(failures))('the file stays, and nothing beside it, if %s', async (how) => {
  const path = await newFile();
  const before = readFileSync(path);
  await expect(compactInPlace(path, failures[how])).rejects.toBe(stop);
  expectSameBytes(readFileSync(path), before);
  expect(namesBeside(path)).toEqual(['f.part', 'f.part.lock']);
});

test('the new file is locked under every name, before it has its own and until the end', async () => {
  const path = await newFile();
  const hard = `${path}.hard`;
  await compactInPlace(path, {
    onPublished: async () => {
      linkSync(path, hard);
      await expect(PageStore.open(path)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
      await expect(PageStore.open(hard)).rejects.toThrow('open for writing under another name');
    },
  });
  await (await PageStore.open(hard)).close();
});

test('the old file stays locked under its other names until the new one has the name', async () => {
  const path = await newFile();
  const hard = `${path}.hard`;
  linkSync(path, hard);
  await compactInPlace(path, {
    onDurable: async () => {
      await expect(PageStore.open(hard)).rejects.toThrow('open for writing under another name');
    },
  });
  await (await PageStore.open(hard)).close();
});

test('a file that another program has put there meanwhile is not replaced', async () => {
  const path = await newFile();
  const other = join(path, '..', 'other.part');
  copyFileSync(await newFile(), other);
  writeFileSync(other, 'newer', { flag: 'a' });
  const expected = readFileSync(other);
  const moved = compactInPlace(path, { onDurable: () => renameSync(other, path) });
  await expect(moved).rejects.toMatchObject({ code: 'FILE_REPLACED' });
  expectSameBytes(readFileSync(path), expected);
  expect(namesBeside(path)).toEqual(['f.part', 'f.part.lock']);
});

test('a page that another program changes while it is copied ends the compaction', async () => {
  const path = await newFile();
  const changed = compactInPlace(path, {
    onMoved: () => {
      const bytes = readFileSync(path);
      bytes[fileOffset(1, 20)] = 1 ^ (bytes[fileOffset(1, 20)] ?? 0);
      writeFileSync(path, bytes, { flag: 'r+' });
    },
  });
  await expect(changed).rejects.toMatchObject({ code: 'FILE_CHANGED' });
});

test('the journal of a killed update is applied before, and does not meet the new file', async () => {
  const path = await newFile();
  const expected = nodesOf(path);
  const image = new Uint8Array(readFileSync(path).subarray(fileOffset(1), fileOffset(2)));
  const changed = { start: 1000, end: 1004 };
  const change = { block: 1, image, bytes: new Uint8Array(4), changed, head: image.subarray(0, 64) };
  const journal = encodeOverwriteJournal(change, fileIdIn(readFileSync(path)));
  writeFileSync(`${path}.journal`, journal);
  // The update was cut off after its first bytes.
  const torn = readFileSync(path);
  torn.fill(0xee, fileOffset(1, changed.start), fileOffset(1, changed.end));
  writeFileSync(path, torn);
  await compactInPlace(path);
  expect(namesBeside(path)).toEqual(['f.part', 'f.part.lock']);
  expect(nodesOf(path)).toEqual(expected);
  expect((await verify(path)).ok).toBe(true);
});

test('misuse names the parameter', async () => {
  // @ts-expect-error not a path
  await expect(compactInPlace(undefined)).rejects.toThrow('compactInPlace: path must be a path');
  // @ts-expect-error not an option
  await expect(compactInPlace('f', { replace: true })).rejects.toThrow("unknown option 'replace'");
  // @ts-expect-error not a format
  await expect(compactInPlace('f', { pageFormat: 'v3' })).rejects.toThrow('options.pageFormat must be');
});

test('an import with keepOwner replaces a file by one with its permissions', async () => {
  const path = await newFile();
  if (process.getuid?.() === 0) chownSync(path, 12_345, 23_456);
  chmodSync(path, 0o640);
  const { mode, uid, gid } = statSync(path);
  const lines = [Buffer.from('{"type":"node","text":"a"}\n')];
  await importNodes(lines, path, { replace: true, keepOwner: true });
  const now = statSync(path);
  expect({ mode: now.mode, uid: now.uid, gid: now.gid }).toEqual({ mode, uid, gid });
  expect(await output(['read', path, '--all'])).toBe('a\n');
});

test('compact --replace takes no TARGET, and without it needs one', async () => {
  const path = await newFile();
  const expected = nodesOf(path);
  const both = await runInProcess(['compact', path, 'x.part', '--replace']);
  expect(both).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('give a TARGET or --replace, not both') as string,
  });
  const none = await runInProcess(['compact', path]);
  expect(none).toMatchObject({ exit: 2, stderr: expect.stringContaining('or --replace') as string });
  const map = `${path}.map`;
  expect(await output(['compact', path, '--replace', '--map', map])).not.toBe('');
  expect(nodesOf(path)).toEqual(expected);
  expect(readFileSync(map, 'utf8').split('\n')).toHaveLength(expected.length + 1);
  expect((await runInProcess(['compact', path, '--replace', '--map', path])).exit).toBe(3);
});

test('import --replace replaces a file by an export of itself', async () => {
  const path = await newFile();
  chmodSync(path, 0o604);
  const lines = await output(['export', path]);
  const expected = nodesOf(path);
  await output(['import', path, '--replace'], { stdin: [Buffer.from(lines, 'latin1')] });
  expect(nodesOf(path)).toEqual(expected);
  expect(statSync(path).mode & 0o777).toBe(0o604);
});

async function shell(script: string, cwd: string): Promise<string> {
  const whole = `pages() { "${process.execPath}" "${BIN}" "$@"; }\n${script}`;
  return (await promisify(execFile)('bash', ['-c', whole], { cwd })).stdout;
}

test('a ref that append has printed is in the file that has the name: the file was renamed over meanwhile', async () => {
  const cwd = join(await newFile(), '..');
  const told = await shell(
    `mkfifo in; pages append f.part < in > ref 2> err & exec 3> in; echo early >&3
     until [ -s ref ]; do sleep 0.05; done
     pages compact f.part n.part > /dev/null; mv n.part f.part; echo late >&3; exec 3>&-; wait %1; echo $?`,
    cwd,
  );
  expect(told).toBe('3\n');
  expect(readFileSync(join(cwd, 'ref'), 'utf8').split('\n')).toHaveLength(2);
  expect(readFileSync(join(cwd, 'err'), 'utf8')).toMatch(/^artrie-pages: f\.part: the file was replaced.*\n$/m);
});

test('writers and compactions in turn lose no node', async () => {
  const path = await newFile();
  const count = nodesOf(path).length;
  const told = await shell(
    `for w in 1 2; do (for n in $(seq 8); do pages append f.part $w-$n -q --lock-timeout 60 || echo failed; done) & done
     for c in $(seq 6); do pages compact f.part --replace --lock-timeout 60 > /dev/null || echo failed; done; wait`,
    join(path, '..'),
  );
  expect(told).toBe('');
  expect(nodesOf(path)).toHaveLength(count + 16);
  expect((await verify(path)).ok).toBe(true);
}, 60_000);
