import { combineCrc32, crc32 } from '../bytes/checksum.ts';
import type { ByteRange, SlotDirectory } from './slots.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_SLOT_BYTES } from './layout.ts';
import { PAGE_FLAG, PAGE_HEADER, type PageFormat, type PageHeader } from './page-header.ts';

/**
 * How a page's checksum stands to its bytes. `stale`: a program that does not know the checksum has appended
 * to a V1 page since it was taken, and the nodes that it covers are as they were.
 */
export type ChecksumState = 'absent' | 'match' | 'stale' | 'mismatch';

const CHECKSUM_OFFSET = PAGE_HEADER.offsetOf('checksum');
const CHECKSUM_BYTES = PAGE_HEADER.bytesOf('checksum');

const head = new Uint8Array(PAGE_HEADER.bytes);

/**
 * CRC-32 over the header with its checksum field as zero, the node area [64, freeOffset), and the directory.
 * @see docs/format.md, "Page checksum"
 */
export function pageChecksum(block: Uint8Array, header: PageHeader, directory: ByteRange): number {
  PAGE_HEADER.write(header, head);
  head.fill(0, CHECKSUM_OFFSET, CHECKSUM_OFFSET + CHECKSUM_BYTES);
  let sum = crc32(head);
  sum = crc32(block.subarray(NODE_AREA_OFFSET, header.freeOffset), sum);
  return crc32(block.subarray(directory.start, directory.end), sum);
}

/** A range of a page whose sum is known. */
interface SummedRange {
  readonly crc: number;
  readonly bytes: number;
}

/**
 * As {@link pageChecksum}, from the sums of the node area and the directory: the page is not read.
 * @param head - the 64 bytes of the page header, its checksum field 0
 */
export function combinedPageChecksum(head: Uint8Array, nodes: SummedRange, directory: SummedRange): number {
  const sum = combineCrc32(crc32(head), nodes.crc, nodes.bytes);
  return combineCrc32(sum, directory.crc, directory.bytes);
}

/** The directory bytes that a header says its checksum covers. */
export function checksummedDirectory(format: PageFormat, header: PageHeader): ByteRange {
  const end = format === 'v1' ? BLOCK_BYTES : header.directoryStart + header.directoryLength;
  return { start: header.directoryStart, end };
}

/** Judges the checksum of a page, whatever its bytes. */
export function checksumState(
  format: PageFormat,
  block: Uint8Array,
  header: PageHeader,
  directory: SlotDirectory,
): ChecksumState {
  if ((header.flags & PAGE_FLAG.hasChecksum) === 0) return 'absent';
  if (matches(block, header, checksummedDirectory(format, header))) return 'match';
  return format === 'v1' && matchesEarlierNodes(block, header, directory) ? 'stale' : 'mismatch';
}

function matches(block: Uint8Array, header: PageHeader, directory: ByteRange): boolean {
  const bounded = header.freeOffset <= BLOCK_BYTES && directory.start <= directory.end && directory.end <= BLOCK_BYTES;
  return bounded && pageChecksum(block, header, directory) === header.checksum;
}

/** Whether the checksum is that of the same page when it had `checksumNodeCount` nodes. */
function matchesEarlierNodes(block: Uint8Array, header: PageHeader, directory: SlotDirectory): boolean {
  const earlier = earlierHeader(header, directory);
  return earlier !== undefined && matches(block, earlier, checksummedDirectory('v1', earlier));
}

/** The header of a V1 page as it was when its checksum was taken, where that was before its last nodes. */
export function earlierHeader(header: PageHeader, directory: SlotDirectory): PageHeader | undefined {
  const nodeCount = header.checksumNodeCount;
  if (nodeCount >= header.nodeCount || nodeCount > directory.count) return undefined;
  const last = nodeCount - 1;
  const freeOffset = last < 0 ? NODE_AREA_OFFSET : directory.nodeOffset(last) + directory.nodeBytes(last);
  const directoryStart = BLOCK_BYTES - V1_SLOT_BYTES * nodeCount;
  return { ...header, nodeCount, freeOffset, directoryStart };
}
