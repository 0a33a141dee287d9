import { onlyDifferingBit } from '../bytes/checksum.ts';
import { isZero } from '../bytes/buffer.ts';
import { readHead } from '../disk/committed-view.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { COMMIT_RECORD, decodeCommitRecord } from '../format/commit-record.ts';
import {
  encodeFileHeader,
  encodeHeaderCopy,
  FILE_HEADER,
  type FileHeader,
  HEADER_COPY,
  headerCopyState,
  ROOT_DESCRIPTOR,
} from '../format/file-header.ts';
import { headerCopyProblems, rootDescriptorDifference } from '../format/header-checks.ts';
import {
  COMMIT_RECORD_OFFSETS,
  decodePointer,
  encodeFreeLink,
  FILE_HEADER_BYTES,
  fileOffset,
  HEADER_COPY_OFFSET,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import type { Problem } from '../format/problem.ts';
import { NO_LINK, type NonPages } from '../salvage/block-kind.ts';
import { repairedCopy } from '../salvage/header-candidates.ts';
import { copiedRootDescriptor, descriptorProblems, rootDescriptorOf } from '../salvage/evidence.ts';
import type { FileState } from './header-repair.ts';
import type { PlanOutput, RepairId } from './repairs.ts';

/**
 * Plans block 0 and what changes together with it: page headers and links of commit records that are not checkpointed. All
 * of it goes into one journal, since the headers decide whether a record is valid.
 */
export class Block0Plan {
  readonly #state: FileState;
  readonly #output: PlanOutput;
  readonly #mayCheckpoint: boolean;
  /** The changed fields of the file header, and the repair of each, in the order in which they were set. */
  readonly #fields: Partial<FileHeader> = {};
  readonly #repairs = new Map<string, RepairId>();
  /** New first 64 bytes of blocks, so far in commit records alone. */
  readonly #blockHeads = new Map<number, Uint8Array>();

  /** @param mayCheckpoint - false if a record has to be checked again first */
  constructor(state: FileState, output: PlanOutput, mayCheckpoint: boolean) {
    this.#state = state;
    this.#output = output;
    this.#mayCheckpoint = mayCheckpoint;
    for (const { block, blockHead } of state.pendingRecords) {
      if (block !== 0) this.#blockHeads.set(block, blockHead.slice());
    }
  }

  setEntryCount(nodes: number): void {
    this.#fields.entryCount = BigInt(nodes);
    this.#repairs.set('entryCount', 'entry-count');
  }

  async setLink({ block, next }: LinkChange): Promise<void> {
    const link = encodeFreeLink(next);
    if (block === 0) {
      this.#fields.freeListHead = link;
      this.#repairs.set('freeListHead', 'free-list');
      return;
    }
    const after = new Uint8Array(8);
    new DataView(after.buffer).setBigUint64(0, link, true);
    const pending = this.#blockHeads.get(block);
    // A link that a commit record contains changes together with the header.
    if (pending) return pending.set(after);
    const before = (await this.#readHead(block)).subarray(0, 8);
    await this.#output.change('free-list', fileOffset(block), before, after);
  }

  /** Whether commit records are checkpointed, since the header that they were checked against changes. */
  get checkpointsRecords(): boolean {
    return this.#mayCheckpoint && (this.#repairs.size > 0 || this.#state.repairedHeader?.checkpointsRecords === true);
  }

  /** Outputs all changes. @param blocks - number of blocks in the file */
  async emit(blocks: number): Promise<void> {
    const { head, header, repairedHeader, repairedRecords } = this.#state;
    const before = head.subarray(0, FILE_HEADER_BYTES);
    const after = this.checkpointsRecords
      ? encodeFileHeader({ ...header, ...this.#fields })
      : (repairedHeader?.bytes ?? before);
    await this.#output.changeFields((field) => this.#repairOf(field), FILE_HEADER, 0, before, after);
    await this.#emitCopy(before, after, await this.#emitDescriptor(before, after, blocks));
    if (!this.checkpointsRecords) {
      for (const { position, bytes } of repairedRecords) {
        const at = bytes.findIndex((byte, index) => byte !== head[position + index]);
        const damaged = head.subarray(position + at, position + at + 1);
        await this.#output.change('record-bit', position + at, damaged, bytes.subarray(at, at + 1));
      }
      return;
    }
    for (const offset of COMMIT_RECORD_OFFSETS) {
      const record = head.subarray(offset, offset + COMMIT_RECORD.bytes);
      // A damaged record can never become valid, and may be the only trace of a lost commit.
      const isIntact = decodeCommitRecord(record) || repairedRecords.some(({ position }) => position === offset);
      if (isIntact) await this.#output.change('commit-record', offset, record, new Uint8Array(COMMIT_RECORD.bytes));
    }
    for (const [block, blockHead] of this.#blockHeads) {
      await this.#output.change('commit-record', fileOffset(block), await this.#readHead(block), blockHead);
    }
  }

  #repairOf(field: string): RepairId {
    const others = field === 'checksum' ? [...this.#repairs.values()] : [];
    return this.#repairs.get(field) ?? this.#state.repairedHeader?.repair ?? others.at(-1) ?? 'commit-record';
  }

  /** @returns the root descriptor as it will be; undefined if it is damaged and is left so */
  async #emitDescriptor(before: Uint8Array, after: Uint8Array, blocks: number): Promise<Uint8Array | undefined> {
    const { head, repairedHeader } = this.#state;
    const planned =
      repairedHeader?.rootDescriptor ?? planRootDescriptor(head, after, repairedHeader?.bytes ?? before, blocks);
    if (!(planned instanceof Uint8Array)) {
      for (const problem of planned) await this.#output.left(problem);
      return undefined;
    }
    const stored = rootDescriptorOf(head);
    await this.#output.changeFields('root-descriptor', ROOT_DESCRIPTOR, ROOT_DESCRIPTOR_OFFSET, stored, planned);
    return planned;
  }

  /** Renews the copy if it is damaged or the header changes. A file without a copy gets none. */
  async #emitCopy(before: Uint8Array, after: Uint8Array, descriptor: Uint8Array | undefined): Promise<void> {
    const { head } = this.#state;
    const state = headerCopyState(head);
    const isChanged = !isEqual(before, after) || !isEqual(descriptor, rootDescriptorOf(head));
    if (state === 'absent' || (state === 'valid' && !isChanged)) return;
    if (descriptor === undefined) {
      for (const problem of headerCopyProblems(head)) await this.#output.left(problem);
      return;
    }
    const stored = head.subarray(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
    const repaired = repairedCopy(head);
    // A file of another program has no copy, and gets none because a bit flipped in its place.
    const isNone = repaired !== undefined && isZero(repaired);
    const copy = isNone ? repaired : encodeHeaderCopy(Buffer.concat([after, descriptor]));
    await this.#output.change('copy', HEADER_COPY_OFFSET, stored, copy);
  }

  /** The first 64 bytes of a block in the file, after the changes so far. */
  async #readHead(block: number): Promise<Uint8Array> {
    const restored = this.#state.restoredPages.find(({ record }) => record.block === block);
    return restored ? restored.record.blockHead : readHead(this.#state.file, block);
  }
}

/**
 * Plans the root descriptor, from the header copy where that was made with the same file header.
 * @param head - the first 12,800 bytes of block 0
 * @param fileHeader - the 64 bytes that the file header will have
 * @param oldHeader - those that it has, or had before it was damaged
 * @returns the 18 bytes that it will have, or why it is not changed though it is, or may be, damaged
 */
function planRootDescriptor(
  head: Uint8Array,
  fileHeader: Uint8Array,
  oldHeader: Uint8Array,
  blocks: number,
): Uint8Array | readonly Problem[] {
  const stored = rootDescriptorOf(head);
  const header = FILE_HEADER.read(fileHeader);
  const copied = copiedRootDescriptor(head, [fileHeader, oldHeader]);
  const isCopyValid = copied !== undefined && descriptorProblems(header, copied, blocks).next().done === true;
  const broken = [...descriptorProblems(header, stored, blocks)];
  if (broken.length > 0) return isCopyValid ? copied : broken;
  const { block, slot } = decodePointer(header.rootPointer);
  const isUsed = block === 0 && slot === ROOT_DESCRIPTOR_OFFSET;
  if (copied === undefined || !isUsed || isEqual(stored, copied)) return stored;
  if (onlyDifferingBit(stored, copied) >= 0 && isCopyValid) return copied;
  const problem = rootDescriptorDifference(stored, copied);
  const why = '; more than one bit differs, so another program may have changed it';
  return [{ ...problem, message: problem.message + why }];
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** A link of the free list that changes. */
export interface LinkChange {
  /** The free block that contains it, or 0 for the file header. */
  readonly block: number;
  /** The block that it will lead to, or 0 for none. */
  readonly next: number;
}

/**
 * Links free blocks that the list has lost to its end, one chain after the other, and leaves the links that are right. So
 * one damaged link is one change.
 *
 * A block is known to be free if it begins with a link to a block and has zeros after it; or, for the last one, with zeros
 * alone, if such a block leads to it. Other blocks that begin with a link or zeros are free only if the list leads to
 * them: they could be pages that have lost their first bytes, or blocks that were never written.
 */
export class FreeListPlan {
  /** Every block that will be on the list. */
  readonly free: BlockSet;
  readonly #head: number;
  readonly #others: NonPages;
  readonly #withZerosAfterLink: BlockSet;
  readonly #blocks: number;

  /**
   * @param head - the block in the file header, 0 for none, negative for no link
   * @param others - the blocks that are not pages
   * @param withZerosAfterLink - those of them in which the 56 bytes after the link are zero
   * @param blocks - number of blocks in the file
   */
  constructor(head: number, others: NonPages, withZerosAfterLink: BlockSet, blocks: number) {
    this.#head = head;
    this.#others = others;
    this.#withZerosAfterLink = withZerosAfterLink;
    this.#blocks = blocks;
    this.free = new BlockSet(blocks);
    this.#addChain(head, () => true);
    for (const block of this.#idsIn(withZerosAfterLink)) {
      const link = this.#linkOf(block);
      if (link > 0 && link < blocks) this.#addChain(block, (free) => withZerosAfterLink.has(free));
    }
  }

  /** The changed links; computed at each call, since there may be many. */
  *changes(): Generator<LinkChange> {
    const { free } = this;
    const isFollower = new BlockSet(this.#blocks);
    for (const block of this.#idsIn(free)) isFollower.add(this.#nextOf(block));
    const visited = new BlockSet(this.#blocks);
    let tail = 0;
    const linkAtTail = (): number => (tail === 0 ? this.#head : this.#linkOf(tail));
    const append = (start: number): LinkChange[] => {
      if (!free.has(start) || visited.has(start)) return [];
      const changes = linkAtTail() === start ? [] : [{ block: tail, next: start }];
      for (let block = start; free.has(block) && visited.add(block); block = this.#nextOf(block)) tail = block;
      return changes;
    };
    yield* append(this.#head);
    for (const block of this.#idsIn(free)) if (!isFollower.has(block)) yield* append(block);
    // The rest are cycles; each is opened before its first block.
    for (const block of this.#idsIn(free)) yield* append(block);
    if (linkAtTail() !== 0) yield { block: tail, next: 0 };
  }

  /** Adds the blocks of a chain, up to the first that is not free or that the caller does not take. */
  #addChain(start: number, isTaken: (block: number) => boolean): void {
    const walk = new FreeListWalk(start, this.#blocks, this.free);
    while (walk.block !== 0) {
      if (this.#mayBeFree(walk.block) && isTaken(walk.block)) walk.follow(this.#nextOf(walk.block));
      else walk.reject();
    }
  }

  /** The block that a link leads to; 0 where that is not free. */
  #nextOf(block: number): number {
    const next = this.#linkOf(block);
    return this.#mayBeFree(next) && next !== block ? next : 0;
  }

  /** The link as the block contains it. */
  #linkOf(block: number): number {
    return this.#others.linkAt(this.#others.indexOf(block));
  }

  #mayBeFree(block: number): boolean {
    const index = this.#others.indexOf(block);
    if (index < 0) return false;
    const link = this.#others.linkAt(index);
    // A damaged link with zeros after it cannot be the beginning of a page.
    return (link !== NO_LINK && link < this.#blocks) || this.#withZerosAfterLink.has(block);
  }

  /** In ascending order. */
  *#idsIn(blocks: BlockSet): Generator<number> {
    for (let index = 0; index < this.#others.count; index++) {
      const block = this.#others.idAt(index);
      if (blocks.has(block)) yield block;
    }
  }
}
