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

/** What is mended, and how what belongs there is known. */
export interface Repair {
  /** The `repair` of its changes. Never given to another one. */
  readonly id: RepairId;
  /** What is put right, and what proves it, in one line. */
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
 * Every repair there is. Of the file header the first one that applies is made, of a page as well. The place in the list is
 * what undo files know a repair by, so new ones come last.
 */
export const REPAIRS: readonly Repair[] = [
  { id: 'header-reserved', summary: 'a field of the file header that has to be 0 is 0 again' },
  { id: 'header-count', summary: 'blockCount is set by the size of the file: the checksum holds with another count' },
  { id: 'header-bit', summary: 'a bit of the file header is flipped back: then its checksum holds' },
  { id: 'header-field', summary: 'a field of the file header is set: then its checksum holds' },
  { id: 'header-record', summary: 'the file header is taken from the last commit record' },
  { id: 'header-copy', summary: 'the file header is taken from its copy, and its counts from the blocks' },
  { id: 'root-descriptor', summary: 'the root descriptor is taken from the copy that was made of this file header' },
  { id: 'page-field', summary: 'a field of a page header is set: then the checksum of the page holds' },
  { id: 'page-bit', summary: 'a bit of a page is flipped back: then its checksum holds' },
  { id: 'page-checksum', summary: 'a page that another program has appended to gets a new checksum' },
  { id: 'commit-record', summary: 'what a commit record says is brought home, and the record is emptied' },
  { id: 'record-bit', summary: 'a bit of a commit record is flipped back: then its checksum holds' },
  { id: 'free-list', summary: 'free blocks that the free list has lost are linked to it again' },
  { id: 'entry-count', summary: 'entryCount is set to the nodes in the pages' },
  { id: 'copy', summary: 'the copy of the file header is made anew' },
  {
    id: 'page-record',
    summary: 'the header of a page is taken from the last commit record of it: then its checksum holds',
  },
];

/** Bytes that a repair puts in the place of others. */
export interface Change {
  readonly repair: RepairId;
  readonly block: number;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** The name of the field, where it is one. */
  readonly field?: string;
  readonly before: Uint8Array;
  /** As many bytes as `before`. */
  readonly after: Uint8Array;
}

/** An error, or a warning that repair is asked about, that a repair leaves as it is, and why where that is not plain. */
export interface LeftProblem extends Problem {
  /** Whether `likelyBits` would mend it. */
  readonly isLikely?: boolean;
}

/** Receives what a repair does, or would do, so that nothing has to be kept. */
export interface RepairSink {
  /** Bytes that change. In a real run, told once they have changed. */
  change(change: Change): void | Promise<void>;
  /** An error or a warning that stays. */
  left(problem: LeftProblem): void | Promise<void>;
}

export interface RepairOptions {
  /** Gives pages whose checksum is out of date a new one: nobody has checked the nodes that came since. */
  readonly staleChecksums?: boolean;
  /**
   * Flips back a bit that explains a wrong checksum also where so many bits could be it that one explains some damage of
   * another kind by chance: for a full page, in one of 2,048.
   */
  readonly likelyBits?: boolean;
  /** Called after each block that was looked at. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks, or two journals: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a repair came to. */
export interface RepairSummary {
  readonly file: string;
  /** Blocks that were looked at, block 0 counted. */
  readonly blocks: number;
  /** Changes that were, or would be, made. */
  readonly changes: number;
  /** Errors that stay. */
  readonly left: number;
  /** Warnings that stay, of those that it takes a reason to leave: a count of nodes, a root descriptor. */
  readonly warnings: number;
  /** Pages with a checksum that is out of date, which `staleChecksums` would give a new one. */
  readonly stalePages: number;
  /** Whether more may be found when it runs again: a commit that was not brought home can be judged only then. */
  readonly again: boolean;
  /** Whether a writer was at work: then what needs all blocks as of one moment was left out. */
  readonly changed: boolean;
}

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

/** Where a plan goes as it is made. */
export interface PlanSink {
  /** The bytes are the receiver's. */
  patch(patch: Patch): Promise<void>;
  left(problem: LeftProblem): Promise<void>;
}

/** Counts what a plan says on its way. */
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
