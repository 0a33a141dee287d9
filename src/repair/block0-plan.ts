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
 * Plans block 0, and the page headers and links in pending commit records. One journal contains all of it, since a
 * record is valid or not by these headers.
 */
export class Block0Plan {
  readonly #state: FileState;
  readonly #output: PlanOutput;
  readonly #mayCheckpoint: boolean;
  readonly #fields: Partial<FileHeader> = {};
  readonly #repairs = new Map<string, RepairId>();
  /** New block heads, so far only in commit records. */
  readonly #blockHeads = new Map<number, Uint8Array>();

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
    // A link in a commit record changes together with the header.
    if (pending) return pending.set(after);
    const before = (await this.#readHead(block)).subarray(0, 8);
    await this.#output.change('free-list', fileOffset(block), before, after);
  }

  /** Whether the header that the commit records were checked against changes, so they are checkpointed. */
  get checkpointsRecords(): boolean {
    return this.#mayCheckpoint && (this.#repairs.size > 0 || this.#state.repairedHeader?.checkpointsRecords === true);
  }

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
      // A record that cannot become valid is kept: it may be the only trace of a lost commit.
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

  /** Renews a damaged copy, or any copy if the header changes. A file without a copy gets none. */
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
    // A flipped bit where another program keeps zeros is no copy.
    const isNone = repaired !== undefined && isZero(repaired);
    const copy = isNone ? repaired : encodeHeaderCopy(Buffer.concat([after, descriptor]));
    await this.#output.change('copy', HEADER_COPY_OFFSET, stored, copy);
  }

  async #readHead(block: number): Promise<Uint8Array> {
    const restored = this.#state.restoredPages.find(({ record }) => record.block === block);
    return restored ? restored.record.blockHead : readHead(this.#state.file, block);
  }
}

/**
 * Takes the root descriptor from the header copy, if the copy was made with the same file header.
 * @param oldHeader - the 64 bytes in the file, or those before the damage
 * @returns the new descriptor, or why a possibly damaged one is kept
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

/** A changed link of the free list. */
export interface LinkChange {
  /** The block that contains the link; 0 for the file header. */
  readonly block: number;
  readonly next: number;
}

/**
 * Links lost free blocks to the end of the list, chain by chain, and keeps right links: one damaged link is one change.
 *
 * A block is known to be free if it begins with a link to a block, and zeros follow; or is all zeros, and such a block
 * leads to it. Others are free only if the list leads to them: they may be pages that lost their first bytes, or
 * unwritten.
 */
export class FreeListPlan {
  readonly free: BlockSet;
  readonly #head: number;
  readonly #others: NonPages;
  readonly #withZerosAfterLink: BlockSet;
  readonly #blocks: number;

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

  /** Computed at each call, since there may be many. */
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

  /** Adds the blocks of a chain up to the first that is not free, or not taken. */
  #addChain(start: number, isTaken: (block: number) => boolean): void {
    const walk = new FreeListWalk(start, this.#blocks, this.free);
    while (walk.block !== 0) {
      if (this.#mayBeFree(walk.block) && isTaken(walk.block)) walk.follow(this.#nextOf(walk.block));
      else walk.reject();
    }
  }

  #nextOf(block: number): number {
    const next = this.#linkOf(block);
    return this.#mayBeFree(next) && next !== block ? next : 0;
  }

  #linkOf(block: number): number {
    return this.#others.linkAt(this.#others.indexOf(block));
  }

  #mayBeFree(block: number): boolean {
    const index = this.#others.indexOf(block);
    if (index < 0) return false;
    const link = this.#others.linkAt(index);
    // A damaged link followed by zeros cannot be the beginning of a page.
    return (link !== NO_LINK && link < this.#blocks) || this.#withZerosAfterLink.has(block);
  }

  *#idsIn(blocks: BlockSet): Generator<number> {
    for (let index = 0; index < this.#others.count; index++) {
      const block = this.#others.idAt(index);
      if (blocks.has(block)) yield block;
    }
  }
}
