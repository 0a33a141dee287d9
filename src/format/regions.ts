import { assertBytes, assertWholeNumber, isBytes } from '../arguments.ts';
import { decodeCommitRecord, COMMIT_RECORD, RECORD_DIGEST } from './commit-record.ts';
import { DIGEST, DIGEST_OFFSET, digestIn } from './digest.ts';
import { FILE_ID, fileIdIn, fileIdState } from './file-id.ts';
import { FILE_HEADER, HEADER_COPY, headerCopyState, ROOT_DESCRIPTOR } from './file-header.ts';
import { hex } from './problem.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_ID_OFFSET,
  HEADER_COPY_OFFSET,
  ROOT_DESCRIPTOR_OFFSET,
} from './layout.ts';
import { assertPage, type Page, slotEntry } from './page.ts';
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
  assertPage('pageRegions', page);
  assertWholeNumber('pageRegions', 'blockId', blockId);
  const content = merge(nodeRegions(page, blockId), directoryRegions(page, blockId));
  yield* withGaps([recordRegions(PAGE_HEADER, page.block, 0, 'header', ''), content], page.block.length);
}

/** As {@link pageRegions}, for block 0. @throws RangeError if `block0` does not have 262,144 bytes */
export function* fileHeaderRegions(block0: Uint8Array): Generator<Region> {
  assertBytes('fileHeaderRegions', 'block0', block0);
  if (block0.length !== BLOCK_BYTES)
    throw new RangeError(`fileHeaderRegions: block0 must have ${BLOCK_BYTES} bytes, it has ${block0.length}`);
  const parts = [
    recordRegions(FILE_HEADER, block0, 0, 'header', ''),
    recordRegions(ROOT_DESCRIPTOR, block0, ROOT_DESCRIPTOR_OFFSET, 'record', 'root descriptor: '),
  ];
  if (digestIn(block0).kind !== 'absent')
    parts.push(recordRegions(DIGEST, block0, DIGEST_OFFSET, 'record', 'digest: '));
  for (const [index, offset] of COMMIT_RECORD_OFFSETS.entries()) {
    const record = decodeCommitRecord(block0, offset);
    const prefix = `commit record ${index}: `;
    if (record) parts.push(recordRegions(COMMIT_RECORD, block0, offset, 'record', prefix));
    if (record?.digest)
      parts.push(recordRegions(RECORD_DIGEST, block0, offset + COMMIT_RECORD.bytes, 'record', `${prefix}digest: `));
  }
  if (fileIdState(fileIdIn(block0)) === 'valid')
    parts.push(recordRegions(FILE_ID, block0, FILE_ID_OFFSET, 'record', 'file id: '));
  if (headerCopyState(block0) !== 'absent')
    parts.push(recordRegions(HEADER_COPY, block0, HEADER_COPY_OFFSET, 'record', 'header copy: '));
  if (digestIn(block0, HEADER_COPY_OFFSET).kind !== 'absent')
    parts.push(recordRegions(DIGEST, block0, HEADER_COPY_OFFSET + DIGEST_OFFSET, 'record', 'header copy: digest: '));
  yield* withGaps(parts, BLOCK_BYTES);
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
    yield isBytes(value) ? region : { ...region, value: fieldText(field.name, value) };
  }
}

const IN_HEX = /(?:magic|flags|checksum|crc|pointer|head|record|sum)$/i;

function fieldText(name: string, value: number | bigint): string {
  return IN_HEX.test(name) ? hex(value) : String(value);
}

function* nodeRegions({ block, directory }: Page, blockId: number): Generator<Region> {
  for (const slot of slotsByOffset(directory)) {
    const start = Math.min(directory.nodeOffset(slot), block.length);
    const end = Math.min(start + directory.nodeBytes(slot), block.length);
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

function* withGaps(parts: Iterable<Iterable<Region>>, bytes: number): Generator<Region> {
  let end = 0;
  for (const part of parts) {
    for (const region of part) {
      if (region.start > end) yield { kind: 'gap', start: end, end: region.start, name: 'free space' };
      yield region;
      end = Math.max(end, region.end);
    }
  }
  if (end < bytes) yield { kind: 'gap', start: end, end: bytes, name: 'free space' };
}
