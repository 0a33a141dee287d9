import type { PlacedField } from '../bytes/record.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { FILE_HEADER, HEADER_COPY, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import type { Patch } from '../format/patch.ts';
import { type Change, type RepairId, REPAIRS } from './repairs.ts';

/** The patch that makes a change. */
export function patchOf({ repair, offset, before, after }: Omit<Change, 'block' | 'field'>): Patch {
  return { position: offset, kind: REPAIRS.findIndex(({ id }) => id === repair), before, after };
}

/** The change that a patch makes; undefined where its kind is of no repair that is known. */
export function changeOf({ position, kind, before, after }: Patch): Change | undefined {
  const repair = REPAIRS[kind]?.id;
  if (repair === undefined) return undefined;
  const [block, at] = [Math.floor(position / BLOCK_BYTES), position % BLOCK_BYTES];
  const field = block === 0 ? fieldOfBlock0(at) : fieldOfBlock(repair, at, before.length);
  return { repair, block, offset: position, ...(field === undefined ? {} : { field }), before, after };
}

function fieldOfBlock0(at: number): string | undefined {
  if (at < FILE_HEADER_BYTES) return nameAt(FILE_HEADER.fields, at);
  if (at < ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.bytes)
    return nameAt(ROOT_DESCRIPTOR.fields, at - ROOT_DESCRIPTOR_OFFSET);
  if (at >= HEADER_COPY_OFFSET && at < HEADER_COPY_OFFSET + HEADER_COPY.bytes) return 'header copy';
  const isRecord = COMMIT_RECORD_OFFSETS.some((offset) => at >= offset && at < offset + COMMIT_RECORD.bytes);
  return isRecord ? 'commit record' : undefined;
}

function fieldOfBlock(repair: RepairId, at: number, bytes: number): string | undefined {
  if (repair === 'free-list') return 'link';
  if (repair === 'commit-record' && bytes === PAGE_HEADER_BYTES) return 'block head';
  return at < PAGE_HEADER_BYTES ? nameAt(PAGE_HEADER.fields, at) : undefined;
}

function nameAt(fields: readonly PlacedField[], at: number): string | undefined {
  return fields.find(({ offset, bytes }) => at >= offset && at < offset + bytes)?.name;
}

/** Each field of a record that differs, with where it stands. Views of the bytes. */
export function* differingFields(
  fields: readonly PlacedField[],
  before: Uint8Array,
  after: Uint8Array,
): Generator<{ readonly name: string; readonly at: number; readonly before: Uint8Array; readonly after: Uint8Array }> {
  for (const { name, offset, bytes } of fields) {
    const [old, now] = [before.subarray(offset, offset + bytes), after.subarray(offset, offset + bytes)];
    if (Buffer.compare(old, now) !== 0) yield { name, at: offset, before: old, after: now };
  }
}
