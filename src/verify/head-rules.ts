import { commitRecordProblems, rootDescriptorCopyProblems } from '../format/block0-invariants.ts';
import { COMMIT_RECORD } from '../format/commit-record.ts';
import { FILE_HEADER, HEADER_COPY } from '../format/file-header.ts';
import { flippedBitUnderCrc, flippedHeaderBit } from '../format/head-flipped-bit.ts';
import {
  cutBlockProblems,
  FILE_HEADER_CHECKS,
  type FileHeaderProblemCode,
  fileHeaderFlagProblems,
  headerCopyProblems,
  missingBlockProblems,
  type Problem,
  uncountedBlockProblems,
} from '../format/invariants.ts';
import { descriptorPlace, rootProblems } from '../format/root-invariants.ts';
import { counted } from '../bytes/decimal.ts';
import type { RecordLayout } from '../bytes/record.ts';
import { flippedBitText } from './checked-page.ts';
import { journalMismatchProblems, journalPendingProblems } from './journal-check.ts';
import {
  ifBeyondRepair,
  ifError,
  lookAtBlock,
  lookAtBlocks,
  lookAtBytes,
  recover,
  repair,
  repairOr,
} from './next-command.ts';
import type { HeadFacts, Rule, WholeFacts } from './rule.ts';

/** The rules about block 0, the size of the file, and the journal beside it. */
export const HEAD_RULES: readonly Rule[] = [
  {
    id: 'FILE_HEADER_MAGIC',
    severity: 'error',
    summary: 'the file does not begin with the magic of a page file',
    check: { head: (head) => inHeader('FILE_HEADER_MAGIC', head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_VERSION',
    severity: 'error',
    summary: 'the file has a version that is not known',
    check: { head: (head) => withHeaderBit(inHeader('FILE_HEADER_VERSION', head), head) },
    next: ifBeyondRepair(recover, repairOr(lookAtBlock)),
  },
  {
    id: 'FILE_HEADER_CHECKSUM',
    severity: 'error',
    summary: 'the checksum of the file header does not match',
    check: { head: (head) => withHeaderBit(inHeader('FILE_HEADER_CHECKSUM', head), head) },
    next: repair,
  },
  {
    id: 'FILE_HEADER_RESERVED',
    severity: 'error',
    summary: 'a field of the file header that has to be 0 is not',
    check: { head: reservedProblems },
    next: ifError(repair, lookAtBlock),
  },
  {
    id: 'FILE_SIZE',
    severity: 'error',
    summary: 'the file does not end with a whole block',
    check: { head: ({ header, fileBytes }) => cutBlockProblems(header, fileBytes) },
    next: ifError(recover, lookAtBlocks),
  },
  {
    id: 'BLOCK_COUNT_BEYOND_FILE',
    severity: 'error',
    summary: 'the file header counts blocks that are not there',
    check: { head: (head) => withHeaderBit(missingBlockProblems(head.header, head.fileBytes), head) },
    next: repairOr(recover),
  },
  {
    id: 'BLOCKS_UNCOUNTED',
    severity: 'warning',
    summary: 'the file has blocks that its header does not count',
    check: { head: uncountedProblems },
    next: ifBeyondRepair(lookAtBlocks, repair),
  },
  {
    id: 'ROOT_POINTER',
    severity: 'error',
    summary: 'the root pointer leads nowhere',
    check: { head: (head) => withHeaderBit(rootProblemsOf(head, 'ROOT_POINTER'), head) },
    next: repairOr(lookAtBlock),
  },
  {
    id: 'ROOT_DESCRIPTOR',
    severity: 'error',
    summary: 'the root descriptor says what cannot be',
    check: { head: rootDescriptorProblems, whole: rootRecordProblems },
    next: repairOr(lookAtBlock),
  },
  {
    id: 'FILE_HEADER_COPY',
    severity: 'error',
    summary: 'the copy of the file header does not have its checksum',
    check: { head: copyProblems },
    next: repair,
  },
  {
    id: 'COMMIT_RECORD',
    severity: 'error',
    summary: 'a commit record does not have its checksum',
    check: { head: recordProblems },
    next: repairOr(lookAtBytes),
  },
  {
    id: 'JOURNAL_MISMATCH',
    severity: 'error',
    summary: 'the journal beside the file is not of this file',
    check: { head: ({ journal }) => journalMismatchProblems(journal) },
    next: lookAtBlock,
  },
  {
    id: 'JOURNAL_PENDING',
    severity: 'info',
    summary: 'an overwriting was not finished; the next writer puts it right',
    check: { head: ({ journal }) => journalPendingProblems(journal) },
    next: lookAtBlock,
  },
];

/** A record that a crash has cut off is nothing to worry about. One wrong bit is none of that: it is damage, to what may be the only trace of a commit. */
function* recordProblems({ block0 }: HeadFacts): Generator<Problem> {
  for (const problem of withCrcBit(commitRecordProblems(block0), block0, COMMIT_RECORD))
    yield problem.flippedBit ? { ...problem, severity: 'error' } : problem;
}

/** The copy is made anew from the header. */
function* copyProblems({ block0, headerState }: HeadFacts): Generator<Problem> {
  const isBeyondRepair = headerState === 'lost';
  for (const problem of withCrcBit(headerCopyProblems(block0), block0, HEADER_COPY)) {
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
  }
}

/** What is wrong in the file header itself. */
function* inHeader(code: FileHeaderProblemCode, { header, headerState }: HeadFacts): Generator<Problem> {
  const isBeyondRepair = headerState === 'lost';
  for (const problem of FILE_HEADER_CHECKS[code](header))
    yield isBeyondRepair ? { ...problem, isBeyondRepair } : problem;
}

function* reservedProblems(head: HeadFacts): Generator<Problem> {
  yield* withHeaderBit(inHeader('FILE_HEADER_RESERVED', head), head);
  yield* fileHeaderFlagProblems(head.header);
}

/** Names the bit that explains what is wrong in the file header, where one explains all of it. */
function* withHeaderBit(problems: Iterable<Problem>, { header, wholeBlocks }: HeadFacts): Generator<Problem> {
  let bit: number | undefined | 'unknown' = 'unknown';
  for (const problem of problems) {
    if (bit === 'unknown') bit = flippedHeaderBit(header, wholeBlocks);
    yield bit === undefined ? problem : withBit(problem, bit, nameIn(FILE_HEADER, bit >> 3));
  }
}

/** Names the bit that explains why a record in block 0 does not have the CRC-32 that it ends with. */
function* withCrcBit<T>(problems: Iterable<Problem>, block0: Uint8Array, layout: RecordLayout<T>): Generator<Problem> {
  for (const problem of problems) {
    const bit = flippedBitUnderCrc(block0.subarray(problem.offset, problem.offset + layout.bytes));
    yield bit === undefined ? problem : withBit(problem, 8 * problem.offset + bit, nameIn(layout, bit >> 3));
  }
}

/** @param bit - its index in block 0 */
function withBit(problem: Problem, bit: number, name: string): Problem {
  const flippedBit = { offset: bit >> 3, bit: bit & 7 };
  return { ...problem, flippedBit, message: `${problem.message}; ${flippedBitText(flippedBit, name)}` };
}

/** The field of a record that a byte of it is in. */
function nameIn<T>({ fields }: RecordLayout<T>, offset: number): string {
  return fields.findLast((field) => field.offset <= offset)?.name ?? '';
}

/** Only a header that is damaged for the count of blocks has that set. */
function* uncountedProblems({ header, fileBytes, foreignBlock, headerState }: HeadFacts): Generator<Problem> {
  for (const problem of uncountedBlockProblems(header, fileBytes)) yield { ...problem, isBeyondRepair: true };
  const isBeyondRepair = headerState !== 'mendable';
  if (foreignBlock) yield { ...foreignBlock, severity: 'warning', isBeyondRepair };
}

function rootProblemsOf({ header, block0, blocks }: HeadFacts, code: 'ROOT_POINTER' | 'ROOT_DESCRIPTOR'): Problem[] {
  return [...rootProblems(header, block0, blocks)].filter((problem) => problem.code === code);
}

function* rootDescriptorProblems(head: HeadFacts): Generator<Problem> {
  const broken = rootProblemsOf(head, 'ROOT_DESCRIPTOR');
  const differing = [...rootDescriptorCopyProblems(head.block0)];
  // Where a field says what cannot be, the copy tells why.
  const flippedBit = differing[0]?.flippedBit;
  yield* broken.map((problem) => (flippedBit ? { ...problem, flippedBit } : problem));
  yield* differing;
}

/** Whether the page that should have the root record has its slot. */
function* rootRecordProblems({ rootPlace, rootPageSlots }: WholeFacts): Generator<Problem> {
  if (rootPlace === undefined || rootPlace.slot < rootPageSlots) return;
  const { block, slot } = rootPlace;
  const why = rootPageSlots < 0 ? 'is no page' : `has ${counted(rootPageSlots, 'slot')}`;
  const message = `the root record is said to be in slot ${slot} of block ${block}, which ${why}`;
  const expected = rootPageSlots < 0 ? 'a slot of a page' : `a slot below ${rootPageSlots}`;
  const found = `${block}:${slot}`;
  yield { code: 'ROOT_DESCRIPTOR', severity: 'error', ...descriptorPlace('rootRecord'), found, expected, message };
}
