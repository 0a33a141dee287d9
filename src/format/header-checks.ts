import { assertWholeNumber } from '../arguments.ts';
import { equalRange } from '../bytes/buffer.ts';
import { crc32, onlyDifferingBit } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import type { ProblemCode } from '../errors.ts';
import { DIGEST, DIGEST_OFFSET, digestIn } from './digest.ts';
import {
  assertFileHeader,
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  type FileHeader,
  fileHeaderChecksum,
  HEADER_COPY,
  headerCopyState,
  ROOT_DESCRIPTOR,
  type RootDescriptor,
} from './file-header.ts';
import {
  BLOCK_BYTES,
  decodeFreeLink,
  decodePointer,
  FILE_HEADER_BYTES,
  HEADER_COPY_OFFSET,
  NODE_TYPES,
  ROOT_DESCRIPTOR_BYTES,
  ROOT_DESCRIPTOR_OFFSET,
} from './layout.ts';
import { type FileRange, hex, type Problem, type Severity } from './problem.ts';

export function fileHeaderFieldRange(field: keyof FileHeader): FileRange {
  return { block: 0, offset: FILE_HEADER.offsets[field], bytes: FILE_HEADER.bytesOf(field) };
}

function headerProblem(
  code: ProblemCode,
  field: keyof FileHeader,
  found: string,
  expected: string,
  message: string,
  severity: Severity = 'error',
): Problem {
  return { code, severity, ...fileHeaderFieldRange(field), found, expected, message };
}

/** A writer refuses a file with any of these; a reader only for magic or version. */
export function* fileHeaderProblems(header: FileHeader): Generator<Problem> {
  assertFileHeader('fileHeaderProblems', header);
  const { magic, version, checksum, padding, imageCheckpointLsn } = header;
  if (magic !== FILE_MAGIC) {
    const [found, expected] = [hex(magic, 16), hex(FILE_MAGIC, 16)];
    const message = `file header magic is ${found}, expected ${expected}`;
    yield headerProblem('FILE_HEADER_MAGIC', 'magic', found, expected, message);
  }
  if (version < 1 || version > FILE_VERSION) {
    const message = `file version is ${version}, supported are 1 and 2`;
    yield headerProblem('FILE_HEADER_VERSION', 'version', String(version), '1 or 2', message);
  }
  const computed = fileHeaderChecksum(header);
  if (computed !== checksum) {
    const [found, expected] = [hex(checksum, 16), hex(computed, 16)];
    const message = `file header: stored checksum ${found}, computed ${expected}`;
    yield headerProblem('FILE_HEADER_CHECKSUM', 'checksum', found, expected, message);
  }
  // The checksum does not cover these two fields, so only this check notices a flipped bit in them.
  if (padding !== 0) {
    const found = hex(padding, 8);
    const message = `file header padding is ${found}, expected 0`;
    yield headerProblem('FILE_HEADER_RESERVED', 'padding', found, '0', message);
  }
  if (version === 1 && imageCheckpointLsn !== 0n) {
    const found = hex(imageCheckpointLsn);
    const message = `imageCheckpointLsn is ${found} in a file of version 1, which has no such field`;
    yield headerProblem('FILE_HEADER_RESERVED', 'imageCheckpointLsn', found, '0', message);
  }
}

/** Unknown flags under a valid checksum. A newer program may have set them, so the file is not refused. */
export function* fileHeaderFlagProblems(header: FileHeader): Generator<Problem> {
  if (header.flags === 0 || fileHeaderChecksum(header) !== header.checksum) return;
  const found = hex(header.flags, 8);
  const message = `file header flags are ${found}, none of which is known; the checksum is valid, so a program has set them`;
  yield headerProblem('FILE_HEADER_RESERVED', 'flags', found, '0', message, 'warning');
}

export function* fileSizeProblems(header: FileHeader, fileBytes: number): Generator<Problem> {
  assertFileHeader('fileSizeProblems', header);
  assertWholeNumber('fileSizeProblems', 'fileBytes', fileBytes);
  const { blockCount } = header;
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  const rest = fileBytes % BLOCK_BYTES;
  if (rest > 0) {
    const isCut = blockCount > wholeBlocks;
    const message = isCut
      ? `the file ends ${counted(rest, 'byte')} into block ${wholeBlocks}: it is truncated`
      : `the file has ${counted(rest, 'byte')} after its last whole block: a batch that was not acknowledged, or is being written`;
    const range = { block: wholeBlocks, offset: wholeBlocks * BLOCK_BYTES, bytes: rest };
    const [found, expected] = [String(fileBytes), `a multiple of ${BLOCK_BYTES}`];
    yield { code: 'FILE_SIZE', severity: isCut ? 'error' : 'info', ...range, found, expected, message };
  }
  const [found, expected] = [String(blockCount), String(wholeBlocks)];
  if (blockCount === 0 || blockCount > wholeBlocks) {
    const message = `blockCount is ${blockCount}, the file has ${counted(wholeBlocks, 'whole block')}`;
    yield headerProblem('BLOCK_COUNT_BEYOND_FILE', 'blockCount', found, expected, message);
  } else if (blockCount < wholeBlocks) {
    const uncounted = wholeBlocks - blockCount;
    const message = `${counted(uncounted, 'block')} after blockCount (${blockCount}) ${uncounted === 1 ? 'is' : 'are'} not part of the file: a batch that was not acknowledged, or is being written`;
    yield headerProblem('BLOCKS_UNCOUNTED', 'blockCount', found, expected, message, 'info');
  }
}

/** @param blocks - blocks in the file */
export function* freeListHeadProblems(header: FileHeader, blocks: number): Generator<Problem> {
  const target = decodeFreeLink(header.freeListHead);
  if (target === 0 || (target > 0 && target < blocks)) return;
  const found = hex(header.freeListHead);
  const expected = `0, or a block id below ${blocks} shifted left by 40`;
  const message = `the free list begins at ${target < 0 ? `${found}, which is not a link` : `block ${target}, which is not in the file`}`;
  yield headerProblem('FREE_LIST_LINK', 'freeListHead', found, expected, message);
}

/** Of the copy, or of the digest behind it. @param block0 - at least its first 12,416 bytes */
export function* headerCopyProblems(block0: Uint8Array): Generator<Problem> {
  if (headerCopyState(block0) !== 'damaged') {
    if (digestIn(block0, HEADER_COPY_OFFSET).kind === 'damaged') yield copiedDigestProblem(block0);
    return;
  }
  const { bytes, checksum } = HEADER_COPY.read(block0, HEADER_COPY_OFFSET);
  const [found, expected] = [hex(checksum, 8), hex(crc32(bytes), 8)];
  const message = `header copy: stored checksum ${found}, computed ${expected}`;
  const range = { block: 0, offset: HEADER_COPY_OFFSET, bytes: HEADER_COPY.bytes };
  yield { code: 'FILE_HEADER_COPY', severity: 'error', ...range, found, expected, message };
}

function copiedDigestProblem(block0: Uint8Array): Problem {
  const offset = HEADER_COPY_OFFSET + DIGEST_OFFSET;
  const stored = block0.subarray(offset, offset + DIGEST.bytes);
  const [found, computed] = [DIGEST.read(stored).checksum, crc32(stored.subarray(0, DIGEST.offsets.checksum))];
  const isSealed = found === computed;
  return {
    code: 'FILE_HEADER_COPY',
    severity: 'error',
    block: 0,
    offset,
    bytes: DIGEST.bytes,
    found: isSealed ? 'a digest that no writer makes' : hex(found, 8),
    expected: isSealed ? 'a digest, or zeros' : hex(computed, 8),
    message: isSealed
      ? 'header copy: its digest of the page headers has impossible fields'
      : `header copy: its digest of the page headers has the checksum ${hex(found, 8)}, computed ${hex(computed, 8)}`,
  };
}

/**
 * A root descriptor, which has no checksum, that differs from the header copy while the file header does not. Only a
 * warning: another program may have changed the descriptor alone. @param block0 - at least its first 12,374 bytes
 */
export function* rootDescriptorCopyProblems(block0: Uint8Array): Generator<Problem> {
  const { block, slot } = decodePointer(FILE_HEADER.read(block0).rootPointer);
  if (block !== 0 || slot !== ROOT_DESCRIPTOR_OFFSET || headerCopyState(block0) !== 'valid') return;
  const copy = block0.subarray(HEADER_COPY_OFFSET);
  const [stored, copied] = [descriptorOf(block0), descriptorOf(copy)];
  if (!equalRange(block0, 0, copy, 0, FILE_HEADER_BYTES)) return;
  if (Buffer.compare(stored, copied) !== 0) yield rootDescriptorDifference(stored, copied);
}

/** @param copied - the descriptor in the header copy */
export function rootDescriptorDifference(stored: Uint8Array, copied: Uint8Array): Problem {
  const bit = onlyDifferingBit(stored, copied);
  const range = { block: 0, offset: ROOT_DESCRIPTOR_OFFSET, bytes: ROOT_DESCRIPTOR_BYTES };
  return {
    code: 'ROOT_DESCRIPTOR',
    severity: 'warning',
    ...range,
    message: 'the root descriptor differs from the header copy, while the file header is the same in both',
    found: Buffer.from(stored).toString('hex'),
    expected: Buffer.from(copied).toString('hex'),
    ...(bit >= 0 && { flippedBit: { offset: ROOT_DESCRIPTOR_OFFSET + (bit >> 3), bit: bit & 7 } }),
  };
}

function descriptorOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(ROOT_DESCRIPTOR_OFFSET, ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR_BYTES);
}

/** @param block0 - the block that begins with the header */
export function* rootProblems(
  { rootPointer }: Pick<FileHeader, 'rootPointer'>,
  block0: Uint8Array,
  blocks: number,
): Generator<Problem> {
  if (rootPointer === 0n) return;
  const problem = (expected: string, message: string): Problem =>
    headerProblem('ROOT_POINTER', 'rootPointer', hex(rootPointer, 16), expected, message);
  const { inMemory, block, slot } = decodePointer(rootPointer);
  if (inMemory) {
    yield problem(`a block id below ${blocks}`, 'the root pointer has bit 63 set, which is valid only in memory');
  } else if (block >= blocks) {
    yield problem(`a block id below ${blocks}`, `the root pointer points to block ${block}, the file has ${blocks}`);
  } else if (block === 0 && slot !== ROOT_DESCRIPTOR_OFFSET) {
    const message = `the root pointer points to byte ${slot} of block 0, the root descriptor is at ${ROOT_DESCRIPTOR_OFFSET}`;
    yield problem(`byte ${ROOT_DESCRIPTOR_OFFSET} of block 0`, message);
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

export function rootDescriptorFieldRange(field: keyof RootDescriptor): FileRange {
  const offset = ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.offsets[field];
  return { block: 0, offset, bytes: ROOT_DESCRIPTOR.bytesOf(field) };
}

function descriptorProblem(field: keyof RootDescriptor, found: string, expected: string): Problem {
  const message = `root descriptor: ${field} is ${found}, expected ${expected}`;
  return { code: 'ROOT_DESCRIPTOR', severity: 'error', ...rootDescriptorFieldRange(field), found, expected, message };
}

/**
 * A header count that differs from the nodes in the pages: one above them says that pages are lost. With a root pointer the
 * field counts terms, not nodes.
 */
export function* entryCountProblems(header: FileHeader, nodes: number): Generator<Problem> {
  const { rootPointer, entryCount } = header;
  if (rootPointer !== 0n || entryCount === 0n || entryCount === BigInt(nodes)) return;
  const [found, expected] = [String(entryCount), String(nodes)];
  const severity = entryCount > BigInt(nodes) ? 'error' : 'warning';
  const message = `entryCount: the header says ${entryCount === 1n ? '1 node' : `${found} nodes`}, the pages contain ${expected}`;
  yield headerProblem('ENTRY_COUNT', 'entryCount', found, expected, message, severity);
}
