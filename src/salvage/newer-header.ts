import { crc32 } from '../bytes/checksum.ts';
import { type BlockFile, OverlaidFile, type Overlay } from '../disk/block-file.ts';
import { CommittedView, decodeCommitRecords, readStart } from '../disk/committed-view.ts';
import { sumOfCovered } from '../disk/missing-pages.ts';
import type { CommitRecord } from '../format/commit-record.ts';
import { DIGEST_OFFSET, digestIn, type DigestState, encodeDigest, equalHash } from '../format/digest.ts';
import { newerCommit } from '../format/digest-checks.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, ROOT_DESCRIPTOR_OFFSET } from '../format/layout.ts';
import { uncountedPage } from '../disk/page-file.ts';
import { findRootDescriptor, type RecordedPage } from './evidence.ts';
import { copiedHeader, type HeaderSource, isValidHeader } from './header-candidates.ts';
import { copiedStart, provenCommit, startWithRepairedDigest } from './proven-commit.ts';

/** A file header and the digest that was written with it. */
export interface DatedHeader {
  readonly source: HeaderSource;
  readonly bytes: Uint8Array;
  readonly digest: DigestState;
  /** Undefined for one from a commit record, which has none. */
  readonly rootDescriptor?: Uint8Array;
}

/** The header copy, as it is or with one bit flipped back; undefined if it has no digest of its own. */
export function datedCopy(head: Uint8Array): DatedHeader | undefined {
  const copied = copiedHeader(head);
  const start = copiedStart(head);
  if (copied === undefined || start === undefined) return undefined;
  const { kind, state } = digestIn(start);
  if (kind !== 'valid' || state === undefined) return undefined;
  return { source: 'header copy', bytes: copied.fileHeader, digest: state, rootDescriptor: copied.rootDescriptor };
}

/** Those of the records that have a digest. */
export function datedRecords(records: readonly CommitRecord[]): DatedHeader[] {
  return records.flatMap(({ digest, fileHeader }) =>
    digest ? [{ source: 'commit record', bytes: fileHeader, digest: { ...digest, openFrom: 0, openEnd: 0 } }] : [],
  );
}

/** The valid headers in the header copy and in commit records that have a digest. */
export function datedHeaders(head: Uint8Array): DatedHeader[] {
  const copy = datedCopy(head);
  return [...(copy ? [copy] : []), ...datedRecords(decodeCommitRecords(head))].filter(({ bytes }) =>
    isValidHeader(bytes),
  );
}

/**
 * The headers that prove the one in block 0 to be out of date, newest first.
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 * @returns undefined if the header in block 0 is not known to be old, or is invalid, or its digest is damaged
 */
export function newerHeaders(head: Uint8Array): DatedHeader[] | undefined {
  const { kind, state } = digestIn(startWithRepairedDigest(head));
  if (kind === 'damaged' || !isValidHeader(head)) return undefined;
  const commit = state?.commit ?? 0;
  if (newerCommit(head, commit) === undefined) return undefined;
  const newer = datedHeaders(head).filter(({ digest }) => digest.commit > commit);
  return newer.toSorted((a, b) => b.digest.commit - a.digest.commit);
}

/**
 * Whether a header is that of the pages: the headers of all blocks that it counts add up to its digest, in 64 bits, and
 * nothing proves that there was a later commit. Reads the first 64 bytes of each block.
 * @param head - as for {@link newerHeaders}
 * @returns the file with this header in block 0, undefined if it is not proved
 * @throws {@link PageStoreError} `IO`; the reason of the signal
 */
export async function proveHeader(
  file: BlockFile,
  header: DatedHeader,
  head: Uint8Array,
  signal?: AbortSignal,
): Promise<CommittedView | undefined> {
  const { commit } = header.digest;
  // That the pages add up to an older digest shows that the newer ones are lost.
  if (commit < provenCommit(head)) return undefined;
  const view = await CommittedView.open(new OverlaidFile(file, placedHeader(header), file.journal), signal);
  const { blockCount } = FILE_HEADER.read(header.bytes);
  const { sum } = await sumOfCovered(view, header.digest, blockCount, { signal });
  if (!equalHash(sum, header.digest.sum)) return undefined;
  // A page of the next commit may have been acknowledged as well, with the header that was lost.
  const uncounted = await uncountedPage(view, blockCount, await file.size(), commit - 1, { signal });
  return uncounted ? undefined : view;
}

/**
 * Whether the headers that commit records have of these pages are proved to be their last ones. Older pages are valid as
 * they are, so only the digest tells, and only of blocks that it covers. Reads the first 64 bytes of each block if there
 * are any.
 * @param view - with these headers
 * @throws {@link PageStoreError} `IO`; the reason of the signal
 */
export async function provesOlder(
  pages: readonly RecordedPage[],
  view: BlockFile,
  signal?: AbortSignal,
): Promise<boolean> {
  const older = pages.filter(({ isOlder }) => isOlder);
  if (older.length === 0) return true;
  const start = await readStart(view);
  const { kind, state } = digestIn(start);
  if (kind !== 'valid' || state === undefined) return false;
  const { blockCount } = FILE_HEADER.read(start);
  const { openFrom, openEnd } = state;
  const isCovered = ({ record: { block } }: RecordedPage): boolean =>
    block < blockCount && (block < openFrom || block >= openEnd);
  if (!older.every(isCovered)) return false;
  const { sum } = await sumOfCovered(view, state, blockCount, { signal });
  return equalHash(sum, state.sum);
}

/** The newest header, and all that is needed to put it into block 0. */
export interface ProvenHeader {
  readonly bytes: Uint8Array;
  /** Undefined if it is the one in block 0. */
  readonly rootDescriptor: Uint8Array | undefined;
  /** The file with this header. */
  readonly view: CommittedView;
}

/**
 * Whether the header in block 0 is older than one in the header copy or in a commit record, and the newest of those that
 * is proved with all that it counts.
 * @param file - with the pages restored that only commit records describe
 * @param head - as for {@link newerHeaders}
 * @returns undefined if the header is not known to be old, 'unproven' if it is and nothing replaces it
 */
export async function findNewerHeader(
  file: BlockFile,
  head: Uint8Array,
  signal?: AbortSignal,
): Promise<ProvenHeader | 'unproven' | undefined> {
  const headers = newerHeaders(head);
  if (headers === undefined) return undefined;
  const wholeBlocks = Math.floor((await file.size()) / BLOCK_BYTES);
  for (const header of headers) {
    const { bytes, rootDescriptor } = header;
    const isWhole = FILE_HEADER.read(bytes).blockCount <= wholeBlocks;
    const view = isWhole ? await proveHeader(file, header, head, signal) : undefined;
    if (view === undefined) continue;
    const root = rootDescriptor ? { rootDescriptor } : await findRootDescriptor(head, view, signal);
    return 'why' in root ? 'unproven' : { bytes, view, ...root };
  }
  return 'unproven';
}

/** The header, its digest and its root descriptor in their places in block 0. */
function placedHeader({ bytes, digest, rootDescriptor }: DatedHeader): Overlay[] {
  const overlays = [{ position: 0, bytes }, placedDigest(digest, bytes)];
  return rootDescriptor ? [...overlays, { position: ROOT_DESCRIPTOR_OFFSET, bytes: rootDescriptor }] : overlays;
}

/** A digest of this file header in its place in block 0. */
export function placedDigest(digest: DigestState, fileHeader: Uint8Array): Overlay {
  return { position: DIGEST_OFFSET, bytes: encodeDigest(digest, crc32(fileHeader)) };
}
