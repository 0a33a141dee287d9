import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { fileHeaderRegions, type Region } from '../../src/format/regions.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexdump } from '../../src/view/hexdump.ts';
import { fileHeaderTable, tableRow } from '../../src/view/tables.ts';
import { withDigest, withoutDigest } from '../support/spec-digest.ts';

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

describe('block 0 of a file with a digest', async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.append(new Uint8Array(10));
  await store.close();
  const block0 = file.bytes.slice(0, BLOCK_BYTES);
  const row = (bytes: Uint8Array): string | undefined =>
    [...fileHeaderTable(bytes, () => 'a note')].find((line) => line.includes('  digest '))?.replaceAll(/ {2,}/g, '  ');
  const sum = `0x${Buffer.from(block0.subarray(96, 104)).readBigUInt64LE().toString(16).padStart(16, '0')}`;

  test('has it in the table, with its commit and whether it belongs to the header', () => {
    expect(row(block0)).toBe(`  88  digest  ${sum}  commit 2; of this file header\n`);
    const foreign = block0.slice();
    foreign[56]! ^= 1;
    expect(row(foreign)).toBe(
      `  88  digest  ${sum}  commit 2; of another file header: another program has changed the file since\n`,
    );
    expect(row(withDigest(block0, { openFrom: 3, openEnd: 5 }))).toBe(
      `  88  digest  ${sum}  commit 2; of this file header; without blocks 3 to 4\n`,
    );
    const damaged = block0.slice();
    damaged[100]! ^= 1;
    expect(row(damaged)).toBe('  88  digest  damaged  its checksum or fields are wrong\n');
    expect(row(withoutDigest(block0))).toBe('  88  digest  absent  none; the next commit makes it\n');
  });

  test('has its bytes as named regions, with the copy and those of commit records', () => {
    const named = (bytes: Uint8Array): string[] =>
      [...fileHeaderRegions(bytes)]
        .filter(({ name }) => name.endsWith('digest: sum'))
        .map(({ start, name }) => `${start} ${name}`);
    expect(named(block0)).toEqual([
      '96 digest: sum',
      '8364 commit record 1: digest: sum',
      '12384 header copy: digest: sum',
    ]);
    expect([...fileHeaderRegions(block0)].find(({ start }) => start === 96)).toMatchObject({ end: 104, value: sum });
    expect(named(withoutDigest(block0))).toEqual([]);
  });
});
