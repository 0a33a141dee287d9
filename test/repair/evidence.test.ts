import { beforeAll, describe, expect, test } from 'vitest';
import { COMMIT_SLOT_BYTES } from '../../src/format/commit-record.ts';
import { encodeHeaderCopy, FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, encodePointer, HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import { damaged, fileWithFreeList, lengthened, smallFile, withHeader } from '../support/damage.ts';
import { sealDigest } from '../support/digest.ts';
import { withoutDigest } from '../support/spec-digest.ts';
import { hexOf } from '../support/nodes.ts';
import { busyFile } from '../support/repair-cases.ts';
import { repairsFully } from '../support/repair-expectations.ts';
import { briefChange, repaired } from '../support/repair.ts';
import { verifyAll } from '../support/verify.ts';

let small: Uint8Array;
let busy: Uint8Array;

beforeAll(async () => {
  small = await smallFile('v1');
  busy = await busyFile();
});

const withoutRecords = (bytes: Uint8Array): Uint8Array =>
  damaged(bytes, (copy) => COMMIT_RECORD_OFFSETS.forEach((offset) => copy.fill(0, offset, offset + COMMIT_SLOT_BYTES)));

describe('an entry count', () => {
  const codes = ({ left }: Awaited<ReturnType<typeof repaired>>): string[] =>
    left.map(({ severity, code }) => `${severity} ${code}`);

  test.each([
    ['a page is all zeros', 'warning', () => damaged(busy, (copy) => copy.fill(0, BLOCK_BYTES, 2 * BLOCK_BYTES))],
    [
      'a page has lost its first bytes',
      'warning',
      () => damaged(busy, (copy) => copy.fill(0, BLOCK_BYTES, BLOCK_BYTES + 64)),
    ],
    ['a page is not counted', 'error', () => lengthened(withHeader(small, { entryCount: 27n }), BLOCK_BYTES)],
    ['no block is counted', 'warning', () => withHeader(small, { blockCount: 0 })],
    [
      'a commit record is damaged',
      'error',
      () => damaged(withHeader(small, { entryCount: 27n }), (copy) => copy.fill(7, 4096, 4096 + 172)),
    ],
  ] as const)('is not changed where %s', async (_, severity, damage) => {
    const bytes = damage();
    const result = await repaired(bytes);
    expect(result.changes.map(briefChange)).toEqual([]);
    // A count above the nodes is an error, unless another error explains it.
    expect(codes(result)).toContain(`${severity} ENTRY_COUNT`);
    expect(result.left.at(-1)?.message).toMatch(/not repaired, since /);
    expect(result.summary.warnings).toBe(severity === 'warning' ? 1 : 0);
  });

  test('is never lowered, with a digest or without: it may be the last trace of lost nodes', async () => {
    const high = withHeader(small, { entryCount: 27n });
    for (const bytes of [high, withoutDigest(high), withoutRecords(withoutDigest(high))]) {
      const result = await repaired(bytes);
      expect(result.changes).toEqual([]);
      expect(codes(result)).toEqual(['error ENTRY_COUNT']);
      expect(result.left[0]?.message).toContain('may be the last trace');
    }
  });

  test('is raised if the headers add up to the digest, and not if a page is lost', async () => {
    const low = damaged(withHeader(busy, { entryCount: 7n }), (copy) => sealDigest(copy));
    const { changes } = await repairsFully(low, undefined, 'warning');
    expect(changes.map(briefChange)).toContain('entry-count 0:40 entryCount');
    const lost = damaged(low, (copy) => copy.fill(0, BLOCK_BYTES, 2 * BLOCK_BYTES));
    const result = await repaired(lost);
    expect(result.changes.map(briefChange)).toEqual([]);
    expect(codes(result)).toContain('error PAGES_DIGEST');
    const { findings } = await verifyAll(lost);
    const next = findings.filter(({ code }) => code === 'ENTRY_COUNT').map((finding) => finding.next.split(' ')[1]);
    expect(next).toEqual(['recover']);
  });
});

test('a free list that leads after the counted blocks is not changed: the count may be wrong', async () => {
  const original = withoutRecords(await fileWithFreeList());
  const { blockCount } = FILE_HEADER.read(original);
  const bytes = withHeader(original, { blockCount: 3 });
  expect(blockCount).toBeGreaterThan(4);
  const { changes, left } = await repaired(bytes);
  expect(changes.map(briefChange)).toEqual([]);
  expect(left.map(({ code }) => code)).toContain('FREE_LIST_LINK');
  expect(left[0]?.message).toContain('the header may count too few blocks');
});

describe('a first sector that is lost', () => {
  const withoutSector = (bytes: Uint8Array): Uint8Array => damaged(bytes, (copy) => copy.fill(0xff, 0, 512));

  test('is restored if all pages have our checksum', async () => {
    const { bytes } = await repairsFully(withoutSector(busy));
    expect(hexOf(bytes.subarray(0, 82))).toBe(hexOf(busy.subarray(0, 82)));
    const fromCopy = await repairsFully(withoutSector(withoutRecords(small)));
    expect(hexOf(fromCopy.bytes.subarray(0, 82))).toBe(hexOf(small.subarray(0, 82)));
  });

  test('is left, with the reason, if another program may have written a trie to a page', async () => {
    const touched = damaged(withoutSector(withoutRecords(small)), (copy) => {
      // The page as that program leaves one: without our flags and fields.
      copy.fill(0, BLOCK_BYTES + 10, BLOCK_BYTES + 12);
      copy.fill(0, BLOCK_BYTES + 24, BLOCK_BYTES + 64);
    });
    const { changes, left } = await repaired(touched);
    expect(changes).toEqual([]);
    expect(left[0]?.message).toContain('block 1 is neither a page with an up-to-date checksum nor free');
  });
});

describe('a root descriptor that differs from the copy made with the same header', () => {
  const ofTrie = (): Uint8Array => {
    const bytes = withoutRecords(withHeader(small, { rootPointer: encodePointer(0, 64, 0) }));
    return damaged(bytes, (copy, view) => {
      view.setUint32(70, Math.floor(bytes.length / BLOCK_BYTES) - 1, true);
      copy.set(encodeHeaderCopy(copy), HEADER_COPY_OFFSET);
    });
  };

  test('is restored if one bit differs', async () => {
    const original = ofTrie();
    const flipped = damaged(original, (copy) => (copy[67]! ^= 8));
    const { bytes } = await repairsFully(flipped, ['root-descriptor 0:66 termCount'], 'warning');
    expect(hexOf(bytes)).toBe(hexOf(original));
  });

  test('is left, with the reason, if more than one bit differs', async () => {
    const { changes, left, summary } = await repaired(damaged(ofTrie(), (copy) => (copy[67]! ^= 9)));
    expect(changes).toEqual([]);
    expect(left.map(({ severity, code }) => `${severity} ${code}`)).toEqual(['warning ROOT_DESCRIPTOR']);
    expect({ errors: summary.left, warnings: summary.warnings }).toEqual({ errors: 0, warnings: 1 });
  });
});

test('a damaged commit record is kept when the header is rewritten: it may be the only trace of a commit', async () => {
  const lost = damaged(busy, (copy) => {
    copy.fill(0, 0, 9);
    copy.fill(7, 4096, 4096 + 172);
    copy.fill(7, 8192, 8192 + 172);
  });
  const { bytes, changes } = await repaired(lost);
  expect(changes.map(({ repair }) => repair)).toContain('header-copy');
  for (const offset of COMMIT_RECORD_OFFSETS) expect(bytes[offset]).toBe(7);
  expect((await repaired(bytes)).changes).toEqual([]);
});
