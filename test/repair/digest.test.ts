import { describe, expect, test } from 'vitest';
import { Hash64 } from '../../src/bytes/checksum.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { COMMIT_SLOT_BYTES, decodeCommitRecord } from '../../src/format/commit-record.ts';
import { addHead, DIGEST, DIGEST_OFFSET, digestIn, writeDigest } from '../../src/format/digest.ts';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, fileOffset, HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import { PAGE_HEADER, type PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged, fileWithFreeList, smallFile, withHeader, withPageHeader } from '../support/damage.ts';
import { sealDigest } from '../support/digest.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { expectSameBytes } from '../support/files.ts';
import { makeNodes } from '../support/nodes.ts';
import { busyFile } from '../support/repair-cases.ts';
import { repairsFully, stays } from '../support/repair-expectations.ts';
import { briefChange, repaired, undone } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

const FORMATS: readonly PageFormat[] = ['v1', 'v2'];

const node = (text: string): Uint8Array => new TextEncoder().encode(text);

const codesOf = (problems: readonly { code: string }[]): string[] => problems.map(({ code }) => code);

const withoutRecords = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => COMMIT_RECORD_OFFSETS.forEach((offset) => copy.fill(0, offset, offset + COMMIT_SLOT_BYTES)));

/** A closed file with two pages, whose headers are not in commit records too. */
async function twoPages(pageFormat: PageFormat): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(makeNodes(2500, 60, 70));
  await store.appendMany(makeNodes(2500, 60, 70, 2));
  await store.close();
  expect(FILE_HEADER.read(file.bytes).blockCount).toBeGreaterThan(2);
  return withoutRecords(file.bytes);
}

const zeroed = (bytes: Uint8Array, block: number): Uint8Array =>
  damaged(bytes, (copy) => copy.fill(0, fileOffset(block), fileOffset(block + 1)));

const digestFound = async (bytes: Uint8Array): Promise<string> => (await verifyAll(bytes)).summary.digest;

describe.each(FORMATS)('the digest of a file with %s pages', (format) => {
  test('is kept where a page header is restored, and still finds a lost page', async () => {
    const original = await twoPages(format);
    const { bytes } = await repairsFully(damaged(original, (copy) => (copy[fileOffset(1, 13)]! ^= 8)));
    expectSameBytes(bytes, original);
    expect(codesOf((await verifyAll(zeroed(bytes, 1))).findings)).toContain('PAGES_DIGEST');
  });

  test('does not fit a file that lost a page, whatever else is repaired', async () => {
    const original = await twoPages(format);
    const lost = damaged(zeroed(original, 1), (copy) => (copy[fileOffset(2, 13)]! ^= 8));
    const { left, bytes, changes } = await repaired(lost);
    expect(changes.map(briefChange)).toEqual(['page-bit 2:12 nodeCount']);
    expect(codesOf(left)).toEqual(['PAGES_DIGEST', 'ENTRY_COUNT']);
    expectSameBytes(bytes, zeroed(original, 1));
    expect(await digestFound(bytes)).toBe('differs');
  });

  test('gets a flipped bit back, wherever it is', async () => {
    const original = await smallFile(format);
    for (let bit = 0; bit < 8 * DIGEST.bytes; bit += 7) {
      const at = DIGEST_OFFSET + (bit >> 3);
      const broken = damaged(original, (copy) => (copy[at]! ^= 1 << (bit & 7)));
      const { bytes } = await repairsFully(broken, [`digest-bit 0:${DIGEST_OFFSET} digest`]);
      expectSameBytes(bytes, original);
    }
  });

  test('is taken from the header copy, or from a commit record, if all headers add up to it', async () => {
    const original = await smallFile(format);
    const broken = damaged(original, (copy) => copy.fill(0x5a, DIGEST_OFFSET + 8, DIGEST_OFFSET + 20));
    const withoutCopy = damaged(broken, (copy) => copy.fill(0, HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + 128));
    for (const bytes of [broken, withoutCopy]) {
      const result = await repairsFully(bytes, [`digest 0:${DIGEST_OFFSET} digest`]);
      expectSameBytes(result.bytes.subarray(0, 128), original.subarray(0, 128));
    }
    await stays(withoutRecords(withoutCopy), ['PAGES_DIGEST']);
  });

  test('that is damaged is left in a file that lost a page', async () => {
    const broken = damaged(zeroed(await twoPages(format), 1), (copy) =>
      copy.fill(0x5a, DIGEST_OFFSET + 8, DIGEST_OFFSET + 20),
    );
    const { changes, left } = await repaired(broken);
    expect(changes).toEqual([]);
    expect(codesOf(left)).toContain('PAGES_DIGEST');
  });

  test('belongs to a new file header, and is copied with it', async () => {
    const low = damaged(withHeader(await smallFile(format), { entryCount: 7n }), (copy) => sealDigest(copy));
    const { bytes } = await repairsFully(low, undefined, 'warning');
    expect(digestIn(bytes).kind).toBe('valid');
    expectSameBytes(
      bytes.subarray(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST.bytes),
      bytes.subarray(HEADER_COPY_OFFSET + DIGEST_OFFSET, HEADER_COPY_OFFSET + DIGEST_OFFSET + DIGEST.bytes),
    );
    const { findings, summary } = await verifyAll(bytes);
    expect([brief(findings), summary.digest]).toEqual([[], 'matches']);
  });

  test('is not made up for a file that has none', async () => {
    const bare = withoutDigest(withHeader(await smallFile(format), { entryCount: 7n }));
    const { bytes } = await repairsFully(bare, undefined, 'warning');
    expect(digestIn(bytes).kind).toBe('absent');
    expect(digestIn(bytes, HEADER_COPY_OFFSET).kind).toBe('absent');
  });

  test('keeps the range that it leaves out', async () => {
    const original = await twoPages(format);
    const open = damaged(original, (copy) => {
      const { blockCount } = FILE_HEADER.read(copy);
      const sum = new Hash64();
      for (let block = 2; block < blockCount; block++) addHead(sum, block, copy.subarray(fileOffset(block)));
      const commit = digestIn(copy).state!.commit;
      writeDigest({ sum, commit, openFrom: 1, openEnd: 2 }, copy);
    });
    expect(await digestFound(open)).toBe('matches');
    const { bytes } = await repairsFully(damaged(open, (copy) => (copy[fileOffset(1, 13)]! ^= 8)));
    expectSameBytes(bytes, open);
    const low = damaged(withHeader(open, { entryCount: 7n }), (copy) => sealDigest(copy));
    const raised = await repairsFully(low, undefined, 'warning');
    expect(digestIn(raised.bytes).state).toMatchObject({ openFrom: 1, openEnd: 2 });
    expect(await digestFound(raised.bytes)).toBe('matches');
  });

  test('of the header copy is written again if it is damaged', async () => {
    const original = await smallFile(format);
    const at = HEADER_COPY_OFFSET + DIGEST_OFFSET;
    const flipped = damaged(original, (copy) => (copy[at + 10]! ^= 4));
    const { findings } = await verifyAll(flipped);
    expect(findings).toMatchObject([{ code: 'FILE_HEADER_COPY', flippedBit: { offset: at + 10, bit: 2 } }]);
    for (const broken of [flipped, damaged(original, (copy) => copy.fill(7, at + 3, at + 30))]) {
      const { bytes } = await repairsFully(broken, ['copy 0:12288 header copy']);
      expectSameBytes(bytes, original);
    }
  });

  test('is zeroed again where a file that has none has other bytes', async () => {
    const bare = withoutDigest(await smallFile(format));
    const at = HEADER_COPY_OFFSET + DIGEST_OFFSET;
    const { bytes } = await repairsFully(damaged(bare, (copy) => (copy[DIGEST_OFFSET + 5]! ^= 4)));
    expectSameBytes(bytes, bare);
    const copied = await repairsFully(damaged(bare, (copy) => copy.fill(9, at, at + 40)));
    expectSameBytes(copied.bytes, bare);
  });

  test('is taken along with a header from a commit record', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    for (const seed of [1, 2, 3]) await store.appendMany(makeNodes(5, 10, 20, seed));
    const lost = damaged(file.bytes, (copy) => copy.fill(0xff, 0, 512));
    const { bytes, changes } = await repairsFully(lost);
    expect(changes.map(briefChange)).toContain(`header-record 0:${DIGEST_OFFSET} digest`);
    expectSameBytes(bytes.subarray(0, 82), file.bytes.subarray(0, 82));
    expectSameBytes(bytes.subarray(DIGEST_OFFSET, 128), file.bytes.subarray(DIGEST_OFFSET, 128));
    expect(await digestFound(bytes)).toBe('matches');
  });
});

describe.each(FORMATS)('a %s page in the place of another', (format) => {
  test('is left: its own page may be elsewhere', async () => {
    const original = await twoPages(format);
    const moved = damaged(original, (copy) => copy.copyWithin(fileOffset(1), fileOffset(2), fileOffset(3)));
    const { changes, left, bytes } = await repaired(moved);
    expect(changes).toEqual([]);
    expect(codesOf(left)).toContain('PAGE_MISPLACED');
    expectSameBytes(bytes, moved);
    // A page that is misplaced and damaged is not mended into its new place either.
    const both = damaged(moved, (copy) => (copy[fileOffset(1, 13)]! ^= 8));
    expect(codesOf((await repaired(both)).left)).not.toEqual([]);
    expectSameBytes((await repaired(both)).bytes, both);
  });

  test('is told from a page with another block in its header: the checksum matches with its own', async () => {
    const original = await smallFile(format);
    const { bytes, changes } = await repairsFully(withPageHeader(original, 1, { home: 300 }));
    expect(changes.map(briefChange)).toEqual([`page-field 1:${PAGE_HEADER.offsets.home} home`]);
    expectSameBytes(bytes, original);
  });
});

describe.each(FORMATS)('an old state of the first sector of a file with %s pages', (format) => {
  async function withOldSector(isClosed: boolean): Promise<{ bytes: Uint8Array; newest: Uint8Array }> {
    const file = new MemoryBlockFile();
    let store = await PageStore.create(file, { pageFormat: format });
    await store.append(node('a'));
    await store.append(node('b'));
    const sector = file.bytes.slice(0, 512);
    await store.allocate(1, format);
    for (const text of ['c', 'd', 'e']) await store.append(node(text));
    if (isClosed) {
      await store.close();
      store = await PageStore.open(file, { access: 'read' });
    }
    const newest = file.bytes.slice();
    return { newest, bytes: damaged(newest, (copy) => copy.set(sector)) };
  }

  test.each([false, true])('is replaced by the newest header, in a file that was closed: %s', async (isClosed) => {
    const { bytes, newest } = await withOldSector(isClosed);
    const { findings } = await verifyAll(bytes);
    const old = findings.find(({ code }) => code === 'FILE_HEADER_OLD');
    expect(old?.next).toContain('repair --dry-run');
    await expect(PageStore.open(new MemoryBlockFile(bytes.slice()))).rejects.toMatchObject({ code: 'FILE_HEADER_OLD' });
    const { bytes: after, changes } = await repairsFully(bytes);
    expect(new Set(changes.map(({ repair }) => repair))).toEqual(
      new Set(isClosed ? ['header-newer'] : ['header-newer', 'copy']),
    );
    expectSameBytes(after.subarray(0, 128), newest.subarray(0, 128));
    expect(
      specNodes(after)
        .map(({ bytes: found }) => new TextDecoder().decode(found))
        .join(''),
    ).toBe('abcde');
    expect(await digestFound(after)).toBe('matches');
  });

  test('stays, with everything else, if a page is lost as well', async () => {
    const { bytes } = await withOldSector(true);
    const lost = withoutRecords(zeroed(bytes, 1));
    await stays(lost, ['FILE_HEADER_OLD', 'PAGES_DIGEST']);
    const { findings } = await verifyAll(lost);
    expect(findings.find(({ code }) => code === 'FILE_HEADER_OLD')?.next).toContain(' recover ');
  });

  test('is replaced in a second run if a page header has to be restored first', async () => {
    const { bytes, newest } = await withOldSector(true);
    const first = await repaired(damaged(bytes, (copy) => (copy[fileOffset(1, 41)]! ^= 8)));
    expect(first.changes.map(briefChange)).toEqual(['page-bit 1:40 commit']);
    expect([first.summary.again, codesOf(first.left)]).toEqual([true, ['FILE_HEADER_OLD']]);
    const second = await repairsFully(first.bytes);
    expectSameBytes(second.bytes, newest);
  });
});

describe.each(FORMATS)('an old state of the first sector of a %s page, with nodes in it', (format) => {
  test.each([false, true])('stays noticed by verify, in a file that was closed: %s', async (isClosed) => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    for (let each = 0; each < 4; each++) await store.appendMany(makeNodes(3, 10, 20, each));
    const sector = file.bytes.slice(BLOCK_BYTES, BLOCK_BYTES + 512);
    for (let each = 4; each < 7; each++) await store.appendMany(makeNodes(3, 10, 20, each));
    if (isClosed) await store.close();
    const bytes = damaged(file.bytes, (copy) => copy.set(sector, BLOCK_BYTES));
    const result = await repaired(bytes, { staleChecksums: true });
    expect(FILE_HEADER.read(result.bytes).entryCount).toBe(21n);
    for (const offset of COMMIT_RECORD_OFFSETS) expect(decodeCommitRecord(result.bytes, offset)).toBeDefined();
    expect(result.summary.left).toBeGreaterThan(0);
    const { findings } = await verifyAll(result.bytes);
    expect(findings.some(({ severity }) => severity === 'error')).toBe(true);
    expectSameBytes(await undone(result), bytes);
  });
});

test('a stale checksum that is renewed gives the digest a new sum', async () => {
  const bytes = await smallFile('v1');
  const header = PAGE_HEADER.read(bytes, BLOCK_BYTES);
  const [nodeCount, directoryStart] = [header.nodeCount + 1, header.directoryStart - 8];
  // As another program appends: it changes neither the file header nor the checksum.
  const stale = damaged(
    withPageHeader(withHeader(bytes, { entryCount: 0n }), 1, {
      nodeCount,
      directoryStart,
      freeOffset: header.freeOffset + 3,
    }),
    (copy, view) => {
      sealDigest(copy);
      copy.set([1, 2, 3], fileOffset(1, header.freeOffset));
      view.setUint32(fileOffset(1, directoryStart), header.freeOffset, true);
      view.setUint32(fileOffset(1, directoryStart + 4), 3, true);
    },
  );
  const result = await repairsFully(stale, undefined, 'warning', { staleChecksums: true });
  expect(result.changes.map(briefChange)).toEqual([
    `digest 0:${DIGEST_OFFSET} digest`,
    'copy 0:12288 header copy',
    'page-checksum 1:24 checksum',
    'page-checksum 1:32 checksumNodeCount',
  ]);
  const { findings, summary } = await verifyAll(result.bytes);
  expect([brief(findings), summary.digest]).toEqual([[], 'matches']);
  expect(digestIn(result.bytes).state?.commit).toBe(digestIn(stale).state!.commit + 1);
});

test('a stale checksum is not renewed in a file that lost a page: the page may come back', async () => {
  const original = await twoPages('v1');
  const last = FILE_HEADER.read(original).blockCount - 1;
  const header = PAGE_HEADER.read(original, fileOffset(last));
  const [nodeCount, directoryStart] = [header.nodeCount + 1, header.directoryStart - 8];
  const grown = withPageHeader(original, last, { nodeCount, directoryStart, freeOffset: header.freeOffset + 3 });
  const stale = damaged(grown, (_, view) => {
    view.setUint32(fileOffset(last, directoryStart), header.freeOffset, true);
    view.setUint32(fileOffset(last, directoryStart + 4), 3, true);
  });
  const { changes, summary, left } = await repaired(zeroed(stale, 1), { staleChecksums: true });
  expect({ changes, stalePages: summary.stalePages }).toEqual({ changes: [], stalePages: 1 });
  expect(codesOf(left)).toContain('PAGES_DIGEST');
});

test('a free list that is linked again gives the digest a new sum only if nothing is lost', async () => {
  const original = withoutRecords(await fileWithFreeList());
  // The list begins with its second block, under a digest of this header.
  const late = damaged(withHeader(original, { freeListHead: 3n << 40n }), (copy) => sealDigest(copy));
  const { bytes } = await repairsFully(late);
  expect(await digestFound(bytes)).toBe('matches');
  const lost = await repaired(zeroed(late, 1));
  expect(lost.changes).toEqual([]);
  expect(lost.left).not.toEqual([]);
  expect(await digestFound(lost.bytes)).toBe('differs');
});

test('commit records are emptied with their digests, and brought back by the undo file', async () => {
  const low = damaged(withHeader(await busyFile(), { entryCount: 7n }), (copy) => sealDigest(copy));
  const result = await repairsFully(low, undefined, 'warning');
  for (const offset of COMMIT_RECORD_OFFSETS)
    expect(Buffer.compare(result.bytes.subarray(offset, offset + 192), new Uint8Array(192))).toBe(0);
  expectSameBytes(await undone(result), low);
});
