import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { Hash64 } from '../../src/bytes/checksum.ts';
import { newerCommit } from '../../src/format/digest-checks.ts';
import {
  addHead,
  copyHash,
  DIGEST_OFFSET,
  digestIn,
  type DigestState,
  equalHash,
  hashOf,
  subtractHead,
  writeDigest,
} from '../../src/format/digest.ts';
import { encodeFileHeader, encodeHeaderCopy, newFileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, FILE_HEADER_BYTES, HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { random, text } from '../support/nodes.ts';
import { digestInFile, specDigest, specDigestSum, specHeadHash, withDigest } from '../support/spec-digest.ts';

const sumOf = (...heads: [block: number, head: Uint8Array][]): bigint => {
  const sum = new Hash64();
  for (const [block, head] of heads) addHead(sum, block, head);
  return sum.value;
};

/** Repeatable whole numbers from 0 to below a limit. */
function numbers(seed: number): (limit: number) => number {
  const next = random(seed);
  return (limit) => Math.floor(next() * limit);
}

/** A page header with random fields. */
function pageHead(below: (limit: number) => number, magic: string, flags: number): Buffer {
  const head = Buffer.from(Uint8Array.from({ length: 64 }, () => below(256)));
  head.write(magic);
  head.writeUInt16LE(flags, 10);
  return head;
}

describe('the hash of a block', () => {
  test('is that of the format description, and one value that another program has computed', () => {
    // FNV-1a of 02 00 00 00 61 and 63 zeros, then the finalizer of MurmurHash3.
    const head = Buffer.alloc(64);
    head[0] = 0x61;
    expect(sumOf([2, head])).toBe(specHeadHash(2, head));
    expect(sumOf([2, head])).toBe(0x4100_2a48_5473_695fn);
  });

  test('is that of the format description for any bytes, pages or not, with a checksum or without', () => {
    const below = numbers(11);
    for (let round = 0; round < 300; round++) {
      const magic = ['BYTARANA', 'BYTARAV2', 'BYTARANB', '\0\0\0\0\0\0\0\0'][below(4)]!;
      const head = pageHead(below, magic, below(8));
      const block = below(2 ** 24);
      expect(sumOf([block, head])).toBe(specHeadHash(block, head));
    }
  });

  test('is 0 for 64 zeros, whatever the block and the bytes after them are', () => {
    const zeros = new Uint8Array(100);
    zeros[64] = 1;
    expect(sumOf([1, zeros], [77, zeros])).toBe(0n);
    zeros[63] = 1;
    expect(sumOf([1, zeros])).not.toBe(0n);
  });

  test('leaves out what another program changes in a page when it appends, and nothing else', () => {
    for (const [magic, ignored] of [
      ['BYTARANA', 12],
      ['BYTARAV2', 12],
      ['BYTARANB', 0],
    ] as const) {
      const head = pageHead(numbers(5), magic, 2);
      const before = sumOf([3, head]);
      const same: number[] = [];
      for (let at = 0; at < 64; at++) {
        head[at]! ^= 0x80;
        if (sumOf([3, head]) === before) same.push(at);
        head[at]! ^= 0x80;
      }
      expect(same).toEqual(Array.from({ length: ignored }, (_, index) => 12 + index));
    }
  });
});

describe('the sum', () => {
  test('differs when two headers change places, and does not depend on the order of blocks', () => {
    const below = numbers(3);
    for (let round = 0; round < 200; round++) {
      const [a, b] = [pageHead(below, 'BYTARANA', 2), pageHead(below, 'BYTARANA', 2)];
      // In half of the rounds they differ only at the end.
      if (round % 2 === 0) a.copy(b, 0, 0, 50);
      const [first, second] = [below(2 ** 24), below(2 ** 24)];
      expect(sumOf([first, a], [second, b])).toBe(sumOf([second, b], [first, a]));
      if (first !== second) expect(sumOf([first, a], [second, b])).not.toBe(sumOf([second, a], [first, b]));
    }
  });

  test('is modulo 2^64, and subtracting takes out what adding put in', () => {
    const below = numbers(9);
    const heads = Array.from({ length: 100 }, () => pageHead(below, 'BYTARAV2', 3));
    const sum = new Hash64();
    let expected = 0n;
    for (const [block, head] of heads.entries()) {
      addHead(sum, block, head);
      expected += specHeadHash(block, head);
      expect(sum.value).toBe(BigInt.asUintN(64, expected));
    }
    expect(expected).toBeGreaterThan(2n ** 64n);
    const all = copyHash(sum);
    for (const [block, head] of heads.entries()) {
      subtractHead(sum, block, head);
      expected -= specHeadHash(block, head);
      expect(sum.value).toBe(BigInt.asUintN(64, expected));
      expect(equalHash(sum, all)).toBe(false);
    }
    expect(sum.value).toBe(0n);
    // Below 0 it begins again at 2^64.
    subtractHead(sum, 1, heads[0]!);
    expect(sum.value).toBe(2n ** 64n - specHeadHash(1, heads[0]!));
  });

  test.each([0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n])('can be %i', (value) => {
    expect(hashOf(value).value).toBe(value);
  });
});

const header = encodeFileHeader(newFileHeader(3));
const state: DigestState = { sum: hashOf(0xfedc_ba98_7654_3210n), commit: 2 ** 40 + 5, openFrom: 2, openEnd: 7 };

function startOf(digest: DigestState = state): Uint8Array {
  const start = new Uint8Array(128);
  start.set(header);
  writeDigest(digest, start);
  return start;
}

describe('the digest in block 0', () => {
  test('has the bytes of the format description', () => {
    const expected = specDigest(
      { sum: 0xfedc_ba98_7654_3210n, commit: 2n ** 40n + 5n, openFrom: 2, openEnd: 7 },
      header,
    );
    expect(Buffer.from(startOf().subarray(88))).toEqual(expected);
  });

  test('is read back, at the start of a file and in its copy', () => {
    expect(digestIn(startOf())).toEqual({ kind: 'valid', state });
    const block0 = new Uint8Array(FILE_HEAD_BYTES);
    block0.set(encodeHeaderCopy(startOf()), HEADER_COPY_OFFSET);
    expect(digestIn(block0, HEADER_COPY_OFFSET)).toEqual({ kind: 'valid', state });
  });

  test('is absent only if all its bytes are zero', () => {
    expect(digestIn(startOf().fill(0, 88))).toEqual({ kind: 'absent' });
    expect(digestIn(startOf().fill(0, 88, 127))).toEqual({ kind: 'damaged' });
  });

  test('is damaged with any bit flipped', () => {
    const start = startOf();
    for (let bit = 8 * DIGEST_OFFSET; bit < 8 * 128; bit++) {
      start[bit >> 3]! ^= 1 << (bit & 7);
      expect(digestIn(start)).toEqual({ kind: 'damaged' });
      start[bit >> 3]! ^= 1 << (bit & 7);
    }
  });

  test.each([
    ['number 0', { commit: 0 }],
    ['a number that is not exact', { commit: 2 ** 53 }],
    ['an open range that ends before its start', { openFrom: 8 }],
  ])('is damaged with %s, under a right checksum', (_, change) => {
    expect(digestIn(startOf({ ...state, ...change }))).toEqual({ kind: 'damaged' });
  });

  test('is foreign with any other bit flipped in the file header', () => {
    const start = startOf();
    for (let bit = 0; bit < 8 * FILE_HEADER_BYTES; bit++) {
      start[bit >> 3]! ^= 1 << (bit & 7);
      expect(digestIn(start)).toEqual({ kind: 'foreign', state });
      start[bit >> 3]! ^= 1 << (bit & 7);
    }
  });
});

describe('what a writer keeps of a file', () => {
  test.each(['v1', 'v2'] as const)('matches the %s pages after each kind of change', async (pageFormat) => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file, { pageFormat });
    const steps: (() => Promise<unknown>)[] = [
      () => store.append(text('one')),
      () => store.appendMany(Array.from({ length: 40 }, (_, index) => text(`node ${index}`))),
      () => store.allocate(4, pageFormat),
      () => store.update({ block: 1, slot: 0 }, text('ONE')),
      () => store.free(3),
      () => store.finalize(),
      () => store.append(text('two')),
    ];
    let last = 1n;
    for (const step of steps) {
      await step();
      const { sum, commit } = digestInFile(file.bytes);
      expect(digestIn(file.bytes).kind).toBe('valid');
      expect(sum).toBe(specDigestSum(file.bytes));
      expect(commit).toBeGreaterThan(last);
      last = commit;
    }
    await store.close();
    expect(digestInFile(file.bytes)).toEqual({ sum: specDigestSum(file.bytes), commit: last });
    expect(Buffer.from(file.bytes.subarray(12_376, 12_416))).toEqual(Buffer.from(file.bytes.subarray(88, 128)));
  });
});

describe('a newer commit in block 0', () => {
  /** Header and copy of commit 5; records of commits 4 and 5. */
  async function head(): Promise<Uint8Array> {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    for (const word of ['a', 'b', 'c', 'd']) await store.append(text(word));
    await store.close();
    expect(file.bytes.length).toBe(2 * BLOCK_BYTES);
    expect(digestInFile(file.bytes).commit).toBe(5n);
    return file.bytes.slice(0, FILE_HEAD_BYTES);
  }

  test('is that of the copy or of a record, but not of a record with the next number', async () => {
    const bytes = await head();
    expect(newerCommit(bytes, 5)).toBeUndefined();
    expect(newerCommit(bytes, 4)).toEqual({ source: 'the header copy', commit: 5 });
    const withoutCopy = bytes.slice().fill(0, HEADER_COPY_OFFSET);
    expect(newerCommit(withoutCopy, 4)).toBeUndefined();
    expect(newerCommit(withoutCopy, 3)).toEqual({ source: 'a commit record', commit: 5 });
    expect(newerCommit(withoutCopy.fill(0, 4096), 0)).toBeUndefined();
  });

  test('is not that of a copy whose header or digest is damaged, or does not belong to it', async () => {
    const bytes = (await head()).fill(0, 4096, HEADER_COPY_OFFSET);
    expect(newerCommit(bytes, 1)).toMatchObject({ commit: 5 });
    for (const at of [20, 82, 100]) {
      const damaged = bytes.slice();
      damaged[HEADER_COPY_OFFSET + at]! ^= 1;
      expect(newerCommit(damaged, 1)).toBeUndefined();
    }
    const other = bytes.slice();
    other.set(encodeHeaderCopy(withDigest(bytes, { commit: 9n })), HEADER_COPY_OFFSET);
    expect(newerCommit(other, 1)).toMatchObject({ commit: 9 });
    other.set(specDigest({ sum: 1n, commit: 9n }, new Uint8Array(64)), HEADER_COPY_OFFSET + 88);
    expect(newerCommit(other, 1)).toBeUndefined();
  });
});
