import { describe, expect, test } from 'vitest';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PAGE_HEADER, type PageFormat } from '../../src/format/page-header.ts';
import { jsonLines } from '../support/cli.ts';
import { withHeader } from '../support/damage.ts';
import { expectRoundTrip, exported, imported, nodesOf } from '../support/exchange.ts';
import { GOLDEN_NAMES, goldenBytes, goldenNodes } from '../support/files.ts';
import { hexOf, text } from '../support/nodes.ts';
import { verifyAll } from '../support/verify.ts';

describe.each(GOLDEN_NAMES)('%s, which the Rust code wrote,', (name) => {
  test('has the nodes that another reader found, in its export and in the import of that', async () => {
    const expected = name === 'v2-unfinalized' ? [] : goldenNodes(name).map(({ ref, hex }) => `${ref} ${hex}`);
    const lines = await exported(goldenBytes(name));
    const nodes = jsonLines(lines).filter(({ type }) => type === 'node');
    const bytesOf = ({ text: plain, base64 }: Record<string, unknown>): Buffer =>
      typeof plain === 'string' ? Buffer.from(plain) : Buffer.from(base64 as string, 'base64');
    expect(nodes.map((node) => `${String(node['ref'])} ${hexOf(bytesOf(node))}`)).toEqual(expected);
    const { bytes } = await imported(lines);
    expect(nodesOf(bytes)).toEqual(expected);
    expect((await exported(bytes)).equals(lines)).toBe(true);
    expect((await verifyAll(bytes, { requireChecksums: true })).findings).toEqual([]);
  });
});

/** A page with each node at its offset, and a directory in the given order. */
function handMade(
  format: PageFormat,
  nodes: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Uint8Array {
  const file = Buffer.alloc(2 * BLOCK_BYTES);
  const page = file.subarray(BLOCK_BYTES);
  page.write(format === 'v1' ? 'BYTARANA' : 'BYTARAV2', 'latin1');
  page.writeUInt16LE(format === 'v1' ? 1 : 2, 8);
  page.writeUInt16LE(format === 'v1' ? 0 : 1, 10);
  page.writeUInt32LE(nodes.length, 12);
  const free = Math.max(64, ...nodes.map(({ offset, bytes }) => offset + bytes.length));
  page.writeUInt32LE(free, 16);
  let at = free;
  const varint = (value: number): void => {
    const bytes = value <= 247 ? 0 : value < 256 ? 1 : value < 65_536 ? 2 : 3;
    at = page.writeUInt8(bytes === 0 ? value : 247 + bytes, at);
    if (bytes > 0) at = page.writeUIntLE(value, at, bytes);
  };
  for (const [slot, { offset, bytes }] of nodes.entries()) {
    page.set(bytes, offset);
    if (format === 'v1') {
      page.writeUInt32LE(offset, BLOCK_BYTES - 8 * (slot + 1));
      page.writeUInt32LE(bytes.length, BLOCK_BYTES - 8 * (slot + 1) + 4);
    } else {
      varint(offset);
      varint(bytes.length);
    }
  }
  page.writeUInt32LE(format === 'v1' ? BLOCK_BYTES - 8 * nodes.length : free, 20);
  return withHeader(file, { ...FILE_HEADER.read(goldenBytes('empty')), blockCount: 2 });
}

describe('a page of another program', () => {
  test('in V1 that is filled to its last byte is restored, though append would have reserved some bytes', async () => {
    const full = Array.from({ length: 8190 }, (_, index) => ({
      offset: 64 + 24 * index,
      bytes: new Uint8Array(24).fill(index),
    }));
    const file = handMade('v1', full);
    expect(PAGE_HEADER.read(file, BLOCK_BYTES)).toMatchObject({ freeOffset: 196_624, directoryStart: 196_624 });
    await expectRoundTrip(file);
    await expectRoundTrip(handMade('v1', [{ offset: 64, bytes: new Uint8Array(262_072).fill(7) }]));
  });

  test.each(['v1', 'v2'] as const)('in %s with nodes in no order and gaps between them is restored', async (format) => {
    const nodes = [900, 64, 300, 300, 70].map((offset, index) => ({
      offset,
      bytes: text(index === 3 ? '' : `n${index}`),
    }));
    await expectRoundTrip(handMade(format, nodes));
  });

  test('in V2 whose nodes do not fit in slot order is refused with advice', async () => {
    // Offsets of 64 take a byte in its directory, and three or four in ours.
    const empty = { offset: 64, bytes: new Uint8Array(0) };
    const nodes = [{ offset: 64, bytes: new Uint8Array(200_000) }, ...Array.from({ length: 25_000 }, () => empty)];
    const file = handMade('v2', nodes);
    expect((await verifyAll(file)).summary).toMatchObject({ nodes: 25_001, findings: { error: 0 } });
    await expect(imported(await exported(file))).rejects.toMatchObject({
      code: 'INVALID_LINE',
      message: expect.stringMatching(
        /^line \d+ of the input: node 1:\d+ of 0 bytes does not fit in its v2 page .*jq -c/,
      ),
    });
  });
});
