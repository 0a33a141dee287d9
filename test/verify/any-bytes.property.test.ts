import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockTableRow, pageRow } from '../../src/view/tables.ts';
import { nodeDump, pageTable } from '../../src/view/tables.ts';
import { hexdump } from '../../src/view/hexdump.ts';
import { RawBlocks } from '../../src/salvage/block-kind.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { decodePage, type Page } from '../../src/format/page.ts';
import { PAGE_MAGIC } from '../../src/format/page-header.ts';
import { pageProblems } from '../../src/format/page-checks.ts';
import { fileHeaderRegions, pageRegions } from '../../src/format/regions.ts';
import { smallFile } from '../support/damage.ts';
import { random } from '../support/nodes.ts';
import { verifyAll } from '../support/verify.ts';

const good = { v1: await smallFile('v1', false, 100), v2: await smallFile('v2', false, 100) };

/** Runs everything that reads a page, to its end. */
function lookAt(page: Page): void {
  let lines = 0;
  for (const output of [pageTable(page, 1), hexdump(page.block, 1, pageRegions(page, 1))]) {
    for (const line of output) lines += line.length > 0 ? 1 : 0;
  }
  expect(lines).toBeGreaterThan(0);
  expect(blockTableRow(pageRow(page, 1)).length).toBeGreaterThan(10);
  expect([...pageProblems(page, 1)].length).toBeLessThan(400_000);
  if (page.directory.count > 0) expect([...nodeDump(page, 1, page.directory.count - 1)].length).toBeGreaterThan(0);
}

const mutation = fc.record({
  block: fc.nat(1),
  // Mostly at used offsets: headers, the first nodes, the ends of the directories.
  offset: fc.oneof(
    fc.nat(100),
    fc.nat(6000),
    fc.nat(BLOCK_BYTES - 1),
    fc.integer({ min: BLOCK_BYTES - 3000, max: BLOCK_BYTES - 1 }),
  ),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 12 }),
    fc.constantFrom(new Uint8Array(4).fill(255), new Uint8Array(8)),
  ),
});

describe('any bytes', () => {
  test('a mutated file can be decoded, verified and dumped completely without an exception', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('v1', 'v2'),
        fc.array(mutation, { minLength: 1, maxLength: 6 }),
        async (format, mutations) => {
          const bytes = good[format].slice();
          for (const { block, offset, bytes: change } of mutations) {
            bytes.set(change.subarray(0, Math.min(change.length, BLOCK_BYTES - offset)), fileOffset(block, offset));
          }
          const { summary } = await verifyAll(bytes);
          expect(summary.blocks).toBeLessThanOrEqual(2);
          const page = decodePage(bytes.subarray(BLOCK_BYTES));
          if (page) lookAt(page);
          const raw = await RawBlocks.open(new MemoryBlockFile(bytes));
          expect([...hexdump(raw.block0, 0, fileHeaderRegions(raw.block0))].length).toBeGreaterThan(10);
          expect((await raw.freeList()).blocks.size).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('random bytes after a page magic can be decoded, verified and dumped completely', () => {
    fc.assert(
      fc.property(fc.constantFrom('v1', 'v2'), fc.integer(), fc.nat(40_000), (format, seed, nodeCount) => {
        const next = random(seed);
        const block = Uint8Array.from({ length: BLOCK_BYTES }, () => Math.floor(next() * 256));
        const view = new DataView(block.buffer);
        view.setBigUint64(0, PAGE_MAGIC[format], true);
        view.setUint32(12, nodeCount, true);
        view.setUint32(16, 64 + Math.floor(next() * 200_000), true);
        view.setUint32(20, format === 'v1' ? BLOCK_BYTES - 8 * nodeCount : Math.floor(next() * BLOCK_BYTES), true);
        lookAt(decodePage(block)!);
      }),
      { numRuns: 12 },
    );
  });

  test('a page in which all slots overlap is checked fast', () => {
    // The worst case for quadratic algorithms: 131,040 slots that point to the same bytes.
    const block = new Uint8Array(BLOCK_BYTES).fill(64);
    const view = new DataView(block.buffer);
    block.set(good.v2.subarray(BLOCK_BYTES, BLOCK_BYTES + 64));
    view.setUint32(12, 131_040, true);
    view.setUint32(16, 128, true);
    view.setUint32(20, 128, true);
    const page = decodePage(block)!;
    expect(page.directory.count).toBe(131_008);
    lookAt(page);
    expect([...pageProblems(page, 1)].filter((problem) => problem.code === 'SLOT_OVERLAP').length).toBe(131_007);
  });
});
