import { isBytes } from '../arguments.ts';
import { onlyDifferingBit } from '../bytes/checksum.ts';
import { isZero } from '../bytes/buffer.ts';
import { readHead } from '../disk/committed-view.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { readFileHead } from '../disk/page-file.ts';
import { COMMIT_SLOT_BYTES, decodeCommitRecord } from '../format/commit-record.ts';
import { DIGEST, DIGEST_OFFSET, digestIn, FILE_START_BYTES } from '../format/digest.ts';
import {
  encodeFileHeader,
  encodeHeaderCopy,
  FILE_HEADER,
  type FileHeader,
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
import { copiedStart } from '../salvage/proven-commit.ts';
import { copiedRootDescriptor, descriptorProblems, rootDescriptorOf } from '../salvage/evidence.ts';
import type { DigestPlan } from './digest-plan.ts';
import type { FileState } from './header-repair.ts';
import { type PlanOutput, patchesOf, type RepairId } from './repairs.ts';

/**
 * Plans block 0, and the page headers and links in pending commit records. One journal contains all of it, since a
 * record is valid or not by these headers.
 */
export class Block0Plan {
  readonly #state: FileState;
  readonly #digest: DigestPlan;
  readonly #output: PlanOutput;
  readonly #mayCheckpoint: boolean;
  readonly #fields: Partial<FileHeader> = {};
  readonly #repairs = new Map<string, RepairId>();
  /** New block heads, so far only in commit records. */
  readonly #blockHeads = new Map<number, Uint8Array>();
  /** Whether a header copy was mended that is newer than the file header. */
  hasMendedCopy = false;

  constructor(state: FileState, digest: DigestPlan, output: PlanOutput, mayCheckpoint: boolean) {
    this.#state = state;
    this.#digest = digest;
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

  /** @returns false if the link does not fit in the journal any more, and has to wait for another repair */
  async setLink({ block, next }: LinkChange): Promise<boolean> {
    const link = encodeFreeLink(next);
    if (block === 0) {
      this.#fields.freeListHead = link;
      this.#repairs.set('freeListHead', 'free-list');
      return true;
    }
    const { before, after } = await this.#relinked(block, next);
    const pending = this.#blockHeads.get(block);
    if (pending) {
      // A link in a commit record changes together with the header.
      pending.set(after);
    } else {
      const patches = patchesOf('free-list', fileOffset(block), before.subarray(0, 8), after.subarray(0, 8));
      if (!this.#digest.isBinding) await this.#output.changeNow(patches);
      else if (!this.#output.keep(patches)) return false;
    }
    this.#digest.sums.change('linked', block, before, after);
    return true;
  }

  /** Whether the page headers add up to the digest with these links, or without. */
  async isProvenWith(changes: Iterable<LinkChange>): Promise<boolean> {
    for (const change of changes) await this.#tryLink(change);
    const isProven = !this.#digest.isContradicted;
    this.#digest.sums.reset('linked');
    return isProven;
  }

  /**
   * Finds where a lost link led: only with the right one do the page headers add up to the digest.
   * @param changes - all changes of links; `lost` is one of them
   */
  async findTarget(
    changes: readonly LinkChange[],
    lost: LinkChange,
    targets: Iterable<number>,
  ): Promise<LinkChange | undefined> {
    const { sums } = this.#digest;
    for (const change of changes) if (change !== lost) await this.#tryLink(change);
    const { before } = await this.#relinked(lost.block, 0);
    let found: LinkChange | undefined;
    for (const next of targets) {
      const after = withLink(before, next);
      sums.change('linked', lost.block, before, after);
      if (!this.#digest.isContradicted) found = { block: lost.block, next };
      sums.change('linked', lost.block, after, before);
      if (found) break;
    }
    sums.reset('linked');
    return found;
  }

  async #tryLink({ block, next }: LinkChange): Promise<void> {
    if (block === 0) return;
    const { before, after } = await this.#relinked(block, next);
    this.#digest.sums.change('linked', block, before, after);
  }

  async #relinked(block: number, next: number): Promise<{ readonly before: Uint8Array; readonly after: Uint8Array }> {
    const before = this.#blockHeads.get(block)?.slice() ?? (await this.#readHead(block));
    return { before, after: withLink(before, next) };
  }

  /** Whether the commit records are checkpointed: the header changes that they were checked against, or the digest. */
  get checkpointsRecords(): boolean {
    if (!this.#mayCheckpoint) return false;
    const { repairedHeader, pendingRecords } = this.#state;
    const isDigestRecorded = this.#digest.changesSum && pendingRecords.length > 0;
    return this.#repairs.size > 0 || repairedHeader?.checkpointsRecords === true || isDigestRecorded;
  }

  /**
   * @param hasStamps - whether a page has the number of a commit
   * @returns the first 12,800 bytes of block 0 after the repair, with the commit records applied
   */
  async emit(blocks: number, hasStamps: boolean): Promise<Uint8Array> {
    const { head, header, repairedHeader, repairedRecords } = this.#state;
    const image = await readFileHead(this.#state.view);
    const before = head.subarray(0, FILE_HEADER_BYTES);
    const after = this.checkpointsRecords
      ? encodeFileHeader({ ...header, ...this.#fields })
      : (repairedHeader?.bytes ?? before);
    await this.#output.changeFields((field) => this.#repairOf(field), FILE_HEADER, 0, before, after);
    const descriptor = await this.#emitDescriptor(before, after, blocks);
    if (descriptor) image.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
    const start = await this.#emitDigest(before, after, hasStamps);
    const copy = await this.#emitCopy(start, descriptor);
    if (copy) image.set(copy, HEADER_COPY_OFFSET);
    // Else the header and the digest in the record count.
    if (!this.#keepsPending || this.#digest.isBitRepaired) image.set(start.subarray(DIGEST_OFFSET), DIGEST_OFFSET);
    if (!this.checkpointsRecords) {
      for (const { position, bytes } of repairedRecords) {
        const at = bytes.findIndex((byte, index) => byte !== head[position + index]);
        const damaged = head.subarray(position + at, position + at + 1);
        await this.#output.change('record-bit', position + at, damaged, bytes.subarray(at, at + 1));
      }
      return image;
    }
    image.set(after);
    for (const offset of COMMIT_RECORD_OFFSETS) {
      const record = head.subarray(offset, offset + COMMIT_SLOT_BYTES);
      // A record that cannot become valid is kept: it may be the only trace of a lost commit.
      const isIntact = decodeCommitRecord(record) || repairedRecords.some(({ position }) => position === offset);
      if (!isIntact) continue;
      await this.#output.change('commit-record', offset, record, new Uint8Array(COMMIT_SLOT_BYTES));
      image.fill(0, offset, offset + COMMIT_SLOT_BYTES);
    }
    for (const [block, blockHead] of this.#blockHeads) {
      await this.#output.change('commit-record', fileOffset(block), await this.#readHead(block), blockHead);
    }
    return image;
  }

  /** Whether block 0 stays as the last records found it. */
  get #keepsPending(): boolean {
    return !this.checkpointsRecords && this.#state.pendingRecords.length > 0;
  }

  #repairOf(field: string): RepairId {
    const others = field === 'checksum' || field === 'digest' ? [...this.#repairs.values()] : [];
    return this.#repairs.get(field) ?? this.#state.repairedHeader?.repair ?? others.at(-1) ?? 'commit-record';
  }

  async #emitDescriptor(before: Uint8Array, after: Uint8Array, blocks: number): Promise<Uint8Array | undefined> {
    const { head, repairedHeader } = this.#state;
    const planned =
      repairedHeader?.rootDescriptor ?? planRootDescriptor(head, after, repairedHeader?.bytes ?? before, blocks);
    if (!isBytes(planned)) {
      for (const problem of planned) await this.#output.left(problem);
      return undefined;
    }
    const stored = rootDescriptorOf(head);
    await this.#output.changeFields('root-descriptor', ROOT_DESCRIPTOR, ROOT_DESCRIPTOR_OFFSET, stored, planned);
    return planned;
  }

  /** @returns the first 128 bytes of the file after the repair, with the old root descriptor */
  async #emitDigest(before: Uint8Array, after: Uint8Array, hasStamps: boolean): Promise<Uint8Array> {
    const digest = this.#digest;
    const start = digest.startWith(after, hasStamps);
    const stored = this.#state.head.subarray(DIGEST_OFFSET, FILE_START_BYTES);
    if (this.#keepsPending && !digest.isBitRepaired) start.set(stored, DIGEST_OFFSET);
    const isOfHeader = !isEqual(before, after) || this.checkpointsRecords;
    const repair = digest.isBitRepaired
      ? 'digest-bit'
      : isOfHeader && !digest.isRepaired
        ? this.#repairOf('digest')
        : 'digest';
    await this.#output.change(repair, DIGEST_OFFSET, stored, start.subarray(DIGEST_OFFSET));
    return start;
  }

  /**
   * Renews a damaged copy, or any copy if the header or its digest changes. A file without a copy gets none.
   * @returns its new bytes; undefined if it stays
   */
  async #emitCopy(start: Uint8Array, descriptor: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    const { head } = this.#state;
    const stored = head.subarray(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + FILE_START_BYTES);
    const isWhole = headerCopyProblems(head).next().done === true;
    const isAbsent = headerCopyState(head) === 'absent';
    const isChanged =
      !isEqual(start.subarray(0, FILE_HEADER_BYTES), head.subarray(0, FILE_HEADER_BYTES)) ||
      !isEqual(start.subarray(DIGEST_OFFSET), head.subarray(DIGEST_OFFSET, FILE_START_BYTES)) ||
      !isEqual(descriptor, rootDescriptorOf(head));
    if (isWhole && (isAbsent || !isChanged)) return undefined;
    const newer = newerCopy(head, start);
    if (newer) {
      this.hasMendedCopy = !isEqual(newer, stored);
      await this.#output.change('copy', HEADER_COPY_OFFSET, stored, newer);
      return newer;
    }
    const repaired = repairedCopy(head);
    let copy: Uint8Array;
    if (repaired !== undefined && isZero(repaired)) {
      // A flipped bit where another program keeps zeros is no copy.
      copy = new Uint8Array(FILE_START_BYTES);
    } else if (descriptor === undefined) {
      for (const problem of headerCopyProblems(head)) await this.#output.left(problem);
      return undefined;
    } else {
      const source = start.slice();
      source.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
      if (digestIn(source).kind === 'damaged') source.set(digestOf(stored), DIGEST_OFFSET);
      copy = encodeHeaderCopy(source);
    }
    await this.#output.change('copy', HEADER_COPY_OFFSET, stored, copy);
    return copy;
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

/** The header copy with a flipped bit mended, if it is of a later commit than the header that would replace it. */
function newerCopy(head: Uint8Array, start: Uint8Array): Uint8Array | undefined {
  const copy = copiedStart(head);
  const copied = copy && digestIn(copy);
  const isNewer = copied?.kind === 'valid' && (copied.state?.commit ?? 0) > (digestIn(start).state?.commit ?? 0);
  return isNewer ? copy : undefined;
}

function withLink(head: Uint8Array, next: number): Uint8Array {
  const changed = head.slice();
  new DataView(changed.buffer, changed.byteOffset).setBigUint64(0, encodeFreeLink(next), true);
  return changed;
}

/** Zeros if the digest in a header copy is damaged. */
function digestOf(copy: Uint8Array): Uint8Array {
  const isDamaged = digestIn(copy).kind === 'damaged';
  return isDamaged ? new Uint8Array(DIGEST.bytes) : copy.subarray(DIGEST_OFFSET, FILE_START_BYTES);
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
