import { onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { COMMIT_RECORD, COMMIT_RECORD_MAGIC, COMMIT_RECORD_VERSION, decodeCommitRecord } from './commit-record.ts';
import { FILE_HEADER, HEADER_COPY, headerCopyState } from './file-header.ts';
import { hex, type Problem } from './invariants.ts';
import {
  COMMIT_RECORD_OFFSETS,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from './layout.ts';
import { decodePointer } from './pointer.ts';
import { crc32 } from '../bytes/checksum.ts';

/** Commit records that are there and do not hold. @param block0 - at least its first 12,800 bytes */
export function* commitRecordProblems(block0: Uint8Array): Generator<Problem> {
  for (const [index, offset] of COMMIT_RECORD_OFFSETS.entries()) {
    const stored = block0.subarray(offset, offset + COMMIT_RECORD.bytes);
    if (stored.every((byte) => byte === 0) || decodeCommitRecord(block0, offset) !== undefined) continue;
    const sum = crc32(stored.subarray(0, COMMIT_RECORD.offsetOf('checksum')));
    const { checksum, magic, version } = COMMIT_RECORD.read(stored);
    const isWhole = checksum === sum;
    const found = isWhole ? `magic ${hex(magic, 8)}, version ${version}` : hex(checksum, 8);
    const expected = isWhole ? `magic ${hex(COMMIT_RECORD_MAGIC, 8)}, version ${COMMIT_RECORD_VERSION}` : hex(sum, 8);
    const message = isWhole
      ? `commit record ${index} is of a kind that is not known, so it has no effect`
      : `commit record ${index} does not hold: a crash has cut it off, or its bytes are damaged. If they are, a commit that was acknowledged may be lost with it`;
    const place = { block: 0, offset, bytes: COMMIT_RECORD.bytes };
    yield { code: 'COMMIT_RECORD', severity: 'info', ...place, found, expected, message };
  }
}

/**
 * A root descriptor that is not that of the header copy, while the header is. No checksum of its own covers it. It is
 * a warning, since another program may have changed it and nothing in the header.
 * @param block0 - at least its first 12,374 bytes
 */
export function* rootDescriptorCopyProblems(block0: Uint8Array): Generator<Problem> {
  const { block, slot } = decodePointer(FILE_HEADER.read(block0).rootPointer);
  if (block !== 0 || slot !== ROOT_DESCRIPTOR_OFFSET || headerCopyState(block0) !== 'sound') return;
  const copy = HEADER_COPY.read(block0, HEADER_COPY_OFFSET).bytes;
  const [now, then] = [descriptorOf(block0), descriptorOf(copy)];
  const isSameHeader = Buffer.compare(block0.subarray(0, FILE_HEADER_BYTES), copy.subarray(0, FILE_HEADER_BYTES)) === 0;
  if (!isSameHeader || Buffer.compare(now, then) === 0) return;
  yield descriptorDifference(now, then);
}

/** What is said of a root descriptor that is not that of the header copy. @param then - the copy's */
export function descriptorDifference(now: Uint8Array, then: Uint8Array): Problem {
  const bit = onlyDifferingBit(now, then);
  const [found, expected] = [now, then].map((bytes) => Buffer.from(bytes).toString('hex'));
  const message = 'the root descriptor is not that of the header copy, while the file header is the same in both';
  const place = { block: 0, offset: ROOT_DESCRIPTOR_OFFSET, bytes: ROOT_DESCRIPTOR_BYTES };
  const problem: Problem = { code: 'ROOT_DESCRIPTOR', severity: 'warning', ...place, message };
  const flippedBit = { offset: ROOT_DESCRIPTOR_OFFSET + (bit >> 3), bit: bit & 7 };
  return { ...problem, ...(found && { found }), ...(expected && { expected }), ...(bit >= 0 && { flippedBit }) };
}

function descriptorOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}
