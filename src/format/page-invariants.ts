import type { ProblemCode } from '../errors.ts';
import { hex, type Problem, type Severity } from './invariants.ts';
import { BLOCK_BYTES, fileOffset, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from './layout.ts';
import { orphanedBytes, type Page } from './page.ts';
import { checksumState } from './page-checksum.ts';
import { PAGE_FLAG, PAGE_FORMAT_FLAGS, PAGE_HEADER, PAGE_VERSION, type PageHeader } from './page-header.ts';
import { slotProblems } from './slot-invariants.ts';

const KNOWN_FLAGS = PAGE_FLAG.varintDirectory | PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized;

/**
 * What is wrong with a page, in the order in which it should be read: header, bounds, directory, slots,
 * checksum. Ends on any bytes.
 * @param blockId - where the page stands, for offsets and messages
 */
export function* pageProblems(page: Page, blockId: number): Generator<Problem> {
  yield* headerProblems(page, blockId);
  let bounded = true;
  for (const problem of boundsProblems(page, blockId)) {
    bounded = false;
    yield problem;
  }
  if (bounded) yield* directoryProblems(page, blockId);
  yield* checksumProblems(page, blockId, bounded);
}

/** The first problem of a page that makes its nodes unsafe to read or to add to, if it has one. */
export function firstPageError(page: Page, blockId: number): Problem | undefined {
  for (const problem of pageProblems(page, blockId)) if (problem.severity === 'error') return problem;
  return undefined;
}

/** All problems of a page that has no error; undefined for one that has. */
export function problemsIfSound(page: Page, blockId: number): Problem[] | undefined {
  const problems: Problem[] = [];
  for (const problem of pageProblems(page, blockId)) {
    if (problem.severity === 'error') return undefined;
    problems.push(problem);
  }
  return problems;
}

function at(blockId: number, field: keyof PageHeader): { block: number; offset: number } {
  return { block: blockId, offset: fileOffset(blockId, PAGE_HEADER.offsetOf(field)) };
}

function fieldProblem(
  blockId: number,
  code: ProblemCode,
  field: keyof PageHeader,
  found: number | string,
  expected: number | string,
  severity: Severity = 'error',
): Problem {
  const message = `page ${blockId}: ${field} is ${found}, expected ${expected}`;
  return { code, severity, ...at(blockId, field), found: String(found), expected: String(expected), message };
}

function* headerProblems({ header, format }: Page, blockId: number): Generator<Problem> {
  const version = PAGE_VERSION[format];
  if (header.version !== version) yield fieldProblem(blockId, 'PAGE_VERSION', 'version', header.version, version);
  const required = PAGE_FORMAT_FLAGS[format];
  const directoryFlag = header.flags & PAGE_FLAG.varintDirectory;
  if ((header.flags & ~KNOWN_FLAGS) !== 0 || directoryFlag !== required) {
    const expected = `${hex(required, 4)} with or without 0x0002 and 0x0004`;
    yield fieldProblem(blockId, 'PAGE_FLAGS', 'flags', hex(header.flags, 4), expected);
  }
}

function* boundsProblems({ header, format }: Page, blockId: number): Generator<Problem> {
  const problem = (field: keyof PageHeader, expected: number | string): Problem =>
    fieldProblem(blockId, 'PAGE_BOUNDS', field, header[field] as number, expected);

  const { nodeCount, freeOffset, directoryStart } = header;
  const maxSlots = format === 'v1' ? V1_MAX_SLOTS : V2_MAX_SLOTS;
  if (nodeCount > maxSlots) {
    yield problem('nodeCount', `at most ${maxSlots}`);
  } else if (format === 'v1') {
    const start = BLOCK_BYTES - V1_SLOT_BYTES * nodeCount;
    if (directoryStart !== start) yield problem('directoryStart', `${start}, for ${nodeCount} slots`);
  }
  if (directoryStart < NODE_AREA_OFFSET || directoryStart > BLOCK_BYTES) {
    yield problem('directoryStart', `${NODE_AREA_OFFSET} to ${BLOCK_BYTES}`);
  } else if (freeOffset < NODE_AREA_OFFSET || freeOffset > directoryStart) {
    yield problem('freeOffset', `${NODE_AREA_OFFSET} to ${directoryStart}, where the directory begins`);
  }
}

function* directoryProblems(page: Page, blockId: number): Generator<Problem> {
  const { header, directory, format } = page;
  const orphaned = orphanedBytes(page);
  if (orphaned > 0) {
    const message = `page ${blockId}: ${orphaned} node bytes, but no directory: the page was never finalized`;
    yield { code: 'NODES_WITHOUT_DIRECTORY', severity: 'warning', ...at(blockId, 'nodeCount'), found: '0', message };
  }
  if (directory.count < header.nodeCount) {
    const { count, end } = directory;
    const message = `page ${blockId}: the directory runs past the block after ${count} of ${header.nodeCount} slots`;
    const found = `${count} slots`;
    const expected = `${header.nodeCount} slots`;
    yield {
      code: 'DIRECTORY_TRUNCATED',
      severity: 'error',
      block: blockId,
      slot: count,
      offset: fileOffset(blockId, end),
      found,
      expected,
      message,
    };
  } else if (format === 'v2' && (header.flags & PAGE_FLAG.hasChecksum) !== 0) {
    const bytes = directory.end - directory.start;
    if (header.directoryLength !== bytes) {
      yield fieldProblem(blockId, 'DIRECTORY_LENGTH', 'directoryLength', header.directoryLength, bytes);
    }
  }
  if (format === 'v1' && header.directoryLength !== 0 && (header.flags & PAGE_FLAG.hasChecksum) !== 0) {
    yield fieldProblem(blockId, 'DIRECTORY_LENGTH', 'directoryLength', header.directoryLength, 0);
  }
  yield* slotProblems(page, blockId);
}

function* checksumProblems(page: Page, blockId: number, bounded: boolean): Generator<Problem> {
  const { header, block, directory, format } = page;
  const { nodeCount, checksumNodeCount } = header;
  if ((header.flags & PAGE_FLAG.hasChecksum) === 0) {
    // Otherwise one flipped flag would hide whatever else is wrong.
    for (const field of ['checksum', 'directoryLength', 'checksumNodeCount'] as const) {
      if (header[field] !== 0) {
        yield fieldProblem(blockId, 'PAGE_CHECKSUM_FIELDS', field, header[field], '0, in a page without HAS_CHECKSUM');
      }
    }
    const message = `page ${blockId}: no checksum, so its bytes cannot be verified`;
    const found = hex(header.flags, 4);
    yield { code: 'PAGE_CHECKSUM_ABSENT', severity: 'info', ...at(blockId, 'flags'), found, message };
    return;
  }
  const state = bounded ? checksumState(format, block, header, directory) : 'mismatch';
  if (state === 'mismatch') {
    const sum = hex(header.checksum, 8);
    const message = bounded
      ? `page ${blockId}: checksum ${sum} is not that of its bytes`
      : `page ${blockId}: the header gives no bounds to compute its checksum in`;
    yield { code: 'PAGE_CHECKSUM', severity: 'error', ...at(blockId, 'checksum'), found: sum, message };
  } else if (state === 'stale') {
    const message = `page ${blockId}: the checksum covers ${checksumNodeCount} of ${nodeCount} nodes: another program has appended since`;
    const [found, expected] = [String(checksumNodeCount), String(nodeCount)];
    const place = at(blockId, 'checksumNodeCount');
    yield { code: 'PAGE_CHECKSUM_STALE', severity: 'warning', ...place, found, expected, message };
  }
}
