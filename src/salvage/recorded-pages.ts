import type { BlockFile } from '../disk/block-file.ts';
import { type CommittedView, isOldOrNew } from '../disk/committed-view.ts';
import { COMMIT_KIND, type CommitRecord, mayHaveMoreNodes, soundPageUnder } from '../format/commit-record.ts';
import { BLOCK_BYTES, decodeFreeLink, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { firstPageError } from '../format/page-checks.ts';
import { decodePage } from '../format/page.ts';

/** A page that a commit record speaks of, and of which the block has neither the header that the record puts there nor the one before. */
export interface RecordedPage {
  readonly record: CommitRecord;
  /** The 64 bytes that the block begins with. */
  readonly found: Uint8Array;
  /** Whether the page is whole under the header that the record has: then all that it takes is that header. */
  readonly isWhole: boolean;
  /** Whether another program may have freed it: that writes a link over the first eight bytes, and leaves the others. */
  readonly mayBeFreed: boolean;
}

/**
 * The pages whose headers only commit records have now. At most two blocks are read.
 * @param records - whose checksums hold, in ascending order of sequence number
 * @param isAnyLost - whether there may have been a later record
 */
export async function lostRecordedPages(
  file: BlockFile,
  records: readonly CommitRecord[],
  isAnyLost: boolean,
): Promise<RecordedPage[]> {
  const lost: RecordedPage[] = [];
  const bytes = new Uint8Array(BLOCK_BYTES);
  for (const record of lastOfEach(records)) {
    const { block, blockHead, oldPageHeaderCrc } = record;
    bytes.fill(0, await file.read(bytes, fileOffset(block)));
    const found = bytes.slice(0, PAGE_HEADER_BYTES);
    if (isOldOrNew(found, oldPageHeaderCrc, blockHead)) continue;
    const now = decodePage(bytes);
    // Another program has gone on with it.
    if (now && firstPageError(now, block) === undefined) continue;
    const page = soundPageUnder(bytes, block, blockHead);
    const link = decodeFreeLink(new DataView(found.buffer).getBigUint64(0, true));
    const unlinked = found.slice();
    unlinked.set(blockHead.subarray(0, LINK_BYTES));
    const mayBeFreed =
      link >= 0 && (Buffer.compare(unlinked, blockHead) === 0 || soundPageUnder(bytes, block, unlinked) !== undefined);
    lost.push({ record, found, mayBeFreed, isWhole: page !== undefined && !isAnyLost && !mayHaveMoreNodes(page) });
  }
  return lost;
}

/** The last record of each block, where that makes it a page. */
function lastOfEach(records: readonly CommitRecord[]): CommitRecord[] {
  return records.filter(
    ({ block, kind }, index) =>
      block !== 0 &&
      kind === COMMIT_KIND.pageHeader &&
      !records.slice(index + 1).some((later) => later.block === block),
  );
}

const LINK_BYTES = 8;

/** Whether the free list of a file leads to a block. Follows at most as many links as the header counts blocks. */
export async function isOnFreeList(view: CommittedView, block: number): Promise<boolean> {
  const { freeListHead, blockCount } = await view.readFileHeader();
  const link = new Uint8Array(LINK_BYTES);
  let next = decodeFreeLink(freeListHead);
  for (let steps = 0; next > 0 && next < blockCount && steps < blockCount; steps++) {
    if (next === block) return true;
    if ((await view.read(link, fileOffset(next))) < link.length) return false;
    next = decodeFreeLink(new DataView(link.buffer).getBigUint64(0, true));
  }
  return false;
}

/** Whether a record took effect for sure: it stands, or the next one was made on what it left, and stands. */
export function tookEffect({ recovery }: CommittedView, record: CommitRecord): boolean {
  const { standing, records } = recovery;
  const stands = (each: CommitRecord): boolean => standing.some(({ sequence }) => sequence === each.sequence);
  const next = records.find(({ sequence }) => sequence === record.sequence + 1n);
  return stands(record) || (next !== undefined && stands(next));
}
