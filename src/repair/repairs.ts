import type { PlacedField } from '../bytes/record.ts';
import { PageStoreError, type ProblemCode } from '../errors.ts';
import { COMMIT_SLOT_BYTES } from '../format/commit-record.ts';
import { DIGEST, DIGEST_OFFSET, FILE_START_BYTES } from '../format/digest.ts';
import { FILE_HEADER, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { MAX_JOURNAL_PATCH_BYTES, type Patch, patchBytes } from '../format/journal.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { isOfTrie } from '../format/trie-checks.ts';
import type { Problem } from '../format/problem.ts';

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
  | 'page-record'
  | 'digest-bit'
  | 'digest'
  | 'header-newer';

/** Undo files contain the index in this table, so new kinds go last. */
const SUMMARIES: Readonly<Record<RepairId, string>> = {
  'header-reserved': 'a field of the file header that has to be 0 is 0 again',
  'header-count': 'blockCount is set from the size of the file: the checksum matches with another count',
  'header-bit': 'a bit of the file header is flipped back: then its checksum matches',
  'header-field': 'a field of the file header is set: then its checksum matches',
  'header-record': 'the file header is taken from the last commit record',
  'header-copy': 'the file header is taken from its copy, and its counts from the blocks',
  'root-descriptor': 'the root descriptor is taken from the copy that was made with this file header',
  'page-field': 'a field of a page header is set: then the checksum of the page matches',
  'page-bit': 'a bit of a page is flipped back: then its checksum matches',
  'page-checksum': 'a page that another program has appended to gets a new checksum',
  'commit-record': 'a commit record is checkpointed and emptied',
  'record-bit': 'a bit of a commit record is flipped back: then its checksum matches',
  'free-list': 'free blocks that the free list has lost are linked to it again',
  'entry-count': 'entryCount is set to the nodes in the pages',
  copy: 'the copy of the file header is written again',
  'page-record': 'the header of a page is taken from its last commit record: then its checksum matches',
  'digest-bit': 'a bit of the digest of the page headers is flipped back: then its checksum matches',
  digest: 'the digest of the page headers fits the repaired headers, or is taken from where they add up to it',
  'header-newer': 'an old file header is replaced by a newer one, to whose digest the page headers add up',
};

export interface Repair {
  /** Never reused for another kind. */
  readonly id: RepairId;
  /** What is repaired, and what proves it, in one line. */
  readonly summary: string;
}

/** Every kind of repair. For the file header, and for a page, only the first that applies is made. */
export const REPAIRS: readonly Repair[] = Object.entries(SUMMARIES).map(([id, summary]) => ({
  id: id as RepairId, // the keys of the table
  summary,
}));

export interface Change {
  readonly repair: RepairId;
  readonly block: number;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  readonly field?: string;
  readonly before: Uint8Array;
  /** As many bytes as `before`. */
  readonly after: Uint8Array;
}

/** A problem that was not repaired; the message says why if that is not obvious. */
export type LeftProblem = Problem;

export interface RepairScanOptions {
  /**
   * Whether pages with a stale checksum get a new one, although nothing proves the nodes added since. Default: false.
   */
  readonly staleChecksums?: boolean;
  /**
   * Whether to flip back bits that are only probably right (in a full page by chance in 1 of 2,048 cases). Default:
   * false.
   */
  readonly likelyBits?: boolean;
  /** Called after each block. */
  readonly onProgress?: (blocksDone: number, blocksTotal: number) => void | Promise<void>;
  /** Stops between two blocks or two journals; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link repair}. */
export interface RepairReport {
  readonly file: string;
  /** Blocks that were checked, block 0 included. */
  readonly blocks: number;
  /** In a dry run, changes that would be made. */
  readonly changes: number;
  readonly left: number;
  /** Warnings that repair could be expected to fix: a wrong entry count, a damaged root descriptor. */
  readonly warnings: number;
  /** Pages with a stale checksum, which `staleChecksums` renews. */
  readonly stalePages: number;
  /** Whether another run may repair more: with these changes it can prove more, or the rest did not fit in one journal. */
  readonly again: boolean;
  /** Whether a writer was active, so repairs that need all blocks at one moment were skipped. */
  readonly changed: boolean;
}

export function changeOf({ position, kind, before, after }: Patch): Change {
  const repair = REPAIRS[kind]?.id;
  if (repair === undefined) {
    throw new PageStoreError('NOT_AN_UNDO_FILE', `repair ${kind} is of a newer version of this program`);
  }
  const [block, at] = [Math.floor(position / BLOCK_BYTES), position % BLOCK_BYTES];
  const field = fieldAt(repair, block, at, before.length);
  return { repair, block, offset: position, ...(field !== undefined && { field }), before, after };
}

const BLOCK_0_FIELDS: readonly Pick<PlacedField, 'name' | 'offset' | 'bytes'>[] = [
  ...FILE_HEADER.fields,
  ...ROOT_DESCRIPTOR.fields.map((field) => ({ ...field, offset: ROOT_DESCRIPTOR_OFFSET + field.offset })),
  { name: 'digest', offset: DIGEST_OFFSET, bytes: DIGEST.bytes },
  { name: 'header copy', offset: HEADER_COPY_OFFSET, bytes: FILE_START_BYTES },
  ...COMMIT_RECORD_OFFSETS.map((offset) => ({ name: 'commit record', offset, bytes: COMMIT_SLOT_BYTES })),
];

function fieldAt(repair: RepairId, block: number, at: number, length: number): string | undefined {
  if (block !== 0 && repair === 'free-list') return 'link';
  if (block !== 0 && repair === 'commit-record' && length === PAGE_HEADER_BYTES) return 'block head';
  const fields = block === 0 ? BLOCK_0_FIELDS : PAGE_HEADER.fields;
  return fields.find(({ offset, bytes }) => at >= offset && at < offset + bytes)?.name;
}

/** Leaves enough of a journal for all changes in block 0, and of two page headers. */
const MAX_LATER_BYTES = MAX_JOURNAL_PATCH_BYTES - 4096;

/** Errors that a lost page causes, or an old header: they do not explain that the headers add up to another digest. */
const ABOUT_LOST_PAGES: ReadonlySet<ProblemCode> = new Set(['PAGE_MISPLACED', 'FILE_HEADER_OLD', 'ENTRY_COUNT']);

/** Counts changes and problems, and passes them on. */
export class PlanOutput {
  changes = 0;
  errors = 0;
  warnings = 0;
  /** Errors besides those about lost pages. */
  otherErrors = 0;
  readonly #onPatch: (patch: Patch) => Promise<void>;
  readonly #onLeft: (problem: LeftProblem) => Promise<void>;
  readonly #later: Patch[] = [];
  #laterBytes = 0;

  /** @param onPatch - may keep the patch */
  constructor(onPatch: (patch: Patch) => Promise<void>, onLeft: (problem: LeftProblem) => Promise<void>) {
    this.#onPatch = onPatch;
    this.#onLeft = onLeft;
  }

  async change(repair: RepairId, position: number, before: Uint8Array, after: Uint8Array): Promise<void> {
    for (const patch of patchesOf(repair, position, before, after)) await this.#add(patch);
  }

  /** Changes each field that differs. @param position - of the record in the file */
  async changeFields(
    repair: RepairId | ((field: string) => RepairId),
    layout: FieldTable,
    position: number,
    before: Uint8Array,
    after: Uint8Array,
  ): Promise<void> {
    for (const patch of fieldPatches(repair, layout, position, before, after)) await this.#add(patch);
  }

  /**
   * Keeps changes of one block until {@link changeLater}: the digest in block 0 has to change in the same journal.
   * @returns false if there is no room for them in it
   */
  keep(patches: readonly Patch[]): boolean {
    const bytes = patches.reduce((sum, patch) => sum + patchBytes(patch), this.#laterBytes);
    if (bytes > MAX_LATER_BYTES) return false;
    this.#later.push(...patches);
    this.#laterBytes = bytes;
    return true;
  }

  /** After the changes in block 0. */
  async changeLater(): Promise<void> {
    for (const patch of this.#later.splice(0)) await this.#add(patch);
  }

  async changeNow(patches: readonly Patch[]): Promise<void> {
    for (const patch of patches) await this.#add(patch);
  }

  async #add(patch: Patch): Promise<void> {
    this.changes++;
    await this.#onPatch(patch);
  }

  /** Reports a problem that is not repaired; an `info` needs no repair. */
  async left(problem: LeftProblem): Promise<void> {
    if (problem.severity === 'info') return;
    if (problem.severity === 'error') this.errors++;
    else this.warnings++;
    if (problem.severity === 'error' && !ABOUT_LOST_PAGES.has(problem.code) && !isOfTrie(problem)) this.otherErrors++;
    await this.#onLeft(problem);
  }
}

interface FieldTable {
  readonly fields: readonly PlacedField[];
}

/** None if nothing changes. */
export function patchesOf(repair: RepairId, position: number, before: Uint8Array, after: Uint8Array): Patch[] {
  if (Buffer.compare(before, after) === 0) return [];
  const kind = REPAIRS.findIndex(({ id }) => id === repair);
  return [{ position, kind, before: before.slice(), after: after.slice() }];
}

/** One for each field that differs. @param position - of the record in the file */
export function fieldPatches(
  repair: RepairId | ((field: string) => RepairId),
  { fields }: FieldTable,
  position: number,
  before: Uint8Array,
  after: Uint8Array,
): Patch[] {
  return fields.flatMap(({ name, offset, bytes }) => {
    const id = typeof repair === 'string' ? repair : repair(name);
    const end = offset + bytes;
    return patchesOf(id, position + offset, before.subarray(offset, end), after.subarray(offset, end));
  });
}
