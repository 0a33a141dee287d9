import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { ByteNodeArenaV1, ByteNodeArenaV2 } from '../../src/format/byte-node-arena.ts';
import { COMMIT_SLOT_BYTES } from '../../src/format/commit-record.ts';
import { DIGEST, DIGEST_OFFSET, digestIn } from '../../src/format/digest.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, fileOffset, HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { damaged } from '../support/damage.ts';
import { expectSameBytes } from '../support/files.ts';
import { recoverAll } from '../support/recover.ts';
import { repairsFully, stays } from '../support/repair-expectations.ts';
import { briefChange, repaired, undone } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

const FORMATS: readonly PageFormat[] = ['v1', 'v2'];

const SECTOR = 512;
const LOST_HEADER = ['FILE_HEADER_MAGIC', 'FILE_HEADER_VERSION', 'FILE_HEADER_CHECKSUM'];

const node = (text: string): Uint8Array => new TextEncoder().encode(text);

const codesOf = (problems: readonly { code: string }[]): string[] => problems.map(({ code }) => code);

const withoutHeader = (bytes: Uint8Array): Uint8Array => damaged(bytes, (copy) => copy.fill(0, 0, SECTOR));

const withoutCopy = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => copy.fill(0, HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + 128));

/** A copy with some bytes of an earlier state of the file. */
const withOlder = (bytes: Uint8Array, older: Uint8Array, position: number, length: number = SECTOR): Uint8Array =>
  damaged(bytes, (copy) => copy.set(older.subarray(position, position + length), position));

function pageWith(format: PageFormat, text: string): ByteNodeArenaV1 | ByteNodeArenaV2 {
  const page = format === 'v1' ? new ByteNodeArenaV1() : new ByteNodeArenaV2();
  page.allocate(node(text));
  return page;
}

interface States {
  /** After each of the nodes a, b and c. */
  readonly after: Readonly<Record<'a' | 'b' | 'c', Uint8Array>>;
  readonly closed: Uint8Array;
}

/** A page with three nodes, each from a commit of its own; the last two commits are in the records, and the copy is of the last. */
async function threeNodes(format: PageFormat): Promise<States> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat: format });
  const states: Uint8Array[] = [];
  for (const text of ['a', 'b', 'c']) {
    await store.append(node(text));
    states.push(file.bytes.slice());
  }
  await store.close();
  const [a, b, c] = states;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three states');
  return { after: { a, b, c }, closed: file.bytes.slice() };
}

/** Expects that the loss is still an error for verify, and that recover knows of it. */
async function staysNoticed(bytes: Uint8Array): Promise<void> {
  const result = await repaired(bytes);
  const { findings } = await verifyAll(result.bytes);
  expect(codesOf(findings.filter(({ severity }) => severity === 'error'))).not.toEqual([]);
  expectSameBytes(await undone(result), bytes);
  const { summary } = await recoverAll(bytes);
  expect(summary.isWhole).toBe(false);
  expect(summary.missing).toBeDefined();
}

describe.each(FORMATS)('a lost header of a file with %s pages', (format) => {
  test('is not taken from a commit record that is older than the header copy', async () => {
    const { after, closed } = await threeNodes(format);
    const bytes = withoutHeader(withOlder(closed, after.b, BLOCK_BYTES));
    await stays(bytes, LOST_HEADER);
    expect((await repaired(bytes)).left[0]?.message).toContain('there was a commit');
    await staysNoticed(bytes);
  });

  test('is taken from a commit record of the same commit as the header copy', async () => {
    const { closed } = await threeNodes(format);
    const { bytes, changes } = await repairsFully(withoutHeader(closed));
    expect(changes.map(({ repair }) => repair)).toContain('header-record');
    expectSameBytes(bytes.subarray(0, 128), closed.subarray(0, 128));
    expect((await recoverAll(withoutHeader(closed))).summary.isWhole).toBe(true);
  });

  test('is taken from the record before the last if nothing proves that the last commit was acknowledged', async () => {
    const { after } = await threeNodes(format);
    const bytes = withoutHeader(withoutCopy(withOlder(after.c, after.b, BLOCK_BYTES)));
    const result = await repairsFully(bytes);
    expect(digestIn(result.bytes).state?.commit).toBe(digestIn(after.b).state?.commit);
  });

  test('is not taken from the header copy if a page is of a later commit', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.append(node('a'));
    await store.close();
    const writer = await PageStore.open(file);
    for (const text of ['b', 'c']) await writer.append(node(text));
    const bytes = damaged(withoutHeader(file.bytes), (copy) =>
      COMMIT_RECORD_OFFSETS.forEach((offset) => copy.fill(0, offset, offset + COMMIT_SLOT_BYTES)),
    );
    await stays(bytes, LOST_HEADER);
    expect((await repaired(bytes)).left[0]?.message).toMatch(/of commit 2, and block 1 is of commit 4/);
    // With the digest of the last commit, all page headers prove that nothing is missing.
    const withDigest = withOlder(bytes, file.bytes, DIGEST_OFFSET, DIGEST.bytes);
    expectSameBytes((await repairsFully(withDigest)).bytes.subarray(0, 64), file.bytes.subarray(0, 64));
  });

  test('is not taken from a commit record if a page is of a later commit, which had no record', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    for (const text of ['a', 'b']) await store.append(node(text));
    await store.addPage(pageWith(format, 'c'));
    await store.addPage(pageWith(format, 'd'));
    const before = file.bytes.slice();
    await store.finalize({ blocks: [1] });
    expectSameBytes(file.bytes.subarray(4096, 12_288), before.subarray(4096, 12_288));
    const bytes = withoutHeader(withoutCopy(file.bytes));
    await stays(bytes, LOST_HEADER);
    expect((await repaired(bytes)).left[0]?.message).toContain('block 1 is of commit');
    await staysNoticed(bytes);
    // Before the commit without a record, the header in the last record is the newest.
    expectSameBytes(
      (await repairsFully(withoutHeader(withoutCopy(before)))).bytes.subarray(0, 128),
      before.subarray(0, 128),
    );
  });
});

describe.each(FORMATS)('an old header of a file with %s pages', (format) => {
  /** After the first node; after the third; and after a commit that added block 2, of which a record and the copy are. */
  async function grown(): Promise<States['after']> {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.append(node('a'));
    const a = file.bytes.slice();
    for (const text of ['b', 'c']) await store.append(node(text));
    const b = file.bytes.slice();
    await store.allocate(1, format);
    await store.close();
    return { a, b, c: file.bytes.slice() };
  }

  test('is not replaced by one that is older than another, though the page headers add up to its digest', async () => {
    const { a, c } = await grown();
    const bytes = damaged(withOlder(c, a, 0), (copy) => copy.fill(0, fileOffset(2), fileOffset(2) + SECTOR));
    await stays(bytes, ['FILE_HEADER_OLD', 'PAGES_DIGEST']);
    await staysNoticed(bytes);
    // Without the damage, the newest is taken.
    expectSameBytes((await repairsFully(withOlder(c, a, 0))).bytes, c);
  });

  test('is replaced if a bit of its digest is wrong as well', async () => {
    const { a, c } = await grown();
    const bytes = damaged(withOlder(c, a, 0), (copy) => (copy[DIGEST_OFFSET + 9]! ^= 4));
    const result = await repairsFully(bytes);
    expect(result.changes.map(({ repair }) => repair)).toContain('header-newer');
    expectSameBytes(result.bytes, c);
  });

  test('is replaced in a second run if a bit of the copy has to be flipped back first', async () => {
    const { a, c } = await grown();
    const old = damaged(withOlder(c, a, 0), (copy) => {
      copy[HEADER_COPY_OFFSET + 41]! ^= 4;
      for (const offset of COMMIT_RECORD_OFFSETS) copy.fill(0, offset, offset + COMMIT_SLOT_BYTES);
    });
    const first = await repaired(old);
    expect(first.changes.map(briefChange)).toEqual([`copy 0:${HEADER_COPY_OFFSET} header copy`]);
    expect(first.summary.again).toBe(true);
    const second = await repairsFully(first.bytes);
    expectSameBytes(second.bytes.subarray(0, 128), c.subarray(0, 128));
  });

  test('is replaced if it is from before the file had a digest', async () => {
    const { a, c } = await grown();
    const bytes = damaged(withOlder(c, a, 0), (copy) => copy.fill(0, DIGEST_OFFSET, DIGEST_OFFSET + DIGEST.bytes));
    expect(codesOf((await verifyAll(bytes)).findings)).toContain('FILE_HEADER_OLD');
    expectSameBytes((await repairsFully(bytes)).bytes, c);
  });

  test('is not replaced while a page after the counted blocks may be of the next commit', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.append(node('a'));
    const a = file.bytes.slice();
    for (const text of ['b', 'c']) await store.append(node(text));
    const c = file.bytes.slice();
    await store.addPage(pageWith(format, 'd'));
    await store.close();
    // All of block 0 is from before the last commit, and its first sector even older.
    const bytes = withOlder(withOlder(file.bytes, c, 0, 12_800), a, 0);
    const { changes, left } = await repaired(bytes);
    expect(changes).toEqual([]);
    expect(codesOf(left)).toContain('FILE_HEADER_OLD');
    await staysNoticed(bytes);
    expect((await recoverAll(bytes)).summary.nodes).toBe(4);
    // Nor is a lost header.
    const lost = withoutHeader(withOlder(file.bytes, c, 0, 12_800));
    await stays(lost, LOST_HEADER);
    await staysNoticed(lost);
  });

  test('does not get the digest of an older commit if its own is lost', async () => {
    const { after, closed } = await threeNodes(format);
    const old = withOlder(withOlder(closed, after.b, 0), after.b, BLOCK_BYTES);
    const bytes = damaged(old, (copy) => copy.fill(0x5a, DIGEST_OFFSET + 8, DIGEST_OFFSET + 20));
    const { changes, left } = await repaired(bytes);
    expect(changes).toEqual([]);
    expect(codesOf(left)).toContain('PAGES_DIGEST');
    await staysNoticed(bytes);
  });
});

describe.each(FORMATS)('a file with %s pages that was cut off', (format) => {
  test.each([0, 4096])(
    'before the page of a commit record, but for %i bytes, gets no change after its end',
    async (rest) => {
      const file = new MemoryBlockFile();
      const store = await PageStore.create(file, { pageFormat: format });
      await store.append(node('a'));
      await store.allocate(2, format);
      for (const block of [2, 3]) await store.free(block);
      // Blocks 3 and 2: the record of block 2 shows that that of block 3 took effect.
      for (let each = 0; each < 2; each++) await store.allocate(1, format);
      await store.close();
      const complete = file.bytes.slice();
      expect(specNodes(complete)).toHaveLength(1);
      const cut = damaged(complete.slice(0, fileOffset(3) + rest), (copy) => copy.fill(0, fileOffset(3)));
      const result = await repaired(cut);
      expect(result.changes.map(({ offset }) => offset).filter((offset) => offset >= fileOffset(3))).toEqual([]);
      expect(codesOf(result.left)).toContain('BLOCK_COUNT_BEYOND_FILE');
      expectSameBytes(await undone(result), cut);
      // Its page header stays in the record.
      for (const offset of COMMIT_RECORD_OFFSETS)
        expectSameBytes(result.bytes.subarray(offset, offset + 192), cut.subarray(offset, offset + 192));
    },
  );
});
