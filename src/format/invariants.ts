import type { ProblemCode } from '../errors.ts';
import {
  FILE_HEADER,
  FILE_MAGIC,
  FILE_VERSION,
  fileHeaderChecksum,
  type FileHeader,
  headerCopyState,
} from './file-header.ts';
import { BLOCK_BYTES, HEADER_COPY_OFFSET } from './layout.ts';
import { decodeFreeLink } from './pointer.ts';

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
  readonly block?: number;
  readonly slot?: number;
  readonly found?: string;
  readonly expected?: string;
}

/** A number as dumps and messages show it where its bits matter. */
export const hex = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;

function headerProblem(
  code: ProblemCode,
  field: keyof FileHeader,
  found: string,
  expected: string,
  message: string,
): Problem {
  return { code, severity: 'error', block: 0, offset: FILE_HEADER.offsetOf(field), found, expected, message };
}

/**
 * What is wrong with a file header in itself: the first of the problems that have severity `error` keeps a
 * writer from the file, and one of magic or version a reader as well.
 */
export function* fileHeaderProblems(header: FileHeader): Generator<Problem> {
  if (header.magic !== FILE_MAGIC) {
    const found = hex(header.magic, 16);
    yield headerProblem('FILE_HEADER_MAGIC', 'magic', found, hex(FILE_MAGIC, 16), `file header magic is ${found}`);
  }
  if (header.version < 1 || header.version > FILE_VERSION) {
    const found = String(header.version);
    yield headerProblem(
      'FILE_HEADER_VERSION',
      'version',
      found,
      '1 or 2',
      `file version is ${found}, 1 and 2 are understood`,
    );
  }
  const sum = fileHeaderChecksum(header);
  if (sum !== header.checksum) {
    const [found, expected] = [hex(header.checksum, 16), hex(sum, 16)];
    const message = `file header checksum is ${found}, its fields give ${expected}`;
    yield headerProblem('FILE_HEADER_CHECKSUM', 'checksum', found, expected, message);
  }
  // The checksum leaves these two out, so a flipped bit in them shows only here.
  if (header.padding !== 0) {
    const found = hex(header.padding, 8);
    yield headerProblem('FILE_HEADER_RESERVED', 'padding', found, '0', `file header padding is ${found}, not 0`);
  }
  if (header.version === 1 && header.imageCheckpointLsn !== 0n) {
    const found = hex(header.imageCheckpointLsn);
    const message = `imageCheckpointLsn is ${found} in a file of version 1, which has no such field`;
    yield headerProblem('FILE_HEADER_RESERVED', 'imageCheckpointLsn', found, '0', message);
  }
}

/** What is wrong between a file header and the size of its file, in bytes. */
export function* fileSizeProblems(header: FileHeader, fileBytes: number): Generator<Problem> {
  const wholeBlocks = Math.floor(fileBytes / BLOCK_BYTES);
  const rest = fileBytes % BLOCK_BYTES;
  const at = { offset: FILE_HEADER.offsetOf('blockCount'), block: 0, found: String(header.blockCount) };
  const missing = header.blockCount > wholeBlocks;
  if (rest !== 0) {
    const message = missing
      ? `the file ends ${rest} bytes into block ${wholeBlocks}: it has been cut`
      : `the file has ${rest} bytes behind its last whole block, of a batch that was not acknowledged, or is being written`;
    const severity = missing ? 'error' : 'info';
    const offset = wholeBlocks * BLOCK_BYTES;
    yield {
      code: 'FILE_SIZE',
      severity,
      block: wholeBlocks,
      offset,
      found: String(fileBytes),
      expected: `a multiple of ${BLOCK_BYTES}`,
      message,
    };
  }
  if (missing || header.blockCount === 0) {
    const message = `blockCount is ${header.blockCount}, the file has ${wholeBlocks} whole blocks`;
    yield { code: 'BLOCK_COUNT_BEYOND_FILE', severity: 'error', ...at, expected: String(wholeBlocks), message };
  } else if (wholeBlocks > header.blockCount) {
    const message = `${wholeBlocks - header.blockCount} blocks behind blockCount (${header.blockCount}) are no part of the file: of a batch that was not acknowledged, or is being written`;
    yield { code: 'BLOCKS_UNCOUNTED', severity: 'info', ...at, expected: String(wholeBlocks), message };
  }
}

/** What is wrong with the free-list head in itself. @param blocks - blocks that the file has */
export function* freeListHeadProblems(header: FileHeader, blocks: number): Generator<Problem> {
  const target = decodeFreeLink(header.freeListHead);
  if (target === 0 || (target > 0 && target < blocks)) return;
  const found = hex(header.freeListHead);
  yield {
    code: 'FREE_LIST_LINK',
    severity: 'error',
    block: 0,
    offset: FILE_HEADER.offsetOf('freeListHead'),
    found,
    expected: `0, or a block id below ${blocks} shifted left by 40`,
    message: `the free list begins at ${target < 0 ? `${found}, which is no link` : `block ${target}, which is not in the file`}`,
  };
}

/** What is wrong with the header copy. @param block0 - at least its first 12,374 bytes */
export function* headerCopyProblems(block0: Uint8Array): Generator<Problem> {
  if (headerCopyState(block0) !== 'damaged') return;
  const message = 'the copy of the file header does not have its checksum';
  yield { code: 'FILE_HEADER_COPY', severity: 'error', block: 0, offset: HEADER_COPY_OFFSET, message };
}
