import { expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { UNDO_HEADER } from '../../src/format/journal.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { repair, undoRepair } from '../../src/repair/repair.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { repaired } from '../support/repair.ts';
import { verifyAll } from '../support/verify.ts';

test.each(['v1', 'v2'] as const)(
  'an update of a repaired %s page is not damaged by undoing the repair',
  async (format) => {
    const good = await smallFile(format);
    const result = await repaired(damaged(good, (copy) => (copy[fileOffset(1, 100)]! ^= 4)));
    expect(result.changes.map(({ repair: id, block }) => [id, block])).toEqual([['page-bit', 1]]);
    const file = new RecordingBlockFile(result.bytes);
    const store = await PageStore.open(file);
    const last = { block: 1, slot: 19 };
    await store.update(
      last,
      (await store.read(last)).map((byte) => byte ^ 0xff),
    );
    await store.close();
    const updated = file.bytes.slice();
    expect(Buffer.compare(updated.subarray(0, 12_800), result.bytes.subarray(0, 12_800))).toBe(0);
    const undo = new MemoryBlockFile(result.undo);
    await expect(undoRepair(file, undo)).rejects.toMatchObject({ code: 'UNDO_MISMATCH' });
    expect(Buffer.compare(file.bytes, updated)).toBe(0);
    expect((await verifyAll(updated)).findings).toEqual([]);
  },
);

/** An undo file whose patches are gone once they were read `times` times. */
class FadingFile extends MemoryBlockFile {
  times = 1;

  override async read(target: Uint8Array, position: number): Promise<number> {
    if (position === UNDO_HEADER.bytes && this.times-- <= 0) return super.read(target.subarray(0, 12), position);
    return super.read(target, position);
  }
}

test('an undo file that changes between two reads ends the repair, and the undo, with an error', async () => {
  const broken = damaged(await smallFile('v2'), (copy) => (copy[fileOffset(1, 100)]! ^= 4));
  const file = new RecordingBlockFile(broken.slice());
  const place = { create: async () => new FadingFile(), remove: async () => undefined };
  await expect(repair(file, { undo: place })).rejects.toMatchObject({ code: 'NOT_AN_UNDO_FILE' });
  expect([file.count('write'), file.count('journal write')]).toEqual([0, 0]);
  const { bytes, undo } = await repaired(broken);
  for (const times of [1, 2]) {
    const fading = new FadingFile(undo);
    fading.times = times;
    const whole = new RecordingBlockFile(bytes.slice());
    await expect(undoRepair(whole, fading)).rejects.toMatchObject({ code: 'NOT_AN_UNDO_FILE' });
    expect(Buffer.compare(whole.bytes, bytes)).toBe(0);
  }
});
