import type { PlacedField } from '../bytes/record.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { FILE_HEADER, HEADER_COPY, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import type { Patch } from '../format/journal.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import type { Problem } from '../format/problem.ts';

/** A kind of repair. */
export interface Repair {
  /** The `repair` of its changes; never used again for another kind. */
  readonly id: RepairId;
  /** What is repaired, and what proves it, in one line. */
  readonly summary: string;
}

export type RepairId =
  | 'header-reserved'
  | 'header-count'
  | 'header-bit'
  | 'header-field'
  | 'header-record'
  | 'header-copy'
  | 'root-descriptor'
  | 'page-field'
  | 'page-bit'
  | 'page-checksum'
  | 'commit-record'
  | 'record-bit'
  | 'free-list'
  | 'entry-count'
  | 'copy'
  | 'page-record';

/**
 * Every kind of repair. Of those of the file header the first that applies is made, and of those of a page. Undo files contain
 * the index in this list, so new kinds go last.
 */
export const REPAIRS: readonly Repair[] = [
  { id: 'header-reserved', summary: 'a field of the file header that has to be 0 is 0 again' },
  {
    id: 'header-count',
    summary: 'blockCount is set from the size of the file: the checksum matches with another count',
  },
  { id: 'header-bit', summary: 'a bit of the file header is flipped back: then its checksum matches' },
  { id: 'header-field', summary: 'a field of the file header is set: then its checksum matches' },
  { id: 'header-record', summary: 'the file header is taken from the last commit record' },
  { id: 'header-copy', summary: 'the file header is taken from its copy, and its counts from the blocks' },
  { id: 'root-descriptor', summary: 'the root descriptor is taken from the copy that was made with this file header' },
  { id: 'page-field', summary: 'a field of a page header is set: then the checksum of the page matches' },
  { id: 'page-bit', summary: 'a bit of a page is flipped back: then its checksum matches' },
  { id: 'page-checksum', summary: 'a page that another program has appended to gets a new checksum' },
  { id: 'commit-record', summary: 'a commit record is checkpointed and emptied' },
  { id: 'record-bit', summary: 'a bit of a commit record is flipped back: then its checksum matches' },
  { id: 'free-list', summary: 'free blocks that the free list has lost are linked to it again' },
  { id: 'entry-count', summary: 'entryCount is set to the nodes in the pages' },
  { id: 'copy', summary: 'the copy of the file header is written again' },
  {
    id: 'page-record',
    summary: 'the header of a page is taken from its last commit record: then its checksum matches',
  },
];

/** Bytes that a repair replaces. */
export interface Change {
  readonly repair: RepairId;
  readonly block: number;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** The name of the field, if it is one. */
  readonly field?: string;
  readonly before: Uint8Array;
  /** As many bytes as `before`. */
  readonly after: Uint8Array;
}

/** An error or warning that is not repaired; the message says why where that is not obvious. */
export interface LeftProblem extends Problem {
  /** Whether `likelyBits` would repair it. */
  readonly isLikely?: boolean;
}

/** How a file is searched for damage. */
export interface RepairScanOptions {
  /** Gives pages with a stale checksum a new one, although nothing proves the nodes that were added since. Default: false. */
  readonly staleChecksums?: boolean;
  /**
   * Flips back a bit that explains a wrong checksum even if it is only probably right: in a full page one bit explains one
   * in 2,048 cases of other damage too. Default: false.
   */
  readonly likelyBits?: boolean;
  /** Called after each block that was checked. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks or two journals; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link repair}. */
export interface RepairReport {
  readonly file: string;
  /** Blocks that were checked, block 0 included. */
  readonly blocks: number;
  /** Changes that were made, or in a dry run would be. */
  readonly changes: number;
  /** Errors that are not repaired. */
  readonly left: number;
  /** Warnings that are not repaired, where repair could be expected to: an entry count, a root descriptor. */
  readonly warnings: number;
  /** Pages with a stale checksum, which `staleChecksums` would renew. */
  readonly stalePages: number;
  /** Whether another run may repair more: a commit record can be checked only after this one. */
  readonly again: boolean;
  /** Whether a writer was active: then everything that needs all blocks at one moment was skipped. */
  readonly changed: boolean;
}

/** The patch that makes a change. */
function patchOf({ repair, offset, before, after }: Omit<Change, 'block' | 'field'>): Patch {
  return { position: offset, kind: REPAIRS.findIndex(({ id }) => id === repair), before, after };
}

/** The change that a patch makes; undefined if its kind of repair is not known. */
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

/** Each field of a record that differs: its name, offset and bytes, which are views. */
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

/** Receives a plan while it is made. */
export interface PlanSink {
  /** The receiver may keep the patch. */
  patch(patch: Patch): Promise<void>;
  left(problem: LeftProblem): Promise<void>;
}

/** Counts the changes and problems of a plan, and passes them on. */
export class PlanOutput {
  changes = 0;
  errors = 0;
  warnings = 0;
  readonly #sink: PlanSink;

  constructor(sink: PlanSink) {
    this.#sink = sink;
  }

  async change({ repair, offset, before, after }: Omit<Change, 'block' | 'field'>): Promise<void> {
    this.changes++;
    await this.#sink.patch(patchOf({ repair, offset, before: before.slice(), after: after.slice() }));
  }

  async left(problem: LeftProblem): Promise<void> {
    if (problem.severity === 'error') this.errors++;
    else this.warnings++;
    await this.#sink.left(problem);
  }
}
