import { isZero } from '../bytes/buffer.ts';
import { counted } from '../bytes/encodings.ts';
import { COMMIT_KIND, type CommitRecord } from '../format/commit-record.ts';
import { lostWriteProblem } from '../format/digest-checks.ts';
import { FILE_HEADER } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset, firstU64, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { PageFacts, pageProblems, validPageWithHeader } from '../format/page-checks.ts';
import {
  checksumState,
  commitOf,
  PAGE_HEADER,
  PAGE_VERSION,
  type PageFormat,
  pageFormatOf,
} from '../format/page-header.ts';
import { decodePage, mayHaveUncountedNodes, orphanedBytes, type Page } from '../format/page.ts';
import { type FlippedBit, hex, type Problem } from '../format/problem.ts';
import type { DirectoryScratch } from '../format/v2-directory.ts';
import { BlockReader } from '../salvage/block-kind.ts';
import { repairPageBit } from '../salvage/flipped-bit.ts';
import { restorePageHeader } from '../salvage/page-candidates.ts';
import {
  findDamagedSlots,
  findV1Slots,
  findV2Directory,
  type FoundDirectory,
  type SlotState,
  SlotTable,
  takeV2Pairs,
  writeV1Slots,
} from '../salvage/page-slots.ts';
import type { FoundHeader } from './file-header.ts';
import { type BlockProblem, type PageBasis, tallyProblems } from './report.ts';

export interface RecoveredPage {
  readonly format: PageFormat;
  readonly basis: PageBasis;
  /** Whether the block is valid now and copied; otherwise its nodes go to a new page. */
  readonly isValid: boolean;
  readonly lostBytes: number;
  readonly flippedBit?: FlippedBit;
}

export interface PageFound extends RecoveredPage {
  readonly kind: 'page';
  readonly problems: readonly BlockProblem[];
}

export type BlockFound =
  | PageFound
  | { readonly kind: 'unwritten' }
  /** The block has the valid page of another one, `home`. */
  | { readonly kind: 'misplaced'; readonly home: number; readonly problems: readonly BlockProblem[] }
  | { readonly kind: 'unknown'; readonly lostBytes: number; readonly problems: readonly BlockProblem[] };

/** Reads blocks of the damaged file into memory of its own, one at a time, and recovers their content. */
export class BlockRecovery {
  readonly slots: SlotTable = new SlotTable();
  /** The first 64 bytes of the last block, as they were found. */
  readonly foundHead: Uint8Array = new Uint8Array(PAGE_HEADER_BYTES);
  readonly #found: FoundHeader;
  readonly #reader = new BlockReader();
  readonly #isLastCommitted: boolean;

  constructor(found: FoundHeader) {
    this.#found = found;
    const last = found.view.recovery.records.at(-1);
    const committed = last && FILE_HEADER.read(last.fileHeader).checksum;
    this.#isLastCommitted = committed === found.header.checksum && found.isCountProven;
  }

  /** The last block, repaired if possible. */
  get bytes(): Uint8Array {
    return this.#reader.bytes;
  }

  /** @param isDoubtful - whether the block may not be part of the file: then all its nodes are doubtful */
  async recover(block: number, isDoubtful: boolean): Promise<BlockFound> {
    const { bytes, slots } = this;
    const { view, recordedPages } = this.#found;
    const presentBytes = await this.#reader.read(view, block, (link) => link === 0);
    this.foundHead.set(bytes.subarray(0, PAGE_HEADER_BYTES));
    if (isZero(bytes)) {
      if (presentBytes === BLOCK_BYTES) return { kind: 'unwritten' };
      return { kind: 'unknown', lostBytes: 0, problems: [cutProblem(block, presentBytes)] };
    }
    const { page, scratch } = this.#reader;
    const home = page && homeOfMisplaced(page);
    // Its nodes must not get the refs of this block.
    if (home !== undefined) return { kind: 'misplaced', home, problems: problemsOf(block, bytes, presentBytes) };
    const validPage = page && page.error === undefined ? page.page : undefined;
    const isWhole = validPage !== undefined && presentBytes === BLOCK_BYTES;
    const { records } = view.recovery;
    const isRecorded = recordedPages.includes(block);
    const older = isRecorded && isWhole ? tallyProblems(lostWriteOf(block, bytes, records)) : [];
    const problems = isWhole ? older : problemsOf(block, bytes, presentBytes);
    const facts = { block, presentBytes, records, isLastCommitted: this.#isLastCommitted, isRecorded };
    const recovered = recoverPage({ bytes, slots, scratch, ...facts }, validPage);
    if (recovered === undefined) return { kind: 'unknown', lostBytes: usedBytes(bytes), problems };
    if (isDoubtful) slots.doubt();
    // Without a directory, a page without an error can lose nodes too.
    const isUnexplained = recovered.lostBytes > 0 && problems.length === 0;
    return {
      kind: 'page',
      ...recovered,
      problems: isUnexplained ? problemsOf(block, bytes, presentBytes) : problems,
    };
  }

  /** The page of block `home` that is in the place of another one; undefined if it is not there. */
  async recoverFrom(place: number, home: number): Promise<PageFound | undefined> {
    const found = await this.recover(place, false);
    const { page } = this.#reader;
    if (found.kind !== 'misplaced' || found.home !== home || page === undefined) return undefined;
    this.slots.clear();
    const { lostBytes, ...taken } = takeValid(page.page, this.slots);
    return { kind: 'page', ...taken, lostBytes, problems: [] };
  }
}

/** The block that a page belongs to, proved by its checksum, if that is another one and the page is else valid. */
function homeOfMisplaced({ error, page }: PageFacts): number | undefined {
  return error?.code === 'PAGE_MISPLACED' ? page.header.home : undefined;
}

interface DamagedBlock {
  /** Changed if the page can be repaired. */
  readonly bytes: Uint8Array;
  readonly block: number;
  /** The bytes of the block that the file has; the rest is zeros. */
  readonly presentBytes: number;
  /** Valid records, in ascending order. */
  readonly records: readonly CommitRecord[];
  /** Whether the last record belongs to the file header. */
  readonly isLastCommitted: boolean;
  /** Whether a record that took effect contains the last header of the page. */
  readonly isRecorded: boolean;
  readonly slots: SlotTable;
  readonly scratch: DirectoryScratch;
}

/** Finds the nodes of a page, whatever the damage. @returns undefined if it is not a page, or nothing is left of it */
export function recoverPage(damaged: DamagedBlock, validPage?: Page): RecoveredPage | undefined {
  const { bytes, presentBytes, slots, scratch, isRecorded } = damaged;
  slots.clear();
  // A valid page with a header in a record that is proved to be its last one is an older state of itself.
  const newest = validPage && isRecorded ? takeRecorded(damaged) : undefined;
  if (newest) return newest;
  const valid = validPage && takeValid(validPage, slots);
  if (valid?.lostBytes === 0) return valid;
  const page = validPage ?? decodePage(bytes, scratch);
  const { version } = PAGE_HEADER.read(bytes);
  const format = pageFormatOf(bytes) ?? (['v1', 'v2'] as const).find((each) => PAGE_VERSION[each] === version);
  const formats: readonly PageFormat[] = format === undefined ? ['v1', 'v2'] : [format];
  const found = format === 'v1' ? undefined : findV2Directory(bytes, presentBytes);
  // Without a directory the nodes are lost, unless one can be found.
  if (valid) return takeDirectory(damaged, formats, found) ?? valid;
  return (
    restoreValid(damaged, formats, found) ??
    (page && (takeFlippedBit(page, damaged) ?? takeDamaged(page, damaged, found))) ??
    takeDirectory(damaged, formats, found)
  );
}

function takeValid(page: Page, slots: SlotTable): RecoveredPage {
  const { format, block, header, directory } = page;
  const state = checksumState(format, block, header, directory);
  const covered = state === 'match' ? directory.count : state === 'stale' ? header.checksumNodeCount : 0;
  slots.fillFrom(directory, 'sound', covered, 'unverified');
  return { format, basis: 'header', isValid: true, lostBytes: orphanedBytes(page) };
}

/** Makes the page valid, with another header or repaired slots, if its checksum proves it. */
function restoreValid(
  damaged: DamagedBlock,
  formats: readonly PageFormat[],
  found: FoundDirectory | undefined,
): RecoveredPage | undefined {
  const { bytes, block, presentBytes, slots } = damaged;
  // With zeros or a link in place of the magic, the page may have been freed.
  const mayBeFree = isZero(bytes.subarray(0, 5));
  const restore = (basis: PageBasis, among = formats, directory = found): RecoveredPage | undefined => {
    const page = restorePageHeader(bytes, block, among, directory);
    return page && takeRestored(page, basis, mayBeFree ? 'doubtful' : 'sound', slots);
  };
  // The header in the record may be older, but proves that the block is a page.
  const whole = mayBeFree
    ? (takeRecorded(damaged) ?? restore('new header'))
    : (restore('new header') ?? takeRecorded(damaged));
  if (whole || !formats.includes('v1') || presentBytes < BLOCK_BYTES) return whole;
  const undo = writeV1Slots(bytes, slots);
  const reslotted = undo && restore('directory', ['v1'], undefined);
  if (!reslotted) undo?.();
  return reslotted;
}

function takeRecorded(damaged: DamagedBlock): RecoveredPage | undefined {
  const { bytes, block, records, isLastCommitted, isRecorded, slots } = damaged;
  const record = records.findLast((each) => each.block === block);
  if (record?.kind !== COMMIT_KIND.pageHeader) return undefined;
  const page = validPageWithHeader(bytes, block, record.blockHead);
  if (page === undefined) return undefined;
  // Without its file header it is unknown whether the record was acknowledged.
  const isCommitted = isRecorded || record !== records.at(-1) || isLastCommitted;
  return takeRestored(page, 'commit record', isCommitted && !mayHaveUncountedNodes(page) ? 'sound' : 'doubtful', slots);
}

function takeRestored(page: Page, basis: PageBasis, state: SlotState, slots: SlotTable): RecoveredPage {
  slots.fillFrom(page.directory, state);
  return { format: page.format, basis, isValid: true, lostBytes: 0 };
}

function takeFlippedBit(damaged: Page, { block, slots, scratch }: DamagedBlock): RecoveredPage | undefined {
  const repaired = repairPageBit(new PageFacts(damaged, block), scratch);
  if (!repaired) return undefined;
  const { page, bit, checksum, explainsMore } = repaired;
  const covered = checksum === 'match' ? page.directory.count : page.header.checksumNodeCount;
  slots.fillFrom(page.directory, explainsMore ? 'sound' : 'mended', covered, 'doubtful');
  const flippedBit = { offset: fileOffset(block, bit >> 3), bit: bit & 7 };
  return { format: page.format, basis: 'flipped bit', isValid: true, lostBytes: 0, flippedBit };
}

function takeDamaged(
  page: Page,
  { presentBytes, slots }: DamagedBlock,
  found: FoundDirectory | undefined,
): RecoveredPage | undefined {
  findDamagedSlots(page, presentBytes, found, slots);
  if (slots.count === 0 && usedBytes(page.block) > 0) return undefined;
  return { format: page.format, basis: 'header', isValid: false, lostBytes: lostNodeBytes(page, slots) };
}

/** Bytes of the node area outside all recovered slots, if slots are lost. */
function lostNodeBytes({ header }: Page, slots: SlotTable): number {
  if (slots.counts().lost === 0 || header.freeOffset > BLOCK_BYTES) return 0;
  let bytes = header.freeOffset - NODE_AREA_OFFSET;
  for (let slot = 0; slot < slots.count; slot++) bytes -= slots.nodeBytes(slot);
  return Math.max(0, bytes);
}

/** The nodes of a page with a useless header, found by its directory. */
function takeDirectory(
  { bytes, presentBytes, slots }: DamagedBlock,
  formats: readonly PageFormat[],
  found: FoundDirectory | undefined,
): RecoveredPage | undefined {
  const common = { basis: 'directory', isValid: false, lostBytes: 0 } as const;
  if (formats.includes('v1') && presentBytes === BLOCK_BYTES) {
    findV1Slots(bytes, {}, slots);
    if (slots.count > 0 && slots.count >= (found?.count ?? 0)) return { format: 'v1', ...common };
  }
  slots.clear();
  if (!found) return undefined;
  takeV2Pairs(bytes, found, slots);
  return { format: 'v2', ...common };
}

/** The bytes up to the last that is not zero: nodes had at most as many. */
function usedBytes(bytes: Uint8Array): number {
  return Math.max(0, bytes.findLastIndex((byte) => byte !== 0) + 1 - NODE_AREA_OFFSET);
}

function lostWriteOf(block: number, bytes: Uint8Array, records: readonly CommitRecord[]): Problem[] {
  const recorded = records.findLast((record) => record.block === block)?.digest?.commit;
  return recorded === undefined ? [] : [lostWriteProblem(block, commitOf(bytes), recorded)];
}

function problemsOf(block: number, bytes: Uint8Array, presentBytes: number): BlockProblem[] {
  const page = decodePage(bytes);
  const problems: BlockProblem[] = presentBytes < BLOCK_BYTES ? [cutProblem(block, presentBytes)] : [];
  if (page) return [...problems, ...tallyProblems(pageProblems(page, block))];
  const message = `block ${block} begins with ${hex(firstU64(bytes), 16)}, which is not the magic of a page`;
  return [...problems, { code: 'PAGE_MAGIC', count: 1, message }];
}

function cutProblem(block: number, presentBytes: number): BlockProblem {
  const message = `the file ends ${counted(presentBytes, 'byte')} into block ${block}: it has been cut at byte ${fileOffset(block, presentBytes)}`;
  return { code: 'FILE_SIZE', count: 1, message };
}
