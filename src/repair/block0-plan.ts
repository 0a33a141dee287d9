import { onlyDifferingBit } from '../bytes/checksum.ts';
import type { Overlay } from '../disk/block-file.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { COMMIT_RECORD, type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
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
import { copiedRootDescriptor, descriptorProblems, rootDescriptorOf } from '../salvage/root-evidence.ts';
import type { FileState, RepairedHeader } from './header-repair.ts';
import { differingFields, type PlanOutput, type RepairId } from './repairs.ts';
import { isZero } from '../bytes/buffer.ts';

/** What a repair does with the root descriptor. */
export interface RootDescriptorPlan {
  /** The 18 bytes that it will have. */
  readonly bytes: Uint8Array;
  /** Why it is not changed though it is, or may be, damaged; then it is not copied either. */
  readonly left: readonly Problem[];
}

/**
 * Plans the root descriptor, from the header copy where that was made with the same file header.
 * @param head - the first 12,800 bytes of block 0
 * @param fileHeader - the 64 bytes that the file header will have
 * @param states - those that it has, or had before it was damaged
 */
function planRootDescriptor(
  head: Uint8Array,
  fileHeader: Uint8Array,
  states: readonly Uint8Array[],
  blocks: number,
): RootDescriptorPlan {
  const stored = rootDescriptorOf(head);
  const header = FILE_HEADER.read(fileHeader);
  const copied = copiedRootDescriptor(head, [fileHeader, ...states]);
  const isCopyValid = copied !== undefined && descriptorProblems(header, copied, blocks).next().done === true;
  const broken = [...descriptorProblems(header, stored, blocks)];
  if (broken.length > 0) return isCopyValid ? { bytes: copied, left: [] } : { bytes: stored, left: broken };
  const { block, slot } = decodePointer(header.rootPointer);
  const isUsed = block === 0 && slot === ROOT_DESCRIPTOR_OFFSET;
  if (copied === undefined || !isUsed || isEqual(stored, copied)) return { bytes: stored, left: [] };
  if (onlyDifferingBit(stored, copied) >= 0 && isCopyValid) return { bytes: copied, left: [] };
  const problem = rootDescriptorDifference(stored, copied);
  const why = '; more than one bit differs, so another program may have changed it';
  return { bytes: stored, left: [{ ...problem, message: problem.message + why }] };
}

/** Block 0 as it is and what was repaired in it, with the file header as it will be once commit records are checkpointed. */
type Block0 = Pick<FileState, 'head' | 'repairedHeader' | 'repairedRecords'> & { readonly header: FileHeader };

/**
 * Plans block 0 and what changes together with it: page headers and links of commit records that are not checkpointed. All
 * of it goes into one journal, since the headers decide whether a record is valid.
 */
export class Block0Plan {
  /** The file header as it will be once commit records are checkpointed. */
  readonly header: FileHeader;
  readonly #output: PlanOutput;
  readonly #head: Uint8Array;
  readonly #repairedHeader: RepairedHeader | undefined;
  readonly #repairedRecords: readonly Overlay[];
  readonly #mayCheckpoint: boolean;
  readonly #repairs = new Map<string, RepairId>();
  /** New first 64 bytes of blocks, so far in commit records alone. */
  readonly #blockHeads = new Map<number, Uint8Array>();
  #entryCount: bigint;
  #freeListHead: bigint;

  /**
   * @param pending - valid records that are not checkpointed
   * @param mayCheckpoint - false if a record has to be checked again first
   */
  constructor(
    output: PlanOutput,
    { head, header, repairedHeader, repairedRecords }: Block0,
    pending: readonly CommitRecord[],
    mayCheckpoint: boolean,
  ) {
    this.#mayCheckpoint = mayCheckpoint;
    this.#output = output;
    this.#head = head;
    this.header = header;
    this.#repairedHeader = repairedHeader;
    this.#repairedRecords = repairedRecords;
    this.#entryCount = header.entryCount;
    this.#freeListHead = header.freeListHead;
    for (const { block, blockHead } of pending) if (block !== 0) this.#blockHeads.set(block, blockHead.slice());
  }

  setEntryCount(nodes: number): void {
    this.#entryCount = BigInt(nodes);
    this.#repairs.set('entryCount', 'entry-count');
  }

  /** @param block - the first free block, 0 for none */
  setFirstFree(block: number): void {
    this.#freeListHead = encodeFreeLink(block);
    this.#repairs.set('freeListHead', 'free-list');
  }

  /** Replaces a link that a commit record contains, so that it changes with the header. @returns false if none does */
  setPendingLink(block: number, link: Uint8Array): boolean {
    const head = this.#blockHeads.get(block);
    head?.set(link);
    return head !== undefined;
  }

  /** Whether commit records are checkpointed, since the header that they were checked against changes. */
  get checkpointsRecords(): boolean {
    return this.#mayCheckpoint && (this.#repairs.size > 0 || this.#repairedHeader?.checkpointsRecords === true);
  }

  /** Outputs all changes. @param readHead - reads the current first 64 bytes of a block */
  async emit(blocks: number, readHead: (block: number) => Promise<Uint8Array>): Promise<void> {
    const before = this.#head.subarray(0, FILE_HEADER_BYTES);
    const after = this.#fileHeader(before);
    for (const field of differingFields(FILE_HEADER.fields, before, after)) {
      await this.#output.change({ repair: this.#repairOf(field.name), ...field, offset: field.at });
    }
    const descriptor = await this.#emitDescriptor(before, after, blocks);
    await this.#emitCopy(before, after, descriptor);
    if (!this.checkpointsRecords) return this.#emitRecordBits();
    for (const offset of COMMIT_RECORD_OFFSETS) {
      const record = this.#head.subarray(offset, offset + COMMIT_RECORD.bytes);
      const zeros = new Uint8Array(COMMIT_RECORD.bytes);
      // A damaged record can never become valid, and may be the only trace of a lost commit.
      const isIntact = decodeCommitRecord(record) || this.#repairedRecords.some(({ position }) => position === offset);
      if (isEqual(record, zeros) || !isIntact) continue;
      await this.#output.change({ repair: 'commit-record', offset, before: record, after: zeros });
    }
    for (const [block, head] of this.#blockHeads) {
      const now = await readHead(block);
      if (isEqual(now, head)) continue;
      await this.#output.change({ repair: 'commit-record', offset: fileOffset(block), before: now, after: head });
    }
  }

  async #emitRecordBits(): Promise<void> {
    for (const { position, bytes } of this.#repairedRecords) {
      const at = bytes.findIndex((byte, index) => byte !== this.#head[position + index]);
      const before = this.#head.subarray(position + at, position + at + 1);
      const after = bytes.subarray(at, at + 1);
      await this.#output.change({ repair: 'record-bit', offset: position + at, before, after });
    }
  }

  #repairOf(field: string): RepairId {
    const others = field === 'checksum' ? [...this.#repairs.values()] : [];
    return this.#repairs.get(field) ?? this.#repairedHeader?.repair ?? others.at(-1) ?? 'commit-record';
  }

  #fileHeader(before: Uint8Array): Uint8Array {
    if (!this.checkpointsRecords) return this.#repairedHeader?.bytes ?? before;
    return encodeFileHeader({ ...this.header, entryCount: this.#entryCount, freeListHead: this.#freeListHead });
  }

  /** @returns the root descriptor as it will be; undefined if it is damaged and is left so */
  async #emitDescriptor(now: Uint8Array, fileHeader: Uint8Array, blocks: number): Promise<Uint8Array | undefined> {
    const { bytes: repaired, rootDescriptor } = this.#repairedHeader ?? {};
    const states = [repaired ?? now];
    const { bytes: after, left } = rootDescriptor
      ? { bytes: rootDescriptor, left: [] }
      : planRootDescriptor(this.#head, fileHeader, states, blocks);
    for (const problem of left) await this.#output.left(problem);
    if (left.length > 0) return undefined;
    const before = rootDescriptorOf(this.#head);
    for (const field of differingFields(ROOT_DESCRIPTOR.fields, before, after)) {
      await this.#output.change({ repair: 'root-descriptor', ...field, offset: ROOT_DESCRIPTOR_OFFSET + field.at });
    }
    return after;
  }

  /** Renews the copy if it is damaged or the header changes. A file without a copy gets none. */
  async #emitCopy(before: Uint8Array, fileHeader: Uint8Array, descriptor: Uint8Array | undefined): Promise<void> {
    const state = headerCopyState(this.#head);
    const changes = !isEqual(before, fileHeader) || !isEqual(descriptor, rootDescriptorOf(this.#head));
    if (state === 'absent' || (state === 'valid' && !changes)) return;
    if (descriptor === undefined) {
      for (const problem of headerCopyProblems(this.#head)) await this.#output.left(problem);
      return;
    }
    const source = new Uint8Array(FILE_HEADER_BYTES + ROOT_DESCRIPTOR.bytes);
    source.set(fileHeader);
    source.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
    const stored = this.#head.subarray(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
    const repaired = repairedCopy(this.#head);
    // A file of another program has no copy, and gets none because a bit flipped in its place.
    const isNone = repaired !== undefined && isZero(repaired);
    const copy = isNone ? repaired : encodeHeaderCopy(source);
    if (isEqual(stored, copy)) return;
    await this.#output.change({ repair: 'copy', offset: HEADER_COPY_OFFSET, before: stored, after: copy });
  }
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

/** The free list as it should be, with as few changed links as possible. */
export interface FreeListPlan {
  /** Every block that will be on the list. */
  readonly free: BlockSet;
  /** The changed links; computed at each call, since there may be many. */
  changes(): Generator<LinkChange>;
}

/**
 * Links free blocks that the list has lost to its end, one chain after the other, and leaves the links that are right. So
 * one damaged link is one change.
 *
 * A block is known to be free if it begins with a link to a block and has zeros after it; or, for the last one, with zeros
 * alone, if such a block leads to it. Other blocks that begin with a link or zeros are free only if the list leads to
 * them: they could be pages that have lost their first bytes, or blocks that were never written.
 * @param head - the block in the file header, 0 for none, negative for no link
 * @param others - the blocks that are not pages
 * @param withZerosAfterLink - those of them in which the 56 bytes after the link are zero
 * @param blocks - number of blocks in the file
 */
export function planFreeList(
  head: number,
  others: NonPages,
  withZerosAfterLink: BlockSet,
  blocks: number,
): FreeListPlan {
  const list = new FreeChains(others, withZerosAfterLink, blocks);
  list.addFrom(head, () => true);
  for (let index = 0; index < others.count; index++) {
    const [block, link] = [others.idAt(index), others.linkAt(index)];
    if (withZerosAfterLink.has(block) && link > 0 && link < blocks) {
      list.addFrom(block, (free) => withZerosAfterLink.has(free));
    }
  }
  return { free: list.members, changes: () => relink(head, list, others) };
}

/** The chains of free blocks that make up a damaged list. */
class FreeChains {
  readonly members: BlockSet;
  readonly blocks: number;
  readonly #others: NonPages;
  readonly #withZerosAfterLink: BlockSet;

  constructor(others: NonPages, withZerosAfterLink: BlockSet, blocks: number) {
    this.#others = others;
    this.#withZerosAfterLink = withZerosAfterLink;
    this.blocks = blocks;
    this.members = new BlockSet(blocks);
  }

  /** Adds the blocks of a chain, up to the first that is not free or that the caller does not take. */
  addFrom(start: number, isTaken: (block: number) => boolean): void {
    const walk = new FreeListWalk(start, this.blocks, this.members);
    while (walk.block !== 0) {
      if (this.#mayBeFree(walk.block) && isTaken(walk.block)) walk.follow(this.nextOf(walk.block));
      else walk.reject();
    }
  }

  /** The block that a link leads to; 0 where that is not free. */
  nextOf(block: number): number {
    const next = this.linkOf(block);
    return this.#mayBeFree(next) && next !== block ? next : 0;
  }

  /** The link as the block contains it. */
  linkOf(block: number): number {
    return this.#others.linkAt(this.#others.indexOf(block));
  }

  #mayBeFree(block: number): boolean {
    if (block <= 0 || block >= this.blocks) return false;
    const index = this.#others.indexOf(block);
    if (index < 0) return false;
    const link = this.#others.linkAt(index);
    // A damaged link with zeros after it cannot be the beginning of a page.
    return (link !== NO_LINK && link < this.blocks) || this.#withZerosAfterLink.has(block);
  }
}

function* relink(head: number, list: FreeChains, others: NonPages): Generator<LinkChange> {
  const { members, blocks } = list;
  const isFollower = new BlockSet(blocks);
  for (const block of idsIn(members, others)) isFollower.add(list.nextOf(block));
  const visited = new BlockSet(blocks);
  let tail = 0;
  function* chain(start: number): Generator<LinkChange> {
    if (!members.has(start) || visited.has(start)) return;
    if ((tail === 0 ? head : list.linkOf(tail)) !== start) yield { block: tail, next: start };
    for (let block = start; members.has(block) && visited.add(block); block = list.nextOf(block)) tail = block;
  }
  yield* chain(head);
  for (const block of idsIn(members, others)) if (!isFollower.has(block)) yield* chain(block);
  // The rest are cycles; each is opened before its first block.
  for (const block of idsIn(members, others)) yield* chain(block);
  if ((tail === 0 ? head : list.linkOf(tail)) !== 0) yield { block: tail, next: 0 };
}

/** In ascending order. */
function* idsIn(members: BlockSet, others: NonPages): Generator<number> {
  for (let index = 0; index < others.count; index++) {
    const block = others.idAt(index);
    if (members.has(block)) yield block;
  }
}
