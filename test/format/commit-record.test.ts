import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { COMMIT_KIND, COMMIT_RECORD, decodeCommitRecord, encodeCommitRecord } from '../../src/format/commit-record.ts';

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
  test('has 172 bytes with the documented layout', () => {
    const bytes = Buffer.from(encodeCommitRecord(FIELDS, FIELDS.sequence));
    expect(bytes.length).toBe(172);
    expect(bytes.toString('latin1', 0, 4)).toBe('APCR');
    expect(bytes.readUInt32LE(4)).toBe(1);
    expect(bytes.readBigUInt64LE(8)).toBe(FIELDS.sequence);
    expect([16, 20, 24, 28].map((offset) => bytes.readUInt32LE(offset))).toEqual([3, 0x11111111, 0x22222222, 1]);
    expect(bytes.subarray(32, 96).every((byte) => byte === 0x33)).toBe(true);
    expect(bytes.subarray(96, 160).every((byte) => byte === 0x44)).toBe(true);
    expect([160, 164].map((offset) => bytes.readUInt32LE(offset))).toEqual([4, 0x55555555]);
    expect(bytes.readUInt32LE(168)).toBe(crc32(bytes.subarray(0, 168)));
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
