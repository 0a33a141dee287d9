import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import type { Region } from '../../src/format/regions.ts';
import { hexdump } from '../../src/view/hexdump.ts';
import { tableRow } from '../../src/view/tables.ts';

const block = new Uint8Array(BLOCK_BYTES);
block.set(Buffer.from('regions'), 64);

const region = (start: number, end: number, name: string, value?: string): Region => ({
  kind: 'node',
  start,
  end,
  name,
  ...(value === undefined ? {} : { value }),
});

describe('a hexdump', () => {
  test('names each region, and shows each byte once where regions overlap', () => {
    const regions = [
      region(64, 68, 'first', '4 bytes'),
      region(66, 70, 'second'),
      region(65, 67, 'third'),
      region(70, 70, 'empty'),
    ];
    expect([...hexdump(block, 1, regions)].map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([
      '0000040040  72 65 67 69  |regi|  first = 4 bytes\n',
      '0000040044  6f 6e  |on|  second (begins above)\n',
      '0000040041  third (all bytes shown above)\n',
      '0000040046  empty (no bytes)\n',
    ]);
  });

  test('shortens a run of equal lines, and keeps the last line', () => {
    const lines = [...hexdump(block, 0, [region(128, 208, 'zeros')])];
    expect(lines.map((line) => line.slice(0, 10).trim())).toEqual(['0000000080', '*', '00000000c0']);
  });
});

test('a row of a table pads its cells to the widths of the columns, and groups the digits of numbers', () => {
  const columns = [
    { heading: 'name', width: 6, align: 'left' as const },
    { heading: 'bytes', width: 9 },
  ];
  expect(tableRow(columns)).toBe('name        bytes\n');
  expect(tableRow(columns, ['a', 262_144])).toBe('a         262,144\n');
});
