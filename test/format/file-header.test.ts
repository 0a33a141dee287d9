import { describe, expect, test } from 'vitest';
import {
  encodeFileHeader,
  encodeHeaderCopy,
  FILE_HEADER,
  fileHeaderChecksum,
  HEADER_COPY,
  headerCopyState,
  newFileHeader,
  ROOT_DESCRIPTOR,
} from '../../src/format/file-header.ts';
import { HEADER_COPY_OFFSET } from '../../src/format/layout.ts';
import { decodeFreeLink, decodePointer, encodeFreeLink, encodePointer } from '../../src/format/layout.ts';
import { GOLDEN_NAMES, goldenBytes } from '../support/files.ts';
import { specHeaderChecksum } from '../support/spec-reader.ts';

describe('file header', () => {
  test.each(GOLDEN_NAMES.filter((name) => name !== 'stale-header'))(
    'of %s decodes, has the checksum that the Rust code wrote, and encodes to the same bytes',
    (name) => {
      const bytes = goldenBytes(name).subarray(0, 64);
      const header = FILE_HEADER.read(bytes);
      expect(header.blockCount).toBe(goldenBytes(name).length / 262_144);
      expect(fileHeaderChecksum(header)).toBe(header.checksum);
      expect(encodeFileHeader(header)).toEqual(bytes);
    },
  );

  test('a stale checksum is that of the header with its old block count', () => {
    const header = FILE_HEADER.read(goldenBytes('stale-header'));
    expect(fileHeaderChecksum(header)).not.toBe(header.checksum);
    expect(fileHeaderChecksum({ ...header, blockCount: 1 })).toBe(header.checksum);
  });

  test('the checksum covers the last field in version 2 but not in version 1', () => {
    const header = { ...newFileHeader(7), version: 1, entryCount: 123n, imageCheckpointLsn: 99n };
    const bytes = Buffer.from(encodeFileHeader(header));
    expect(fileHeaderChecksum(header)).toBe(specHeaderChecksum(bytes));
    expect(fileHeaderChecksum({ ...header, imageCheckpointLsn: 0n })).toBe(fileHeaderChecksum(header));
    const version2 = { ...header, version: 2 };
    expect(fileHeaderChecksum(version2)).toBe(specHeaderChecksum(Buffer.from(encodeFileHeader(version2))));
    expect(fileHeaderChecksum({ ...version2, imageCheckpointLsn: 0n })).not.toBe(fileHeaderChecksum(version2));
  });

  test('a root descriptor has 18 bytes and is read back', () => {
    const root = { rootType: 2, isFinal: 1, termCount: 7, arenaCount: 3, rootRecord: encodePointer(1, 2, 48) };
    const bytes = new Uint8Array(18);
    ROOT_DESCRIPTOR.write(root, bytes);
    expect(Buffer.from(bytes).toString('hex')).toBe('0201' + '07000000' + '03000000' + '3000080000010000');
    expect(ROOT_DESCRIPTOR.read(bytes)).toEqual(root);
  });
});

describe('header copy', () => {
  const block0 = (): Uint8Array => {
    const block = new Uint8Array(16_384);
    block.set(encodeFileHeader(newFileHeader(3)));
    return block;
  };

  test('is absent in files of other programs, valid when written, and damaged by any flipped bit', () => {
    const block = block0();
    expect(headerCopyState(block)).toBe('absent');
    block.set(encodeHeaderCopy(block), HEADER_COPY_OFFSET);
    expect(headerCopyState(block)).toBe('valid');
    for (let bit = 0; bit < 8 * HEADER_COPY.bytes; bit++) {
      block[HEADER_COPY_OFFSET + (bit >> 3)]! ^= 1 << (bit & 7);
      expect(headerCopyState(block)).toBe('damaged');
      block[HEADER_COPY_OFFSET + (bit >> 3)]! ^= 1 << (bit & 7);
    }
  });
});

describe('pointers', () => {
  test('have 23 bits of block, 22 of slot and 18 of node type', () => {
    const pointer = (5n << 40n) | (17n << 18n) | 48n;
    expect(decodePointer(pointer)).toEqual({ inMemory: false, block: 5, slot: 17, nodeType: 48 });
    expect(encodePointer(5, 17, 48)).toBe(pointer);
    expect(decodePointer(2n ** 64n - 1n)).toEqual({
      inMemory: true,
      block: 2 ** 23 - 1,
      slot: 2 ** 22 - 1,
      nodeType: 2 ** 18 - 1,
    });
    expect(() => encodePointer(2 ** 23, 0, 0)).toThrow(RangeError);
  });

  test('a link of the free list is a block id shifted by 40; with any low bit set it is not a link', () => {
    expect(encodeFreeLink(3)).toBe(0x30000000000n);
    expect(decodeFreeLink(0x30000000000n)).toBe(3);
    expect(decodeFreeLink(0n)).toBe(0);
    expect(decodeFreeLink(0x30000000001n)).toBe(-1);
  });
});
