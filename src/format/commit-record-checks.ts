import { isZero } from '../bytes/buffer.ts';
import { crc32 } from '../bytes/checksum.ts';
import {
  COMMIT_KIND,
  COMMIT_RECORD,
  COMMIT_RECORD_MAGIC,
  COMMIT_RECORD_VERSION,
  type CommitRecord,
  decodeCommitRecord,
} from './commit-record.ts';
import { FILE_HEADER } from './file-header.ts';
import { fileHeaderProblems, freeListHeadProblems } from './header-checks.ts';
import { COMMIT_RECORD_OFFSETS, decodeFreeLink, firstU64, MAX_BLOCKS } from './layout.ts';
import { pageFormatOf } from './page-header.ts';
import { hex, type Problem } from './problem.ts';

/** Higher ones would leave no number for the next record. 2^63 commits take longer than any file lasts. */
const SEQUENCE_END = 2n ** 63n;

const LINK_BYTES = 8;

type RecordField = Exclude<keyof CommitRecord, 'digest'>;

interface RecordFault {
  readonly field: RecordField;
  readonly found: string;
  readonly expected: string;
}

/** The record in one of the two slots of block 0; undefined if there is none that a writer can have written. */
export function decodeRecordInSlot(head: Uint8Array, index: number): CommitRecord | undefined {
  const record = decodeCommitRecord(head, COMMIT_RECORD_OFFSETS[index]);
  return record && recordFaults(record).next().done === true ? record : undefined;
}

const fault = (field: RecordField, found: number | bigint | string, expected: string): RecordFault => ({
  field,
  found: String(found),
  expected,
});

/**
 * Fields that no writer can have written, under a checksum that matches. A record that only does not fit the file any
 * more has none: it is invalid, as after a crash.
 */
function* recordFaults(record: CommitRecord): Generator<RecordFault> {
  const { sequence, kind, block, blockHead, oldBlockCount, addedHeadersCrc } = record;
  if (sequence < 1n || sequence >= SEQUENCE_END) yield fault('sequence', sequence, 'from 1 to 2^63 - 1');
  const header = FILE_HEADER.read(record.fileHeader);
  const { blockCount } = header;
  for (const { message } of fileHeaderProblems(header)) yield fault('fileHeader', message, 'a valid file header');
  if (blockCount < 1 || blockCount > MAX_BLOCKS)
    yield fault('fileHeader', `blockCount is ${blockCount}`, `a count from 1 to ${MAX_BLOCKS}`);
  for (const { message } of freeListHeadProblems(header, blockCount))
    yield fault('fileHeader', message, 'a free list in the file');
  if (oldBlockCount < 1 || oldBlockCount > blockCount)
    yield fault('oldBlockCount', oldBlockCount, `from 1 to the new count, ${blockCount}`);
  if (oldBlockCount === blockCount && addedHeadersCrc !== 0)
    yield fault('addedHeadersCrc', hex(addedHeadersCrc, 8), '0, as no block is added');
  if (block > 0 && block >= oldBlockCount) yield fault('block', block, `below oldBlockCount, ${oldBlockCount}`);
  const isLink = kind === COMMIT_KIND.freeLink;
  if ((kind !== COMMIT_KIND.pageHeader && !isLink) || (isLink && block === 0)) {
    yield fault('kind', kind, block === 0 ? '1' : '1 or 2');
  } else if (block === 0) {
    if (!isZero(blockHead)) yield fault('blockHead', headText(blockHead), 'zeros, as no block changes');
  } else if (!isLink) {
    if (pageFormatOf(blockHead) === undefined) yield fault('blockHead', headText(blockHead), 'a page header');
  } else {
    const next = decodeFreeLink(firstU64(blockHead));
    if (next < 0 || next >= blockCount || !isZero(blockHead.subarray(LINK_BYTES)))
      yield fault('blockHead', headText(blockHead), 'a link to a block of the file, and zeros');
  }
}

const headText = (head: Uint8Array): string => hex(firstU64(head), 16);

/**
 * The commit records that are not used: with a wrong checksum, as after a crash, an info; with fields that no writer can
 * have written, an error: writers refuse the file. @param block0 - at least its first 12,800 bytes
 */
export function* commitRecordProblems(block0: Uint8Array): Generator<Problem> {
  for (const [index, offset] of COMMIT_RECORD_OFFSETS.entries()) {
    const stored = block0.subarray(offset, offset + COMMIT_RECORD.bytes);
    if (isZero(stored)) continue;
    const record = decodeCommitRecord(block0, offset);
    if (record === undefined) {
      const range = { block: 0, offset, bytes: COMMIT_RECORD.bytes };
      yield { code: 'COMMIT_RECORD', severity: 'info', ...range, ...undecodable(stored, index) };
      continue;
    }
    for (const { field, found, expected } of recordFaults(record)) {
      const range = { block: 0, offset: offset + COMMIT_RECORD.offsets[field], bytes: COMMIT_RECORD.bytesOf(field) };
      const message = `commit record ${index}: ${field} is ${found}, expected ${expected}; its checksum is valid, but no writer makes such a record, so it is ignored`;
      yield { code: 'COMMIT_RECORD', severity: 'error', ...range, found, expected, message, isBeyondRepair: true };
      break;
    }
  }
}

function undecodable(stored: Uint8Array, index: number): Pick<Problem, 'found' | 'expected' | 'message'> {
  const computed = crc32(stored.subarray(0, COMMIT_RECORD.offsets.checksum));
  const { checksum, magic, version } = COMMIT_RECORD.read(stored);
  if (checksum === computed) {
    return {
      found: `magic ${hex(magic, 8)}, version ${version}`,
      expected: `magic ${hex(COMMIT_RECORD_MAGIC, 8)}, version ${COMMIT_RECORD_VERSION}`,
      message: `commit record ${index} has an unknown magic or version and is ignored`,
    };
  }
  return {
    found: hex(checksum, 8),
    expected: hex(computed, 8),
    message: `commit record ${index} is invalid: a crash cut off its write, or its bytes are damaged; if they are, an acknowledged commit may be lost`,
  };
}
