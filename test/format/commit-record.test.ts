import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  COMMIT_KIND,
  COMMIT_RECORD,
  COMMIT_SLOT_BYTES,
  decodeCommitRecord,
  encodeCommitRecord,
  hasDamagedDigest,
} from '../../src/format/commit-record.ts';
import { hashOf } from '../../src/format/digest.ts';

const FIELDS = {
  sequence: 0x0102030405060708n,
  block: 3,
  oldPageHeaderCrc: 0x11111111,
  oldFileHeaderCrc: 0x22222222,
  kind: COMMIT_KIND.pageHeader,
  blockHead: new Uint8Array(64).fill(0x33),
  fileHeader: new Uint8Array(64).fill(0x44),
  oldBlockCount: 4,
  addedHeadersCrc: 0x55555555,
};

describe('commit record', () => {
  test('has 172 bytes with the documented layout, and 20 zeros without a digest', () => {
    const bytes = Buffer.from(encodeCommitRecord(FIELDS, FIELDS.sequence));
    expect(bytes.length).toBe(192);
    expect(bytes.subarray(172).every((byte) => byte === 0)).toBe(true);
    expect(bytes.toString('latin1', 0, 4)).toBe('APCR');
    expect(bytes.readUInt32LE(4)).toBe(1);
    expect(bytes.readBigUInt64LE(8)).toBe(FIELDS.sequence);
    expect([16, 20, 24, 28].map((offset) => bytes.readUInt32LE(offset))).toEqual([3, 0x11111111, 0x22222222, 1]);
    expect(bytes.subarray(32, 96).every((byte) => byte === 0x33)).toBe(true);
    expect(bytes.subarray(96, 160).every((byte) => byte === 0x44)).toBe(true);
    expect([160, 164].map((offset) => bytes.readUInt32LE(offset))).toEqual([4, 0x55555555]);
    expect(bytes.readUInt32LE(168)).toBe(crc32(bytes.subarray(0, 168)));
  });

  test('is followed by its digest, whose checksum binds it to the record', () => {
    const sum = hashOf(0x8877665544332211n);
    const bytes = Buffer.from(encodeCommitRecord({ ...FIELDS, digest: { sum, commit: 2 ** 40 + 7 } }, 1n));
    expect(bytes.readBigUInt64LE(172)).toBe(0x8877665544332211n);
    expect(bytes.readBigUInt64LE(180)).toBe(2n ** 40n + 7n);
    expect(bytes.readUInt32LE(188)).toBe(crc32(bytes.subarray(168, 188)));
    expect(decodeCommitRecord(bytes)?.digest).toEqual({ sum, commit: 2 ** 40 + 7 });
    expect(hasDamagedDigest(bytes, 0)).toBe(false);
    // A record of an older version over a newer one.
    const older = encodeCommitRecord(FIELDS, 2n).subarray(0, 172);
    const mixed = Buffer.concat([older, bytes.subarray(172)]);
    expect(decodeCommitRecord(mixed)).toMatchObject({ ...FIELDS, sequence: 2n });
    expect(decodeCommitRecord(mixed)?.digest).toBeUndefined();
    for (let bit = 172 * 8; bit < 192 * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7); // within the bytes
      expect([decodeCommitRecord(flipped)?.digest, hasDamagedDigest(flipped, 0)]).toEqual([undefined, true]);
    }
  });

  test('reads back what was written, at any offset', () => {
    const block = new Uint8Array(1000);
    block.set(encodeCommitRecord(FIELDS, FIELDS.sequence), 500);
    expect(decodeCommitRecord(block, 500)).toMatchObject(FIELDS);
    expect(decodeCommitRecord(block, 0)).toBeUndefined();
    expect(decodeCommitRecord(block, 900)).toBeUndefined();
  });

  test('is not decoded with any bit flipped', () => {
    const bytes = encodeCommitRecord(FIELDS, FIELDS.sequence);
    for (let bit = 0; bit < 8 * COMMIT_RECORD.bytes; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeCommitRecord(bytes)).toBeUndefined();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(decodeCommitRecord(bytes)).toBeDefined();
  });
});

describe('the digest of a commit record', () => {
  const digest = { sum: hashOf(0xfedc_ba98_7654_3210n), commit: 2 ** 40 + 7 };
  const encoded = (): Buffer => Buffer.from(encodeCommitRecord({ ...FIELDS, digest }, FIELDS.sequence));

  test('has 20 bytes with the documented layout, bound to its record by the checksum', () => {
    const bytes = encoded();
    expect(bytes.length).toBe(192);
    expect(bytes.readBigUInt64LE(172)).toBe(0xfedc_ba98_7654_3210n);
    expect(bytes.readBigUInt64LE(180)).toBe(2n ** 40n + 7n);
    expect(bytes.readUInt32LE(188)).toBe(crc32(bytes.subarray(168, 188)));
    expect(decodeCommitRecord(bytes)?.digest).toEqual(digest);
  });

  test('is not decoded with any bit flipped, and the record is', () => {
    const bytes = encoded();
    for (let bit = 8 * COMMIT_RECORD.bytes; bit < 8 * COMMIT_SLOT_BYTES; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeCommitRecord(bytes)).toMatchObject(FIELDS);
      expect(decodeCommitRecord(bytes)?.digest).toBeUndefined();
      expect(hasDamagedDigest(bytes, 0)).toBe(true);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(hasDamagedDigest(bytes, 0)).toBe(false);
  });

  test('is not taken for that of another record that was written over its own', () => {
    const bytes = encoded();
    bytes.set(encodeCommitRecord(FIELDS, FIELDS.sequence + 2n).subarray(0, COMMIT_RECORD.bytes));
    expect(decodeCommitRecord(bytes)).toBeDefined();
    expect(decodeCommitRecord(bytes)?.digest).toBeUndefined();
  });

  test('has no number that no writer gives', () => {
    for (const commit of [0, 2 ** 53]) {
      const bytes = encodeCommitRecord({ ...FIELDS, digest: { ...digest, commit } }, FIELDS.sequence);
      expect(decodeCommitRecord(bytes)?.digest).toBeUndefined();
    }
  });

  test('is absent where the bytes end with the record', () => {
    expect(decodeCommitRecord(encoded().subarray(0, COMMIT_RECORD.bytes))).toMatchObject(FIELDS);
  });
});
