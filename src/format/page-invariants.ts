import { counted } from '../bytes/decimal.ts';
import {
  checksumAbsentProblems,
  checksumFieldProblems,
  checksumMismatchProblems,
  checksumStaleProblems,
} from './checksum-invariants.ts';
import { hex, NO_PROBLEMS, type Problem } from './invariants.ts';
import { BLOCK_BYTES, fileOffset } from './layout.ts';
import type { Page } from './page.ts';
import { PageFacts } from './page-facts.ts';
import { PAGE_FLAG, PAGE_FORMAT_FLAGS, PAGE_VERSION } from './page-header.ts';
import { fieldPlace, fieldProblem } from './page-problem.ts';
import { slotBoundsProblems, slotOverlapProblems } from './slot-invariants.ts';

/** Finds what breaks one invariant of a page. Ends on any bytes. */
export type PageCheck = (facts: PageFacts) => Iterable<Problem>;

/** The codes of what can be wrong with a page by itself. */
export type PageProblemCode =
  | 'PAGE_VERSION'
  | 'PAGE_FLAGS'
  | 'PAGE_BOUNDS'
  | 'NODES_WITHOUT_DIRECTORY'
  | 'DIRECTORY_TRUNCATED'
  | 'DIRECTORY_LENGTH'
  | 'SLOT_BOUNDS'
  | 'SLOT_OVERLAP'
  | 'PAGE_CHECKSUM'
  | 'PAGE_CHECKSUM_STALE'
  | 'PAGE_CHECKSUM_FIELDS'
  | 'PAGE_CHECKSUM_ABSENT';

/** Every invariant of a page by itself, in the order in which it should be read: header, bounds, directory, slots, checksum. */
export const PAGE_CHECKS: Readonly<Record<PageProblemCode, PageCheck>> = {
  PAGE_VERSION: versionProblems,
  PAGE_FLAGS: flagProblems,
  PAGE_BOUNDS: boundsProblems,
  NODES_WITHOUT_DIRECTORY: orphanProblems,
  DIRECTORY_TRUNCATED: truncationProblems,
  DIRECTORY_LENGTH: directoryLengthProblems,
  SLOT_BOUNDS: slotBoundsProblems,
  SLOT_OVERLAP: slotOverlapProblems,
  PAGE_CHECKSUM: checksumMismatchProblems,
  PAGE_CHECKSUM_STALE: checksumStaleProblems,
  PAGE_CHECKSUM_FIELDS: checksumFieldProblems,
  PAGE_CHECKSUM_ABSENT: checksumAbsentProblems,
};

const CHECKS = Object.values(PAGE_CHECKS);

/** What is wrong with a page. @param blockId - where the page stands, for offsets and messages */
export function* pageProblems(page: Page, blockId: number): Generator<Problem> {
  const facts = new PageFacts(page, blockId);
  for (const check of CHECKS) yield* check(facts);
}

/** The first problem of a page that makes its nodes unsafe to read or to add to, if it has one. */
export function firstPageError(page: Page, blockId: number): Problem | undefined {
  return firstError(new PageFacts(page, blockId));
}

/** As {@link firstPageError}, for who goes on with what was found out about the page. */
export function firstError(facts: PageFacts): Problem | undefined {
  for (const check of CHECKS) {
    for (const problem of check(facts)) if (problem.severity === 'error') return problem;
  }
  return undefined;
}

function versionProblems({ page, blockId }: PageFacts): readonly Problem[] {
  const { version } = page.header;
  const expected = PAGE_VERSION[page.format];
  return version === expected ? NO_PROBLEMS : [fieldProblem(blockId, 'PAGE_VERSION', 'version', version, expected)];
}

const KNOWN_FLAGS = PAGE_FLAG.varintDirectory | PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized;

function flagProblems({ page, blockId }: PageFacts): readonly Problem[] {
  const { flags } = page.header;
  const required = PAGE_FORMAT_FLAGS[page.format];
  if ((flags & ~KNOWN_FLAGS) === 0 && (flags & PAGE_FLAG.varintDirectory) === required) return NO_PROBLEMS;
  const expected = `${hex(required, 4)} with or without 0x0002 and 0x0004`;
  return [fieldProblem(blockId, 'PAGE_FLAGS', 'flags', hex(flags, 4), expected)];
}

function boundsProblems({ isBounded, boundsFaults, page, blockId }: PageFacts): readonly Problem[] {
  if (isBounded) return NO_PROBLEMS;
  return boundsFaults.map(({ field, expected }) =>
    fieldProblem(blockId, 'PAGE_BOUNDS', field, page.header[field], expected),
  );
}

function orphanProblems(facts: PageFacts): readonly Problem[] {
  if (!facts.isBounded || facts.orphanedBytes === 0) return NO_PROBLEMS;
  const { blockId, orphanedBytes } = facts;
  const message = `page ${blockId}: ${counted(orphanedBytes, 'node byte')}, but no directory: the page was never finalized`;
  const expected = `slots for ${counted(orphanedBytes, 'node byte')}`;
  const place = fieldPlace(blockId, 'nodeCount');
  return [{ code: 'NODES_WITHOUT_DIRECTORY', severity: 'warning', ...place, found: '0', expected, message }];
}

function truncationProblems({ isBounded, page, blockId }: PageFacts): readonly Problem[] {
  const { count, end } = page.directory;
  const { nodeCount } = page.header;
  if (!isBounded || count >= nodeCount) return NO_PROBLEMS;
  const message = `page ${blockId}: the directory runs past the block after ${count} of ${counted(nodeCount, 'slot')}`;
  const place = { block: blockId, slot: count, offset: fileOffset(blockId, end), bytes: BLOCK_BYTES - end };
  const [found, expected] = [counted(count, 'slot'), counted(nodeCount, 'slot')];
  return [{ code: 'DIRECTORY_TRUNCATED', severity: 'error', ...place, found, expected, message }];
}

function directoryLengthProblems({ isBounded, hasChecksum, page, blockId }: PageFacts): readonly Problem[] {
  const { header, directory, format } = page;
  if (!isBounded || !hasChecksum || directory.count < header.nodeCount) return NO_PROBLEMS;
  const expected = format === 'v2' ? directory.end - directory.start : 0;
  if (header.directoryLength === expected) return NO_PROBLEMS;
  return [fieldProblem(blockId, 'DIRECTORY_LENGTH', 'directoryLength', header.directoryLength, expected)];
}
