import { crc32, type Hash64 } from '../bytes/checksum.ts';
import { decodeRecordInSlot } from './commit-record-checks.ts';
import { COMMIT_RECORD, hasDamagedDigest, RECORD_DIGEST } from './commit-record.ts';
import { copyHash, DIGEST, DIGEST_OFFSET, digestIn } from './digest.ts';
import {
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  fileOffset,
  HEADER_COPY_OFFSET,
  PAGE_HEADER_BYTES,
} from './layout.ts';
import { headerCopyState } from './file-header.ts';
import { hex, type Problem } from './problem.ts';

/**
 * What is wrong with the digest in block 0, without a look at any page.
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 */
export function* digestProblems(head: Uint8Array): Generator<Problem> {
  const range = { block: 0, offset: DIGEST_OFFSET, bytes: DIGEST.bytes };
  const { kind, state } = digestIn(head);
  if (kind === 'damaged') {
    const message = 'the digest of the page headers is damaged, so lost pages would not be noticed';
    yield { code: 'PAGES_DIGEST', severity: 'error', ...range, ...damageOf(head), message };
  } else if (kind === 'foreign') {
    const message =
      'the digest of the page headers is of another file header: another program has changed the file since, so lost pages are not noticed until the next commit';
    const found = `of a header with CRC-32 ${hex(DIGEST.read(head, DIGEST_OFFSET).fileHeaderCrc, 8)}`;
    const expected = hex(crc32(head.subarray(0, FILE_HEADER_BYTES)), 8);
    yield { code: 'DIGEST_FOREIGN', severity: 'warning', ...range, found, expected, message };
  }
  for (const [index, offset] of COMMIT_RECORD_OFFSETS.entries()) {
    if (decodeRecordInSlot(head, index) === undefined || !hasDamagedDigest(head, offset)) continue;
    const place = { block: 0, offset: offset + COMMIT_RECORD.bytes, bytes: RECORD_DIGEST.bytes };
    const text = `commit record ${index} is followed by bytes that are not its digest; an older version may have written the record`;
    yield { code: 'COMMIT_RECORD', severity: 'info', ...place, message: text };
  }
  if (kind === 'damaged') return;
  // A header without a digest, or with that of another one, may have come back just as well.
  const commit = state?.commit ?? 0;
  const newer = newerCommit(head, commit);
  if (newer) yield oldHeaderProblem(newer.source, newer.commit, commit);
}

/** What a damaged digest has, and what it should have. */
function damageOf(head: Uint8Array): Pick<Problem, 'found' | 'expected'> {
  const { checksum } = DIGEST.read(head, DIGEST_OFFSET);
  const computed = crc32(head.subarray(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST.offsets.checksum));
  if (checksum !== computed) return { found: hex(checksum, 8), expected: hex(computed, 8) };
  return { found: 'fields that no writer makes', expected: 'a digest of version 1' };
}

/** Page headers that do not add up to the digest. @param explanation - of what may have happened */
export function digestProblem(
  found: Readonly<Hash64>,
  expected: Readonly<Hash64>,
  explanation: string = 'a page is lost, or is an older state of itself',
): Problem {
  return {
    code: 'PAGES_DIGEST',
    severity: 'error',
    block: 0,
    offset: DIGEST_OFFSET + DIGEST.offsets.sum,
    bytes: DIGEST.bytesOf('sum'),
    found: hex(copyHash(found).value, 16),
    expected: hex(copyHash(expected).value, 16),
    message: `the page headers do not add up to the digest of the last commit: ${explanation}`,
    isBeyondRepair: true,
  };
}

/**
 * The header in block 0 is older than something that only a newer one can have been written with.
 * @param headerCommit - 0 for a header without a digest
 */
export function oldHeaderProblem(source: string, found: number, headerCommit: number): Problem {
  const age = headerCommit === 0 ? 'it has no digest' : `it is of commit ${headerCommit}`;
  const message = `the file header is out of date: ${age}, but ${source} is of commit ${found}; an older state of its sector has come back`;
  const range = { block: 0, offset: 0, bytes: FILE_HEADER_BYTES };
  return {
    code: 'FILE_HEADER_OLD',
    severity: 'error',
    ...range,
    found: headerCommit === 0 ? 'no commit' : `commit ${headerCommit}`,
    expected: `commit ${found} or later`,
    message,
    isBeyondRepair: true,
  };
}

/** A page whose last write is not there, although a commit record shows that there was one. */
export function lostWriteProblem(block: number, found: number, recorded: number): Problem {
  return {
    code: 'PAGES_DIGEST',
    severity: 'error',
    block,
    offset: fileOffset(block),
    bytes: PAGE_HEADER_BYTES,
    found: `commit ${found}`,
    expected: `commit ${recorded}`,
    message: `block ${block} has the header of commit ${found}, but commit ${recorded} wrote a newer one: its last write was lost, or an older state of it has come back`,
    isBeyondRepair: true,
  };
}

/** Where block 0 has a higher number than its header. */
export interface NewerCommit {
  readonly source: 'the header copy' | 'a commit record';
  readonly commit: number;
}

/** @param commit - of the digest in block 0 @param head - as for {@link digestProblems} */
export function newerCommit(head: Uint8Array, commit: number): NewerCommit | undefined {
  const copied = copiedDigestCommit(head);
  if (copied > commit) return { source: 'the header copy', commit: copied };
  for (const index of COMMIT_RECORD_OFFSETS.keys()) {
    const recorded = decodeRecordInSlot(head, index)?.digest?.commit ?? 0;
    // A record with the next number may be of a commit that was never acknowledged.
    if (recorded > commit + 1) return { source: 'a commit record', commit: recorded };
  }
  return undefined;
}

/** 0 if the header copy has no digest, or not its own. */
function copiedDigestCommit(head: Uint8Array): number {
  const { kind, state } = digestIn(head, HEADER_COPY_OFFSET);
  return kind === 'valid' && state && headerCopyState(head) === 'valid' ? state.commit : 0;
}
