import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { applyPatches, recoverJournal } from '../../src/disk/journal.ts';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { encodeFileId, fileIdIn, fileIdText } from '../../src/format/file-id.ts';
import { encodeJournal, encodePatchJournal, journalFileId } from '../../src/format/journal.ts';
import { BLOCK_BYTES, FILE_ID_OFFSET, fileOffset } from '../../src/format/layout.ts';
import { fileHeaderRegions } from '../../src/format/regions.ts';
import { repair, undoRepair } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { output, runInProcess } from '../support/cli.ts';
import { CrashDisk, StateFile } from '../support/crash/crash-disk.ts';
import { statesOf } from '../support/crash/crash-states.ts';
import { Image } from '../support/crash/image.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { lockFolder } from '../support/lock.ts';
import { random, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { repaired } from '../support/repair.ts';
import { recoverAll } from '../support/recover.ts';
import { brief, verifyAll } from '../support/verify.ts';

const { newPageFile } = lockFolder();

const withId = (bytes: Uint8Array, id: bigint): Uint8Array =>
  damaged(bytes, (copy) => copy.set(encodeFileId(id), FILE_ID_OFFSET));
const withoutId = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => copy.fill(0, FILE_ID_OFFSET, FILE_ID_OFFSET + 24));

/** A file whose first node was being overwritten, and the journal, which says that it belongs to a file with `id`. */
async function cutOffUpdate(id: bigint): Promise<{ bytes: Uint8Array; before: Uint8Array; journal: Uint8Array }> {
  const before = withId(await smallFile('v1'), id);
  const image = before.slice(BLOCK_BYTES);
  const changed = { start: 64, end: 70 };
  const journal = encodeJournal({ block: 1, image, changed, newPageHeaderCrc: 1 }, fileIdIn(before));
  return { bytes: damaged(before, (copy) => copy.fill(0x21, fileOffset(1, 64), fileOffset(1, 67))), before, journal };
}

/** A journal that sets the padding of the file header, which is the same in all files. */
function paddingPatch(record?: Uint8Array): Uint8Array {
  const patch = { position: 28, kind: 3, before: new Uint8Array(4), after: Uint8Array.of(1, 2, 3, 4) };
  const owner = record && [{ position: FILE_ID_OFFSET, kind: 0xffff, before: record, after: record }];
  return encodePatchJournal([...(owner ?? []), patch]);
}

async function fileWith(bytes: Uint8Array, journal: Uint8Array): Promise<RecordingBlockFile> {
  const file = new RecordingBlockFile(bytes.slice());
  await file.journal.write(journal);
  return file;
}

describe('the id of a file', () => {
  test('is a record of 24 bytes with a checksum, at 10,240', async () => {
    const head = (await smallFile('v2')).subarray(10_240, 10_264);
    const view = new DataView(head.buffer, head.byteOffset);
    expect(Buffer.from(head.subarray(0, 8)).toString('latin1')).toBe('APID\x01\0\0\0');
    const fnv = head
      .subarray(0, 16)
      .reduce((hash, byte) => ((hash ^ BigInt(byte)) * 0x100000001b3n) & (2n ** 64n - 1n), 0xcbf29ce484222325n);
    expect(view.getBigUint64(16, true)).toBe(fnv);
    expect(view.getBigUint64(8, true)).not.toBe(0n);
  });

  test('differs for each new file of create, import, compact and recover, with which everything else is the same', async () => {
    const path = await newPageFile();
    await output(['append', path, 'one', 'two']);
    writeFileSync(`${path}.lines`, await output(['export', path]));
    const made: Record<string, string[]> = {
      create: ['create'],
      import: ['import', '--input', `${path}.lines`],
      compact: ['compact', path],
      recover: ['recover', path],
    };
    const ids = new Set([fileIdText(fileIdIn(readFileSync(path)))]);
    for (const [name, args] of Object.entries(made)) {
      for (const copy of [1, 2]) {
        const target = `${path}.${name}${copy}`;
        await output([...args, target]);
        ids.add(fileIdText(fileIdIn(readFileSync(target))));
      }
    }
    expect(ids.size).toBe(9);
    expect(ids).not.toContain(undefined);
    for (const name of ['import', 'compact']) {
      const [one, two] = [1, 2].map((copy) => withoutId(readFileSync(`${path}.${name}${copy}`)));
      expect(Buffer.compare(one!, two!)).toBe(0);
    }
  });

  test('is given to a file of libdictenstein by its first update, before the journal is written', async () => {
    const file = new RecordingBlockFile(goldenBytes('v1').slice());
    const store = await PageStore.open(file);
    const ref = { block: 1, slot: 0 };
    const node = await store.read(ref);
    file.operations = [];
    await store.update(ref, node);
    const steps = file.operations
      .filter(({ kind }) => kind !== 'read')
      .map((step) => (step.kind === 'write' ? step.position : step.kind));
    expect(steps.slice(0, 5)).toEqual([0, FILE_ID_OFFSET, BLOCK_BYTES, 'sync', 'journal write']);
    const id = fileIdText(fileIdIn(file.bytes));
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    await store.update(ref, node);
    await store.close();
    expect(fileIdText(fileIdIn(file.bytes))).toBe(id);
  });

  test('is shown by dump, and its fields have names', async () => {
    const path = await newPageFile();
    const id = fileIdText(fileIdIn(readFileSync(path)));
    expect(await output(['dump', path])).toMatch(new RegExp(` 10240 {2}file id +${id} `));
    const regions = [...fileHeaderRegions(readFileSync(path).subarray(0, BLOCK_BYTES))];
    expect(regions.filter(({ name }) => name.startsWith('file id: ')).map(({ start }) => start)).toEqual([
      10_240, 10_244, 10_248, 10_256,
    ]);
  });
});

describe.each([
  ['an update', async () => (await cutOffUpdate(7n)).journal],
  ['a repair', async () => paddingPatch(encodeFileId(7n))],
])('the journal of %s', (_, journalOf) => {
  test('that belongs to another file is neither used nor deleted, by readers and writers', async () => {
    const { bytes } = await cutOffUpdate(8n);
    const journal = await journalOf();
    for (const other of [bytes, withoutId(bytes)]) {
      const file = await fileWith(other, journal);
      for (const open of [
        () => PageStore.open(file),
        () => repair(file, { dryRun: true }),
        () => repair(file, { undo: { create: async () => new MemoryBlockFile(), remove: async () => undefined } }),
      ]) {
        await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_MISMATCH' });
        await expect(open()).rejects.toThrow('belongs to another file, the one with id 0000000000000007');
      }
      const reader = await PageStore.open(file, { access: 'read' });
      expect(reader.disk.header.padding).toBe(0);
      await expect(reader.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'PAGE_CHECKSUM' });
      expect(brief((await verifyAll(file)).findings)).toEqual(['error JOURNAL_MISMATCH 0', 'error PAGE_CHECKSUM 1']);
      expect((await recoverAll(file)).summary).toMatchObject({ isWhole: false });
      expect(Buffer.compare(file.bytes, other)).toBe(0);
      expect(Buffer.from((await file.journal.read())!).equals(journal)).toBe(true);
    }
  });

  test('is used where the file has its id', async () => {
    const { bytes } = await cutOffUpdate(7n);
    const file = await fileWith(bytes, await journalOf());
    await (await PageStore.open(file, { access: 'read' })).close();
    await recoverJournal(file);
    expect(await file.journal.read()).toBeUndefined();
    expect(Buffer.compare(file.bytes, bytes)).not.toBe(0);
  });
});

test('the bytes decide about a journal without an id, and where the id in the file is damaged', async () => {
  const { bytes, before, journal } = await cutOffUpdate(7n);
  const old = damaged(journal, (copy) => copy.fill(0, 32, 56));
  const spoilt = damaged(bytes, (copy) => (copy[FILE_ID_OFFSET + 9]! ^= 1));
  for (const [file, used] of [
    [bytes, old],
    [withoutId(bytes), old],
    [spoilt, journal],
  ] as const) {
    const opened = await fileWith(file, used);
    await (await PageStore.open(opened)).close();
    expect(await opened.journal.read()).toBeUndefined();
    expect(Buffer.compare(opened.bytes.subarray(BLOCK_BYTES), before.subarray(BLOCK_BYTES))).toBe(0);
  }
  const patched = await fileWith(before, paddingPatch());
  await recoverJournal(patched);
  expect(patched.bytes[28]).toBe(1);
});

test('a complete journal with a file id that no writer makes is not used, and not removed', async () => {
  const { bytes, journal } = await cutOffUpdate(7n);
  const record = fileIdIn(bytes);
  const idPatch = { position: FILE_ID_OFFSET, kind: 0xffff, before: record, after: record };
  const patch = { position: 28, kind: 3, before: new Uint8Array(4), after: Uint8Array.of(1, 2, 3, 4) };
  const impossible: readonly [string, Uint8Array][] = [
    ['a wrong checksum', damaged(journal, (copy) => (copy[32 + 16]! ^= 1))],
    ['an unknown magic', damaged(journal, (copy) => (copy[32]! ^= 1))],
    ['the id 0', damaged(journal, (copy) => copy.set(encodeFileId(0n), 32))],
    ['an id after another patch', encodePatchJournal([patch, idPatch])],
    ['two ids', encodePatchJournal([idPatch, idPatch, patch])],
    ['an id at another place', encodePatchJournal([{ ...idPatch, position: 10_248 }, patch])],
    ['an id that changes', encodePatchJournal([{ ...idPatch, after: encodeFileId(8n) }, patch])],
  ];
  for (const [name, wrong] of impossible) {
    const file = await fileWith(bytes, wrong);
    await expect(PageStore.open(file), name).rejects.toMatchObject({ code: 'JOURNAL_MISMATCH' });
    expect(await file.journal.read(), name).toEqual(wrong);
    expect(Buffer.compare(file.bytes, bytes), name).toBe(0);
    expect(brief((await verifyAll(file)).findings), name).toContain('error JOURNAL_MISMATCH 0');
  }
});

test('the journal of another file is named as such before its fields are compared with this file', async () => {
  const { bytes, journal } = await cutOffUpdate(7n);
  const far = damaged(journal, (copy, view) => {
    view.setUint32(8, 900, true);
    view.setUint32(28, crc32(copy.subarray(0, 28)), true);
  });
  for (const [file, message] of [
    [bytes, /does not fit the file: it is of block 900, and the file has 2 blocks/],
    [withId(bytes, 8n), /belongs to another file, the one with id 0000000000000007/],
  ] as const) {
    await expect(PageStore.open(await fileWith(file, far))).rejects.toThrow(message);
  }
});

test('the journal of a repair says which file it belongs to, and an older version takes that for a patch', async () => {
  for (const bytes of [await smallFile('v1'), goldenBytes('v1')]) {
    const file = new RecordingBlockFile(bytes.slice());
    file.failOn = ({ kind }) => (kind === 'write' ? 'EIO' : undefined);
    const patch = { position: 28, kind: 3, before: new Uint8Array(4), after: Uint8Array.of(1, 2, 3, 4) };
    await expect(applyPatches(file, [patch])).rejects.toMatchObject({ code: 'IO' });
    const journal = await file.journal.read();
    expect(journal && Buffer.compare(journal, paddingPatch(fileIdIn(bytes)))).toBe(0);
    expect(journal && journalFileId(journal)).toEqual(fileIdIn(bytes));
  }
});

describe('a file that is put beside the journal of another one by hand', () => {
  test.each(['with an id', 'without one'])(
    'is refused to writers, with the id of that other file: %s',
    async (which) => {
      const [path, other] = [await newPageFile(), await newPageFile()];
      const { bytes, journal } = await cutOffUpdate(0xabcn);
      writeFileSync(path, bytes);
      writeFileSync(`${path}.journal`, journal);
      if (which === 'without one') writeFileSync(other, withoutId(readFileSync(other)));
      renameSync(path, `${path}.elsewhere`);
      renameSync(other, path);
      const before = readFileSync(path);
      const refused = await runInProcess(['append', path, 'x']);
      expect(refused.exit).toBe(5);
      expect(refused.stderr).toContain(
        'belongs to another file, the one with id 0000000000000abc: move the journal to where that file is now, or delete it',
      );
      for (const args of [
        ['create', path, '--force'],
        ['compact', `${path}.elsewhere`, path, '--force'],
      ]) {
        expect(await runInProcess(args)).toMatchObject({ exit: 5, stderr: expect.stringContaining('another file') });
      }
      expect(await output(['dump', path])).toContain('belongs to another file');
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(readFileSync(`${path}.journal`).equals(journal)).toBe(true);
      renameSync(`${path}.journal`, `${path}.elsewhere.journal`);
      await output(['append', `${path}.elsewhere`, 'x']);
      await output(['append', path, 'x']);
    },
  );

  test('a journal without a file stops --force too', async () => {
    const path = await newPageFile();
    const { journal } = await cutOffUpdate(7n);
    writeFileSync(`${path}.new.journal`, journal);
    const names = readdirSync(dirname(path));
    for (const args of [['create'], ['compact', path], ['recover', path]]) {
      const refused = await runInProcess([...args, `${path}.new`, '--force']);
      expect(refused).toMatchObject({ exit: 3, stderr: expect.stringContaining('delete it') });
    }
    expect(readdirSync(dirname(path))).toEqual(names);
  });

  test('a copy that is made together with the journal of a crash is recovered like its original', async () => {
    const path = await newPageFile();
    const { bytes, before, journal } = await cutOffUpdate(7n);
    writeFileSync(path, bytes);
    writeFileSync(`${path}.journal`, journal);
    for (const name of ['', '.journal']) copyFileSync(path + name, `${path}.copy${name}`);
    await (await PageStore.open(`${path}.copy`)).close();
    expect(readFileSync(`${path}.copy`).equals(before)).toBe(true);
  });
});

test('an update does not leave its journal beside a file that took the name meanwhile', async () => {
  const [path, other] = [await newPageFile(), await newPageFile()];
  const store = await PageStore.open(path);
  const ref = await store.append(text('before'));
  renameSync(path, `${path}.moved`);
  renameSync(other, path);
  await expect(store.update(ref, text('after!'))).rejects.toMatchObject({ code: 'FILE_REPLACED' });
  expect(existsSync(`${path}.journal`)).toBe(false);
  await store.close();
  const reader = await PageStore.open(`${path}.moved`, { access: 'read' });
  expect(Buffer.from(await reader.read(ref)).toString()).toBe('before');
  await reader.close();
});

test.each(['no file', 'another file'])(
  'an update writes no journal where the name that was opened leads to the file under a new name, and the old name to %s',
  async (now) => {
    const [path, other] = [await newPageFile(), await newPageFile()];
    const [link, moved] = [`${path}.link`, `${path}.moved`];
    symlinkSync(path, link);
    const store = await PageStore.open(link);
    const ref = await store.append(text('before'));
    renameSync(path, moved);
    if (now === 'another file') renameSync(other, path);
    rmSync(link);
    symlinkSync(moved, link);
    const updated = store.update(ref, text('after!'));
    await expect(updated).rejects.toMatchObject({ code: 'FILE_REPLACED', detail: { file: path } });
    await expect(updated).rejects.toThrow('its journal would be beside another file');
    expect(existsSync(`${path}.journal`)).toBe(false);
    // Nothing has changed, and the file still has the name that was opened.
    expect(Buffer.from(await store.read(ref)).toString()).toBe('before');
    await store.append(text('next'));
    await store.close();
  },
);

test('a journal that cannot be written is not left behind', async () => {
  const path = await newPageFile();
  const file = await openBlockFile(path, 'write');
  await expect(file.journal.write('no bytes' as unknown as Uint8Array)).resolves.toBeUndefined();
  await file.journal.remove();
  await expect(file.journal.write(5 as unknown as Uint8Array)).rejects.toMatchObject({ code: 'IO' });
  expect(existsSync(`${path}.journal`)).toBe(false);
  await file.close();
});

test('an empty BlockFile with a journal is not filled without replace, and a filled one loses both', async () => {
  const { bytes, journal } = await cutOffUpdate(7n);
  const empty = await fileWith(new Uint8Array(0), journal);
  await expect(PageStore.create(empty)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
  const file = await fileWith(bytes, journal);
  const store = await PageStore.create(file, { replace: true });
  await store.append(text('new'));
  await store.close();
  const steps = file.operations.map(({ kind }) => kind);
  const removed = steps.indexOf('journal remove');
  expect(
    steps
      .slice(0, removed)
      .filter((kind) => kind !== 'read')
      .slice(-2),
  ).toEqual(['truncate', 'sync']);
  expect((await verifyAll(file)).findings).toEqual([]);
});

test('an undo file of another file with the same nodes is refused', async () => {
  const good = withId(await smallFile('v1'), 7n);
  const broken = damaged(good, (copy) => (copy[fileOffset(1, 100)]! ^= 4));
  const { bytes, undo } = await repaired(broken);
  const other = withId(bytes, 8n);
  await expect(undoRepair(new MemoryBlockFile(other), new MemoryBlockFile(undo))).rejects.toMatchObject({
    code: 'UNDO_MISMATCH',
  });
  const file = new MemoryBlockFile(bytes.slice());
  await undoRepair(file, new MemoryBlockFile(undo));
  expect(Buffer.compare(file.bytes, broken)).toBe(0);
});

test('after a power cut at any operation of the first update of a file without an id, it is done or not done', async () => {
  const image = new Image();
  image.write(withoutId(await smallFile('v1')), 0);
  const disk = new CrashDisk({ image, journal: undefined });
  const store = await PageStore.open(disk);
  const ref = { block: 1, slot: 1 };
  const before = Buffer.from(await store.read(ref));
  const after = before.map((byte) => byte ^ 0xff);
  const [seen, next] = [new Set<string>(), random(3)];
  let states = 0;
  disk.afterOperation = async () => {
    for (const state of statesOf(disk, seen, 'update', next)) {
      states++;
      const file = new StateFile({ image: state.image.copy(), journal: state.journal });
      const reopened = await PageStore.open(file);
      const node = Buffer.from(await reopened.read(ref));
      expect(node.equals(before) || node.equals(after)).toBe(true);
      await reopened.close();
      expect(await file.journal.read()).toBeUndefined();
    }
  };
  await store.update(ref, after);
  expect(states).toBeGreaterThan(15);
});
