import { isZero } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile, Overlay } from '../disk/block-file.ts';
import { type CommittedView, decodeCommitRecords, hasLostRecord, isOldOrNew } from '../disk/committed-view.ts';
import { BlockSet, FreeListWalk } from '../disk/free-list.ts';
import { COMMIT_KIND, COMMIT_RECORD, type CommitRecord, decodeCommitRecord } from '../format/commit-record.ts';
import {
  BLOCK_BYTES,
  COMMIT_RECORD_OFFSETS,
  decodeFreeLink,
  fileOffset,
  PAGE_HEADER_BYTES,
  firstU64,
} from '../format/layout.ts';
import { validPage, validPageWithHeader } from '../format/page-checks.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { mayHaveUncountedNodes } from '../format/page.ts';
import { hex, type Problem } from '../format/problem.ts';
import { flipBack } from './flipped-bit.ts';

/** A page of which the block has neither the header in its commit record nor the one that this replaces. */
export interface RecordedPage {
  readonly record: CommitRecord;
  /** The 64 bytes that the block begins with. */
  readonly found: Uint8Array;
  /** Whether the page is valid with the header in the record, so that only the header is lost. */
  readonly isWhole: boolean;
  /** Whether another program may have freed it: that overwrites the first 8 bytes with a link, and no others. */
  readonly mayBeFreed: boolean;
}

/**
 * The pages whose headers are in commit records alone. At most two blocks are read.
 * @param head - the first 12,800 bytes of block 0
 */
export async function lostRecordedPages(file: BlockFile, head: Uint8Array): Promise<RecordedPage[]> {
  const lost: RecordedPage[] = [];
  const isAnyLost = hasLostRecord(head);
  const bytes = new Uint8Array(BLOCK_BYTES);
  for (const record of lastOfEach(decodeCommitRecords(head))) {
    const { block, blockHead, oldPageHeaderCrc } = record;
    bytes.fill(0, await file.read(bytes, fileOffset(block)));
    const found = bytes.slice(0, PAGE_HEADER_BYTES);
    // A valid page with another header is one that another program has changed since.
    if (isOldOrNew(found, oldPageHeaderCrc, blockHead) || validPage(bytes, block)) continue;
    const page = validPageWithHeader(bytes, block, blockHead);
    const link = decodeFreeLink(firstU64(found));
    const unlinked = found.slice();
    unlinked.set(blockHead.subarray(0, PAGE_HEADER.bytesOf('magic')));
    const mayBeFreed =
      link >= 0 &&
      (Buffer.compare(unlinked, blockHead) === 0 || validPageWithHeader(bytes, block, unlinked) !== undefined);
    lost.push({ record, found, mayBeFreed, isWhole: page !== undefined && !isAnyLost && !mayHaveUncountedNodes(page) });
  }
  return lost;
}

/** The last record of each block, if it contains a page header. */
function lastOfEach(records: readonly CommitRecord[]): CommitRecord[] {
  return records.filter(({ block, kind }, index) => {
    const isLast = !records.slice(index + 1).some((later) => later.block === block);
    return isLast && block !== 0 && kind === COMMIT_KIND.pageHeader;
  });
}

/** Whether the free list of a file leads to a block. */
export async function isOnFreeList(view: CommittedView, block: number): Promise<boolean> {
  const { freeListHead, blockCount } = await view.readFileHeader();
  // The count may be damaged, so the set starts small and grows with what the file has.
  const walk = new FreeListWalk(freeListHead, blockCount, new BlockSet(0));
  await walk.followIn(view);
  return walk.blocks.has(block);
}

/** Whether a record took effect for sure: it is valid, or a valid one follows that was made after it. */
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

/** The commit records in which one bit is wrong, with that bit flipped back. @param head - the first 12,800 bytes of block 0 */
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

/** The problem of a block that is not a page although a commit record contains its page header. @param head - its first 64 bytes */
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
