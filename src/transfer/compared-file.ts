import type { BlockFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { DiskManager } from '../disk/disk-manager.ts';
import type { BlockSet } from '../disk/raw-blocks.ts';
import { problemError } from '../disk/refusal.ts';
import type { PageStoreError } from '../errors.ts';
import { ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { fileHeaderProblems, fileSizeProblems } from '../format/invariants.ts';
import { ROOT_DESCRIPTOR_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { BlockWalk } from './block-walk.ts';
import type { DifferenceLog } from './difference.ts';

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
