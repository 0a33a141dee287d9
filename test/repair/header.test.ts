import { beforeAll, describe, expect, test } from 'vitest';
import { COMMIT_SLOT_BYTES } from '../../src/format/commit-record.ts';
import { FILE_HEADER, type FileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, encodePointer, HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import { damaged, fileWithFreeList, lengthened, smallFile, withHeader } from '../support/damage.ts';
import { goldenBytes, goldenNodes } from '../support/files.ts';
import { hexOf } from '../support/nodes.ts';
import { busyFile, fileWithPendingCommit } from '../support/repair-cases.ts';
import { repairsFully, stays } from '../support/repair-expectations.ts';
import { briefChange, repaired } from '../support/repair.ts';
import { specNodes } from '../support/spec-reader.ts';

let small: Uint8Array;
let busy: Uint8Array;

beforeAll(async () => {
  small = await smallFile('v1');
  busy = await busyFile();
});

/** A copy with other bytes in a field of the file header, and the checksum as it was. */
function withField<Name extends keyof FileHeader>(bytes: Uint8Array, name: Name, value: FileHeader[Name]): Uint8Array {
  return damaged(bytes, (copy) => FILE_HEADER.set(name, value, copy));
}

/** A copy whose file header is noise. */
const withoutHeader = (bytes: Uint8Array): Uint8Array => damaged(bytes, (copy) => copy.fill(0xa5, 0, 64));
const withoutRecords = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => COMMIT_RECORD_OFFSETS.forEach((offset) => copy.fill(0, offset, offset + COMMIT_SLOT_BYTES)));
const withoutCopy = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => copy.fill(0, HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + 86));

describe('a file header that its own checksum proves', () => {
  test('of a program that was stopped before its sync gets a checksum for all blocks of the file', async () => {
    const { bytes } = await repairsFully(goldenBytes('stale-header'), ['header-count 0:48 checksum']);
    const nodes = specNodes(bytes).map(({ ref, bytes: node }) => ({ ref, hex: hexOf(node) }));
    expect(nodes).toEqual(goldenNodes('stale-header'));
  });

  test('is not taken for a flipped bit when the file grew from two blocks to three', async () => {
    const grown = withField(lengthened(withHeader(small, { blockCount: 2 }), BLOCK_BYTES), 'blockCount', 3);
    const { bytes } = await repairsFully(withoutCopy(grown), ['header-count 0:48 checksum']);
    expect(FILE_HEADER.read(bytes).blockCount).toBe(3);
  });

  test.each([
    ['padding', 77],
    ['magic', 1n],
    ['version', 77],
    ['flags', 0xffff],
    ['rootPointer', 0xabcd_ef01n],
    ['blockCount', 0xffff],
    ['freeListHead', 0x1234_5678n],
    ['entryCount', 0xffff_ffffn],
    ['imageCheckpointLsn', 0xffffn],
  ] as const)('gets its %s back', async (name, value) => {
    const { bytes } = await repairsFully(withField(small, name, value));
    expect(hexOf(bytes)).toBe(hexOf(small));
  });

  test('gets its free list back, even if nothing else contains it', async () => {
    const original = withoutCopy(withoutRecords(await fileWithFreeList()));
    const { bytes, changes } = await repairsFully(withField(original, 'freeListHead', 0x1234_5678n));
    expect(changes.map(briefChange)).toEqual(['header-field 0:32 freeListHead']);
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('has any one bit flipped back', async () => {
    for (let bit = 0; bit < 512; bit += 29) {
      const { bytes, left } = await repaired(damaged(small, (copy) => (copy[bit >> 3]! ^= 1 << (bit & 7))));
      expect({ bit, left, equal: Buffer.compare(bytes, small) }).toEqual({ bit, left: [], equal: 0 });
    }
  });

  test('of version 1 has no field of version 2', async () => {
    const old = withoutCopy(withHeader(small, { version: 1 }));
    const { bytes } = await repairsFully(withField(old, 'imageCheckpointLsn', 9n));
    expect(hexOf(bytes)).toBe(hexOf(old));
  });
});

describe('a file header that is lost', () => {
  test('is taken from the last commit record', async () => {
    const { bytes, changes } = await repairsFully(withoutHeader(busy));
    expect(new Set(changes.map(({ repair }) => repair))).toEqual(new Set(['header-record', 'copy', 'commit-record']));
    expect(hexOf(bytes.subarray(0, 64))).toBe(hexOf(busy.subarray(0, 64)));
  });

  test('is taken from its copy if there is no record, with its counts computed again', async () => {
    const { bytes, changes } = await repairsFully(withoutHeader(withoutRecords(busy)));
    expect(changes.map(({ repair }) => repair)).toContain('header-copy');
    expect(FILE_HEADER.read(bytes)).toEqual(FILE_HEADER.read(busy));
  });

  test('is taken from a copy with one wrong bit', async () => {
    const lost = damaged(withoutHeader(withoutRecords(busy)), (copy) => (copy[HEADER_COPY_OFFSET + 30]! ^= 4));
    const { bytes } = await repairsFully(lost);
    expect(FILE_HEADER.read(bytes)).toEqual(FILE_HEADER.read(busy));
  });

  test('is taken from a record with one wrong bit', async () => {
    const lost = damaged(withoutHeader(withoutCopy(busy)), (copy) => {
      for (const offset of COMMIT_RECORD_OFFSETS) copy[offset + 100]! ^= 1;
    });
    const { bytes, changes } = await repairsFully(lost);
    expect(changes.map(briefChange)).toContain('commit-record 0:4096 commit record');
    expect(hexOf(bytes)).toBe(hexOf(withoutRecords(withoutCopy(busy))));
  });

  test('does not lose a commit that is in its record alone', async () => {
    const { bytes, complete } = await fileWithPendingCommit();
    const expected = specNodes(complete).map(({ ref }) => ref);
    for (const lost of [bytes, withoutHeader(bytes), withoutHeader(withoutCopy(bytes))]) {
      const result = await repaired(lost);
      expect(result.left).toEqual([]);
      expect((await recoveredNodes(result.bytes)).map(({ ref }) => ref)).toEqual(expected);
    }
  });

  test('is left if neither checksum, record nor copy proves what it was', async () => {
    await stays(withoutHeader(withoutCopy(withoutRecords(busy))), [
      'FILE_HEADER_MAGIC',
      'FILE_HEADER_VERSION',
      'FILE_HEADER_CHECKSUM',
      'FILE_HEADER_RESERVED',
    ]);
  });

  test('is not taken from a copy that is older than the trie', async () => {
    const lost = withoutHeader(damaged(withoutRecords(busy), (copy) => (copy[70] = 1)));
    const { changes, left } = await repaired(lost);
    expect(changes).toEqual([]);
    expect(left.map(({ code }) => code)).toContain('FILE_HEADER_CHECKSUM');
  });

  test('is not taken from a copy that counts more blocks than the file has', async () => {
    const cut = withoutHeader(withoutRecords(busy)).slice(0, 3 * BLOCK_BYTES);
    expect((await repaired(cut)).changes).toEqual([]);
  });
});

test('a lost header is taken from the last commit record once the page of that record is repaired', async () => {
  const lost = damaged(withoutHeader(busy), (copy) => (copy[2 * BLOCK_BYTES] = 0));
  const first = await repaired(lost);
  expect(first.summary.again).toBe(true);
  expect(first.changes.map(briefChange)).toEqual(['page-field 2:0 magic']);
  const { bytes } = await repairsFully(first.bytes);
  expect(FILE_HEADER.read(bytes)).toEqual(FILE_HEADER.read(busy));
});

test('a file of a newer version is refused, not treated as damaged', async () => {
  const newer = withHeader(small, { version: 3 });
  await expect(repaired(newer)).rejects.toMatchObject({ code: 'FILE_HEADER_VERSION' });
});

test('a file that was cut off is not changed', async () => {
  const { left, changes } = await repaired(small.slice(0, BLOCK_BYTES + 1000));
  expect(changes).toEqual([]);
  expect(left.map(({ code }) => code)).toEqual(['FILE_SIZE', 'BLOCK_COUNT_BEYOND_FILE', 'ENTRY_COUNT']);
});

test('a damaged header copy is written again, and a file without one gets none', async () => {
  const { bytes } = await repairsFully(
    damaged(small, (copy) => copy.fill(3, HEADER_COPY_OFFSET + 10, HEADER_COPY_OFFSET + 30)),
    ['copy 0:12288 header copy'],
  );
  expect(hexOf(bytes)).toBe(hexOf(small));
  const golden = goldenBytes('v1');
  const result = await repairsFully(
    damaged(golden, (copy) => (copy[HEADER_COPY_OFFSET + 10] = 4)),
    ['copy 0:12288 header copy'],
  );
  expect(hexOf(result.bytes)).toBe(hexOf(golden));
});

test('a wrong entry count is corrected, except in a file with a trie', async () => {
  const { bytes } = await repairsFully(
    withHeader(small, { entryCount: 7n }),
    ['entry-count 0:40 entryCount', 'entry-count 0:48 checksum', 'commit-record 0:8192 commit record'],
    'warning',
  );
  expect(hexOf(bytes)).toBe(hexOf(withoutRecords(small)));
  const ofTrie = withHeader(small, { rootPointer: encodePointer(0, 64, 0), entryCount: 7n });
  expect((await repaired(ofTrie)).changes).toEqual([]);
});

/** The nodes once a writer has opened the file. */
async function recoveredNodes(bytes: Uint8Array): Promise<ReturnType<typeof specNodes>> {
  const { MemoryBlockFile } = await import('../../src/disk/block-file.ts');
  const { PageStore } = await import('../../src/store/page-store.ts');
  const file = new MemoryBlockFile(bytes.slice());
  await (await PageStore.open(file)).close();
  return specNodes(file.bytes);
}
