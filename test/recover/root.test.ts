import { describe, expect, test } from 'vitest';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { damaged, smallFile, withHeader } from '../support/damage.ts';
import { exported, imported } from '../support/exchange.ts';
import { recoverAll } from '../support/recover.ts';
import { compacted } from '../support/transfer.ts';

const good = await smallFile('v1', false, 50);

describe('a root pointer', () => {
  const rooted = damaged(good, (copy, view) => {
    copy.set(withHeader(copy, { rootPointer: 64n << 18n, entryCount: 50n, imageCheckpointLsn: 7n }).subarray(0, 64));
    copy[64] = 2;
    view.setUint32(66, 50, true);
    view.setUint32(70, 1, true);
    view.setBigUint64(74, (1n << 40n) | (3n << 18n) | 4n, true);
    copy.fill(0, 4096, 12_800);
  });

  test('is kept with everything that belongs to it if no node is lost or doubtful', async () => {
    const { bytes, summary, errors } = await recoverAll(rooted);
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ root: 'kept', isWhole: true });
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 64n << 18n, entryCount: 50n, imageCheckpointLsn: 0n });
    expect(Buffer.compare(bytes.subarray(64, 82), rooted.subarray(64, 82))).toBe(0);
  });

  test.each([
    ['recover', async (file: Uint8Array) => (await recoverAll(file)).bytes],
    ['compact', async (file: Uint8Array) => (await compacted(file)).bytes],
    ['import', async (file: Uint8Array) => (await imported(await exported(file))).bytes],
  ])('that is missing leaves no checkpoint number in the file of %s: a log begins at 1', async (_, made) => {
    const bytes = await made(withHeader(good, { imageCheckpointLsn: 7n }));
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 0n, entryCount: 50n, imageCheckpointLsn: 0n });
  });

  test('that is dropped takes its checkpoint number along', async () => {
    const { bytes } = await recoverAll(holed);
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 0n, imageCheckpointLsn: 0n });
  });

  const holed = damaged(rooted, (copy) => copy.fill(0xab, fileOffset(1, 500), fileOffset(1, 600)));

  test('is dropped if a node is doubtful, and the report contains it and the reason', async () => {
    const { bytes, summary, errors } = await recoverAll(holed);
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ root: 'dropped', rootPointer: 64n << 18n });
    expect(summary.rootReason).toContain('nodes of the trie may be missing');
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: 0n, entryCount: 50n });
  });

  test('is kept anyway with keepRoot', async () => {
    const { bytes, summary, errors } = await recoverAll(holed, { keepRoot: true });
    expect(errors).toEqual([]);
    expect(summary).toMatchObject({ root: 'kept' });
    expect(FILE_HEADER.read(bytes).rootPointer).toBe(64n << 18n);
  });

  test.each([
    ['in memory alone', 2n ** 63n, undefined],
    ['in a block that is not there', (1n << 40n) * 9n, undefined],
    ['with a root record in a page that is lost', 64n << 18n, (1n << 40n) | (99n << 18n) | 4n],
  ])('that is %s is dropped in any case', async (_, rootPointer, rootRecord) => {
    const bytes = damaged(rooted, (copy, view) => {
      copy.set(withHeader(copy, { rootPointer }).subarray(0, 64));
      if (rootRecord !== undefined) view.setBigUint64(74, rootRecord, true);
    });
    const { summary, errors } = await recoverAll(bytes, { keepRoot: true });
    expect(errors).toEqual([]);
    expect(summary.root).toBe('dropped');
  });
});
