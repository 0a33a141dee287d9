import { crc32 } from '../bytes/checksum.ts';
import { onlyDifferingBit } from '../bytes/flipped-bit.ts';
import { COMMIT_RECORD, COMMIT_RECORD_MAGIC, COMMIT_RECORD_VERSION, decodeCommitRecord } from './commit-record.ts';
import {
  FILE_HEADER,
  type FileHeader,
  HEADER_COPY,
  headerCopyState,
  ROOT_DESCRIPTOR,
  type RootDescriptor,
} from './file-header.ts';
import {
  COMMIT_RECORD_OFFSETS,
  decodePointer,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  NODE_TYPES,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from './layout.ts';
import { headerPlace, hex, type Problem } from './problem.ts';

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

/** What is wrong with root pointer and root descriptor. @param block0 - the block that begins with `header` */
export function* rootProblems(
  header: Pick<FileHeader, 'rootPointer'>,
  block0: Uint8Array,
  blocks: number,
): Generator<Problem> {
  if (header.rootPointer === 0n) return;
  const at = {
    severity: 'error',
    ...headerPlace('rootPointer'),
    found: hex(header.rootPointer, 16),
  } as const;
  const { inMemory, block, slot } = decodePointer(header.rootPointer);
  if (inMemory || block >= blocks) {
    const why = inMemory ? 'has bit 63 set, a state in memory' : `points to block ${block}, the file has ${blocks}`;
    yield { code: 'ROOT_POINTER', ...at, expected: `a block id below ${blocks}`, message: `the root pointer ${why}` };
  } else if (block === 0 && slot !== ROOT_DESCRIPTOR_OFFSET) {
    const message = `the root pointer points to byte ${slot} of block 0, where no root descriptor is`;
    yield { code: 'ROOT_POINTER', ...at, expected: `byte ${ROOT_DESCRIPTOR_OFFSET} of block 0`, message };
  } else if (block === 0) {
    yield* rootDescriptorProblems(ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET), blocks);
  }
}

function* rootDescriptorProblems(root: RootDescriptor, blocks: number): Generator<Problem> {
  if (root.rootType > 2) yield descriptorProblem('rootType', String(root.rootType), '0, 1 or 2');
  if (root.isFinal > 1) yield descriptorProblem('isFinal', String(root.isFinal), '0 or 1');
  if (root.arenaCount >= blocks)
    yield descriptorProblem('arenaCount', String(root.arenaCount), `at most ${blocks - 1}`);
  const target = decodePointer(root.rootRecord);
  const found = hex(root.rootRecord, 16);
  if (root.rootType === 0) {
    if (root.rootRecord !== 0n) yield descriptorProblem('rootRecord', found, '0, for an empty trie');
  } else if (target.inMemory || target.block === 0 || target.block >= blocks) {
    yield descriptorProblem('rootRecord', found, `a pointer to a block of 1 to ${blocks - 1}`);
  } else if (!NODE_TYPES.includes(target.nodeType)) {
    yield descriptorProblem('rootRecord', found, `a pointer with node type ${NODE_TYPES.join(', ')}`);
  }
}

/** Where a field of the root descriptor is. */
export function descriptorPlace(field: keyof RootDescriptor): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  const offset = ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.offsetOf(field);
  return { block: 0, offset, bytes: ROOT_DESCRIPTOR.bytesOf(field) };
}

function descriptorProblem(field: keyof RootDescriptor, found: string, expected: string): Problem {
  return {
    code: 'ROOT_DESCRIPTOR',
    severity: 'error',
    ...descriptorPlace(field),
    found,
    expected,
    message: `root descriptor: ${field} is ${found}, expected ${expected}`,
  };
}
