import { describe, expect, test } from 'vitest';
import { bytesOf, defineRecord, u16, u32, u64, u8 } from '../../src/bytes/record.ts';

interface Example {
  a: number;
  b: number;
  c: number;
  d: bigint;
  e: Uint8Array;
}

const EXAMPLE = defineRecord<Example>({
  a: u8('one'),
  b: u16('two'),
  c: u32('four'),
  d: u64('eight'),
  e: bytesOf(3, 'three'),
});

describe('record', () => {
  test('places fields one after the other without padding', () => {
    expect(EXAMPLE.fields.map(({ name, offset, bytes }) => [name, offset, bytes])).toEqual([
      ['a', 0, 1],
      ['b', 1, 2],
      ['c', 3, 4],
      ['d', 7, 8],
      ['e', 15, 3],
    ]);
    expect(EXAMPLE.bytes).toBe(18);
    expect(EXAMPLE.offsets.d).toBe(7);
  });

  test('writes little-endian, and reads back what it wrote', () => {
    const record = { a: 0x11, b: 0x2233, c: 0x44556677, d: 0x8899aabbccddeeffn, e: Uint8Array.of(1, 2, 3) };
    const bytes = new Uint8Array(20);
    EXAMPLE.write(record, bytes, 1);
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '00' + '11' + '3322' + '77665544' + 'ffeeddccbbaa9988' + '010203' + '00',
    );
    expect(EXAMPLE.read(bytes, 1)).toEqual(record);
  });

  test('copies byte arrays when it reads them', () => {
    const bytes = new Uint8Array(18);
    const { e } = EXAMPLE.read(bytes);
    bytes.fill(9);
    expect([...e]).toEqual([0, 0, 0]);
  });

  test('never reads or writes past the given bytes, even if their buffer is longer', () => {
    const view = new Uint8Array(new ArrayBuffer(100), 0, 17);
    expect(() => EXAMPLE.read(view)).toThrow(RangeError);
    expect(() => EXAMPLE.read(view, 50)).toThrow(RangeError);
  });
});
