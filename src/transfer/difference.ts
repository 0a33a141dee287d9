import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet, FreeBlocks } from '../disk/free-list.ts';
import { problemError } from '../disk/page-file.ts';
import type { ErrorCode, PageStoreError } from '../errors.ts';
import { ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { fileHeaderProblems, fileSizeProblems } from '../format/header-checks.ts';
import { FullScan, missingPagesError } from '../store/full-scan.ts';
import { type BlockContent, type BlockWalk, walkBlocks } from './block-walk.ts';

/** A different field of the file header or root descriptor. */
export interface HeaderDifference {
  readonly type: 'header';
  readonly field: string;
  readonly a: string;
  readonly b: string;
}

/**
 * A different block, or a difference between two pages: `content` is page, free, unwritten or absent, `format` v1 or
 * v2, `finalized` yes or no; `orphanedBytes` are node bytes without a directory, compared as a whole.
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
  /** Block and slot in the file that has the node. */
  readonly block: number;
  readonly slot: number;
  readonly bytes: number;
}

/** A node with the same ref and other bytes. */
export interface ChangedNode {
  readonly type: 'changed';
  readonly block: number;
  readonly slot: number;
  readonly aBytes: number;
  readonly bBytes: number;
  /** Index of the first different byte; the shorter length if the longer node begins with the shorter. */
  readonly firstByte: number;
}

/** Damage in one of the files, which could not be compared. */
export interface UncomparedDamage {
  readonly type: 'damaged';
  readonly file: 'a' | 'b';
  readonly code: ErrorCode;
  readonly message: string;
  readonly block?: number;
  /** Byte offset in the file. */
  readonly offset?: number;
}

export type Difference = HeaderDifference | BlockDifference | NodeDifference | ChangedNode | UncomparedDamage;

export type DifferenceCounts = Record<Difference['type'], number>;

/** Counts differences and passes them to the caller. */
export class DifferenceLog {
  readonly counts: DifferenceCounts = { header: 0, block: 0, added: 0, removed: 0, changed: 0, damaged: 0 };
  readonly stopsAtFirst: boolean;
  /** A difference was found, and one is enough. */
  isStopped = false;
  /** Only damage is reported: it is unknown which nodes a file has lost. */
  ignoresNodes = false;
  readonly #onDifference: ((difference: Difference) => void | Promise<void>) | undefined;

  constructor(onDifference: ((difference: Difference) => void | Promise<void>) | undefined, stopsAtFirst: boolean) {
    this.#onDifference = onDifference;
    this.stopsAtFirst = stopsAtFirst;
  }

  /** @returns a promise only if the callback does: there may be millions of differences */
  add(difference: Difference): void | Promise<void> {
    if (this.isStopped || (this.ignoresNodes && difference.type !== 'damaged')) return undefined;
    this.counts[difference.type]++;
    this.isStopped = this.stopsAtFirst && difference.type !== 'damaged';
    return this.#onDifference?.(difference);
  }

  async addDamage({ name: file }: ComparedFile, { code, message, detail }: PageStoreError): Promise<void> {
    const block = detail.block === undefined ? {} : { block: detail.block };
    const offset = detail.offset === undefined ? {} : { offset: detail.offset };
    await this.add({ type: 'damaged', file, code, message, ...block, ...offset });
  }
}

export class ComparedFile {
  readonly name: 'a' | 'b';
  readonly disk: DiskManager;
  /** Of the header, the size and the free list. */
  readonly errors: readonly PageStoreError[];
  /** All blocks exist and the free ones are known. */
  readonly isWhole: boolean;
  block = 0;
  nodes = 0;
  readonly #file: BlockFile;
  readonly #free: BlockSet;
  readonly #walk: BlockWalk;
  readonly #scan: FullScan;
  #isDamaged = false;

  private constructor(name: 'a' | 'b', file: BlockFile, disk: DiskManager, free: FreeBlocks, fileBytes: number) {
    this.name = name;
    this.disk = disk;
    this.#file = file;
    this.#free = free.blocks;
    this.#scan = new FullScan(disk);
    this.#walk = walkBlocks(disk, free.blocks, this.#scan);
    const problems = [...fileHeaderProblems(disk.header), ...fileSizeProblems(disk.header, fileBytes)];
    const errors = problems.filter(({ severity }) => severity === 'error').map((each) => problemError(file, each));
    this.errors = free.error ? [...errors, free.error] : errors;
    this.isWhole = free.error === undefined && disk.header.blockCount <= disk.blockCount;
  }

  static async open(name: 'a' | 'b', file: BlockFile, signal: AbortSignal | undefined): Promise<ComparedFile> {
    const disk = await DiskManager.open(file, 'read', { signal });
    const fileBytes = await file.size();
    return new ComparedFile(name, file, disk, await disk.freeBlocks(), fileBytes);
  }

  /** Does not affect {@link next}. */
  newWalk(): BlockWalk {
    return walkBlocks(this.disk, this.#free);
  }

  async next(): Promise<BlockContent | undefined> {
    const { value } = await this.#walk.next();
    if (value) this.block = value.block;
    this.#isDamaged ||= value?.kind === 'damaged';
    return value;
  }

  /**
   * Why pages are missing, after all blocks have been compared; undefined if other damage may be the reason.
   * @throws {@link PageStoreError} `IO`; the reason of the signal
   */
  async missingPages(): Promise<PageStoreError | undefined> {
    if (this.#isDamaged || this.errors.length > 0 || this.block + 1 < this.disk.blockCount) return undefined;
    try {
      await this.#scan.end();
      return undefined;
    } catch (error) {
      const missing = missingPagesError(error);
      if (missing) return missing;
      throw error;
    }
  }

  /** Ends the reads; then the file may be closed. */
  async end(): Promise<void> {
    await this.#walk.return(undefined);
  }

  /** Whether the header counts a block that the file does not have. */
  hasLost(block: number): boolean {
    return block >= this.disk.blockCount && block < this.disk.header.blockCount;
  }

  /** Fields of file header and root descriptor that describe the content. */
  async fields(): Promise<Readonly<Record<string, number | bigint>>> {
    const { version, flags, rootPointer, entryCount, imageCheckpointLsn } = this.disk.header;
    const fields = { version, flags, rootPointer, entryCount, imageCheckpointLsn };
    if (rootPointer === 0n) return fields;
    const bytes = new Uint8Array(ROOT_DESCRIPTOR_BYTES);
    // As of the last commit, like the header: the journal may have a newer root descriptor than block 0.
    await (await CommittedView.open(this.#file)).read(bytes, ROOT_DESCRIPTOR_OFFSET);
    return { ...fields, ...ROOT_DESCRIPTOR.read(bytes) };
  }

  /** Without a trie, an entry count of 0 means that the nodes were never counted. */
  get isUncounted(): boolean {
    return this.disk.header.rootPointer === 0n && this.disk.header.entryCount === 0n;
  }
}
