import { crc32 } from '../bytes/checksum.ts';
import { counted } from '../bytes/encodings.ts';
import type { ProblemCode } from '../errors.ts';
import {
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  type FileHeader,
  fileHeaderChecksum,
  HEADER_COPY,
  headerCopyState,
} from './file-header.ts';
import { BLOCK_BYTES, decodeFreeLink, HEADER_COPY_OFFSET } from './layout.ts';

/**
 * `error`: bytes are damaged, or may mislead a reader. `warning`: the file is sound as far as can be told,
 * but not what its last writer meant to leave. `info`: worth knowing.
 */
export type Severity = 'info' | 'warning' | 'error';

/** One bit of a file. */
export interface FlippedBit {
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** 0 for the bit of value 1, to 7 for that of value 128. */
  readonly bit: number;
}

/** One thing that does not hold. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: Severity;
  /** One sentence, without the file's name. */
  readonly message: string;
  /** Byte offset from the start of the file. */
  readonly offset: number;
  /** How many bytes from `offset` on it is about, where that is known. */
  readonly bytes?: number;
  /** The one bit whose flipping would explain a checksum that does not match. */
  readonly flippedBit?: FlippedBit;
  /** Whether nothing says how it was, so that it has to be left as it is, or taken from elsewhere. */
  readonly isBeyondRepair?: boolean;
  readonly block?: number;
  readonly slot?: number;
  readonly found?: string;
  readonly expected?: string;
}

/** What a check gives that finds nothing: the same each time, so that nothing is made for the many that do. */
export const NO_PROBLEMS: readonly Problem[] = [];

/** A number as dumps and messages show it where its bits matter. */
export const hex = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;

/** Where a field of the file header is. */
export function headerPlace(field: keyof FileHeader): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  return { block: 0, offset: FILE_HEADER.offsetOf(field), bytes: FILE_HEADER.bytesOf(field) };
}

function headerProblem(
  code: ProblemCode,
  field: keyof FileHeader,
  found: string,
  expected: string,
  message: string,
): Problem {
  return { code, severity: 'error', ...headerPlace(field), found, expected, message };
}

/** Finds what breaks one invariant of a file header. */
export type FileHeaderCheck = (header: FileHeader) => Iterable<Problem>;

/** The codes of what can be wrong with a file header in itself. */
export type FileHeaderProblemCode = Extract<
  ProblemCode,
  `FILE_HEADER_${'MAGIC' | 'VERSION' | 'CHECKSUM' | 'RESERVED'}`
>;

/** Every invariant of a file header in itself, in the order in which it should be read. */
export const FILE_HEADER_CHECKS: Readonly<Record<FileHeaderProblemCode, FileHeaderCheck>> = {
  *FILE_HEADER_MAGIC({ magic }) {
    if (magic === FILE_MAGIC) return;
    const found = hex(magic, 16);
    yield headerProblem('FILE_HEADER_MAGIC', 'magic', found, hex(FILE_MAGIC, 16), `file header magic is ${found}`);
  },
  *FILE_HEADER_VERSION({ version }) {
    if (version >= 1 && version <= FILE_VERSION) return;
    const message = `file version is ${version}, 1 and 2 are understood`;
    yield headerProblem('FILE_HEADER_VERSION', 'version', String(version), '1 or 2', message);
  },
  *FILE_HEADER_CHECKSUM(header) {
    const sum = fileHeaderChecksum(header);
    if (sum === header.checksum) return;
    const [found, expected] = [hex(header.checksum, 16), hex(sum, 16)];
    const message = `file header checksum is ${found}, its fields give ${expected}`;
    yield headerProblem('FILE_HEADER_CHECKSUM', 'checksum', found, expected, message);
  },
  // The checksum leaves these two out, so a flipped bit in them shows only here.
  *FILE_HEADER_RESERVED({ padding, version, imageCheckpointLsn }) {
    if (padding !== 0) {
      const found = hex(padding, 8);
      yield headerProblem('FILE_HEADER_RESERVED', 'padding', found, '0', `file header padding is ${found}, not 0`);
    }
    if (version === 1 && imageCheckpointLsn !== 0n) {
      const found = hex(imageCheckpointLsn);
      const message = `imageCheckpointLsn is ${found} in a file of version 1, which has no such field`;
      yield headerProblem('FILE_HEADER_RESERVED', 'imageCheckpointLsn', found, '0', message);
    }
  },
};

/**
 * What is wrong with a file header in itself: the first of the problems that have severity `error` keeps a
 * writer from the file, and one of magic or version a reader as well.
 */
export function* fileHeaderProblems(header: FileHeader): Generator<Problem> {
  for (const check of Object.values(FILE_HEADER_CHECKS)) yield* check(header);
}

/**
 * Flags in a file header whose checksum holds: a program meant them, and a newer one may know what they say. That is
 * no reason to refuse the file.
 */
export function* fileHeaderFlagProblems(header: FileHeader): Generator<Problem> {
  if (header.flags === 0 || fileHeaderChecksum(header) !== header.checksum) return;
  const found = hex(header.flags, 8);
  const message = `file header flags are ${found}, and none is known; the checksum holds, so a program has set them`;
  yield { ...headerProblem('FILE_HEADER_RESERVED', 'flags', found, '0', message), severity: 'warning' };
}

/** What is wrong between a file header and the size of its file, in bytes. */
export function* fileSizeProblems(header: FileHeader, fileBytes: number): Generator<Problem> {
  yield* cutBlockProblems(header, fileBytes);
  yield* missingBlockProblems(header, fileBytes);
  yield* uncountedBlockProblems(header, fileBytes);
}

const wholeBlocksIn = (fileBytes: number): number => Math.floor(fileBytes / BLOCK_BYTES);

/** A file that does not end with a whole block. */
export function* cutBlockProblems({ blockCount }: FileHeader, fileBytes: number): Generator<Problem> {
  const wholeBlocks = wholeBlocksIn(fileBytes);
  const rest = fileBytes % BLOCK_BYTES;
  if (rest === 0) return;
  const isCut = blockCount > wholeBlocks;
  const message = isCut
    ? `the file ends ${counted(rest, 'byte')} into block ${wholeBlocks}: it has been cut`
    : `the file has ${counted(rest, 'byte')} behind its last whole block, of a batch that was not acknowledged, or is being written`;
  const place = { block: wholeBlocks, offset: wholeBlocks * BLOCK_BYTES, bytes: rest };
  const [found, expected] = [String(fileBytes), `a multiple of ${BLOCK_BYTES}`];
  yield { code: 'FILE_SIZE', severity: isCut ? 'error' : 'info', ...place, found, expected, message };
}

/** Blocks that the header counts and the file does not have. */
export function* missingBlockProblems({ blockCount }: FileHeader, fileBytes: number): Generator<Problem> {
  const wholeBlocks = wholeBlocksIn(fileBytes);
  if (blockCount !== 0 && blockCount <= wholeBlocks) return;
  const message = `blockCount is ${blockCount}, the file has ${counted(wholeBlocks, 'whole block')}`;
  const [found, expected] = [String(blockCount), String(wholeBlocks)];
  yield headerProblem('BLOCK_COUNT_BEYOND_FILE', 'blockCount', found, expected, message);
}

/** Blocks that the file has and the header does not count. */
export function* uncountedBlockProblems({ blockCount }: FileHeader, fileBytes: number): Generator<Problem> {
  const wholeBlocks = wholeBlocksIn(fileBytes);
  if (blockCount === 0 || wholeBlocks <= blockCount) return;
  const uncounted = wholeBlocks - blockCount;
  const are = uncounted === 1 ? 'is' : 'are';
  const message = `${counted(uncounted, 'block')} behind blockCount (${blockCount}) ${are} no part of the file: of a batch that was not acknowledged, or is being written`;
  const [found, expected] = [String(blockCount), String(wholeBlocks)];
  const problem = headerProblem('BLOCKS_UNCOUNTED', 'blockCount', found, expected, message);
  yield { ...problem, severity: 'info' };
}

/** What is wrong with the free-list head in itself. @param blocks - blocks that the file has */
export function* freeListHeadProblems(header: FileHeader, blocks: number): Generator<Problem> {
  const target = decodeFreeLink(header.freeListHead);
  if (target === 0 || (target > 0 && target < blocks)) return;
  const found = hex(header.freeListHead);
  const expected = `0, or a block id below ${blocks} shifted left by 40`;
  const message = `the free list begins at ${target < 0 ? `${found}, which is no link` : `block ${target}, which is not in the file`}`;
  yield headerProblem('FREE_LIST_LINK', 'freeListHead', found, expected, message);
}

/** What is wrong with the header copy. @param block0 - at least its first 12,374 bytes */
export function* headerCopyProblems(block0: Uint8Array): Generator<Problem> {
  if (headerCopyState(block0) !== 'damaged') return;
  const { bytes, checksum } = HEADER_COPY.read(block0, HEADER_COPY_OFFSET);
  const [found, expected] = [hex(checksum, 8), hex(crc32(bytes), 8)];
  const message = `the copy of the file header has checksum ${found}, its bytes give ${expected}`;
  const place = { block: 0, offset: HEADER_COPY_OFFSET, bytes: HEADER_COPY.bytes };
  yield { code: 'FILE_HEADER_COPY', severity: 'error', ...place, found, expected, message };
}
