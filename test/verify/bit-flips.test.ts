import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { committedBytes, smallFile } from '../support/damage.ts';
import { verifyAll } from '../support/verify.ts';

/** Flips each bit of the bytes at these places in turn and counts the flips that verify takes for no error. */
async function missedFlips(bytes: Uint8Array, places: readonly number[]): Promise<{ flips: number; missed: string[] }> {
  const missed: string[] = [];
  for (const place of places) {
    for (let bit = 0; bit < 8; bit++) {
      bytes[place]! ^= 1 << bit;
      if ((await verifyAll(bytes)).summary.findings.error === 0) missed.push(`bit ${bit} of byte ${place}`);
      bytes[place]! ^= 1 << bit;
    }
  }
  return { flips: 8 * places.length, missed };
}

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
    const places = committedBytes(bytes, 1).map((offset) => BLOCK_BYTES + offset);
    const { flips, missed } = await missedFlips(bytes, places);
    expect(flips).toBeGreaterThan(3000);
    expect(missed).toEqual([]);
  });

  test('in the file header, and in its copy', async () => {
    const bytes = await smallFile(format, finalized);
    const places = [
      ...Array.from({ length: 64 }, (_, at) => at),
      ...Array.from({ length: 86 }, (_, at) => 12_288 + at),
    ];
    const { flips, missed } = await missedFlips(bytes, places);
    expect(flips).toBe(8 * 150);
    expect(missed).toEqual([]);
  });
});
