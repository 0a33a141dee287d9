import { isZero } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import type { BlockFile, Overlay } from '../disk/block-file.ts';
import { type CommittedView, decodeCommitRecords, hasLostRecord, isOldOrNew } from '../disk/committed-view.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { betweenBlocks } from '../disk/long-work.ts';
import { COMMIT_KIND, COMMIT_RECORD, type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import { type FileHeader, ROOT_DESCRIPTOR } from '../format/file-header.ts';
import { rootProblems } from '../format/header-checks.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  decodeFreeLink,
  decodePointer,
  encodePointer,
  fileOffset,
  firstU64,
  PAGE_HEADER_BYTES,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from '../format/layout.ts';
import { validPage, validPageWithHeader } from '../format/page-checks.ts';
import { commitOf, PAGE_HEADER } from '../format/page-header.ts';
import { mayHaveUncountedNodes } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import { BlockReader, linkOf, NonPages } from './block-kind.ts';
import { flipBack } from './flipped-bit.ts';
import { checkFreeList } from './free-blocks.ts';
import { copiedHeader } from './header-candidates.ts';

export interface RootPlace {
  readonly block: number;
  readonly slot: number;
}

/** @returns undefined if the root descriptor does not lead to a block of the file */
export function rootPlaceOf(
  { rootPointer }: FileHeader,
  descriptor: Uint8Array,
  blocks: number,
): RootPlace | undefined {
  const pointer = decodePointer(rootPointer);
  if (rootPointer === 0n || pointer.block !== 0 || pointer.slot !== ROOT_DESCRIPTOR_OFFSET) return undefined;
  const { rootType, rootRecord } = ROOT_DESCRIPTOR.read(descriptor);
  const { block, slot, inMemory } = decodePointer(rootRecord);
  return rootType === 0 || inMemory || block === 0 || block >= blocks ? undefined : { block, slot };
}

export function rootDescriptorOf(head: Uint8Array): Uint8Array {
  return head.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}

export function noRootRecordMessage({ block, slot }: RootPlace, slots: number): string {
  const why = slots < 0 ? 'is not a page' : `has ${counted(slots, 'slot')}`;
  return `the root record should be in slot ${slot} of block ${block}, which ${why}`;
}

/** The root descriptor in the header copy, which counts only with the file header that it was written with. */
export function copiedRootDescriptor(head: Uint8Array, fileHeaders: readonly Uint8Array[]): Uint8Array | undefined {
  const copy = copiedHeader(head);
  const isSameHeader = copy && fileHeaders.some((fileHeader) => Buffer.compare(copy.fileHeader, fileHeader) === 0);
  return isSameHeader ? copy.rootDescriptor : undefined;
}

/** Checks a root pointer and a root descriptor of 18 bytes. */
export function descriptorProblems(
  header: Pick<FileHeader, 'rootPointer'>,
  descriptor: Uint8Array,
  blocks: number,
): Generator<Problem> {
  const block0 = new Uint8Array(ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
  block0.set(descriptor, ROOT_DESCRIPTOR_OFFSET);
  return rootProblems(header, block0, blocks);
}

export interface RootDescriptorProof {
  /** Undefined if it is the one in block 0. */
  readonly rootDescriptor: Uint8Array | undefined;
}

export interface Unproven {
  readonly why: string;
}

/**
 * Finds the root descriptor for another state of the file header: the one in block 0 if the header copy has the same.
 * If it was lost, there was no trie unless another program has written a page: a trie has nodes.
 */
export async function findRootDescriptor(
  head: Uint8Array,
  view: CommittedView,
  signal?: AbortSignal,
): Promise<RootDescriptorProof | Unproven> {
  const header = await view.readFileHeader();
  const descriptor = rootDescriptorOf(head);
  const none = new Uint8Array(ROOT_DESCRIPTOR_BYTES);
  const copied = copiedHeader(head)?.rootDescriptor;
  const isKnown = copied !== undefined || header.rootPointer === 0n;
  if (isKnown && Buffer.compare(copied ?? none, descriptor) === 0) return { rootDescriptor: undefined };
  const had = copied === undefined ? 'no trie' : 'another root descriptor';
  const why = `it was made with ${had}, and the trie may have changed since`;
  const hadNone = header.rootPointer === 0n && Buffer.compare(copied ?? none, none) === 0;
  const used = { rootPointer: encodePointer(0, ROOT_DESCRIPTOR_OFFSET, 0) };
  const isDamaged = descriptorProblems(used, descriptor, header.blockCount).next().done !== true;
  if (!hadNone || !isDamaged) return { why };
  const foreign = await firstForeignBlock(view, header.blockCount, signal);
  if (foreign === undefined) return { rootDescriptor: none };
  return { why: `${why}: block ${foreign} is neither a page with an up-to-date checksum nor free` };
}

/** The first block that is neither on the free list nor a page with a checksum over all of it. */
async function firstForeignBlock(
  view: CommittedView,
  blockCount: number,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const blocks = Math.min(blockCount, Math.ceil((await view.size()) / BLOCK_BYTES));
  const [reader, others] = [new BlockReader(), new NonPages()];
  for (let block = 1; block < blocks; block++) {
    const pause = betweenBlocks(block, blocks, { signal });
    if (pause) await pause;
    signal?.throwIfAborted();
    await reader.read(view, block);
    const { page } = reader;
    if (page === undefined) others.add(block, linkOf(reader.bytes));
    else if (page.error || page.checksumState !== 'match') return block;
  }
  const { free, isWhole } = checkFreeList(await view.readFileHeader(), others, blocks);
  for (let index = 0; index < others.count; index++) if (!free.has(others.idAt(index))) return others.idAt(index);
  return isWhole ? undefined : 0;
}

/**
 * A block that has neither the header in its commit record nor the one that the record replaces, and is no page, or an
 * older state of one.
 */
export interface RecordedPage {
  readonly record: CommitRecord;
  readonly found: Uint8Array;
  /** Whether only the header is lost: the page is valid with the one in the record. */
  readonly isWhole: boolean;
  /**
   * Whether the page is valid as it is, with the header of an earlier commit. Then only the digest can prove that the
   * header in the record is its last one.
   */
  readonly isOlder: boolean;
  /** Another program frees a page by overwriting its first 8 bytes with a link. */
  readonly mayBeFreed: boolean;
}

/** The pages whose headers are only in commit records. Reads at most two blocks. */
export async function lostRecordedPages(file: BlockFile, head: Uint8Array): Promise<RecordedPage[]> {
  const lost: RecordedPage[] = [];
  const isAnyLost = hasLostRecord(head);
  const bytes = new Uint8Array(BLOCK_BYTES);
  for (const record of lastOfEach(decodeCommitRecords(head))) {
    const { block, blockHead, oldPageHeaderCrc } = record;
    const present = await file.read(bytes, fileOffset(block));
    bytes.fill(0, present);
    const found = bytes.slice(0, PAGE_HEADER_BYTES);
    if (isOldOrNew(found, oldPageHeaderCrc, blockHead)) continue;
    const isValid = validPage(bytes, block) !== undefined;
    const isOlder = isValid && isBefore(found, record);
    // The page was changed since: it is valid with another header.
    if (isValid && !isOlder) continue;
    const page = validPageWithHeader(bytes, block, blockHead);
    // Its nodes are those of the earlier commit too.
    if (isOlder && page === undefined) continue;
    const link = decodeFreeLink(firstU64(found));
    const unlinked = found.slice();
    unlinked.set(blockHead.subarray(0, PAGE_HEADER.bytesOf('magic')));
    const mayBeFreed =
      link >= 0 &&
      (Buffer.compare(unlinked, blockHead) === 0 || validPageWithHeader(bytes, block, unlinked) !== undefined);
    // Of a block that was cut off, the rest is not known to be zeros.
    const isWhole = present === BLOCK_BYTES && page !== undefined && !isAnyLost && !mayHaveUncountedNodes(page);
    lost.push({ record, found, mayBeFreed, isWhole, isOlder });
  }
  return lost;
}

/** Whether a page header has the number of an earlier commit than a record. */
function isBefore(found: Uint8Array, { digest }: CommitRecord): boolean {
  const commit = commitOf(found);
  return digest !== undefined && commit > 0 && commit < digest.commit;
}

/** The header of a page as its record has it. */
export const restoredHead = ({ record }: RecordedPage): Overlay => ({
  position: fileOffset(record.block),
  bytes: record.blockHead,
});

function lastOfEach(records: readonly CommitRecord[]): CommitRecord[] {
  return records.filter(({ block, kind }, index) => {
    const isLast = !records.slice(index + 1).some((later) => later.block === block);
    return isLast && block !== 0 && kind === COMMIT_KIND.pageHeader;
  });
}

export async function isOnFreeList(view: CommittedView, block: number, signal?: AbortSignal): Promise<boolean> {
  const { freeListHead, blockCount } = await view.readFileHeader();
  // The count may be damaged, so the set grows with the blocks that the file has.
  const walk = new FreeListWalk(freeListHead, blockCount, new BlockSet(0));
  await walk.followIn(view, signal);
  return walk.blocks.has(block);
}

/** A record took effect if it is valid, or if a valid one follows that was made after it. */
export function tookEffect({ recovery }: CommittedView, record: CommitRecord): boolean {
  const { validRecords, records } = recovery;
  const isValid = (each: CommitRecord): boolean => validRecords.some(({ sequence }) => sequence === each.sequence);
  const next = records.find(({ sequence }) => sequence === record.sequence + 1n);
  return isValid(record) || (next !== undefined && isValid(next));
}

/** Whether a block still begins with the bytes that a record replaces. */
export async function hasOldHeader(
  file: BlockFile,
  { block, oldPageHeaderCrc, blockHead }: CommitRecord,
): Promise<boolean> {
  if (block === 0) return false;
  const stored = new Uint8Array(PAGE_HEADER_BYTES);
  await file.read(stored, fileOffset(block));
  return crc32(stored) === oldPageHeaderCrc && Buffer.compare(stored, blockHead) !== 0;
}

/** The damaged commit records that one flipped bit explains, with that bit flipped back. */
export function repairedRecords(head: Uint8Array): Overlay[] {
  const repaired: Overlay[] = [];
  for (const position of COMMIT_RECORD_OFFSETS) {
    const bytes = head.slice(position, position + COMMIT_RECORD.bytes);
    if (!isRecordOrNone(bytes) && flipBack(bytes) && isRecordOrNone(bytes)) repaired.push({ position, bytes });
  }
  return repaired;
}

function isRecordOrNone(bytes: Uint8Array): boolean {
  return isZero(bytes) || decodeCommitRecord(bytes) !== undefined;
}

export function lostPageProblem(block: number, head: Uint8Array): Problem {
  const found = hex(firstU64(head), 16);
  return {
    code: 'BLOCK_UNKNOWN',
    severity: 'error',
    block,
    offset: fileOffset(block),
    bytes: BLOCK_BYTES,
    found,
    expected: 'the page header that a commit record has',
    message: `block ${block} begins with ${found}, but a commit record contains a page header for it: the header is lost`,
  };
}
