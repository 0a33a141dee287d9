import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/bytes/checksum.ts';
import { flipBit, flippedBitOf } from '../../src/bytes/checksum.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { decodePage } from '../../src/format/page.ts';
import { PageFacts } from '../../src/format/page-checks.ts';
import { flippedPageBit } from '../../src/salvage/flipped-bit.ts';
import { V1PageWriter } from '../../src/format/v1-page.ts';
import { PAGE_HEADER } from '../../src/format/page-header.ts';
import { encodePointer } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { damaged, smallFile, withHeader } from '../support/damage.ts';
import { goldenBytes } from '../support/files.ts';
import { random, text } from '../support/nodes.ts';
import { verifyAll } from '../support/verify.ts';

/** Flips each bit in turn. @returns what was reported for bits that were not named, or named wrongly */
async function misnamed(bytes: Uint8Array, bits: readonly number[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const bit of bits) {
    flipBit(bytes, bit);
    const { findings } = await verifyAll(bytes);
    flipBit(bytes, bit);
    const named = findings.flatMap(({ flippedBit }) => (flippedBit ? [8 * flippedBit.offset + flippedBit.bit] : []));
    if (named.length === 0 || named.some((each) => each !== bit)) wrong.push(`${bit}: ${JSON.stringify(findings)}`);
  }
  return wrong;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

test('each flipped bit of a root descriptor with a copy is named', async () => {
  const file = new MemoryBlockFile(withHeader(await smallFile('v1'), { rootPointer: encodePointer(0, 64, 0) }));
  file.bytes.set([2, 0], 64);
  const view = new DataView(file.bytes.buffer);
  view.setUint32(70, 1, true);
  view.setBigUint64(74, encodePointer(1, 3, 4), true);
  // Closing a store after an append rebuilds the copy.
  const store = await PageStore.open(file, { evenIfTrie: true });
  await store.append(text('one more'));
  await store.close();
  expect((await verifyAll(file)).findings).toEqual([]);
  expect(await misnamed(file.bytes, range(8 * 64, 8 * 82))).toEqual([]);
});

test('each flipped bit of a commit record is named', async () => {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.append(text('a node'));
  const bytes = file.bytes.slice();
  await store.close();
  const at = 8 * 4096;
  const from = bytes.subarray(4096, 4100).some((byte) => byte !== 0) ? at : 2 * at;
  const some = range(from, from + 8 * 172).filter((bit) => bit % 7 === 0);
  for (const bit of some) {
    flipBit(bytes, bit);
    const found = (await verifyAll(bytes)).findings.find(({ code }) => code === 'COMMIT_RECORD');
    flipBit(bytes, bit);
    expect(found).toMatchObject({ severity: 'error', flippedBit: { offset: bit >> 3, bit: bit & 7 } });
  }
});

describe('a V1 page that another program has appended to', () => {
  /** A page whose checksum covers 20 nodes and that has 23. */
  const stale = async (): Promise<Uint8Array> => {
    const bytes = await smallFile('v1');
    const block = bytes.subarray(BLOCK_BYTES);
    const header = PAGE_HEADER.read(block);
    const writer = new V1PageWriter(block, header);
    for (let node = 0; node < 3; node++) writer.add(text(`node ${node} of another`), 0, 17);
    const { nodeCount, freeOffset, directoryStart } = writer.plan();
    PAGE_HEADER.write({ ...header, nodeCount, freeOffset, directoryStart }, block);
    return bytes;
  };

  test('has each flipped bit named in the bytes that its checksum covers', async () => {
    const bytes = await stale();
    expect((await verifyAll(bytes)).findings.map(({ code }) => code)).toContain('PAGE_CHECKSUM_STALE');
    const freeOffset = 64 + 8; // the first nodes
    const nodes = range(8 * (BLOCK_BYTES + 64), 8 * (BLOCK_BYTES + freeOffset));
    const slots = range(8 * (2 * BLOCK_BYTES - 8 * 20), 8 * 2 * BLOCK_BYTES).filter((bit) => bit % 7 === 0);
    const lastSlot = range(8 * (2 * BLOCK_BYTES - 8 * 20), 8 * (2 * BLOCK_BYTES - 8 * 19));
    const reserved = range(8 * (BLOCK_BYTES + 24), 8 * (BLOCK_BYTES + 36)).concat(
      range(8 * (BLOCK_BYTES + 36), 8 * (BLOCK_BYTES + 64)).filter((bit) => bit % 5 === 0),
    );
    expect(await misnamed(bytes, [...nodes, ...slots, ...lastSlot, ...reserved])).toEqual([]);
  });
});

describe('no bit is named', () => {
  const bitsOf = (findings: readonly Finding[]): unknown[] => findings.map(({ flippedBit }) => flippedBit ?? 'none');

  test('if two bits are wrong', async () => {
    for (const format of ['v1', 'v2'] as const) {
      const bytes = damaged(await smallFile(format), (copy) => {
        copy[BLOCK_BYTES + 100]! ^= 1;
        copy[BLOCK_BYTES + 300]! ^= 64;
      });
      expect(bitsOf((await verifyAll(bytes)).findings)).toEqual(['none']);
    }
  });

  test('if a program was interrupted between changing the block count and the checksum', async () => {
    const { findings } = await verifyAll(goldenBytes('stale-header'));
    expect(findings[0]).toMatchObject({ code: 'FILE_HEADER_CHECKSUM' });
    expect(findings[0]!.flippedBit).toBeUndefined();
  });

  test('in a page without a checksum', async () => {
    const bytes = damaged(goldenBytes('v1'), (_, view) => view.setUint32(2 * BLOCK_BYTES - 8, 63, true));
    expect(new Set(bitsOf((await verifyAll(bytes)).findings))).toEqual(new Set(['none']));
  });
});

test('the search does not change the page', async () => {
  const bytes = damaged(await smallFile('v2'), (copy) => copy.fill(9, BLOCK_BYTES + 70, BLOCK_BYTES + 90));
  const block = bytes.slice(BLOCK_BYTES);
  flippedPageBit(new PageFacts(decodePage(block)!, 1));
  expect(Buffer.compare(block, bytes.subarray(BLOCK_BYTES))).toBe(0);
});

test('the bit that explains the difference of two checksums is found in ranges of any length, the first and last bit included', () => {
  const next = random(11);
  for (const length of [1, 2, 255, 256, 257, 4096, 262_144]) {
    const bytes = Uint8Array.from({ length }, () => Math.floor(next() * 256));
    const sum = crc32(bytes);
    for (const bit of [0, 8 * length - 1, ...Array.from({ length: 20 }, () => Math.floor(next() * 8 * length))]) {
      flipBit(bytes, bit);
      expect(flippedBitOf(sum ^ crc32(bytes), length)).toBe(bit);
      flipBit(bytes, bit);
    }
    expect(flippedBitOf(0, length)).toBe(-1);
  }
});
