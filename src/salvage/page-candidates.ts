import { isZero } from '../bytes/buffer.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_MAX_SLOTS, V1_SLOT_BYTES } from '../format/layout.ts';
import { examinePage, PAGE_CHECKS, validPageWithHeader, type PageFacts } from '../format/page-checks.ts';
import {
  checksummedDirectory,
  encodePageHeader,
  NO_STAMP,
  PAGE_FLAG,
  PAGE_FORMAT_FLAGS,
  PAGE_HEADER,
  PAGE_MAGIC,
  PAGE_VERSION,
  pageChecksum,
  type PageFormat,
  type PageHeader,
} from '../format/page-header.ts';
import { decodePage, type Page } from '../format/page.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import type { FoundDirectory } from './page-slots.ts';

type Shape = Pick<PageHeader, 'nodeCount' | 'freeOffset' | 'directoryStart' | 'directoryLength'>;

/**
 * Finds the header that the checksum was computed with: most fields follow from others, so some 50 headers are enough.
 * @returns the valid page, with the header written to `block`; undefined, with nothing changed, if none matches
 */
export function restorePageHeader(
  block: Uint8Array,
  blockId: number,
  formats: readonly PageFormat[],
  found: FoundDirectory | undefined,
): Page | undefined {
  const fields = PAGE_HEADER.read(block);
  for (const format of formats) {
    for (const shape of format === 'v1' ? v1Shapes(block, fields) : v2Shapes(block, fields, found)) {
      for (const header of headersOf(format, fields, shape, blockId)) {
        const directory = checksummedDirectory(format, header);
        if (header.freeOffset > directory.start || directory.end > BLOCK_BYTES) continue;
        if (pageChecksum(block, header, directory) !== header.checksum) continue;
        const page = validPageWithHeader(block, blockId, encodePageHeader(header));
        if (page) return page;
      }
    }
  }
  return undefined;
}

/**
 * The headers of one shape that writers produce: finalized or not, with the present stamp or none, and with zero or the
 * present reserved fields.
 */
function* headersOf(format: PageFormat, fields: PageHeader, shape: Shape, blockId: number): Generator<PageHeader> {
  const flags = PAGE_FORMAT_FLAGS[format] | PAGE_FLAG.hasChecksum;
  const common = { magic: PAGE_MAGIC[format], version: PAGE_VERSION[format], checksum: fields.checksum };
  const zeros = { reserved: new Uint8Array(fields.reserved.length), unused: 0n };
  const isReservedUsed = fields.unused !== 0n || !isZero(fields.reserved);
  const reserved = isReservedUsed ? [zeros, { reserved: fields.reserved, unused: fields.unused }] : [zeros];
  const { commit } = fields;
  const stamps = commit === 0n ? [NO_STAMP] : [NO_STAMP, { home: blockId, commit }];
  for (const finalized of [0, PAGE_FLAG.finalized]) {
    for (const stamp of stamps) {
      for (const rest of reserved) {
        yield { ...common, ...shape, ...stamp, ...rest, flags: flags | finalized, checksumNodeCount: shape.nodeCount };
      }
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

/**
 * Checks a damaged page under the magic of the other format. Version and flags differ too, so 32 bits cannot agree by
 * chance.
 * @returns the valid page, with its magic written to the block; undefined, with nothing changed, if there is none
 */
export function underOtherMagic({ page, blockId }: PageFacts, scratch: DirectoryScratch): PageFacts | undefined {
  const { block, format, header } = page;
  const other = format === 'v1' ? 'v2' : 'v1';
  // A V1 directory is read in place, so the formats do not share the scratch.
  if (header.version !== PAGE_VERSION[other]) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[other], block);
  const facts = examinePage(block, blockId, scratch);
  const isProven = facts && (facts.hasChecksum || [...PAGE_CHECKS.NODES_WITHOUT_DIRECTORY(facts)].length === 0);
  if (isProven && facts.error === undefined) return facts;
  PAGE_HEADER.set('magic', header.magic, block);
  return undefined;
}

export const MAX_ONE_FIELD_HEADERS = 16;

/** Headers with one field set to what the others imply. Their checksum is kept, and has to match. */
export function* oneFieldHeaders(block: Uint8Array, blockId: number, scratch: DirectoryScratch): Generator<Uint8Array> {
  const page = decodePage(block, scratch);
  if (page === undefined) return;
  const { format, header, directory } = page;
  const version = PAGE_VERSION[format];
  const flags = (header.flags & (PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized)) | PAGE_FORMAT_FLAGS[format];
  const changes: Partial<PageHeader>[] = [
    { version },
    { flags },
    { reserved: new Uint8Array(header.reserved.length) },
    { unused: 0n },
    { home: header.commit === 0n ? 0 : blockId },
    { checksumNodeCount: header.nodeCount },
    { directoryLength: format === 'v2' ? directory.end - directory.start : 0 },
    ...(format === 'v1' ? [{ directoryStart: BLOCK_BYTES - V1_SLOT_BYTES * directory.count }] : []),
    { freeOffset: endOfNodes(page) },
  ];
  // Without a checksum only the version is proved, by the 64 bits of the magic.
  if ((header.flags & PAGE_FLAG.hasChecksum) !== 0) {
    for (const change of changes) yield encodePageHeader({ ...header, ...change });
  } else if (header.version !== version) {
    yield encodePageHeader({ ...header, version });
  }
}

function endOfNodes({ directory }: Page): number {
  let end: number = NODE_AREA_OFFSET;
  for (let slot = 0; slot < directory.count; slot++) {
    end = Math.max(end, directory.nodeOffset(slot) + directory.nodeBytes(slot));
  }
  return Math.min(end, BLOCK_BYTES);
}
