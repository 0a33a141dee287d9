import { describe, expect, test } from 'vitest';
import { encodeEmptyPageHeader, type PageFormat } from '../../src/format/page-header.ts';
import { completePage } from '../../src/format/page-writer.ts';
import { decodePage, finalizePage, maxNodeBytes, nodesOf, openPageWriter } from '../../src/format/page.ts';
import { pageProblems } from '../../src/format/page-checks.ts';
import { pageRegions } from '../../src/format/regions.ts';
import { hexOf, makeNodes } from '../support/nodes.ts';

const SIZES = [4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144];

function emptyPage(format: PageFormat, pageBytes: number): Uint8Array {
  const block = new Uint8Array(pageBytes);
  block.set(encodeEmptyPageHeader(format, pageBytes));
  return block;
}

function problemsOf(block: Uint8Array): string[] {
  return [...pageProblems(decodePage(block)!, 1)].map(({ code, found }) => `${code} ${found}`);
}

describe.each(['v1', 'v2'] as const)('a %s page in memory', (format) => {
  test.each(SIZES)('of %i bytes holds nodes up to its end, and none is lost', (pageBytes) => {
    // In the middle of other memory, so that a read past the page would find nonzero bytes.
    const memory = new Uint8Array(3 * pageBytes).fill(0xa5);
    const block = memory.subarray(pageBytes, 2 * pageBytes);
    block.set(emptyPage(format, pageBytes));
    const writer = openPageWriter(decodePage(block)!);
    const nodes = makeNodes(20_000, 0, 60, pageBytes);
    let count = 0;
    while (writer.add(nodes[count]!, 0, nodes[count]!.length)) count++;
    completePage(writer, writer.plan('full'));
    expect(problemsOf(block)).toEqual([]);
    const page = decodePage(block)!;
    expect([...nodesOf(page)].map(hexOf)).toEqual(nodes.slice(0, count).map(hexOf));
    const freeBytes = page.directory.start - page.header.freeOffset + pageBytes - page.directory.end;
    expect(freeBytes).toBeLessThan(60 + 8 + 64);
    expect([...pageRegions(page, 1)].at(-1)!.end).toBe(pageBytes);
    block.set(finalizePage(page).header);
    expect(problemsOf(block)).toEqual([]);
    const outside = [memory.subarray(0, pageBytes), memory.subarray(2 * pageBytes)];
    expect(outside.every((part) => part.every((byte) => byte === 0xa5))).toBe(true);
  });

  test.each(SIZES)('of %i bytes holds one node of maxNodeBytes, and none that is longer', (pageBytes) => {
    const most = maxNodeBytes(format, pageBytes);
    const writer = openPageWriter(decodePage(emptyPage(format, pageBytes))!);
    expect(writer.fits(most + 1)).toBe(false);
    expect(writer.add(new Uint8Array(most).fill(7), 0, most)).toBe(true);
    completePage(writer, writer.plan('full'));
    expect(problemsOf(writer.block)).toEqual([]);
    expect(hexOf([...nodesOf(decodePage(writer.block)!)][0]!)).toBe('07'.repeat(most));
  });

  test('of 4,096 bytes is refused for bounds that only a larger page has', () => {
    const block = emptyPage(format, 262_144).slice(0, 4096);
    const code = format === 'v1' ? ['PAGE_BOUNDS 262144', 'PAGE_BOUNDS 262144'] : ['PAGE_BOUNDS 262144'];
    expect(problemsOf(block)).toEqual([...code, expect.stringMatching(/^PAGE_CHECKSUM /)]);
  });
});

test('a V2 directory that runs past the end of a small page is reported', () => {
  const block = emptyPage('v2', 4096);
  const writer = openPageWriter(decodePage(block)!);
  for (const node of makeNodes(20, 5, 20)) writer.add(node, 0, node.length);
  completePage(writer, writer.plan('full'));
  const view = new DataView(block.buffer);
  view.setUint32(20, 4090, true);
  expect(problemsOf(block)[0]).toMatch(/^DIRECTORY_TRUNCATED \d slots?$/);
});
