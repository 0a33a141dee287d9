import { counted } from '../bytes/encodings.ts';
import type { ProblemCode } from '../errors.ts';
import {
  BLOCK_BYTES,
  fileOffset,
  NODE_AREA_OFFSET,
  PAGE_HEADER_BYTES,
  V1_MAX_SLOTS,
  V1_SLOT_BYTES,
  V2_MAX_SLOTS,
} from './layout.ts';
import {
  checksummedDirectory,
  type ChecksumState,
  checksumState,
  PAGE_FLAG,
  PAGE_FORMAT_FLAGS,
  PAGE_HEADER,
  PAGE_MAGIC,
  PAGE_VERSION,
  pageChecksum,
  type PageFormat,
  type PageHeader,
} from './page-header.ts';
import { decodePage, orphanedBytes, type Page } from './page.ts';
import { type FileRange, hex, NO_PROBLEMS, type Problem } from './problem.ts';
import { type SlotScan, slotsByOffset } from './slots.ts';
import type { DirectoryScratch } from './v2-directory.ts';

/** A header field that exceeds the block or contradicts another field. */
interface BoundsFault {
  readonly field: 'nodeCount' | 'freeOffset' | 'directoryStart';
  readonly expected: string;
}

/** A decoded page and what its checks share; each property is computed once, on first use. Valid until the page changes. */
export class PageFacts {
  readonly page: Page;
  readonly blockId: number;
  #boundsFaults: readonly BoundsFault[] | undefined;
  #orphanedBytes: number | undefined;
  #slots: SlotScan | undefined;
  #checksumState: ChecksumState | undefined;
  /** null: computed, there is none. */
  #error: Problem | null | undefined;

  /** @param blockId - the page's block, for offsets and messages */
  constructor(page: Page, blockId: number) {
    this.page = page;
    this.blockId = blockId;
  }

  /** The first problem that makes nodes of the page unsafe to read or to add; undefined in a valid page. */
  get error(): Problem | undefined {
    if (this.#error === undefined) this.#error = findError(this) ?? null;
    return this.#error ?? undefined;
  }

  get hasChecksum(): boolean {
    return (this.page.header.flags & PAGE_FLAG.hasChecksum) !== 0;
  }

  /** Invalid bounds in the header. Slots and checksum are checked only if there are none. */
  get boundsFaults(): readonly BoundsFault[] {
    return (this.#boundsFaults ??= boundsFaults(this.page.format, this.page.header));
  }

  get isBounded(): boolean {
    return this.boundsFaults.length === 0;
  }

  get orphanedBytes(): number {
    return (this.#orphanedBytes ??= orphanedBytes(this.page));
  }

  /** One pass over the slots; the header must be within bounds. */
  get slots(): SlotScan {
    return (this.#slots ??= this.page.directory.scan(this.page.header.freeOffset));
  }

  get checksumState(): ChecksumState {
    const { format, block, header, directory } = this.page;
    return (this.#checksumState ??=
      this.isBounded || !this.hasChecksum ? checksumState(format, block, header, directory) : 'mismatch');
  }
}

/**
 * Decodes the page in a block for checking: `error` of the result is its first error.
 * @param block - 262,144 bytes
 * @returns undefined if the block does not begin with a page magic
 */
export function examinePage(block: Uint8Array, blockId: number, scratch?: DirectoryScratch): PageFacts | undefined {
  const page = decodePage(block, scratch);
  return page && new PageFacts(page, blockId);
}

/**
 * Decodes and checks the page in a block.
 * @param block - 262,144 bytes
 * @returns undefined if the block is not a page or has an error
 */
export function validPage(block: Uint8Array, blockId: number, scratch?: DirectoryScratch): Page | undefined {
  const facts = examinePage(block, blockId, scratch);
  return facts && facts.error === undefined ? facts.page : undefined;
}

/**
 * The page in a block if it is valid with another header and a matching checksum; `block` then has that header.
 * Otherwise `block` is not changed.
 * @param header - the 64 bytes of the page header
 */
export function validPageWithHeader(block: Uint8Array, blockId: number, header: Uint8Array): Page | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(header);
  const facts = examinePage(block, blockId);
  if (facts && facts.error === undefined && facts.checksumState === 'match') return facts.page;
  block.set(before);
  return undefined;
}

const FORMATS = ['v1', 'v2'] as const;

/**
 * The format of a page whose magic is 0, if everything else in the block is a valid page with a matching checksum. A
 * block that libdictenstein has freed looks the same: only its first 8 bytes are overwritten.
 * @param block - 262,144 bytes; unchanged on return
 */
export function formatOfZeroedPage(
  block: Uint8Array,
  blockId: number,
  scratch?: DirectoryScratch,
): PageFormat | undefined {
  const { magic, version, flags } = PAGE_HEADER.read(block);
  const format = FORMATS.find((each) => PAGE_VERSION[each] === version);
  if (magic !== 0n || format === undefined || (flags & PAGE_FLAG.hasChecksum) === 0) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[format], block);
  const facts = examinePage(block, blockId, scratch);
  const isValid = facts?.checksumState === 'match' && facts.error === undefined;
  PAGE_HEADER.set('magic', 0n, block);
  return isValid ? format : undefined;
}

/** The problem of a page with magic 0, in a file where no other program can have freed the block. */
export function zeroedMagicProblem(block: number, format: PageFormat): Problem {
  const expected = hex(PAGE_MAGIC[format], 16);
  const message = `block ${block} begins with 8 zero bytes instead of the page magic ${expected}; the rest of it is a valid page`;
  const range = pageFieldRange(block, 'magic');
  return { code: 'PAGE_MAGIC', severity: 'error', ...range, found: hex(0n, 16), expected, message };
}

/** Finds violations of one page invariant. It terminates on any bytes. */
type PageCheck = (facts: PageFacts) => Iterable<Problem>;

/** Codes of the problems that a page can have regardless of other blocks. */
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

/** Every page invariant, in reporting order: header, bounds, directory, slots, checksum. */
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

/** All problems of a page. @param blockId - the page's block, for offsets and messages */
export function* pageProblems(page: Page, blockId: number): Generator<Problem> {
  const facts = new PageFacts(page, blockId);
  for (const check of CHECKS) yield* check(facts);
}

function findError(facts: PageFacts): Problem | undefined {
  for (const check of CHECKS) {
    for (const problem of check(facts)) if (problem.severity === 'error') return problem;
  }
  return undefined;
}

/** The location of a page header field in the file. */
export function pageFieldRange(blockId: number, field: keyof PageHeader): FileRange {
  const offset = fileOffset(blockId, PAGE_HEADER.offsets[field]);
  return { block: blockId, offset, bytes: PAGE_HEADER.bytesOf(field) };
}

/** The error of a page header field that has the wrong value. */
export function pageFieldProblem(
  blockId: number,
  code: ProblemCode,
  field: keyof PageHeader,
  found: number | string,
  expected: number | string,
): Problem {
  const message = `page ${blockId}: ${field} is ${found}, expected ${expected}`;
  const range = pageFieldRange(blockId, field);
  return { code, severity: 'error', ...range, found: String(found), expected: String(expected), message };
}

function versionProblems({ page, blockId }: PageFacts): readonly Problem[] {
  const { version } = page.header;
  const expected = PAGE_VERSION[page.format];
  return version === expected ? NO_PROBLEMS : [pageFieldProblem(blockId, 'PAGE_VERSION', 'version', version, expected)];
}

const KNOWN_FLAGS = PAGE_FLAG.varintDirectory | PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized;

function flagProblems({ page, blockId }: PageFacts): readonly Problem[] {
  const { flags } = page.header;
  const required = PAGE_FORMAT_FLAGS[page.format];
  if ((flags & ~KNOWN_FLAGS) === 0 && (flags & PAGE_FLAG.varintDirectory) === required) return NO_PROBLEMS;
  const expected = `${hex(required, 4)} with or without 0x0002 and 0x0004`;
  return [pageFieldProblem(blockId, 'PAGE_FLAGS', 'flags', hex(flags, 4), expected)];
}

const NO_FAULTS: readonly BoundsFault[] = [];

function boundsFaults(
  format: PageFormat,
  { nodeCount, freeOffset, directoryStart }: PageHeader,
): readonly BoundsFault[] {
  const faults: BoundsFault[] = [];
  const maxSlots = format === 'v1' ? V1_MAX_SLOTS : V2_MAX_SLOTS;
  if (nodeCount > maxSlots) {
    faults.push({ field: 'nodeCount', expected: `at most ${maxSlots}` });
  } else if (format === 'v1') {
    const start = BLOCK_BYTES - V1_SLOT_BYTES * nodeCount;
    if (directoryStart !== start)
      faults.push({ field: 'directoryStart', expected: `${start}, for ${counted(nodeCount, 'slot')}` });
  }
  if (directoryStart < NODE_AREA_OFFSET || directoryStart > BLOCK_BYTES) {
    faults.push({ field: 'directoryStart', expected: `${NODE_AREA_OFFSET} to ${BLOCK_BYTES}` });
  } else if (freeOffset < NODE_AREA_OFFSET || freeOffset > directoryStart) {
    const expected = `${NODE_AREA_OFFSET} to ${directoryStart}, where the directory begins`;
    faults.push({ field: 'freeOffset', expected });
  }
  return faults.length === 0 ? NO_FAULTS : faults;
}

function boundsProblems({ isBounded, boundsFaults, page, blockId }: PageFacts): readonly Problem[] {
  if (isBounded) return NO_PROBLEMS;
  return boundsFaults.map(({ field, expected }) =>
    pageFieldProblem(blockId, 'PAGE_BOUNDS', field, page.header[field], expected),
  );
}

function orphanProblems(facts: PageFacts): readonly Problem[] {
  if (!facts.isBounded || facts.orphanedBytes === 0) return NO_PROBLEMS;
  const { blockId, orphanedBytes } = facts;
  const message = `page ${blockId}: ${counted(orphanedBytes, 'node byte')}, but no directory: the page was never finalized`;
  const expected = `slots for ${counted(orphanedBytes, 'node byte')}`;
  const range = pageFieldRange(blockId, 'nodeCount');
  return [{ code: 'NODES_WITHOUT_DIRECTORY', severity: 'warning', ...range, found: '0', expected, message }];
}

function truncationProblems({ isBounded, page, blockId }: PageFacts): readonly Problem[] {
  const { count, end } = page.directory;
  const { nodeCount } = page.header;
  if (!isBounded || count >= nodeCount) return NO_PROBLEMS;
  const message = `page ${blockId}: the directory runs past the end of the block after ${count} of ${counted(nodeCount, 'slot')}`;
  const range = { block: blockId, slot: count, offset: fileOffset(blockId, end), bytes: BLOCK_BYTES - end };
  const [found, expected] = [counted(count, 'slot'), counted(nodeCount, 'slot')];
  return [{ code: 'DIRECTORY_TRUNCATED', severity: 'error', ...range, found, expected, message }];
}

function directoryLengthProblems({ isBounded, hasChecksum, page, blockId }: PageFacts): readonly Problem[] {
  const { header, directory, format } = page;
  if (!isBounded || !hasChecksum || directory.count < header.nodeCount) return NO_PROBLEMS;
  const expected = format === 'v2' ? directory.end - directory.start : 0;
  if (header.directoryLength === expected) return NO_PROBLEMS;
  return [pageFieldProblem(blockId, 'DIRECTORY_LENGTH', 'directoryLength', header.directoryLength, expected)];
}

/** Nodes outside the node area, which the directory borders on. */
function slotBoundsProblems(facts: PageFacts): Iterable<Problem> {
  return !facts.isBounded || facts.slots.firstOutside < 0 ? NO_PROBLEMS : outsideProblems(facts);
}

function* outsideProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory, header } = page;
  const expected = `within ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
  for (let slot = facts.slots.firstOutside; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if (offset >= NODE_AREA_OFFSET && offset + bytes <= header.freeOffset) continue;
    const message = `page ${blockId}, slot ${slot}: the node at ${offset} with ${counted(bytes, 'byte')} is outside the node area, ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
    yield { code: 'SLOT_BOUNDS', ...slotRange(facts, slot), found: `${offset}+${bytes}`, expected, message };
  }
}

/** Nodes that share bytes. */
function slotOverlapProblems(facts: PageFacts): Iterable<Problem> {
  // Writers place nodes in slot order, so sorting is rarely needed.
  return !facts.isBounded || facts.slots.isAscending ? NO_PROBLEMS : overlapProblems(facts);
}

function* overlapProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory } = page;
  let end = 0;
  let endSlot = 0;
  for (const slot of slotsByOffset(directory)) {
    const bytes = directory.nodeBytes(slot);
    if (bytes === 0) continue;
    const offset = directory.nodeOffset(slot);
    if (offset < end) {
      const message = `page ${blockId}, slot ${slot}: the node at ${offset} overlaps the node in slot ${endSlot}, which ends at ${end}`;
      const [found, expected] = [`${offset}+${bytes}`, `${end} or higher`];
      yield { code: 'SLOT_OVERLAP', ...slotRange(facts, slot), found, expected, message };
    }
    if (offset + bytes > end) {
      end = offset + bytes;
      endSlot = slot;
    }
  }
}

/** The location of a slot's directory entry. */
function slotRange({ blockId, page }: PageFacts, slot: number): FileRange & Pick<Problem, 'severity' | 'slot'> {
  const { directory, format } = page;
  const entry = directory.entryOffset(slot);
  const next = slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end;
  const bytes = format === 'v1' ? V1_SLOT_BYTES : next - entry;
  return { severity: 'error', block: blockId, slot, offset: fileOffset(blockId, entry), bytes };
}

/** A checksum that matches neither the page nor its first nodes. */
function checksumMismatchProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'mismatch') return NO_PROBLEMS;
  const { blockId } = facts;
  const found = hex(facts.page.header.checksum, 8);
  const computed = computedChecksum(facts);
  const message =
    computed === undefined
      ? `page ${blockId}: the checksum cannot be computed because the bounds in the header are invalid`
      : `page ${blockId}: stored checksum ${found}, computed ${computed}`;
  const expected = computed ?? 'the CRC-32 of the page';
  const range = pageFieldRange(blockId, 'checksum');
  return [{ code: 'PAGE_CHECKSUM', severity: 'error', ...range, found, expected, message }];
}

function computedChecksum({ isBounded, page }: PageFacts): string | undefined {
  const { format, block, header } = page;
  const directory = checksummedDirectory(format, header);
  const hasBounds = isBounded && directory.end <= block.length;
  return hasBounds ? hex(pageChecksum(block, header, directory), 8) : undefined;
}

/** A checksum of the nodes that a V1 page had before another program appended to it. */
function checksumStaleProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'stale') return NO_PROBLEMS;
  const { blockId, page } = facts;
  const { nodeCount, checksumNodeCount } = page.header;
  const message = `page ${blockId}: the checksum covers ${checksumNodeCount} of ${counted(nodeCount, 'node')}: another program has appended since`;
  const [found, expected] = [String(checksumNodeCount), String(nodeCount)];
  const range = pageFieldRange(blockId, 'checksumNodeCount');
  return [{ code: 'PAGE_CHECKSUM_STALE', severity: 'warning', ...range, found, expected, message }];
}

/** Checksum fields set in a page without a checksum. Otherwise one flipped flag bit would hide all other damage. */
function checksumFieldProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const { header } = page;
  return (['checksum', 'directoryLength', 'checksumNodeCount'] as const)
    .filter((field) => header[field] !== 0)
    .map((field) =>
      pageFieldProblem(blockId, 'PAGE_CHECKSUM_FIELDS', field, header[field], '0, in a page without HAS_CHECKSUM'),
    );
}

/** A page without a checksum is unverified, not damaged. */
function checksumAbsentProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const message = `page ${blockId}: no checksum, so its bytes cannot be verified`;
  const found = hex(page.header.flags, 4);
  const expected = '0x0002 (HAS_CHECKSUM) set';
  const range = pageFieldRange(blockId, 'flags');
  return [{ code: 'PAGE_CHECKSUM_ABSENT', severity: 'info', ...range, found, expected, message }];
}
