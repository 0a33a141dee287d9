import { describe, expect, test } from 'vitest';
import { decodeCommitRecords } from '../../src/disk/committed-view.ts';
import { encodeFileHeader, FILE_HEADER } from '../../src/format/file-header.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { CrashDisk, type DiskState, StateFile } from '../support/crash/crash-disk.ts';
import { contentsOf } from '../support/crash/judge-state.ts';
import { text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { brief, verifyAll } from '../support/verify.ts';

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
    expect(decodeCommitRecords(bytes).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
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
    bytes.set(decodeCommitRecords(bytes)[1]!.fileHeader, 0);
    const contents = await contentsOf(new StateFile({ image: await imageOf(bytes), journal: undefined }), 'read');
    expect(contents.get(1)).toEqual([]);
  });

  test('leaves a file alone that another program has changed since, and zeroes the record that is void', async () => {
    const bytes = await twoPending();
    const header = FILE_HEADER.read(bytes);
    bytes.set(encodeFileHeader({ ...header, imageCheckpointLsn: 5n }));
    const file = new RecordingBlockFile(bytes.slice());
    const store = await PageStore.open(file);
    expect(decodeCommitRecords(file.bytes)).toEqual([]);
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
