import { expect } from 'vitest';
import { FILE_HEADER } from '../../src/format/file-header.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PAGE_FLAG, PAGE_HEADER } from '../../src/format/page-header.ts';
import type { FileRoot } from '../../src/store/page-file-builder.ts';
import { hexOf } from './nodes.ts';
import { specNodes } from './spec-reader.ts';
import { verifyAll } from './verify.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { type ExportOptions, exportNodes } from '../../src/transfer/export.ts';
import { type ImportOptions, importNodes, type ImportReport } from '../../src/transfer/import.ts';

/** The export of a file in memory. */
export async function exported(file: Uint8Array, options?: ExportOptions): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of exportNodes(new MemoryBlockFile(file), options)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The import of lines. @param pieceBytes - length of the pieces that the lines are passed in */
export async function imported(
  lines: Uint8Array | string,
  options?: ImportOptions,
  pieceBytes: number = Infinity,
): Promise<{ bytes: Uint8Array; report: ImportReport }> {
  const file = new MemoryBlockFile();
  const report = await importNodes(pieces(Buffer.from(lines), pieceBytes), file, options);
  return { bytes: file.bytes.slice(), report };
}

function* pieces(bytes: Buffer, pieceBytes: number): Generator<Uint8Array> {
  const most = Math.min(pieceBytes, Math.max(1, bytes.length));
  for (let at = 0; at < bytes.length; at += most) yield bytes.subarray(at, at + most);
}

/** The export of a file of four blocks, with two nodes in a page in block 2, without the fields that import does not need. */
export const GOOD_LINES: readonly string[] = [
  '{"type":"file","schema":1,"blocks":4}',
  '{"type":"page","block":2,"format":"v1","finalized":false,"nodes":2}',
  '{"type":"node","ref":"2:0","text":"a"}',
  '{"type":"node","ref":"2:1","hex":"ff"}',
  '{"type":"summary","schema":1,"blocks":4,"pages":1,"freeBlocks":2,"nodes":2}',
];

export const joinLines = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** Block, format and flag of each page. */
function pagesOf(bytes: Uint8Array): string[] {
  const pages: string[] = [];
  for (let block = 1; block < bytes.length / BLOCK_BYTES; block++) {
    const { magic, flags, version } = PAGE_HEADER.read(bytes, block * BLOCK_BYTES);
    if (magic >> 56n !== 0n) pages.push(`${block} v${version} ${flags & PAGE_FLAG.finalized}`);
  }
  return pages;
}

/** Ref and bytes in hex of each node, as a reader that is not ours finds them. */
export const nodesOf = (bytes: Uint8Array): string[] =>
  specNodes(bytes).map((node) => `${node.ref} ${hexOf(node.bytes)}`);

/** Exports a file, imports that, and expects the same again: in blocks, pages, nodes and lines. */
export async function expectRoundTrip(file: Uint8Array, root?: FileRoot): Promise<Buffer> {
  const lines = await exported(file);
  const { bytes, report } = await imported(lines);
  const nodes = nodesOf(file);
  expect(nodesOf(bytes)).toEqual(nodes);
  expect(pagesOf(bytes)).toEqual(pagesOf(file));
  expect(bytes.length).toBe(file.length);
  expect((await verifyAll(bytes, { requireChecksums: true })).findings).toEqual([]);
  // The checkpoint number belongs to a log, which is not beside the new file.
  const same = lines.toString('latin1').replace(/,"imageCheckpointLsn":"\d+"/, '');
  expect((await exported(bytes)).toString('latin1') === same).toBe(true);
  expect(report).toMatchObject({ refs: 'kept', nodes: nodes.length, blocks: file.length / BLOCK_BYTES });
  if (root)
    expect(FILE_HEADER.read(bytes)).toMatchObject({ rootPointer: root.rootPointer, entryCount: root.entryCount });
  return lines;
}
