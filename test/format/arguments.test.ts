import { describe, expect, test } from 'vitest';
import { COMMIT_RECORD } from '../../src/format/commit-record.ts';
import { FILE_HEADER, newFileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, decodePointer, encodeFreeLink, encodePointer } from '../../src/format/layout.ts';
import { encodeEmptyPageHeader, type PageFormat, pageFormatOf } from '../../src/format/page-header.ts';
import { decodePage, maxNodeBytes, nodeOf } from '../../src/format/page.ts';
import { fileHeaderRegions } from '../../src/format/regions.ts';

describe('functions of the format refuse wrong arguments by name', () => {
  test.each([0, 64, 2048, 4095, 12_288, BLOCK_BYTES - 1, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])(
    'a page of %i bytes',
    (bytes) => {
      const message = `must be a power of two from 4096 to ${BLOCK_BYTES}, not ${bytes}`;
      expect(() => decodePage(new Uint8Array(bytes))).toThrow(new RangeError(`decodePage: block.length ${message}`));
      expect(() => maxNodeBytes('v1', bytes)).toThrow(new RangeError(`maxNodeBytes: pageBytes ${message}`));
    },
  );

  test('a page of 4,096.5 bytes', () => {
    expect(() => maxNodeBytes('v1', 4096.5)).toThrow(/^maxNodeBytes: pageBytes must be a power of two/);
  });

  test.each([0, 64, 4096, BLOCK_BYTES - 1, BLOCK_BYTES + 1])('a header block of %i bytes', (bytes) => {
    const message = `fileHeaderRegions: block0 must have ${BLOCK_BYTES} bytes, it has ${bytes}`;
    expect(() => [...fileHeaderRegions(new Uint8Array(bytes))]).toThrow(new RangeError(message));
  });

  test('a page that is not bytes', () => {
    expect(() => decodePage('page' as unknown as Uint8Array)).toThrow(
      new TypeError('decodePage: block must be a Uint8Array'),
    );
  });

  test('a page format that does not exist', () => {
    expect(() => maxNodeBytes('v3' as PageFormat)).toThrow(
      new TypeError("maxNodeBytes: format must be 'v1' or 'v2', it is v3"),
    );
  });

  test.each([-1, 0, 0.5, NaN])('slot %s of an empty page', (slot) => {
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(encodeEmptyPageHeader('v2'));
    const page = decodePage(block);
    expect(() => page && nodeOf(page, slot)).toThrow(
      new RangeError(`nodeOf: slot ${slot} is not in a page of 0 slots`),
    );
  });

  test.each([
    ['block', [2 ** 23, 0, 0], '2^23 - 1, it is 8388608'],
    ['slot', [1, -1, 0], '2^22 - 1, it is -1'],
    ['nodeType', [1, 0, 1.5], '2^18 - 1, it is 1.5'],
  ] as const)('a pointer whose %s does not fit', (parameter, [block, slot, nodeType], range) => {
    expect(() => encodePointer(block, slot, nodeType)).toThrow(
      new RangeError(`encodePointer: ${parameter} must be an integer of 0 to ${range}`),
    );
  });

  test.each([-1n, 2n ** 64n, 5])('%s as a pointer', (pointer) => {
    expect(() => decodePointer(pointer as bigint)).toThrow(
      /^decodePointer: pointer must be a bigint of 0 to 2\^64 - 1/,
    );
  });

  test.each([-1, 2 ** 24, 1.5, NaN])('%s as a block in a link', (block) => {
    expect(() => encodeFreeLink(block)).toThrow(/^encodeFreeLink: block must be an integer of 0 to 2\^24 - 1/);
  });

  test('a value that does not fit its field', () => {
    const bytes = new Uint8Array(FILE_HEADER.bytes);
    const write = (field: object): unknown => FILE_HEADER.write({ ...newFileHeader(1), ...field }, bytes);
    expect(() => write({ flags: -1 })).toThrow('the field flags of a record must be an integer of 0 to 2^32 - 1');
    expect(() => write({ blockCount: 2 ** 32 })).toThrow('the field blockCount');
    expect(() => write({ version: undefined })).toThrow('the field version');
    expect(() => write({ rootPointer: -1n })).toThrow('the field rootPointer of a record must be a bigint');
    expect(() => COMMIT_RECORD.set('blockHead', bytes.subarray(1), new Uint8Array(COMMIT_RECORD.bytes))).toThrow(
      'the field blockHead of a record must be 64 bytes',
    );
    expect(() => FILE_HEADER.read(bytes, -1)).toThrow('a record of 64 bytes at offset -1 is not within 64 bytes');
  });
});

test('fewer than eight bytes are not the magic of a page', () => {
  expect(pageFormatOf(encodeEmptyPageHeader('v1').subarray(0, 8))).toBe('v1');
  expect(pageFormatOf(encodeEmptyPageHeader('v1').subarray(0, 7))).toBeUndefined();
});
