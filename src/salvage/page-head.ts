import { soundPageUnder } from '../format/commit-record.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_MAX_SLOTS, V1_SLOT_BYTES } from '../format/layout.ts';
import { checksummedDirectory, pageChecksum } from '../format/page-checksum.ts';
import {
  encodePageHeader,
  PAGE_FLAG,
  PAGE_FORMAT_FLAGS,
  PAGE_HEADER,
  PAGE_MAGIC,
  PAGE_VERSION,
  type PageFormat,
  type PageHeader,
} from '../format/page-header.ts';
import { decodePage, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import type { FoundDirectory } from './lost-directory.ts';

/** What a page header says of the bounds of its page. */
type Shape = Pick<PageHeader, 'nodeCount' | 'freeOffset' | 'directoryStart' | 'directoryLength'>;

/**
 * Looks for the header that the checksum in a page was taken with: most fields follow from others, so where some are
 * right, or the directory is, all can be. Some 50 headers are tried, and each can be wrong only where 32 bits of checksum
 * agree by chance.
 * @param found - the V2 directory that was found without the header
 * @returns the page, sound, with the header in its place; undefined with nothing changed where there is none
 */
export function restoreHead(
  block: Uint8Array,
  blockId: number,
  formats: readonly PageFormat[],
  found: FoundDirectory | undefined,
): Page | undefined {
  const fields = PAGE_HEADER.read(block);
  for (const format of formats) {
    for (const shape of format === 'v1' ? v1Shapes(block, fields) : v2Shapes(block, fields, found)) {
      for (const header of headersOf(format, fields, shape)) {
        const directory = checksummedDirectory(format, header);
        if (header.freeOffset > directory.start || directory.end > BLOCK_BYTES) continue;
        if (pageChecksum(block, header, directory) !== header.checksum) continue;
        const page = soundPageUnder(block, blockId, encodePageHeader(header));
        if (page) return page;
      }
    }
  }
  return undefined;
}

/** The headers of one shape that a writer can have written: sealed or not, and with zeros in reserved places or with what stands there. */
function* headersOf(format: PageFormat, fields: PageHeader, shape: Shape): Generator<PageHeader> {
  const flags = PAGE_FORMAT_FLAGS[format] | PAGE_FLAG.hasChecksum;
  const common = { magic: PAGE_MAGIC[format], version: PAGE_VERSION[format], checksum: fields.checksum };
  const reserved: Pick<PageHeader, 'reserved' | 'unused'>[] = [
    { reserved: new Uint8Array(fields.reserved.length), unused: 0n },
  ];
  const isReservedUsed = fields.unused !== 0n || fields.reserved.some((byte) => byte !== 0);
  if (isReservedUsed) reserved.push({ reserved: fields.reserved, unused: fields.unused });
  for (const sealed of [0, PAGE_FLAG.finalized]) {
    for (const rest of reserved) {
      yield { ...common, ...shape, ...rest, flags: flags | sealed, checksumNodeCount: shape.nodeCount };
    }
  }
}

function* v1Shapes(block: Uint8Array, fields: PageHeader): Generator<Shape> {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const byStart = (BLOCK_BYTES - fields.directoryStart) / V1_SLOT_BYTES;
  for (const nodeCount of new Set([fields.nodeCount, fields.checksumNodeCount, byStart])) {
    if (!Number.isInteger(nodeCount) || nodeCount < 0 || nodeCount > V1_MAX_SLOTS) continue;
    const directoryStart = BLOCK_BYTES - V1_SLOT_BYTES * nodeCount;
    const last = nodeCount === 0 ? 0 : view.getUint32(directoryStart, true) + view.getUint32(directoryStart + 4, true);
    for (const freeOffset of new Set([fields.freeOffset, nodeCount === 0 ? NODE_AREA_OFFSET : last])) {
      yield { nodeCount, freeOffset, directoryStart, directoryLength: 0 };
    }
  }
}

function* v2Shapes(block: Uint8Array, fields: PageHeader, found: FoundDirectory | undefined): Generator<Shape> {
  for (const directoryStart of [NODE_AREA_OFFSET, BLOCK_BYTES]) {
    yield { nodeCount: 0, freeOffset: NODE_AREA_OFFSET, directoryStart, directoryLength: 0 };
  }
  if (found) {
    const { count, nodesEnd, start, end } = found;
    yield { nodeCount: count, freeOffset: nodesEnd, directoryStart: start, directoryLength: end - start };
  }
  const scratch = new DirectoryScratch();
  const starts = new Set([fields.directoryStart, fields.freeOffset, ...(found ? [found.start] : [])]);
  for (const directoryStart of starts) {
    for (const nodeCount of new Set([fields.nodeCount, fields.checksumNodeCount])) {
      if (directoryStart >= BLOCK_BYTES || nodeCount === 0) continue;
      const head = encodePageHeader({ ...fields, magic: PAGE_MAGIC.v2, directoryStart, nodeCount });
      const shape = v2Shape(block, head, scratch);
      if (!shape) continue;
      yield shape;
      yield { ...shape, freeOffset: fields.freeOffset };
    }
  }
}

/** The shape of a V2 page whose directory can be read to its last slot. */
function v2Shape(block: Uint8Array, head: Uint8Array, scratch: DirectoryScratch): Shape | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(head);
  const page = decodePage(block, scratch);
  block.set(before);
  if (page === undefined || page.directory.count < page.header.nodeCount) return undefined;
  const { header, directory } = page;
  const last = directory.count - 1;
  const freeOffset = directory.nodeOffset(last) + directory.nodeBytes(last);
  const directoryLength = directory.end - directory.start;
  return { nodeCount: header.nodeCount, freeOffset, directoryStart: directory.start, directoryLength };
}
