import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PAGE_HEADER, type PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { committedBytes, damaged, lengthened, smallFile, withHeader, withPageHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { hexOf, makeNodes, random } from '../support/nodes.ts';
import { repairsFully, stays } from '../support/repair-expectations.ts';
import { briefChange, repaired } from '../support/repair.ts';

const FORMATS: readonly PageFormat[] = ['v1', 'v2'];

/** A file whose one page is full to the last node. */
async function fullFile(pageFormat: PageFormat): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(3000, 60, 70));
  await store.close();
  return file.bytes.slice();
}

/** A file to whose page another program has appended a node, as libdictenstein does: it does not know the checksum. */
async function staleFile(): Promise<Uint8Array> {
  const bytes = await smallFile('v1');
  const header = PAGE_HEADER.read(bytes, BLOCK_BYTES);
  const nodeCount = header.nodeCount + 1;
  const directoryStart = BLOCK_BYTES - 8 * nodeCount;
  const grown = withPageHeader(bytes, 1, { nodeCount, directoryStart, freeOffset: header.freeOffset + 3 });
  return damaged(withHeader(grown, { entryCount: 0n }), (copy, view) => {
    copy.set([1, 2, 3], fileOffset(1, header.freeOffset));
    view.setUint32(fileOffset(1, directoryStart), header.freeOffset, true);
    view.setUint32(fileOffset(1, directoryStart + 4), 3, true);
  });
}

describe.each(FORMATS)('a page of %s', (format) => {
  test('has any one bit flipped back that its checksum covers', async () => {
    const original = await smallFile(format);
    const committed = committedBytes(original, 1);
    const next = random(11);
    for (let each = 0; each < 24; each++) {
      const at = fileOffset(1, each < 14 ? 8 + 4 * each : committed[Math.floor(next() * committed.length)]!);
      const bit = Math.floor(next() * 8);
      const { bytes, left, changes } = await repaired(damaged(original, (copy) => (copy[at]! ^= 1 << bit)));
      expect({ at, bit, left, changes: changes.length, equal: Buffer.compare(bytes, original) }).toEqual({
        at,
        bit,
        left: [],
        changes: 1,
        equal: 0,
      });
    }
  });

  test.each([
    ['version', 9],
    ['reserved', new Uint8Array(8).fill(7)],
    ['home', 77],
    ['unused', 12_345n],
    ['checksumNodeCount', 77],
    ['directoryLength', 77],
    ['freeOffset', 200_000],
    ...(format === 'v1' ? ([['directoryStart', 77]] as const) : []),
  ] as const)('gets the %s back that its checksum proves', async (name, value) => {
    const original = await smallFile(format);
    const { bytes, changes } = await repairsFully(withPageHeader(original, 1, { [name]: value }));
    expect(changes.map(briefChange)).toEqual([`page-field 1:${PAGE_HEADER.offsets[name]} ${name}`]);
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('gets its magic back', async () => {
    const original = await smallFile(format, true);
    const { bytes } = await repairsFully(damaged(original, (copy) => copy.fill(0xee, BLOCK_BYTES, BLOCK_BYTES + 7)));
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('that begins with 8 zero bytes gets its magic back, unless the block may be free', async () => {
    const original = await smallFile(format);
    const result = await repaired(damaged(original, (copy) => copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 8)));
    expect(result.changes.map(briefChange)).toHaveLength(1);
    expect(Buffer.compare(result.bytes, original)).toBe(0);
    const trie = withHeader(original, { rootPointer: (1n << 63n) | (1n << 40n) });
    const lost = damaged(trie, (copy) => copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 8));
    expect((await repaired(lost)).changes).toEqual([]);
  });

  test('with more damage than its checksum explains is left alone', async () => {
    const noise = damaged(await smallFile(format), (copy) => copy.fill(0x5a, BLOCK_BYTES + 70, BLOCK_BYTES + 90));
    await stays(noise, ['PAGE_CHECKSUM']);
  });

  test('that is full gets a bit of its header flipped back, but one of its nodes only on request', async () => {
    const original = await fullFile(format);
    const inHeader = damaged(original, (copy) => (copy[BLOCK_BYTES + 13]! ^= 8));
    expect(hexOf((await repaired(inHeader)).bytes.subarray(BLOCK_BYTES, BLOCK_BYTES + 64))).toBe(
      hexOf(original.subarray(BLOCK_BYTES, BLOCK_BYTES + 64)),
    );
    const inNode = damaged(original, (copy) => (copy[BLOCK_BYTES + 5000]! ^= 8));
    await stays(inNode, ['PAGE_CHECKSUM']);
    expect((await repaired(inNode)).left[0]?.message).toMatch(
      /flipping one bit at byte 267144 .* one in 2,\d\d\d pages .*--likely-bits/,
    );
    const { bytes } = await repairsFully(inNode, ['page-bit 1:5000'], 'error', { likelyBits: true });
    expect(Buffer.compare(bytes, original)).toBe(0);
  });
});

test('a page that another program has appended to gets a new checksum only on request', async () => {
  const stale = await staleFile();
  const { summary, changes } = await repaired(stale);
  expect({ changes, stalePages: summary.stalePages }).toEqual({ changes: [], stalePages: 1 });
  const result = await repairsFully(stale, undefined, 'warning', { staleChecksums: true });
  expect(result.changes.map(briefChange)).toEqual([
    'page-checksum 1:24 checksum',
    'page-checksum 1:32 checksumNodeCount',
  ]);
});

test('a page that was appended to and then damaged gets no new checksum', async () => {
  const stale = damaged(await staleFile(), (copy) => copy.fill(0x5a, BLOCK_BYTES + 70, BLOCK_BYTES + 90));
  await stays(stale, ['PAGE_CHECKSUM'], { staleChecksums: true });
});

test('a page without a checksum gets the version of its magic, and nothing else', async () => {
  const golden = goldenBytes('v1');
  const { bytes } = await repairsFully(withPageHeader(golden, 1, { version: 8 }), ['page-field 1:8 version']);
  expect(hexOf(bytes)).toBe(hexOf(golden));
  await stays(withPageHeader(golden, 1, { freeOffset: 66 }), ['SLOT_BOUNDS']);
  await stays(withPageHeader(golden, 1, { checksum: 0x1234_5678 }), ['PAGE_CHECKSUM_FIELDS']);
});

test('a V2 page whose directory was never written is left alone', async () => {
  const { changes, left } = await repaired(goldenBytes('v2-unfinalized'));
  expect({ changes, left }).toEqual({ changes: [], left: [] });
});

test('blocks after the last counted one are left alone', async () => {
  const { changes, bytes } = await repaired(lengthened(await smallFile('v1'), BLOCK_BYTES));
  expect(changes).toEqual([]);
  expect(bytes).toHaveLength(3 * BLOCK_BYTES);
});

test.each([
  ['V1', () => smallFile('v1'), 'BYTARAV2'],
  ['V2', () => smallFile('v2', true), 'BYTARANA'],
  ['V1 without a checksum', async () => goldenBytes('v1'), 'BYTARAV2'],
] as const)('a page of %s with the magic of the other format gets its own', async (_, make, magic) => {
  const original = await make();
  const wrong = damaged(original, (copy) => copy.set(Buffer.from(magic), BLOCK_BYTES));
  const { bytes, left, changes } = await repaired(wrong);
  expect({ left, repairs: changes.map(({ repair, offset }) => [repair, offset]) }).toEqual({
    left: [],
    repairs: [['page-field', BLOCK_BYTES]],
  });
  expect(Buffer.compare(bytes, original)).toBe(0);
});
