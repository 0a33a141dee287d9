import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/bytes/checksum.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { decodeJournal, encodeJournal, JOURNAL_BYTES } from '../../src/format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { repair } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { brief, verifyAll } from '../support/verify.ts';

const folder = temporaryFolder();

describe('a journal', () => {
  async function updatedFile(name: string): Promise<{ path: string; before: Buffer; journal: Uint8Array }> {
    const path = join(folder, name);
    const store = await PageStore.create(path);
    await store.appendMany([text('before'), text('other')]);
    await store.close();
    const before = readFileSync(path);
    const update = await PageStore.open(path);
    await update.update({ block: 1, slot: 0 }, text('after!'));
    await update.close();
    expect(existsSync(`${path}.journal`)).toBe(false);
    const after = readFileSync(path);
    const head = after.subarray(fileOffset(1), fileOffset(1, 64));
    const journal = encodeJournal({
      block: 1,
      image: before.subarray(fileOffset(1), fileOffset(2)),
      changed: { start: 64, end: 70 },
      newPageHeaderCrc: crc32(head),
    });
    return { path, before, journal };
  }

  test.each([
    [
      'the node is new and the page header old',
      (bytes: Buffer) => bytes.set(text('after!'), fileOffset(1, 64)),
      'before',
    ],
    ['the node is half new', (bytes: Buffer) => bytes.set(text('aft'), fileOffset(1, 64)), 'before'],
    ['nothing has changed yet', () => undefined, 'before'],
  ])('gives readers and the next writer the old block if %s', async (name, spoil, expected) => {
    const { path, before, journal } = await updatedFile(name);
    spoil(before);
    writeFileSync(path, before);
    writeFileSync(`${path}.journal`, journal);
    const reader = await PageStore.open(path, { access: 'read' });
    expect(Buffer.from(await reader.read({ block: 1, slot: 0 })).toString()).toBe(expected);
    await reader.close();
    expect(readFileSync(path).equals(before)).toBe(true);
    await (await PageStore.open(path)).close();
    expect(existsSync(`${path}.journal`)).toBe(false);
    expect(readFileSync(path).toString('latin1', fileOffset(1, 64), fileOffset(1, 70))).toBe(expected);
    expect(brief((await verifyAll(new Uint8Array(readFileSync(path)))).findings)).toEqual([]);
  });

  test('of a complete update is removed, and the new node stays', async () => {
    const { path, journal } = await updatedFile('complete');
    writeFileSync(`${path}.journal`, journal);
    const store = await PageStore.open(path);
    expect(Buffer.from(await store.read({ block: 1, slot: 0 })).toString()).toBe('after!');
    await store.close();
    expect(existsSync(`${path}.journal`)).toBe(false);
  });

  test.each([
    ['cut short', (journal: Uint8Array) => journal.subarray(0, 1000)],
    ['empty', () => new Uint8Array(0)],
    ['damaged in its image', (journal: Uint8Array) => journal.map((byte, at) => (at === 5000 ? byte ^ 1 : byte))],
    ['damaged in its header', (journal: Uint8Array) => journal.map((byte, at) => (at === 12 ? byte ^ 1 : byte))],
  ])('that is %s is deleted by a writer and ignored by a reader', async (name, spoil) => {
    const { path, journal } = await updatedFile(`spoilt ${name}`);
    expect(decodeJournal(journal)).toBeDefined();
    writeFileSync(`${path}.journal`, spoil(journal));
    for (const access of ['read', 'write'] as const) {
      const store = await PageStore.open(path, { access });
      expect(Buffer.from(await store.read({ block: 1, slot: 0 })).toString()).toBe('after!');
      await store.close();
    }
    expect(existsSync(`${path}.journal`)).toBe(false);
  });

  test('of a block that has changed since stops writers, with advice, but not readers', async () => {
    const { path, before, journal } = await updatedFile('other');
    const changed = Buffer.from(before);
    changed.set(text('OTHER'), fileOffset(1, 70));
    writeFileSync(path, changed);
    writeFileSync(`${path}.journal`, journal);
    await expect(PageStore.open(path)).rejects.toMatchObject({ code: 'JOURNAL_MISMATCH', detail: { block: 1 } });
    await expect(PageStore.open(path)).rejects.toThrow('move the journal away');
    expect(readFileSync(path).equals(changed)).toBe(true);
    expect(readFileSync(`${path}.journal`)).toHaveLength(JOURNAL_BYTES);
    const reader = await PageStore.open(path, { access: 'read' });
    await expect(reader.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'PAGE_CHECKSUM' });
    await reader.close();
  });

  test('is not written through a symbolic link, and has the permissions of the page file', async () => {
    const { path } = await updatedFile('mode');
    chmodSync(path, 0o640);
    let mode = 0;
    const file = await openBlockFile(path, 'write');
    const write = file.write.bind(file);
    file.write = async (source, position) => {
      if (existsSync(`${path}.journal`)) mode = statSync(`${path}.journal`).mode & 0o777;
      await write(source, position);
    };
    const store = await PageStore.open(file);
    await store.update({ block: 1, slot: 0 }, text('middle'));
    expect(mode).toBe(0o640);
    writeFileSync(join(folder, 'precious'), 'precious');
    symlinkSync(join(folder, 'precious'), `${path}.journal`);
    await expect(store.update({ block: 1, slot: 0 }, text('finish'))).rejects.toMatchObject({ code: 'IO' });
    expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('precious');
    unlinkSync(`${path}.journal`);
    await store.update({ block: 1, slot: 0 }, text('finish'));
    await store.close();
  });

  test.each([
    ['words', (path: string) => writeFileSync(path, 'my diary'), 'JOURNAL_MISMATCH'],
    ['a folder', (path: string) => mkdirSync(path), 'IO'],
    ['a pipe', (path: string) => execFileSync('bash', ['-c', 'mkfifo "$0"', path]), 'IO'],
  ])('that is not one, but %s, is left alone, and the error names it', async (name, make, code) => {
    const { path } = await updatedFile(`no journal ${name}`);
    make(`${path}.journal`);
    await expect(PageStore.open(path)).rejects.toMatchObject({ code });
    await expect(PageStore.open(path)).rejects.toThrow('move it away');
    for (const replace of [false, true]) {
      const other = replace ? path : `${path}.new`;
      if (!replace) make(`${other}.journal`);
      await expect(PageStore.create(other, { replace })).rejects.toMatchObject({ code });
      expect(existsSync(`${other}.journal`)).toBe(true);
      expect(existsSync(other)).toBe(replace);
    }
    expect(existsSync(`${path}.journal`)).toBe(true);
  });

  test.each([
    ['a block', JOURNAL_BYTES, 'APJL', 28],
    ['patches', 36, 'APJP', 16],
  ])('of %s from a newer version is left alone, and so is the file', async (name, bytes, magic, checksumAt) => {
    const { path } = await updatedFile(`newer journal ${name}`);
    const journal = Buffer.alloc(bytes, 7);
    journal.write(magic);
    journal.writeUInt32LE(2, 4);
    journal.writeUInt32LE(crc32(journal.subarray(0, checksumAt)), checksumAt);
    writeFileSync(`${path}.journal`, journal);
    const before = readFileSync(path);
    const copy = new MemoryBlockFile(before);
    await copy.journal.write(journal);
    for (const open of [
      async () => PageStore.open(path),
      async () => PageStore.create(path, { replace: true }),
      async () => repair(copy, { dryRun: true }),
    ]) {
      await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_MISMATCH' });
      await expect(open()).rejects.toThrow('made by a newer version');
    }
    expect(readFileSync(`${path}.journal`).equals(journal)).toBe(true);
    expect(readFileSync(path).equals(before)).toBe(true);
    const { findings } = await verifyAll(copy);
    expect(findings.map(({ code, message }) => [code, message.includes('newer version')])).toEqual([
      ['JOURNAL_MISMATCH', true],
    ]);
  });

  test('of a file that was moved is not deleted by a new one of its name', async () => {
    const { path, journal } = await updatedFile('moved');
    writeFileSync(`${path}.journal`, journal);
    renameSync(path, `${path}.elsewhere`);
    await expect(PageStore.create(path)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(readFileSync(`${path}.journal`)).toHaveLength(JOURNAL_BYTES);
    expect(existsSync(path)).toBe(false);
  });

  test('of a file that is replaced does not reach the new one', async () => {
    const { path, journal } = await updatedFile('gone');
    writeFileSync(`${path}.journal`, journal);
    const store = await PageStore.create(path, { replace: true });
    await store.append(text('new'));
    await store.close();
    expect(existsSync(`${path}.journal`)).toBe(false);
    expect(readFileSync(path)).toHaveLength(2 * BLOCK_BYTES);
  });
});

test('an update writes the journal before it changes a byte, and keeps it until the change is synced', async () => {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('before'));
  file.operations = [];
  await store.update({ block: 1, slot: 0 }, text('after!'));
  const page = fileOffset(1);
  const steps = file.operations
    .filter(({ kind }) => kind !== 'read')
    .map((step) => (step.kind === 'write' ? step.position : step.kind));
  // The digest leaves the page out before its header changes, and has it again when the change is durable.
  const change = ['journal write', page + 64, page, 'sync', 'journal remove'];
  expect(steps).toEqual([0, page, 'sync', ...change, 0]);
});
