import { expect, test } from 'vitest';
import { decodeCommitRecords } from '../../src/disk/committed-view.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { FILE_START_BYTES } from '../../src/format/digest.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS } from '../../src/format/layout.ts';
import { repair, type UndoPlace } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { CrashDisk, type DiskState, StateFile } from '../support/crash/crash-disk.ts';
import { statesOf } from '../support/crash/crash-states.ts';
import { Image } from '../support/crash/image.ts';
import { damaged, withHeader } from '../support/damage.ts';
import { makeNodes, random } from '../support/nodes.ts';
import { recoverAll } from '../support/recover.ts';
import { busyFile, fileWithPendingCommit } from '../support/repair-cases.ts';
import { repaired } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

const IN_MEMORY: UndoPlace = {
  create: async () => new MemoryBlockFile(),
  remove: async () => undefined,
};

test('a repair makes durable what a killed writer had not synced, so a power cut loses none of it', async () => {
  const file = new MemoryBlockFile(withHeader(await busyFile(), { entryCount: 7n }));
  const store = await PageStore.open(file);
  await store.appendMany(makeNodes(5, 10, 20, 3));
  const durable = file.bytes.slice();
  await store.appendMany(makeNodes(5, 10, 20, 4));
  const image = new Image();
  image.write(durable, 0);
  const disk = new CrashDisk({ image, journal: undefined });
  // The nodes and the record of the last commit; its headers were not written to their places.
  for (let at = 0; at < durable.length; at += 512) {
    const sector = file.bytes.slice(at, at + 512);
    // File header and digest are written at once.
    if (at % BLOCK_BYTES === 0) sector.set(durable.subarray(at, at + (at === 0 ? FILE_START_BYTES : 64)));
    if (Buffer.compare(sector, durable.subarray(at, at + 512)) !== 0) await disk.write(sector, at);
  }
  expect(disk.pending.length).toBeGreaterThan(1);
  const states: DiskState[] = [];
  const [seen, next] = [new Set<string>(), random(5)];
  disk.afterOperation = async () => void states.push(...statesOf(disk, seen, 'unsynced', next));
  const changes: string[] = [];
  await repair(disk, { undo: IN_MEMORY, onChange: (change) => void changes.push(change.repair) });
  expect(changes).toContain('entry-count');
  expect(states.length).toBeGreaterThan(50);
  for (const state of states) {
    const left = new StateFile({ image: state.image.copy(), journal: state.journal });
    await (await PageStore.open(left)).close();
    const { findings } = await verifyAll(left);
    expect(findings.filter(({ code }) => code !== 'ENTRY_COUNT' && code !== 'COMMIT_RECORD')).toEqual([]);
  }
});

test('a commit record that an interrupted repair was to fix counts as repaired', async () => {
  const { bytes, complete } = await fileWithPendingCommit();
  const last =
    decodeCommitRecords(bytes).at(-1)!.sequence % 2n === 0n ? COMMIT_RECORD_OFFSETS[0] : COMMIT_RECORD_OFFSETS[1];
  const file = damaged(bytes, (copy) => (copy[last + 40]! ^= 1));
  expect((await repaired(file)).changes.map(({ repair }) => repair)).toEqual(['record-bit']);
  const acknowledged = specNodes(complete).length;
  const cutOff = new RecordingBlockFile(file);
  cutOff.failOn = ({ kind }) => (kind === 'write' ? 'EIO' : undefined);
  await expect(repair(cutOff, { undo: IN_MEMORY })).rejects.toMatchObject({ code: 'IO' });
  cutOff.failOn = () => undefined;
  expect(await cutOff.journal.read()).toBeDefined();
  const reader = await PageStore.open(cutOff, { access: 'read' });
  let nodes = 0;
  for await (const { page } of reader.pages()) nodes += page.directory.count;
  expect(nodes).toBe(acknowledged);
  expect((await recoverAll(cutOff)).summary).toMatchObject({ header: 'block 0', nodes: acknowledged });
  const writer = await PageStore.open(cutOff);
  await writer.append(new Uint8Array([1]));
  await writer.close();
  expect(specNodes(cutOff.bytes)).toHaveLength(acknowledged + 1);
});
