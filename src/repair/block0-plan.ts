import { onlyDifferingBit } from '../bytes/flipped-bit.ts';
import type { Piece } from '../disk/overwrite.ts';
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
import { descriptorDifference, rootProblems } from '../format/header-checks.ts';
import {
  COMMIT_RECORD_OFFSETS,
  decodePointer,
  encodeFreeLink,
  FILE_HEADER_BYTES,
  fileOffset,
  HEADER_COPY_OFFSET,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { headerCopyProblems, type Problem } from '../format/problem.ts';
import { copiedHeader, mendedCopy, rootDescriptorOf } from '../salvage/header-proof.ts';
import type { MendedHeader } from './header-sources.ts';
import { differingFields, type PlanOutput, type RepairId } from './repairs.ts';

/** What becomes of the root descriptor. */
export interface RootDescriptorPlan {
  /** The 18 bytes that it will have. */
  readonly bytes: Uint8Array;
  /** Why it stays as it is though it is, or may be, damaged; then no copy is made of it. */
  readonly left: readonly Problem[];
}

/**
 * Plans the root descriptor. The one in the copy is as of the header, where that is the one that the copy was made of:
 * libdictenstein writes both together.
 * @param head - the first 12,800 bytes of block 0
 * @param fileHeader - the 64 bytes that the file header will have
 * @param states - those that it has, or had before it was damaged
 */
export function planRootDescriptor(
  head: Uint8Array,
  fileHeader: Uint8Array,
  states: readonly Uint8Array[],
  blocks: number,
): RootDescriptorPlan {
  const now = rootDescriptorOf(head);
  const header = FILE_HEADER.read(fileHeader);
  const copy = copiedHeader(head);
  const isSameHeader = copy && [fileHeader, ...states].some((state) => Buffer.compare(copy.fileHeader, state) === 0);
  const copied = isSameHeader ? copy.rootDescriptor : undefined;
  const broken = [...rootProblems(header, head, blocks)];
  if (broken.length > 0) {
    return copied && isPossible(head, fileHeader, copied, blocks)
      ? { bytes: copied, left: [] }
      : { bytes: now, left: broken };
  }
  const { block, slot } = decodePointer(header.rootPointer);
  const isUsed = block === 0 && slot === ROOT_DESCRIPTOR_OFFSET;
  if (copied === undefined || !isUsed || Buffer.compare(now, copied) === 0) return { bytes: now, left: [] };
  if (onlyDifferingBit(now, copied) >= 0 && isPossible(head, fileHeader, copied, blocks)) {
    return { bytes: copied, left: [] };
  }
  const problem = descriptorDifference(now, copied);
  const why = '; more than one bit is another, so another program may have changed it';
  return { bytes: now, left: [{ ...problem, message: problem.message + why }] };
}

/** Whether a root descriptor says nothing that cannot be. */
function isPossible(head: Uint8Array, fileHeader: Uint8Array, descriptor: Uint8Array, blocks: number): boolean {
  const block0 = head.slice();
  block0.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
  return rootProblems(FILE_HEADER.read(fileHeader), block0, blocks).next().done === true;
}

/** Block 0, and what is known of it. */
interface Block0 {
  /** Its first 12,800 bytes, as they are. */
  readonly head: Uint8Array;
  /** The file header as it will be once records are home. */
  readonly header: FileHeader;
  readonly mended: MendedHeader | undefined;
  /** Commit records with a bit flipped back. */
  readonly records: readonly Piece[];
}

/**
 * Plans block 0 and what has to change together with it: pages or links that commit records have not brought home. All
 * of this goes into one journal, since a record is judged by the headers.
 */
export class Block0Plan {
  /** The file header as it will be once records are home. */
  readonly header: FileHeader;
  readonly #output: PlanOutput;
  readonly #head: Uint8Array;
  readonly #mended: MendedHeader | undefined;
  readonly #records: readonly Piece[];
  readonly #mayJudge: boolean;
  readonly #repairs = new Map<string, RepairId>();
  /** New first 64 bytes of blocks, which only commit records have yet. */
  readonly #blockHeads = new Map<number, Uint8Array>();
  #entryCount: bigint;
  #freeListHead: bigint;

  /**
   * @param pending - records that stand and are not home
   * @param mayJudge - false where a record has to be judged again first
   */
  constructor(
    output: PlanOutput,
    { head, header, mended, records }: Block0,
    pending: readonly CommitRecord[],
    mayJudge: boolean,
  ) {
    this.#mayJudge = mayJudge;
    this.#output = output;
    this.#head = head;
    this.header = header;
    this.#mended = mended;
    this.#records = records;
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

  /** Puts a link where a commit record is to put one: then it changes with the header. @returns whether that is so */
  setPendingLink(block: number, link: Uint8Array): boolean {
    const head = this.#blockHeads.get(block);
    head?.set(link);
    return head !== undefined;
  }

  /** Whether what only commit records have is brought home, since the header that they are judged by changes. */
  get settles(): boolean {
    return this.#mayJudge && (this.#repairs.size > 0 || this.#mended?.settles === true);
  }

  /** Tells all changes. @param readHead - reads the first 64 bytes of a block as they are */
  async emit(blocks: number, readHead: (block: number) => Promise<Uint8Array>): Promise<void> {
    const before = this.#head.subarray(0, FILE_HEADER_BYTES);
    const after = this.#fileHeader(before);
    for (const field of differingFields(FILE_HEADER.fields, before, after)) {
      await this.#output.change({ repair: this.#repairOf(field.name), ...field, offset: field.at });
    }
    const descriptor = await this.#emitDescriptor(before, after, blocks);
    await this.#emitCopy(before, after, descriptor);
    if (!this.settles) return this.#emitRecordBits();
    for (const offset of COMMIT_RECORD_OFFSETS) {
      const record = this.#head.subarray(offset, offset + COMMIT_RECORD.bytes);
      const zeros = new Uint8Array(COMMIT_RECORD.bytes);
      // One that does not hold can never come true, and may be all that tells of a commit that was lost.
      const holds = decodeCommitRecord(record) || this.#records.some(({ position }) => position === offset);
      if (isEqual(record, zeros) || !holds) continue;
      await this.#output.change({ repair: 'commit-record', offset, before: record, after: zeros });
    }
    for (const [block, head] of this.#blockHeads) {
      const now = await readHead(block);
      if (isEqual(now, head)) continue;
      await this.#output.change({ repair: 'commit-record', offset: fileOffset(block), before: now, after: head });
    }
  }

  async #emitRecordBits(): Promise<void> {
    for (const { position, bytes } of this.#records) {
      const at = bytes.findIndex((byte, index) => byte !== this.#head[position + index]);
      const before = this.#head.subarray(position + at, position + at + 1);
      const after = bytes.subarray(at, at + 1);
      await this.#output.change({ repair: 'record-bit', offset: position + at, before, after });
    }
  }

  #repairOf(field: string): RepairId {
    const others = field === 'checksum' ? [...this.#repairs.values()] : [];
    return this.#repairs.get(field) ?? this.#mended?.repair ?? others.at(-1) ?? 'commit-record';
  }

  #fileHeader(before: Uint8Array): Uint8Array {
    if (!this.settles) return this.#mended?.bytes ?? before;
    return encodeFileHeader({ ...this.header, entryCount: this.#entryCount, freeListHead: this.#freeListHead });
  }

  /** @returns the root descriptor as it will be; undefined where it is damaged, and stays so */
  async #emitDescriptor(now: Uint8Array, fileHeader: Uint8Array, blocks: number): Promise<Uint8Array | undefined> {
    const { bytes: mended, rootDescriptor } = this.#mended ?? {};
    const states = mended ? [mended] : [now];
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

  /** The copy is made anew where it is damaged, and where the header changes; a file that has none gets none. */
  async #emitCopy(before: Uint8Array, fileHeader: Uint8Array, descriptor: Uint8Array | undefined): Promise<void> {
    const state = headerCopyState(this.#head);
    const changes = !isEqual(before, fileHeader) || !isEqual(descriptor, rootDescriptorOf(this.#head));
    if (state === 'absent' || (state === 'sound' && !changes)) return;
    if (descriptor === undefined) {
      for (const problem of headerCopyProblems(this.#head)) await this.#output.left(problem);
      return;
    }
    const source = new Uint8Array(FILE_HEADER_BYTES + ROOT_DESCRIPTOR.bytes);
    source.set(fileHeader);
    source.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
    const stored = this.#head.subarray(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + HEADER_COPY.bytes);
    const mended = mendedCopy(this.#head);
    // A file of another program has no copy, and gets none for a bit that was flipped where it would be.
    const isNone = mended?.every((byte) => byte === 0) === true;
    const copy = isNone ? mended : encodeHeaderCopy(source);
    if (isEqual(stored, copy)) return;
    await this.#output.change({ repair: 'copy', offset: HEADER_COPY_OFFSET, before: stored, after: copy });
  }
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
