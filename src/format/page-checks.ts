import { assertWholeNumber } from '../arguments.ts';
import { counted } from '../bytes/encodings.ts';
import type { ProblemCode } from '../errors.ts';
import { fileOffset, NODE_AREA_OFFSET, PAGE_HEADER_BYTES, V1_SLOT_BYTES, v1MaxSlots, v2MaxSlots } from './layout.ts';
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
import { assertPage, decodePage, orphanedBytes, type Page, slotEntry } from './page.ts';
import { type FileRange, hex, NO_PROBLEMS, type Problem } from './problem.ts';
import { isLostEntry, type SlotScan, slotsByOffset } from './slots.ts';
import type { DirectoryScratch } from './v2-directory.ts';

interface BoundsFault {
  readonly field: 'nodeCount' | 'freeOffset' | 'directoryStart';
  readonly expected: string;
}

/** A decoded page with facts for its checks, each computed once. Valid until the page changes. */
export class PageFacts {
  readonly page: Page;
  readonly blockId: number;
  readonly hasChecksum: boolean;
  /** Slots and checksum are checked only if there are none. */
  readonly boundsFaults: readonly BoundsFault[];
  #orphanedBytes: number | undefined;
  #slots: SlotScan | undefined;
  #checksumState: ChecksumState | undefined;
  /** null: computed, there is none. */
  #error: Problem | null | undefined;

  constructor(page: Page, blockId: number) {
    this.page = page;
    this.blockId = blockId;
    this.hasChecksum = (page.header.flags & PAGE_FLAG.hasChecksum) !== 0;
    this.boundsFaults = boundsFaults(page);
  }

  /** The first problem that makes nodes unsafe to read or add; undefined in a valid page. */
  get error(): Problem | undefined {
    if (this.#error === undefined) this.#error = findError(this) ?? null;
    return this.#error ?? undefined;
  }

  get isBounded(): boolean {
    return this.boundsFaults.length === 0;
  }

  get orphanedBytes(): number {
    return (this.#orphanedBytes ??= orphanedBytes(this.page));
  }

  /** The header must be within bounds. */
  get slots(): SlotScan {
    return (this.#slots ??= this.#scanSlots());
  }

  #scanSlots(): SlotScan {
    const { directory, header } = this.page;
    const scan = directory.scan(header.freeOffset);
    // Most pages have no lost slot, and need no look at the checksum.
    return scan.firstOutside < 0 ? scan : directory.scan(header.freeOffset, this.#sealedSlots);
  }

  /** Slots that a checksum proves. In others, zeros are damage: a lost sector, not a mark. */
  get #sealedSlots(): number {
    return this.hasChecksum && this.checksumState !== 'mismatch' ? this.page.header.checksumNodeCount : 0;
  }

  /** Slots without a node, in a page without errors. */
  get lostSlots(): number {
    return this.isBounded ? this.slots.lostSlots : 0;
  }

  /** Whether a slot is kept for its number alone. */
  isLost(slot: number): boolean {
    const { directory } = this.page;
    return slot < this.#sealedSlots && isLostEntry(directory, slot) && directory.nodeBytes(slot) === 0;
  }

  get checksumState(): ChecksumState {
    const { format, block, header, directory } = this.page;
    return (this.#checksumState ??=
      this.isBounded || !this.hasChecksum ? checksumState(format, block, header, directory) : 'mismatch');
  }
}

/** Undefined if `block`, the bytes of one page, does not begin with a page magic. */
export function examinePage(block: Uint8Array, blockId: number, scratch?: DirectoryScratch): PageFacts | undefined {
  const page = decodePage(block, scratch);
  return page && new PageFacts(page, blockId);
}

/** Undefined if `block` is not a page or has an error. */
export function validPage(block: Uint8Array, blockId: number, scratch?: DirectoryScratch): Page | undefined {
  const facts = examinePage(block, blockId, scratch);
  return facts && facts.error === undefined ? facts.page : undefined;
}

/** The page if it is valid with this 64-byte header and its checksum matches; only then `block` gets the header. */
export function validPageWithHeader(block: Uint8Array, blockId: number, header: Uint8Array): Page | undefined {
  const before = block.slice(0, PAGE_HEADER_BYTES);
  block.set(header);
  const facts = examinePage(block, blockId);
  if (facts && facts.error === undefined && facts.checksumState === 'match') return facts.page;
  block.set(before);
  return undefined;
}

/**
 * The format of a page whose magic is 0 but whose rest is a valid page with a matching checksum; `block` is unchanged.
 * A block that libdictenstein has freed looks the same: only its first 8 bytes are overwritten.
 */
export function formatOfZeroedPage(
  block: Uint8Array,
  blockId: number,
  scratch?: DirectoryScratch,
): PageFormat | undefined {
  const { magic, version, flags } = PAGE_HEADER.read(block);
  const format = (['v1', 'v2'] as const).find((each) => PAGE_VERSION[each] === version);
  if (magic !== 0n || format === undefined || (flags & PAGE_FLAG.hasChecksum) === 0) return undefined;
  PAGE_HEADER.set('magic', PAGE_MAGIC[format], block);
  const facts = examinePage(block, blockId, scratch);
  const isValid = facts?.checksumState === 'match' && facts.error === undefined;
  PAGE_HEADER.set('magic', 0n, block);
  return isValid ? format : undefined;
}

/** For a file where no other program can have freed the block. */
export function zeroedMagicProblem(block: number, format: PageFormat): Problem {
  const expected = hex(PAGE_MAGIC[format], 16);
  const message = `block ${block} begins with 8 zero bytes instead of the page magic ${expected}; the rest of it is a valid page`;
  const range = pageFieldRange(block, 'magic');
  return { code: 'PAGE_MAGIC', severity: 'error', ...range, found: hex(0n, 16), expected, message };
}

const OPTIONAL_FLAGS = PAGE_FLAG.hasChecksum | PAGE_FLAG.finalized;

/** Checks one page invariant. Must terminate on any bytes. */
type PageCheck = (facts: PageFacts) => Iterable<Problem>;

type PageProblemCode = Exclude<
  Extract<ProblemCode, 'NODES_WITHOUT_DIRECTORY' | `${'PAGE' | 'DIRECTORY' | 'SLOT'}_${string}`>,
  'PAGE_MAGIC' | 'PAGE_NOT_FINALIZED'
>;

/** In reporting order. Only invalid pages cost an allocation. */
export const PAGE_CHECKS: Readonly<Record<PageProblemCode, PageCheck>> = {
  PAGE_VERSION({ page: { format, header }, blockId }) {
    const expected = PAGE_VERSION[format];
    if (header.version === expected) return NO_PROBLEMS;
    return [pageFieldProblem(blockId, 'PAGE_VERSION', 'version', header.version, expected)];
  },
  PAGE_FLAGS({ page: { format, header }, blockId }) {
    const required = PAGE_FORMAT_FLAGS[format];
    if ((header.flags & ~OPTIONAL_FLAGS) === required) return NO_PROBLEMS;
    const expected = `${hex(required, 4)} with or without 0x0002 and 0x0004`;
    return [pageFieldProblem(blockId, 'PAGE_FLAGS', 'flags', hex(header.flags, 4), expected)];
  },
  PAGE_BOUNDS({ isBounded, boundsFaults, page, blockId }) {
    if (isBounded) return NO_PROBLEMS;
    return boundsFaults.map(({ field, expected }) =>
      pageFieldProblem(blockId, 'PAGE_BOUNDS', field, page.header[field], expected),
    );
  },
  NODES_WITHOUT_DIRECTORY(facts) {
    if (!facts.isBounded || facts.orphanedBytes === 0) return NO_PROBLEMS;
    const nodeBytes = counted(facts.orphanedBytes, 'node byte');
    const [expected, text] = [`slots for ${nodeBytes}`, `${nodeBytes}, but no directory: the page was never finalized`];
    const problem = pageFieldProblem(facts.blockId, 'NODES_WITHOUT_DIRECTORY', 'nodeCount', 0, expected, text);
    return [{ ...problem, severity: 'warning' }];
  },
  DIRECTORY_TRUNCATED({ isBounded, page, blockId }) {
    const { count, end } = page.directory;
    const { nodeCount } = page.header;
    if (!isBounded || count >= nodeCount) return NO_PROBLEMS;
    const [found, expected] = [counted(count, 'slot'), counted(nodeCount, 'slot')];
    const message = `page ${blockId}: the directory runs past the end of the block after ${count} of ${expected}`;
    const range = { block: blockId, slot: count, offset: fileOffset(blockId, end), bytes: page.block.length - end };
    return [{ code: 'DIRECTORY_TRUNCATED', severity: 'error', ...range, found, expected, message }];
  },
  DIRECTORY_LENGTH({ isBounded, hasChecksum, page, blockId }) {
    const { header, directory, format } = page;
    if (!isBounded || !hasChecksum || directory.count < header.nodeCount) return NO_PROBLEMS;
    const expected = format === 'v2' ? directory.end - directory.start : 0;
    if (header.directoryLength === expected) return NO_PROBLEMS;
    return [pageFieldProblem(blockId, 'DIRECTORY_LENGTH', 'directoryLength', header.directoryLength, expected)];
  },
  SLOT_BOUNDS(facts) {
    return !facts.isBounded || facts.slots.firstOutside < 0 ? NO_PROBLEMS : outsideProblems(facts);
  },
  SLOT_OVERLAP(facts) {
    // Writers place nodes in slot order, so sorting is rarely needed.
    return !facts.isBounded || facts.slots.isAscending ? NO_PROBLEMS : overlapProblems(facts);
  },
  // The file is as it was meant to be, and a node is not in it.
  SLOT_LOST(facts) {
    return facts.lostSlots === 0 ? NO_PROBLEMS : lostSlotProblems(facts);
  },
  PAGE_CHECKSUM(facts) {
    if (facts.checksumState !== 'mismatch') return NO_PROBLEMS;
    const { isBounded, blockId } = facts;
    const { format, block, header } = facts.page;
    const found = hex(header.checksum, 8);
    const directory = checksummedDirectory(format, header, block.length);
    if (!isBounded || directory.end > block.length) {
      const text = 'the checksum cannot be computed because the bounds in the header are invalid';
      return [pageFieldProblem(blockId, 'PAGE_CHECKSUM', 'checksum', found, 'the CRC-32 of the page', text)];
    }
    const computed = hex(pageChecksum(block, header, directory), 8);
    const text = `stored checksum ${found}, computed ${computed}`;
    return [pageFieldProblem(blockId, 'PAGE_CHECKSUM', 'checksum', found, computed, text)];
  },
  PAGE_CHECKSUM_STALE({ checksumState, blockId, page }) {
    if (checksumState !== 'stale') return NO_PROBLEMS;
    const { nodeCount, checksumNodeCount: covered } = page.header;
    const text = `the checksum covers ${covered} of ${counted(nodeCount, 'node')}: another program has appended since`;
    const problem = pageFieldProblem(blockId, 'PAGE_CHECKSUM_STALE', 'checksumNodeCount', covered, nodeCount, text);
    return [{ ...problem, severity: 'warning' }];
  },
  // Otherwise one flipped flag bit would hide all other damage.
  PAGE_CHECKSUM_FIELDS({ hasChecksum, blockId, page: { header } }) {
    if (hasChecksum) return NO_PROBLEMS;
    const expected = '0, in a page without HAS_CHECKSUM';
    return (['checksum', 'directoryLength', 'checksumNodeCount'] as const)
      .filter((field) => header[field] !== 0)
      .map((field) => pageFieldProblem(blockId, 'PAGE_CHECKSUM_FIELDS', field, header[field], expected));
  },
  // Without a match, the field is damaged as likely as the page is misplaced. A page that is in no file has no block id.
  PAGE_MISPLACED(facts) {
    const { blockId, page } = facts;
    const { home } = page.header;
    if (home === blockId || home === 0 || blockId === 0) return NO_PROBLEMS;
    if (!facts.hasChecksum || facts.checksumState === 'mismatch') return NO_PROBLEMS;
    const text = `this is the page of block ${home}; that of this block is lost, or in another place`;
    return [{ ...pageFieldProblem(blockId, 'PAGE_MISPLACED', 'home', home, blockId, text), isBeyondRepair: true }];
  },
  // Such a page is unverified, not damaged.
  PAGE_CHECKSUM_ABSENT({ hasChecksum, blockId, page }) {
    if (hasChecksum) return NO_PROBLEMS;
    const [found, expected] = [hex(page.header.flags, 4), '0x0002 (HAS_CHECKSUM) set'];
    const text = 'no checksum, so its bytes cannot be verified';
    const problem = pageFieldProblem(blockId, 'PAGE_CHECKSUM_ABSENT', 'flags', found, expected, text);
    return [{ ...problem, severity: 'info' }];
  },
};

const CHECKS = Object.values(PAGE_CHECKS);

/** @param blockId - for offsets and messages */
export function* pageProblems(page: Page, blockId: number): Generator<Problem> {
  assertPage('pageProblems', page);
  assertWholeNumber('pageProblems', 'blockId', blockId);
  const facts = new PageFacts(page, blockId);
  for (const check of CHECKS) yield* check(facts);
}

function findError(facts: PageFacts): Problem | undefined {
  for (const check of CHECKS) {
    for (const problem of check(facts)) if (problem.severity === 'error') return problem;
  }
  return undefined;
}

export function pageFieldRange(blockId: number, field: keyof PageHeader): FileRange {
  const offset = fileOffset(blockId, PAGE_HEADER.offsets[field]);
  return { block: blockId, offset, bytes: PAGE_HEADER.bytesOf(field) };
}

/** @param text - default: that the field has a wrong value */
export function pageFieldProblem(
  blockId: number,
  code: ProblemCode,
  field: keyof PageHeader,
  found: number | string,
  expected: number | string,
  text: string = `${field} is ${found}, expected ${expected}`,
): Problem {
  const message = `page ${blockId}: ${text}`;
  const range = pageFieldRange(blockId, field);
  return { code, severity: 'error', ...range, found: String(found), expected: String(expected), message };
}

function boundsFaults({ format, header, block }: Page): readonly BoundsFault[] {
  const pageBytes = block.length;
  const { nodeCount, freeOffset, directoryStart } = header;
  const faults: BoundsFault[] = [];
  const maxSlots = format === 'v1' ? v1MaxSlots(pageBytes) : v2MaxSlots(pageBytes);
  if (nodeCount > maxSlots) {
    faults.push({ field: 'nodeCount', expected: `at most ${maxSlots}` });
  } else if (format === 'v1') {
    const start = pageBytes - V1_SLOT_BYTES * nodeCount;
    if (directoryStart !== start)
      faults.push({ field: 'directoryStart', expected: `${start}, for ${counted(nodeCount, 'slot')}` });
  }
  if (directoryStart < NODE_AREA_OFFSET || directoryStart > pageBytes) {
    faults.push({ field: 'directoryStart', expected: `${NODE_AREA_OFFSET} to ${pageBytes}` });
  } else if (freeOffset < NODE_AREA_OFFSET || freeOffset > directoryStart) {
    const expected = `${NODE_AREA_OFFSET} to ${directoryStart}, where the directory begins`;
    faults.push({ field: 'freeOffset', expected });
  }
  return faults;
}

function* outsideProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory, header } = page;
  const expected = `within ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
  for (let slot = facts.slots.firstOutside; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if ((offset >= NODE_AREA_OFFSET && offset + bytes <= header.freeOffset) || facts.isLost(slot)) continue;
    const message = `page ${blockId}, slot ${slot}: the node at ${offset} with ${counted(bytes, 'byte')} is outside the node area, ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
    yield { code: 'SLOT_BOUNDS', ...slotRange(facts, slot), found: `${offset}+${bytes}`, expected, message };
  }
}

function* overlapProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory } = page;
  // For each slot that overlaps another one, where that ends, and which it is.
  let ends: Uint32Array | undefined;
  let others: Uint32Array | undefined;
  let [end, endSlot] = [0, 0];
  for (const slot of slotsByOffset(directory)) {
    const bytes = directory.nodeBytes(slot);
    const offset = directory.nodeOffset(slot);
    // A node outside the node area has a finding of its own, and says nothing about the others.
    if (bytes === 0 || offset < NODE_AREA_OFFSET || offset + bytes > page.header.freeOffset) continue;
    if (offset < end) {
      ends ??= new Uint32Array(directory.count);
      others ??= new Uint32Array(directory.count);
      ends[slot] = end;
      others[slot] = endSlot;
    }
    if (offset + bytes > end) {
      end = offset + bytes;
      endSlot = slot;
    }
  }
  if (ends === undefined || others === undefined) return;
  // In the order of the slots, so that a run of them can be told as one.
  for (const [slot, otherEnd] of ends.entries()) {
    if (otherEnd === 0) continue;
    const [offset, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
    const message = `page ${blockId}, slot ${slot}: the node at ${offset} overlaps the node in slot ${others[slot]}, which ends at ${otherEnd}`;
    const [found, expected] = [`${offset}+${bytes}`, `${otherEnd} or higher`];
    yield { code: 'SLOT_OVERLAP', ...slotRange(facts, slot), found, expected, message };
  }
}

/** One problem for each run of lost slots. */
function* lostSlotProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { count } = page.directory;
  for (let from = 0; from < count; from++) {
    if (!facts.isLost(from)) continue;
    let to = from;
    while (to + 1 < count && facts.isLost(to + 1)) to++;
    const slots = from === to ? `slot ${from}` : `slots ${from} to ${to}`;
    const message = `page ${blockId}, ${slots}: no node: it was lost before the file was made, and its number is kept`;
    const [first, last] = [slotEntry(page, from), slotEntry(page, to)];
    const [start, end] = [Math.min(first.start, last.start), Math.max(first.end, last.end)];
    const range = { block: blockId, slot: from, offset: fileOffset(blockId, start), bytes: end - start };
    yield { code: 'SLOT_LOST', severity: 'info', ...range, found: 'offset 0, length 0', expected: 'a node', message };
    from = to;
  }
}

function slotRange({ blockId, page }: PageFacts, slot: number): FileRange & Pick<Problem, 'severity' | 'slot'> {
  const { start, end } = slotEntry(page, slot);
  return { severity: 'error', block: blockId, slot, offset: fileOffset(blockId, start), bytes: end - start };
}
