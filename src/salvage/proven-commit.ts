import { crc32 } from '../bytes/checksum.ts';
import { decodeCommitRecords } from '../disk/committed-view.ts';
import { digestIn, DIGEST_OFFSET, FILE_START_BYTES } from '../format/digest.ts';
import { FILE_HEADER_BYTES, HEADER_COPY_OFFSET } from '../format/layout.ts';
import { flipBack } from './flipped-bit.ts';
import { repairedCopy } from './header-candidates.ts';

/**
 * The highest number of a commit that block 0 proves to have been acknowledged; 0 if it proves none. The last commit record
 * proves only the commit before it: a crash can have come before the pages of its own were durable.
 * @param head - the first 12,800 bytes of block 0
 */
export function provenCommit(head: Uint8Array): number {
  const records = decodeCommitRecords(head);
  const recorded = records.map(({ digest }, index) => (digest?.commit ?? 0) - (index === records.length - 1 ? 1 : 0));
  const copy = copiedStart(head);
  const copied = copy && digestIn(copy);
  return Math.max(
    0,
    ...recorded,
    digestIn(startWithRepairedDigest(head)).state?.commit ?? 0,
    copied?.kind === 'valid' ? (copied.state?.commit ?? 0) : 0,
  );
}

/**
 * The number of the last commit that left the file header as it is in `fileHeader`; undefined if no digest belongs to it.
 * @param head - the first 12,800 bytes of block 0
 */
export function commitOfHeader(head: Uint8Array, fileHeader: Uint8Array): number | undefined {
  const commits: number[] = [];
  const start = startWithRepairedDigest(head);
  start.set(fileHeader);
  for (const bytes of [start, copiedStart(head)]) {
    if (bytes === undefined || crc32(bytes.subarray(0, FILE_HEADER_BYTES)) !== crc32(fileHeader)) continue;
    const { kind, state } = digestIn(bytes);
    if (kind === 'valid' && state) commits.push(state.commit);
  }
  for (const record of decodeCommitRecords(head)) {
    if (record.digest && Buffer.compare(record.fileHeader, fileHeader) === 0) commits.push(record.digest.commit);
  }
  return commits.length === 0 ? undefined : Math.max(...commits);
}

/** The first 128 bytes of the file, with one bit of a damaged digest flipped back if its checksum matches then. */
export function startWithRepairedDigest(head: Uint8Array): Uint8Array {
  const start = head.slice(0, FILE_START_BYTES);
  const digest = start.slice(DIGEST_OFFSET);
  if (digestIn(start).kind === 'damaged' && flipBack(digest)) start.set(digest, DIGEST_OFFSET);
  return start;
}

/** The header copy with its digest, as it is or with one bit of the header flipped back; undefined if it is damaged. */
export function copiedStart(head: Uint8Array): Uint8Array | undefined {
  const copied = repairedCopy(head);
  if (copied === undefined) return undefined;
  const start = head.slice(HEADER_COPY_OFFSET, HEADER_COPY_OFFSET + FILE_START_BYTES);
  start.set(copied);
  return start;
}
