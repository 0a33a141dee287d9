import { describe, expect, test } from 'vitest';
import { flipBit } from '../../src/bytes/checksum.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { decodePage } from '../../src/format/page.ts';
import { PageFacts } from '../../src/format/page-checks.ts';
import { flippedPageBit } from '../../src/salvage/flipped-bit.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { verify } from '../../src/verify/verify.ts';
import { committedBytes, smallFile } from '../support/damage.ts';
import { verifyAll } from '../support/verify.ts';

/** Flips each of these bits in turn. @returns those that verify does not report as an error, or does not name */
async function missedFlips(bytes: Uint8Array, bits: readonly number[]): Promise<string[]> {
  const missed: string[] = [];
  for (const bit of bits) {
    flipBit(bytes, bit);
    const named = new Set<number>();
    const { findings } = await verify(new MemoryBlockFile(bytes), {
      onFinding: ({ flippedBit }) => {
        if (flippedBit) named.add(8 * flippedBit.offset + flippedBit.bit);
      },
    });
    flipBit(bytes, bit);
    if (findings.error === 0 || named.size !== 1 || !named.has(bit)) missed.push(`${bit}, named ${[...named].join()}`);
  }
  return missed;
}

const bitsOf = (offset: number): number[] => Array.from({ length: 8 }, (_, bit) => 8 * offset + bit);

const bytesOf = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, index) => start + index);

const CASES: [PageFormat, boolean][] = [
  ['v1', false],
  ['v1', true],
  ['v2', false],
  ['v2', true],
];

describe.each(CASES)('every flipped bit of a %s file (finalized: %s) is an error', (format, finalized) => {
  test('in the committed bytes of its page: header, nodes, directory', async () => {
    const bytes = await smallFile(format, finalized);
    expect((await verifyAll(bytes)).summary.findings).toEqual({ error: 0, warning: 0, info: 0 });
    const block = bytes.subarray(BLOCK_BYTES);
    const bits = committedBytes(bytes, 1).flatMap(bitsOf);
    expect(bits.length).toBeGreaterThan(3000);
    const missed = bits.filter((bit) => {
      flipBit(block, bit);
      const page = decodePage(block);
      const error = page && new PageFacts(page, 1).error;
      flipBit(block, bit);
      // The store does not recognize a page without its magic; verify is checked below.
      return page !== undefined && error === undefined;
    });
    expect(missed).toEqual([]);
  });

  test('and is named: each bit of the page header, and some of nodes and directory', async () => {
    const bytes = await smallFile(format, finalized);
    const block = bytes.subarray(BLOCK_BYTES);
    const [magic, header, rest] = [bytesOf(0, 8), bytesOf(8, 64), committedBytes(bytes, 1).slice(64)];
    const some = rest.flatMap(bitsOf).filter((_, index) => index % 37 === 0);
    expect(some.length).toBeGreaterThan(60);
    const missed = [...header.flatMap(bitsOf), ...some].filter((bit) => {
      flipBit(block, bit);
      const named = flippedPageBit(new PageFacts(decodePage(block)!, 1));
      flipBit(block, bit);
      return named?.bit !== bit;
    });
    expect(missed).toEqual([]);
    // Names in findings: the magic, each field, a node, and the directory.
    const places = [8, 10, 16, 20, 24, 32, 36, 56, 70, rest.at(-1)!];
    const inFile = [...magic.flatMap(bitsOf), ...places.map((offset) => 8 * offset + 1)];
    const missedInFile = await missedFlips(
      bytes,
      inFile.map((bit) => 8 * BLOCK_BYTES + bit),
    );
    expect(missedInFile).toEqual([]);
  });
});

test.each(['v1', 'v2'] as const)(
  'every flipped bit of the file header and its copy is an error and named (%s)',
  async (format) => {
    const bytes = await smallFile(format);
    const header = bytesOf(0, 64).flatMap(bitsOf);
    // One CRC-32 covers the whole copy, so some bits of each byte are enough, and all bits of the CRC-32.
    const copy = bytesOf(12_288, 12_288 + 82)
      .flatMap(bitsOf)
      .filter((_, index) => index % 5 === 0);
    const bits = [...header, ...copy, ...bytesOf(12_288 + 82, 12_288 + 86).flatMap(bitsOf)];
    expect(bits.length).toBeGreaterThan(650);
    expect(await missedFlips(bytes, bits)).toEqual([]);
  },
);
