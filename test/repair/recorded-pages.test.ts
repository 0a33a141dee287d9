import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, fileOffset } from '../../src/format/layout.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged } from '../support/damage.ts';
import { expectSameBytes } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';
import { recoverAll } from '../support/recover.ts';
import { repaired, undone } from '../support/repair.ts';
import { verifyAll } from '../support/verify.ts';

/** A file with a commit that has not been brought home: its record was synced, and the writer killed. */
async function pendingFile(pageFormat: PageFormat): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  const nodes = makeNodes(12, 30, 40);
  await store.appendMany(nodes.slice(0, 6));
  const before = file.bytes.slice();
  await store.appendMany(nodes.slice(6));
  const bytes = file.bytes.slice();
  await store.close();
  bytes.set(before.subarray(0, 64), 0);
  bytes.set(before.subarray(BLOCK_BYTES, BLOCK_BYTES + 64), BLOCK_BYTES);
  return bytes;
}

const headers = {
  zeros: new Uint8Array(64),
  garbage: Uint8Array.from({ length: 64 }, (_, index) => (37 * index + 11) & 0xff),
};
const FORMATS: readonly PageFormat[] = ['v1', 'v2'];
const cases = FORMATS.flatMap((format) => Object.entries(headers).map(([name, head]) => ({ format, name, head })));

describe.each(cases)('a page header of $format that is $name, but in a commit record', ({ format, head }) => {
  test.each([false, true])('is restored, with the file header lost too: %s', async (isHeaderLost) => {
    const original = await pendingFile(format);
    const bytes = damaged(original, (copy) => {
      copy.set(head, BLOCK_BYTES);
      if (isHeaderLost) copy.fill(0, 0, 512);
    });
    const { findings } = await verifyAll(bytes);
    expect(findings.map(({ severity, code }) => `${severity} ${code}`)).toContain('error BLOCK_UNKNOWN');
    expect((await recoverAll(bytes)).summary.slots).toMatchObject({ sound: 12, doubtful: 0, lost: 0 });
    const result = await repaired(bytes);
    expect(result.left).toEqual([]);
    expect(result.changes.map(({ repair }) => repair)).toContain('page-record');
    const after = await verifyAll(result.bytes);
    expect(after.findings).toEqual([]);
    expect(after.summary.nodes).toBe(12);
    expectSameBytes(await undone(result), bytes);
  });

  test.each([false, true])(
    'keeps its record where a node is damaged, with the file header lost: %s',
    async (isLost) => {
      const bytes = damaged(await pendingFile(format), (copy) => {
        copy.set(head, BLOCK_BYTES);
        copy[BLOCK_BYTES + 100]! ^= 0xff;
        if (isLost) copy.fill(0, 0, 512);
      });
      const result = await repaired(bytes);
      expect(result.left.map(({ code }) => code)).toContain('BLOCK_UNKNOWN');
      expectSameBytes(result.bytes, bytes);
      const { sound, doubtful } = (await recoverAll(bytes)).summary.slots;
      expect({ sound, isAny: doubtful > 0 }).toEqual({ sound: 0, isAny: true });
    },
  );
});

test('a page header is not restored if a later record may have replaced it', async () => {
  const bytes = damaged(await pendingFile('v1'), (copy) => {
    copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 64);
    copy.fill(0xa5, COMMIT_RECORD_OFFSETS[0], COMMIT_RECORD_OFFSETS[0] + 100);
  });
  const { left, bytes: after } = await repaired(bytes);
  expect(left.map(({ code }) => code)).toContain('BLOCK_UNKNOWN');
  expectSameBytes(after, bytes);
});

test('the header of a V1 page that may have more nodes is not restored', async () => {
  const original = await pendingFile('v1');
  const home = (await repaired(damaged(original, (copy) => copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 64)))).bytes;
  const view = new DataView(home.buffer, home.byteOffset);
  const [end, start] = [view.getUint32(BLOCK_BYTES + 16, true), view.getUint32(BLOCK_BYTES + 20, true)];
  const bytes = damaged(original, (copy, bytesOf) => {
    copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 64);
    bytesOf.setUint32(BLOCK_BYTES + start - 8, end, true);
    bytesOf.setUint32(BLOCK_BYTES + start - 4, 5, true);
  });
  const nodes = 12;
  expect(home.length).toBe(bytes.length);
  expect((await repaired(bytes)).left.map(({ code }) => code)).toContain('BLOCK_UNKNOWN');
  const { sound, doubtful } = (await recoverAll(bytes)).summary.slots;
  expect({ sound, isAll: doubtful >= nodes }).toEqual({ sound: 0, isAll: true });
});

test('a page header is restored in a second run if the record of another damaged page proves that it took effect', async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat: 'v1' });
  await store.allocate(3, 'v1');
  await store.free(3);
  await store.free(2);
  await store.allocate(2, 'v1');
  await store.close();
  const bytes = damaged(file.bytes, (copy) => {
    copy[fileOffset(3)]! ^= 1;
    copy.fill(0, fileOffset(2), fileOffset(2, 9));
  });
  const first = await repaired(bytes);
  expect([first.summary.again, first.left.map(({ code }) => code)]).toEqual([true, ['BLOCK_UNKNOWN']]);
  const second = await repaired(first.bytes);
  expect([second.summary.again, second.left]).toEqual([false, []]);
  expectSameBytes(second.bytes, file.bytes);
});
