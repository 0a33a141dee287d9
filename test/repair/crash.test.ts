import { beforeAll, describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import { COMMIT_RECORD } from '../../src/format/commit-record.ts';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { COMMIT_RECORD_OFFSETS, fileOffset } from '../../src/format/layout.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { repair, undoRepair, type UndoPlace } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { CrashDisk, StateFile, type DiskState } from '../support/crash/crash-disk.ts';
import { statesOf } from '../support/crash/crash-states.ts';
import { Image } from '../support/crash/image.ts';
import { damaged, fileWithFreeList, withHeader, withPageHeader } from '../support/damage.ts';
import { sealDigest } from '../support/digest.ts';
import { random } from '../support/nodes.ts';
import { recoverAll } from '../support/recover.ts';
import { fileWithPendingCommit } from '../support/repair-cases.ts';
import { repaired } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

/** A lost file header, two commits of which the last is only in its record, a flipped bit in a page, and a broken free list. */
let broken: Uint8Array;
/** What a repair makes of it. */
let repairedBytes: Uint8Array;

beforeAll(async () => {
  const { bytes } = await fileWithPendingCommit();
  broken = damaged(bytes, (copy, view) => {
    copy.fill(0xa5, 0, 64);
    copy[fileOffset(1, 100)]! ^= 4;
    view.setBigUint64(fileOffset(4), 0x1234_5678n, true);
  });
  const result = await repaired(broken);
  expect(result.left).toEqual([]);
  expect(new Set(result.changes.map(({ repair }) => repair))).toEqual(
    new Set(['page-bit', 'free-list', 'header-record', 'commit-record', 'copy']),
  );
  repairedBytes = result.bytes;
});

const placeOf = (undo: MemoryBlockFile): UndoPlace => ({
  create: async () => undo,
  remove: async () => undefined,
});

const IN_MEMORY: UndoPlace = { create: async () => new MemoryBlockFile(), remove: async () => undefined };

/** What failed leaves a file that another run repairs, and of which the undo file, once it is whole, brings every byte back. */
async function expectRepairable(
  file: () => RecordingBlockFile | StateFile,
  undo: MemoryBlockFile,
  isBegun: boolean,
): Promise<void> {
  const again = file();
  await repair(again, { undo: placeOf(new MemoryBlockFile()) });
  expect(Buffer.compare(await bytesOf(again), repairedBytes)).toBe(0);
  expect(await again.journal.read()).toBeUndefined();
  const back = file();
  if (isBegun) await undoRepair(back, undo);
  expect(Buffer.compare(await bytesOf(back), broken)).toBe(0);
  expect(await back.journal.read()).toBeUndefined();
}

async function bytesOf(file: RecordingBlockFile | StateFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  return bytes;
}

describe('a repair that fails', () => {
  test('at any write, sync or step of the journal can be run again, and undone', async () => {
    const whole = new RecordingBlockFile(broken.slice());
    await repair(whole, { undo: placeOf(new MemoryBlockFile()) });
    const changing = whole.operations.filter(({ kind }) => kind !== 'read').length;
    expect(changing).toBeGreaterThan(20);
    for (let failing = 0; failing < changing; failing++) {
      const run = async (): Promise<{ file: RecordingBlockFile; undo: MemoryBlockFile }> => {
        const file = new RecordingBlockFile(broken.slice());
        const undo = new MemoryBlockFile();
        let count = 0;
        file.failOn = ({ kind }) => (kind !== 'read' && count++ === failing ? 'EIO' : undefined);
        await expect(repair(file, { undo: placeOf(undo) })).rejects.toBeInstanceOf(PageStoreError);
        file.failOn = () => undefined;
        return { file, undo };
      };
      const { undo } = await run();
      const files = [(await run()).file, (await run()).file];
      await expectRepairable(() => files.pop()!, undo, undo.bytes.length > 0);
    }
  });

  test('to write the undo file changes nothing, and removes it', async () => {
    for (const failing of ['write', 'sync'] as const) {
      const file = new RecordingBlockFile(broken.slice());
      const undo = new RecordingBlockFile();
      undo.failOn = ({ kind }) => (kind === failing ? 'ENOSPC' : undefined);
      let removed = 0;
      const place = { create: async () => undo, remove: async () => void removed++ };
      await expect(repair(file, { undo: place })).rejects.toMatchObject({ detail: { errno: 'ENOSPC' } });
      expect({ removed, writes: file.count('write') + file.count('journal write') }).toEqual({ removed: 1, writes: 0 });
    }
  });
});

test('the undo file is durable before the first byte changes, and the journal before each', async () => {
  const file = new RecordingBlockFile(broken.slice());
  const undo = new RecordingBlockFile();
  await repair(file, {
    undo: { create: async () => undo, remove: async () => undefined },
    onChange: () => expect(undo.operations.at(-1)?.kind).not.toBe('write'),
  });
  const steps = file.operations.filter(({ kind }) => kind !== 'read').map(({ kind }) => kind);
  expect(steps.slice(steps.indexOf('journal write')).join(' ')).toMatch(
    /^(journal write( write)+ sync journal remove ?)+$/,
  );
  expect(undo.operations.findIndex(({ kind }) => kind === 'sync')).toBeGreaterThan(0);
});

test('every state that a power cut may leave reads as before or after, and can be repaired and undone', async () => {
  const image = new Image();
  image.write(broken, 0);
  const disk = new CrashDisk({ image, journal: undefined });
  const undo = new MemoryBlockFile();
  const states: { state: DiskState; isBegun: boolean }[] = [];
  const [seen, next] = [new Set<string>(), random(5)];
  disk.afterOperation = async () => {
    for (const state of statesOf(disk, seen, 'repair', next)) {
      if (next() < 0.06) states.push({ state, isBegun: undo.bytes.length > 0 });
    }
  };
  await repair(disk, { undo: placeOf(undo) });
  expect(states.length).toBeGreaterThan(25);
  for (const { state, isBegun } of states) {
    const copy = (): StateFile => new StateFile({ image: state.image.copy(), journal: state.journal });
    await expectRepairable(copy, undo, isBegun);
  }
});

test('recover uses the file header in the journal of an interrupted repair that has already emptied the records', async () => {
  const file = new RecordingBlockFile(broken.slice());
  file.failOn = (step) => (step.kind === 'write' && step.position === 0 ? 'EIO' : undefined);
  await expect(repair(file, { undo: placeOf(new MemoryBlockFile()) })).rejects.toMatchObject({ code: 'IO' });
  file.failOn = () => undefined;
  for (const offset of COMMIT_RECORD_OFFSETS) file.bytes.fill(0, offset, offset + COMMIT_RECORD.bytes);
  const { summary, nodes } = await recoverAll(file);
  expect(summary).toMatchObject({ header: 'block 0', isWhole: true });
  expect([...nodes.keys()]).toEqual(specNodes(repairedBytes).map(({ ref }) => ref));
});

test('a file with the journal of a repair reads and opens as repaired', async () => {
  const file = new RecordingBlockFile(broken.slice());
  let journals = 0;
  file.failOn = ({ kind }) => {
    if (kind === 'journal write') journals++;
    return journals === 2 && kind === 'write' ? 'EIO' : undefined;
  };
  await expect(repair(file, { undo: placeOf(new MemoryBlockFile()) })).rejects.toMatchObject({ code: 'IO' });
  file.failOn = () => undefined;
  expect(FILE_HEADER.read(file.bytes).magic).not.toBe(FILE_HEADER.read(repairedBytes).magic);
  const reader = await PageStore.open(file, { access: 'read' });
  const nodes: string[] = [];
  for await (const { block, page } of reader.pages()) {
    for (let slot = 0; slot < page.directory.count; slot++) nodes.push(`${block}:${slot}`);
  }
  expect(nodes).toEqual(specNodes(repairedBytes).map(({ ref }) => ref));
  file.operations = [];
  const writer = await PageStore.open(file);
  await writer.close();
  expect(await file.journal.read()).toBeUndefined();
  expect(Buffer.compare(file.bytes, repairedBytes)).toBe(0);
});

test('a repair that gives the digest another sum can be run again after any failure', async () => {
  const store = new MemoryBlockFile(await fileWithFreeList());
  const writer = await PageStore.open(store);
  const { block } = await writer.append(new Uint8Array([1, 2, 3]));
  await writer.close();
  const { nodeCount, directoryStart, freeOffset } = PAGE_HEADER.read(store.bytes, fileOffset(block));
  // The free list begins too late, and another program has appended a node, under a digest that belongs to this header.
  const grown = withPageHeader(withHeader(store.bytes, { freeListHead: 3n << 40n, entryCount: 0n }), block, {
    nodeCount: nodeCount + 1,
    directoryStart: directoryStart - 8,
    freeOffset: freeOffset + 1,
  });
  const stale = damaged(grown, (copy, view) => {
    view.setUint32(fileOffset(block, directoryStart - 8), freeOffset, true);
    view.setUint32(fileOffset(block, directoryStart - 4), 1, true);
    sealDigest(copy);
  });
  const options = { undo: IN_MEMORY, staleChecksums: true };
  const whole = new RecordingBlockFile(stale.slice());
  const changes: string[] = [];
  await repair(whole, { ...options, onChange: (change) => void changes.push(change.repair) });
  expect(new Set(changes)).toEqual(new Set(['digest', 'copy', 'free-list', 'page-checksum']));
  const steps = whole.operations.filter(({ kind }) => kind !== 'read').length;
  expect(steps).toBeGreaterThan(8);
  for (let failing = 0; failing < steps; failing++) {
    const file = new RecordingBlockFile(stale.slice());
    let count = 0;
    file.failOn = ({ kind }) => (kind !== 'read' && count++ === failing ? 'EIO' : undefined);
    await expect(repair(file, options)).rejects.toBeInstanceOf(PageStoreError);
    file.failOn = () => undefined;
    await repair(file, options);
    const { findings, summary } = await verifyAll(file);
    expect([failing, findings, summary.digest]).toEqual([failing, [], 'matches']);
  }
});

test('the journal of a repair is refused if another program has changed the file since', async () => {
  const file = new RecordingBlockFile(broken.slice());
  // The second journal has the link of block 4.
  let journals = 0;
  file.failOn = ({ kind }) => {
    if (kind === 'journal write') journals++;
    return journals === 2 && kind === 'write' ? 'EIO' : undefined;
  };
  await expect(repair(file, { undo: placeOf(new MemoryBlockFile()) })).rejects.toMatchObject({ code: 'IO' });
  file.failOn = () => undefined;
  const other = new Uint8Array([0x77]);
  await file.write(other, fileOffset(4));
  const again = repair(file, { undo: placeOf(new MemoryBlockFile()) });
  await expect(again).rejects.toMatchObject({ code: 'JOURNAL_MISMATCH', detail: { block: 4, offset: fileOffset(4) } });
  await expect(again).rejects.toThrow(
    'belongs to a repair of block 4, but another program has changed the block since',
  );
  const { findings } = await verifyAll(file);
  const [mismatch] = findings.filter(({ code }) => code === 'JOURNAL_MISMATCH');
  expect(mismatch).toMatchObject({
    block: 4,
    message: expect.stringContaining('repair of block 4, but another program has changed') as unknown,
  });
  await expect(PageStore.open(file)).rejects.toThrow();
});
