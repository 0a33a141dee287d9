import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/free-list.ts';
import { problemError } from '../disk/refusal.ts';
import type { ErrorCode, PageStoreError } from '../errors.ts';
import { ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { fileHeaderProblems, fileSizeProblems } from '../format/problem.ts';
import { BlockWalk } from './block-walk.ts';

/** A field of the file header, or of the root descriptor, that differs. */
export interface HeaderDifference {
  readonly type: 'header';
  readonly field: string;
  readonly a: string;
  readonly b: string;
}

/**
 * What a block is, or what its page is like, where that differs: `content` is page, free, unwritten or absent (behind the
 * last block of the file), `format` v1 or v2, `finalized` yes or no; `orphanedBytes` are node bytes of a page without a
 * directory, which are compared as one.
 */
export interface BlockDifference {
  readonly type: 'block';
  readonly block: number;
  readonly field: 'content' | 'format' | 'finalized' | 'orphanedBytes';
  readonly a: string;
  readonly b: string;
}

/** A node that only the second file has (`added`), or only the first (`removed`). */
export interface NodeDifference {
  readonly type: 'added' | 'removed';
  /** Where it is, in the file that has it. */
  readonly block: number;
  readonly slot: number;
  readonly bytes: number;
}

/** A node with other bytes in the same place. */
export interface ChangedNode {
  readonly type: 'changed';
  readonly block: number;
  readonly slot: number;
  readonly aBytes: number;
  readonly bBytes: number;
  /** The first byte of the node that differs; where one node begins the other, the length of the shorter. */
  readonly firstByte: number;
}

/** Something that could not be compared, since one of the files is damaged there. */
export interface Incomparable {
  readonly type: 'damaged';
  readonly file: 'a' | 'b';
  readonly code: ErrorCode;
  readonly message: string;
  readonly block?: number;
  /** Byte offset from the start of the file. */
  readonly offset?: number;
}

export type Difference = HeaderDifference | BlockDifference | NodeDifference | ChangedNode | Incomparable;

/** Hears of each difference. The next one waits for the promise, where there is one. */
export type DifferenceSink = (difference: Difference) => void | Promise<void>;

/** How many differences of each type there are. */
export type DifferenceCounts = Record<Difference['type'], number>;

/** Counts differences on their way to who wants to know them. */
export class DifferenceLog {
  readonly counts: DifferenceCounts = { header: 0, block: 0, added: 0, removed: 0, changed: 0, damaged: 0 };
  readonly #sink: DifferenceSink;
  /** Whether one difference is enough. */
  readonly stopsAtFirst: boolean;
  #isStopped = false;
  #isMuted = false;

  constructor(sink: DifferenceSink, stopsAtFirst: boolean) {
    this.#sink = sink;
    this.stopsAtFirst = stopsAtFirst;
  }

  /** Whether enough is known: nothing more has to be compared. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether nodes are told no more as added or removed. */
  get isMuted(): boolean {
    return this.#isMuted;
  }

  /** From here on nobody knows which nodes a file has lost, and so which ones only the other has. */
  muteSequences(): void {
    this.#isMuted = true;
  }

  /** Passes one on. @returns what the sink does; no promise where it is done at once, since there may be millions */
  add(difference: Difference): void | Promise<void> {
    if (this.#isStopped || (this.#isMuted && difference.type !== 'damaged')) return undefined;
    this.counts[difference.type]++;
    this.#isStopped = this.stopsAtFirst && difference.type !== 'damaged';
    return this.#sink(difference);
  }

  damaged(file: 'a' | 'b', { code, message, detail }: PageStoreError): void | Promise<void> {
    const { block, offset } = detail;
    return this.add({
      type: 'damaged',
      file,
      code,
      message,
      ...(block === undefined ? {} : { block }),
      ...(offset === undefined ? {} : { offset }),
    });
  }
}

/** One of two files that are compared. Damage in it is told, and kept away from the comparison. */
export class ComparedFile {
  readonly disk: DiskManager;
  readonly walk: BlockWalk;
  /** What is wrong with the file as a whole. */
  readonly errors: readonly PageStoreError[];
  readonly #file: BlockFile;
  readonly #free: BlockSet;
  /** Whether all its blocks are there, and which of them are free is known. */
  readonly isWhole: boolean;
  /** Nodes that have been looked at. */
  nodes = 0;

  private constructor(
    file: BlockFile,
    disk: DiskManager,
    free: BlockSet,
    errors: readonly PageStoreError[],
    isWhole: boolean,
  ) {
    this.#file = file;
    this.#free = free;
    this.disk = disk;
    this.walk = this.newWalk();
    this.isWhole = isWhole;
    this.errors = errors;
  }

  /** @throws {@link PageStoreError} as {@link DiskManager.open} to read */
  static async open(file: BlockFile): Promise<ComparedFile> {
    const disk = await DiskManager.open(file, 'read');
    const errors: PageStoreError[] = [];
    for (const problem of fileHeaderProblems(disk.header)) errors.push(problemError(file, problem));
    for (const problem of fileSizeProblems(disk.header, await file.size())) {
      if (problem.severity === 'error') errors.push(problemError(file, problem));
    }
    const free = await disk.freeBlocks();
    if (free.error) errors.push(free.error);
    const isWhole = free.error === undefined && disk.header.blockCount <= disk.blockCount;
    return new ComparedFile(file, disk, free.blocks, errors, isWhole);
  }

  /** A walk of its own over the blocks, beside {@link ComparedFile.walk}. */
  newWalk(): BlockWalk {
    return new BlockWalk(this.disk, this.#free);
  }

  /** Whether the header counts a block that the file does not have. */
  hasLost(block: number): boolean {
    return block >= this.disk.blockCount && block < this.disk.header.blockCount;
  }

  /** The fields of the file header that say something of what is in the file, as text. */
  async fields(): Promise<Map<string, string>> {
    const { version, flags, rootPointer, entryCount, imageCheckpointLsn } = this.disk.header;
    const fields = new Map<string, string>();
    for (const [name, value] of Object.entries({ version, flags, rootPointer, entryCount, imageCheckpointLsn })) {
      fields.set(name, String(value));
    }
    if (rootPointer === 0n) return fields;
    const bytes = new Uint8Array(ROOT_DESCRIPTOR_BYTES);
    // Of the last commit, as the header: a journal may have another one than its place.
    await (await CommittedView.open(this.#file)).read(bytes, ROOT_DESCRIPTOR_OFFSET);
    for (const [name, value] of Object.entries(ROOT_DESCRIPTOR.read(bytes))) fields.set(name, String(value));
    return fields;
  }
}

/** Tells the fields of the file headers that differ. */
export async function diffHeaders(a: ComparedFile, b: ComparedFile, log: DifferenceLog): Promise<void> {
  const [inA, inB] = [await a.fields(), await b.fields()];
  for (const field of new Set([...inA.keys(), ...inB.keys()])) {
    const [valueA, valueB] = [inA.get(field) ?? 'none', inB.get(field) ?? 'none'];
    if (valueA === valueB || (field === 'entryCount' && (isUncounted(a) || isUncounted(b)))) continue;
    await log.add({ type: 'header', field, a: valueA, b: valueB });
  }
}

/** Without a trie a count of 0 means that nobody counts. */
function isUncounted({ disk }: ComparedFile): boolean {
  return disk.header.rootPointer === 0n && disk.header.entryCount === 0n;
}
