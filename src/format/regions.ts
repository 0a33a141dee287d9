import { decodeCommitRecord, COMMIT_RECORD } from './commit-record.ts';
import { FILE_HEADER, HEADER_COPY, headerCopyState, ROOT_DESCRIPTOR } from './file-header.ts';
import { hex } from './problem.ts';
import { BLOCK_BYTES, COMMIT_RECORD_OFFSETS, HEADER_COPY_OFFSET, ROOT_DESCRIPTOR_OFFSET } from './layout.ts';
import { type Page, slotEntry } from './page.ts';
import { PAGE_HEADER } from './page-header.ts';
import { readField, type RecordLayout } from '../bytes/record.ts';
import { counted } from '../bytes/encodings.ts';
import { slotsByOffset } from './slots.ts';

export type RegionKind = 'header' | 'record' | 'node' | 'directory' | 'gap';

/** A named range of bytes; always within the block. */
export interface Region {
  readonly kind: RegionKind;
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** The value of the bytes, if they are a number. */
  readonly value?: string;
  /** For a field of a record. */
  readonly meaning?: string;
}

/** By ascending start, with gaps between. In a damaged page, nodes may overlap. */
export function* pageRegions(page: Page, blockId: number): Generator<Region> {
  const content = merge(nodeRegions(page, blockId), directoryRegions(page, blockId));
  yield* withGaps([recordRegions(PAGE_HEADER, page.block, 0, 'header', ''), content]);
}

/** As {@link pageRegions}, for block 0. @throws RangeError if `block0` does not have 262,144 bytes */
export function* fileHeaderRegions(block0: Uint8Array): Generator<Region> {
  if (block0.length !== BLOCK_BYTES)
    throw new RangeError(`fileHeaderRegions: block0 must have ${BLOCK_BYTES} bytes, it has ${block0.length}`);
  const parts = [
    recordRegions(FILE_HEADER, block0, 0, 'header', ''),
    recordRegions(ROOT_DESCRIPTOR, block0, ROOT_DESCRIPTOR_OFFSET, 'record', 'root descriptor: '),
  ];
  for (const [index, offset] of COMMIT_RECORD_OFFSETS.entries()) {
    if (decodeCommitRecord(block0, offset))
      parts.push(recordRegions(COMMIT_RECORD, block0, offset, 'record', `commit record ${index}: `));
  }
  if (headerCopyState(block0) !== 'absent')
    parts.push(recordRegions(HEADER_COPY, block0, HEADER_COPY_OFFSET, 'record', 'header copy: '));
  yield* withGaps(parts);
}

export function* recordRegions<T>(
  layout: RecordLayout<T>,
  block: Uint8Array,
  offset: number,
  kind: RegionKind,
  prefix: string,
): Generator<Region> {
  const view = new DataView(block.buffer, block.byteOffset + offset, layout.bytes);
  for (const field of layout.fields) {
    const value = readField(view, field);
    const start = offset + field.offset;
    const region = { kind, start, end: start + field.bytes, name: prefix + field.name, meaning: field.doc };
    yield value instanceof Uint8Array ? region : { ...region, value: fieldText(field.name, value) };
  }
}

const IN_HEX = /(?:magic|flags|checksum|crc|pointer|head|record)$/i;

function fieldText(name: string, value: number | bigint): string {
  return IN_HEX.test(name) ? hex(value) : String(value);
}

function* nodeRegions({ directory }: Page, blockId: number): Generator<Region> {
  for (const slot of slotsByOffset(directory)) {
    const start = Math.min(directory.nodeOffset(slot), BLOCK_BYTES);
    const end = Math.min(start + directory.nodeBytes(slot), BLOCK_BYTES);
    const value = counted(directory.nodeBytes(slot), 'byte');
    yield { kind: 'node', start, end, name: `node ${blockId}:${slot}`, value };
  }
}

function* directoryRegions(page: Page, blockId: number): Generator<Region> {
  const { directory, format } = page;
  for (let index = 0; index < directory.count; index++) {
    // A V1 directory grows down, so its last slot comes first.
    const slot = format === 'v1' ? directory.count - 1 - index : index;
    const value = `${directory.nodeOffset(slot)}, ${directory.nodeBytes(slot)}`;
    yield { kind: 'directory', ...slotEntry(page, slot), name: `slot ${blockId}:${slot}`, value };
  }
}

/** By their starts. */
function* merge(a: Iterator<Region>, b: Iterator<Region>): Generator<Region> {
  let left = a.next();
  let right = b.next();
  while (!left.done || !right.done) {
    if (right.done || (!left.done && left.value.start <= right.value.start)) {
      if (!left.done) yield left.value;
      left = a.next();
    } else {
      yield right.value;
      right = b.next();
    }
  }
}

function* withGaps(parts: Iterable<Iterable<Region>>): Generator<Region> {
  let end = 0;
  for (const part of parts) {
    for (const region of part) {
      if (region.start > end) yield { kind: 'gap', start: end, end: region.start, name: 'free space' };
      yield region;
      end = Math.max(end, region.end);
    }
  }
  if (end < BLOCK_BYTES) yield { kind: 'gap', start: end, end: BLOCK_BYTES, name: 'free space' };
}
