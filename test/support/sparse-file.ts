import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { encodeFileHeader, newFileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset, V1_SLOT_BYTES } from '../../src/format/layout.ts';
import { newPageWriter } from '../../src/format/page.ts';
import { encodePlannedHeader } from '../../src/format/page-writer.ts';

/** Length of the node of each page: all zeros, so that its bytes need no place on the disk. */
const NODE_BYTES = 200_000;

/**
 * Writes a page file that is larger than the disk need be. Its pages are whole ones, with a checksum over a node that
 * takes most of the block; its other blocks were allocated and never written. Pages come in runs of four, and
 * then as many other blocks as there have to be.
 */
export function writeSparseFile(path: string, blocks: number, pages: number): void {
  const writer = newPageWriter('v1');
  writer.add(new Uint8Array(NODE_BYTES), 0, NODE_BYTES);
  const head = encodePlannedHeader('v1', writer.block, writer.plan('open'));
  const slot = writer.block.subarray(BLOCK_BYTES - V1_SLOT_BYTES);
  const file = openSync(path, 'w');
  try {
    ftruncateSync(file, fileOffset(blocks));
    const stride = Math.floor((blocks - 1) / Math.ceil(pages / 4));
    for (let page = 0; page < pages; page++) {
      const block = 1 + stride * (page >> 2) + (page & 3);
      writeSync(file, head, 0, head.length, fileOffset(block));
      writeSync(file, slot, 0, slot.length, fileOffset(block + 1) - slot.length);
    }
    writeSync(file, encodeFileHeader({ ...newFileHeader(blocks), entryCount: BigInt(pages) }), 0, 64, 0);
  } finally {
    closeSync(file);
  }
}
