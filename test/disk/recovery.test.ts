import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/bytes/checksum.ts';
import { recordsIn } from '../../src/disk/commit-judgement.ts';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { encodeFileHeader, FILE_HEADER } from '../../src/format/file-header.ts';
import { decodeJournal, encodeJournal, JOURNAL_BYTES } from '../../src/format/journal.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { CrashDisk, type DiskState, StateFile } from '../support/crash/crash-disk.ts';
import { contentsOf } from '../support/crash/judge-state.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { brief, verifyAll } from '../support/verify.ts';

const folder = temporaryFolder();

/** A disk on which two nodes were appended, and the power went after the second one's sync: neither header came home. */
async function twoPending(): Promise<Uint8Array> {
  const disk = new CrashDisk();
  const store = await PageStore.create(disk);
  await store.append(text('first'));
  let state: DiskState | undefined;
  disk.afterOperation = async () => {
    // Behind the second record: of all that is pending, the headers of the first commit are lost.
    const writes = disk.pending.flatMap((step) => (step.kind === 'write' ? [step.pieces] : []));
    if (state || !writes.some(([piece]) => piece?.position === 4096)) return;
    const lost = new Set(
      writes.flatMap((pieces) => pieces.filter((piece) => piece.bytes.length === 64)).map(({ id }) => id),
    );
    state = { image: disk.imageAfter((id) => !lost.has(id), true), journal: undefined };
  };
  await store.append(text('second'));
  return state!.image.bytes();
}

describe('recovery', () => {
  test('takes both records in their order where neither has come home', async () => {
    const bytes = await twoPending();
    expect(recordsIn(bytes).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    expect(FILE_HEADER.read(bytes).entryCount).toBe(0n);
    const store = await PageStore.open(new RecordingBlockFile(bytes.slice()));
    expect(Buffer.from(await store.read({ block: 1, slot: 0 })).toString()).toBe('first');
    expect(Buffer.from(await store.read({ block: 1, slot: 1 })).toString()).toBe('second');
  });

  test('syncs before it writes a header, and between two records: or the first would be void after another crash', async () => {
    const file = new RecordingBlockFile((await twoPending()).slice());
    await PageStore.open(file);
    const steps = file.operations
      .filter(({ kind }) => kind !== 'read')
      .map((step) => (step.kind === 'write' ? step.position : step.kind));
    const page = fileOffset(1);
    // First what the records cover, and the records: a sync that failed may have left them in memory alone.
    expect(steps).toEqual([page, 8192, page, 4096, 'sync', page, 0, 'sync', page, 0, 'sync', 4096, 8192, 'sync']);
  });

  test('loses an acknowledged node if both records are written home at once and the power goes again', async () => {
    // What would be on the disk if only the file header of the second record had come home.
    const bytes = await twoPending();
    bytes.set(recordsIn(bytes)[1]!.fileHeader, 0);
    const contents = await contentsOf(new StateFile({ image: await imageOf(bytes), journal: undefined }), 'read');
    expect(contents.get(1)).toEqual([]);
  });

  test('leaves a file alone that another program has changed since, and zeroes the record that is void', async () => {
    const bytes = await twoPending();
    const header = FILE_HEADER.read(bytes);
    bytes.set(encodeFileHeader({ ...header, imageCheckpointLsn: 5n }));
    const file = new RecordingBlockFile(bytes.slice());
    const store = await PageStore.open(file);
    expect(recordsIn(file.bytes)).toEqual([]);
    expect(FILE_HEADER.read(file.bytes).imageCheckpointLsn).toBe(5n);
    await expect(store.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'SLOT_RANGE' });
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test('writes nothing to a file whose header it has to refuse', async () => {
    const bytes = await twoPending();
    bytes[24]! ^= 1;
    const file = new RecordingBlockFile(bytes);
    await expect(PageStore.open(file)).rejects.toMatchObject({ code: 'FILE_HEADER_CHECKSUM' });
    expect(file.count('write')).toBe(0);
  });
});

async function imageOf(bytes: Uint8Array): Promise<DiskState['image']> {
  const disk = new CrashDisk();
  await disk.write(bytes, 0);
  return disk.imageAfter(() => true, true);
}

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
  ])('gives readers and the next writer the block as it was, where %s', async (name, spoil, expected) => {
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

  test('of an update that was complete is removed, and the new node stays', async () => {
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
    ['too long', (journal: Uint8Array) => Buffer.concat([journal, Buffer.alloc(1)])],
    ['damaged in its image', (journal: Uint8Array) => journal.map((byte, at) => (at === 5000 ? byte ^ 1 : byte))],
    ['damaged in its header', (journal: Uint8Array) => journal.map((byte, at) => (at === 12 ? byte ^ 1 : byte))],
  ])('that is %s is discarded by a writer and passed over by a reader', async (name, spoil) => {
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

  test('of a block that has changed since keeps writers out, with a way on, and readers not', async () => {
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

  test('is not written through a symbolic link, and can be read by those who can read the file', async () => {
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

  test('of a file that is gone does not reach a new one of its name', async () => {
    const { path, journal } = await updatedFile('gone');
    writeFileSync(`${path}.journal`, journal);
    const store = await PageStore.create(path, { replace: true });
    await store.append(text('new'));
    await store.close();
    expect(existsSync(`${path}.journal`)).toBe(false);
    expect(readFileSync(path)).toHaveLength(2 * BLOCK_BYTES);
  });
});

test('an update keeps the block in the journal before it changes a byte, and the journal until that is synced', async () => {
  const file = new RecordingBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('before'));
  file.operations = [];
  await store.update({ block: 1, slot: 0 }, text('after!'));
  const page = fileOffset(1);
  const steps = file.operations
    .filter(({ kind }) => kind !== 'read')
    .map((step) => (step.kind === 'write' ? step.position : step.kind));
  expect(steps).toEqual([page, 'sync', 'journal write', page + 64, page, 'sync', 'journal remove']);
});
