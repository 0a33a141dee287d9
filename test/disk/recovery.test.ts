import { describe, expect, test } from 'vitest';
import { decodeCommitRecords } from '../../src/disk/committed-view.ts';
import { COMMIT_SLOT_BYTES, startAfter } from '../../src/format/commit-record.ts';
import { FILE_START_BYTES } from '../../src/format/digest.ts';
import { encodeFileHeader, FILE_HEADER } from '../../src/format/file-header.ts';
import { fileOffset, PAGE_HEADER_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { CrashDisk, type DiskState, StateFile } from '../support/crash/crash-disk.ts';
import { contentsOf } from '../support/crash/judge-state.ts';
import { expectSameBytes } from '../support/files.ts';
import { text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { brief, verifyAll } from '../support/verify.ts';

/** A page header; the file header with its digest. */
const HEADER_BYTES = [PAGE_HEADER_BYTES, FILE_START_BYTES];

/** A disk after two appends and a power failure after the second sync: neither record is checkpointed. */
async function twoPending(): Promise<Uint8Array> {
  const disk = new CrashDisk();
  const store = await PageStore.create(disk);
  await store.append(text('first'));
  let state: DiskState | undefined;
  disk.afterOperation = async () => {
    // After the write of the second record, all pending writes except those of headers reach the disk.
    const writes = disk.pending.flatMap((step) => (step.kind === 'write' ? [step.pieces] : []));
    if (state || !writes.some(([piece]) => piece?.position === 4096)) return;
    const lost = new Set(
      writes.flatMap((pieces) => pieces.filter(({ bytes }) => HEADER_BYTES.includes(bytes.length))).map(({ id }) => id),
    );
    state = { image: disk.imageAfter((id) => !lost.has(id), true), journal: undefined };
  };
  await store.append(text('second'));
  return state!.image.bytes();
}

describe('recovery', () => {
  test('applies both records in order if neither is checkpointed', async () => {
    const bytes = await twoPending();
    expect(decodeCommitRecords(bytes).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    expect(FILE_HEADER.read(bytes).entryCount).toBe(0n);
    const store = await PageStore.open(new RecordingBlockFile(bytes.slice()));
    expect(Buffer.from(await store.read({ block: 1, slot: 0 })).toString()).toBe('first');
    expect(Buffer.from(await store.read({ block: 1, slot: 1 })).toString()).toBe('second');
  });

  test('syncs before it writes a header, and between two records: the first would be invalid after another crash', async () => {
    const file = new RecordingBlockFile((await twoPending()).slice());
    await PageStore.open(file);
    const steps = file.operations
      .filter(({ kind }) => kind !== 'read')
      .map((step) => (step.kind === 'write' ? step.position : step.kind));
    const page = fileOffset(1);
    // First the covered blocks, and the records: after a failed sync they may be in the system's cache alone.
    expect(steps).toEqual([page, 8192, page, 4096, 'sync', page, 0, 'sync', page, 0, 'sync', 4096, 8192, 'sync']);
  });

  test('would lose an acknowledged node if both records were checkpointed at once and power failed again', async () => {
    // The disk if only the file header of the second record had been written.
    const bytes = await twoPending();
    bytes.set(startAfter(bytes.subarray(0, FILE_START_BYTES), decodeCommitRecords(bytes)[1]!)); // there are two
    const store = await PageStore.open(new RecordingBlockFile(bytes.slice()), { access: 'read' });
    await expect(store.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'SLOT_RANGE' });
    // But it would be noticed.
    const contents = contentsOf(new StateFile({ image: await imageOf(bytes), journal: undefined }), 'read');
    await expect(contents).rejects.toMatchObject({ code: 'PAGES_DIGEST' });
  });

  test('refuses a file that another program has changed since, if that lost more than the last commit', async () => {
    const bytes = await twoPending();
    bytes.set(encodeFileHeader({ ...FILE_HEADER.read(bytes), imageCheckpointLsn: 5n }));
    const file = new RecordingBlockFile(bytes.slice());
    await expect(PageStore.open(file)).rejects.toMatchObject({ code: 'FILE_HEADER_OLD' });
    expectSameBytes(file.bytes, bytes);
  });

  test('does not change a file that another program has changed since, but erases the invalid record', async () => {
    const bytes = await twoPending();
    bytes.fill(0, 4096, 4096 + COMMIT_SLOT_BYTES);
    bytes.set(encodeFileHeader({ ...FILE_HEADER.read(bytes), imageCheckpointLsn: 5n }));
    const file = new RecordingBlockFile(bytes.slice());
    const store = await PageStore.open(file);
    expect(decodeCommitRecords(file.bytes)).toEqual([]);
    expect(FILE_HEADER.read(file.bytes).imageCheckpointLsn).toBe(5n);
    await expect(store.read({ block: 1, slot: 0 })).rejects.toMatchObject({ code: 'SLOT_RANGE' });
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual(['warning DIGEST_FOREIGN 0']);
  });

  test('writes nothing to a file with an invalid header', async () => {
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
