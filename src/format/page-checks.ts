import { counted } from '../bytes/encodings.ts';
import type { ProblemCode } from '../errors.ts';
import { BLOCK_BYTES, fileOffset, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from './layout.ts';
import { checksummedDirectory, type ChecksumState, checksumState, pageChecksum } from './page-checksum.ts';
import {
  PAGE_FLAG,
  PAGE_FORMAT_FLAGS,
  PAGE_HEADER,
  PAGE_MAGIC,
  PAGE_VERSION,
  type PageFormat,
  type PageHeader,
} from './page-header.ts';
import { decodePage, orphanedBytes, type Page } from './page.ts';
import { hex, NO_PROBLEMS, type Problem } from './problem.ts';
import type { SlotScan } from './slots.ts';
import type { DirectoryScratch } from './v2-directory.ts';

/** A field of a page header that does not fit in a block, or not with the other fields. */
export interface BoundsFault {
  readonly field: 'nodeCount' | 'freeOffset' | 'directoryStart';
  readonly expected: string;
}

/**
 * A page, and what several invariants need to know of it: each of these is found out once, when it is first asked
 * for. Valid until the bytes of the page change.
 */
export class PageFacts {
  readonly page: Page;
  readonly blockId: number;
  #boundsFaults: readonly BoundsFault[] | undefined;
  #orphanedBytes: number | undefined;
  #slots: SlotScan | undefined;
  #checksumState: ChecksumState | undefined;

  /** @param blockId - where the page stands, for offsets and messages */
  constructor(page: Page, blockId: number) {
    this.page = page;
    this.blockId = blockId;
  }

  get hasChecksum(): boolean {
    return (this.page.header.flags & PAGE_FLAG.hasChecksum) !== 0;
  }

  /** What is wrong with the bounds that the header gives; what lies within them is looked at only where nothing is. */
  get boundsFaults(): readonly BoundsFault[] {
    return (this.#boundsFaults ??= boundsFaults(this.page.format, this.page.header));
  }

  get isBounded(): boolean {
    return this.boundsFaults.length === 0;
  }

  get orphanedBytes(): number {
    return (this.#orphanedBytes ??= orphanedBytes(this.page));
  }

  /** One pass over the slots, of a page whose header is within bounds. */
  get slots(): SlotScan {
    return (this.#slots ??= this.page.directory.scan(this.page.header.freeOffset));
  }

  get checksumState(): ChecksumState {
    const { format, block, header, directory } = this.page;
    return (this.#checksumState ??=
      this.isBounded || !this.hasChecksum ? checksumState(format, block, header, directory) : 'mismatch');
  }
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

/** More than any slot number, so that an offset and a slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

/** Nodes outside the node area, which the directory borders on. */
export function slotBoundsProblems(facts: PageFacts): Iterable<Problem> {
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
    yield { code: 'SLOT_BOUNDS', ...slotPlace(facts, slot), found: `${offset}+${bytes}`, expected, message };
  }
}

/** Nodes that share bytes. */
export function slotOverlapProblems(facts: PageFacts): Iterable<Problem> {
  // Writers lay nodes out in the order of their slots; only where one did not is there something to sort.
  return !facts.isBounded || facts.slots.isAscending ? NO_PROBLEMS : overlapProblems(facts);
}

function* overlapProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory } = page;
  const byOffset = new Float64Array(directory.count);
  for (let slot = 0; slot < directory.count; slot++) byOffset[slot] = directory.nodeOffset(slot) * SLOT_RADIX + slot;
  byOffset.sort();
  let end = 0;
  let endSlot = 0;
  for (const key of byOffset) {
    const slot = key % SLOT_RADIX;
    const bytes = directory.nodeBytes(slot);
    if (bytes === 0) continue;
    const offset = directory.nodeOffset(slot);
    if (offset < end) {
      const message = `page ${blockId}, slot ${slot}: the node at ${offset} overlaps that of slot ${endSlot}, which ends at ${end}`;
      const [found, expected] = [`${offset}+${bytes}`, `at or behind ${end}`];
      yield { code: 'SLOT_OVERLAP', ...slotPlace(facts, slot), found, expected, message };
    }
    if (offset + bytes > end) {
      end = offset + bytes;
      endSlot = slot;
    }
  }
}

/** Where the directory's entry for a slot is. */
function slotPlace(
  { blockId, page }: PageFacts,
  slot: number,
): Pick<Problem, 'severity' | 'block' | 'slot' | 'offset' | 'bytes'> {
  const { directory, format } = page;
  const entry = directory.entryOffset(slot);
  const next = slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end;
  const bytes = format === 'v1' ? V1_SLOT_BYTES : next - entry;
  return { severity: 'error', block: blockId, slot, offset: fileOffset(blockId, entry), bytes };
}

/** Where a field of a page's header is in the file. */
export function fieldPlace(blockId: number, field: keyof PageHeader): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  const offset = fileOffset(blockId, PAGE_HEADER.offsetOf(field));
  return { block: blockId, offset, bytes: PAGE_HEADER.bytesOf(field) };
}

/** The error of a field of a page's header that has the wrong value. */
export function fieldProblem(
  blockId: number,
  code: ProblemCode,
  field: keyof PageHeader,
  found: number | string,
  expected: number | string,
): Problem {
  const message = `page ${blockId}: ${field} is ${found}, expected ${expected}`;
  const place = fieldPlace(blockId, field);
  return { code, severity: 'error', ...place, found: String(found), expected: String(expected), message };
}

/** A checksum that is neither that of the page nor that of its first nodes. */
export function checksumMismatchProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'mismatch') return NO_PROBLEMS;
  const { blockId } = facts;
  const found = hex(facts.page.header.checksum, 8);
  const sum = sumOf(facts);
  const message =
    sum === undefined
      ? `page ${blockId}: the header gives no bounds to compute its checksum in`
      : `page ${blockId}: checksum is ${found}, its bytes give ${sum}`;
  const expected = sum ?? 'the CRC-32 of the page';
  return [{ code: 'PAGE_CHECKSUM', severity: 'error', ...fieldPlace(blockId, 'checksum'), found, expected, message }];
}

/** The checksum that the bytes of a page ask for; undefined where its header gives no bounds for it. */
function sumOf({ isBounded, page }: PageFacts): string | undefined {
  const { format, block, header } = page;
  const directory = checksummedDirectory(format, header);
  const hasBounds = isBounded && directory.end <= block.length;
  return hasBounds ? hex(pageChecksum(block, header, directory), 8) : undefined;
}

/** A checksum of the nodes that a V1 page had before another program appended to it. */
export function checksumStaleProblems(facts: PageFacts): readonly Problem[] {
  if (facts.checksumState !== 'stale') return NO_PROBLEMS;
  const { blockId, page } = facts;
  const { nodeCount, checksumNodeCount } = page.header;
  const message = `page ${blockId}: the checksum covers ${checksumNodeCount} of ${counted(nodeCount, 'node')}: another program has appended since`;
  const [found, expected] = [String(checksumNodeCount), String(nodeCount)];
  const place = fieldPlace(blockId, 'checksumNodeCount');
  return [{ code: 'PAGE_CHECKSUM_STALE', severity: 'warning', ...place, found, expected, message }];
}

/** Fields of a checksum in a page without one: otherwise one flipped flag would hide whatever else is wrong. */
export function checksumFieldProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const { header } = page;
  return (['checksum', 'directoryLength', 'checksumNodeCount'] as const)
    .filter((field) => header[field] !== 0)
    .map((field) =>
      fieldProblem(blockId, 'PAGE_CHECKSUM_FIELDS', field, header[field], '0, in a page without HAS_CHECKSUM'),
    );
}

/** A page without a checksum is unverified, not damaged. */
export function checksumAbsentProblems({ hasChecksum, blockId, page }: PageFacts): readonly Problem[] {
  if (hasChecksum) return NO_PROBLEMS;
  const message = `page ${blockId}: no checksum, so its bytes cannot be verified`;
  const found = hex(page.header.flags, 4);
  const expected = '0x0002 (HAS_CHECKSUM) set';
  const place = fieldPlace(blockId, 'flags');
  return [{ code: 'PAGE_CHECKSUM_ABSENT', severity: 'info', ...place, found, expected, message }];
}

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

/**
 * The format of the page in a block that begins with 8 zero bytes: the one that its version says, where it is a sound page
 * with that magic, and its checksum holds. A block that another program has freed, by those 8 bytes alone, looks the same.
 * @param block - 262,144 bytes; they are what they were when it returns
 * @returns undefined where the block begins otherwise, or is no such page
 */
export function formatUnderZeros(
  block: Uint8Array,
  blockId: number,
  scratch?: DirectoryScratch,
): PageFormat | undefined {
  const { magic, version, flags } = PAGE_HEADER.read(block);
  const format = FORMATS.find((each) => PAGE_VERSION[each] === version);
  if (magic !== 0n || format === undefined || (flags & PAGE_FLAG.hasChecksum) === 0) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[format], block);
  const page = decodePage(block, scratch);
  const facts = page && new PageFacts(page, blockId);
  const isSound = facts?.checksumState === 'match' && firstError(facts) === undefined;
  PAGE_HEADER.set('magic', 0n, block);
  return isSound ? format : undefined;
}

/** What is said of such a page where nobody else can have made a block look so. */
export function zeroedMagicProblem(block: number, format: PageFormat): Problem {
  const expected = hex(PAGE_MAGIC[format], 16);
  const message = `block ${block} begins with 8 zero bytes in the place of ${expected}, the magic of a page; all else in it is that of a sound page`;
  return {
    code: 'PAGE_MAGIC',
    severity: 'error',
    ...fieldPlace(block, 'magic'),
    found: hex(0n, 16),
    expected,
    message,
  };
}

const FORMATS = ['v1', 'v2'] as const;
