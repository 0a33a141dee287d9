import type { CommitRecord } from '../format/commit-record.ts';
import { COMMIT_KIND } from '../format/commit-record.ts';
import type { FlippedBit } from '../format/problem.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET } from '../format/layout.ts';
import { decodePage, orphanedBytes, type Page } from '../format/page.ts';
import { checksumState } from '../format/page-checksum.ts';
import { PAGE_HEADER, PAGE_VERSION, type PageFormat, pageFormatOf } from '../format/page-header.ts';
import { firstPageError } from '../format/page-checks.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { mayHaveMoreNodes, soundPageUnder } from '../format/commit-record.ts';
import { findDamagedSlots } from '../salvage/lost-directory.ts';
import { findV1Slots, findV2Directory, type FoundDirectory, takeV2Pairs } from '../salvage/lost-directory.ts';
import { mendFlippedBit } from '../salvage/flipped-page-bit.ts';
import { restoreHead } from '../salvage/page-head.ts';
import { writeV1Slots } from '../salvage/lost-directory.ts';
import type { PageBasis } from './recovery-report.ts';
import type { SlotState, SlotTable } from '../salvage/slot-table.ts';

/** What can be taken of a page. */
export interface PageFate {
  readonly format: PageFormat;
  readonly basis: PageBasis;
  /** Whether the block, as it is now, is a page without error that can be copied; else its nodes go into a new one. */
  readonly isSound: boolean;
  readonly lostBytes: number;
  readonly flippedBit?: FlippedBit;
}

/** What is known of a block besides its bytes. */
export interface BlockFacts {
  readonly block: number;
  /** How much of the block is there; zeros stand for the rest. */
  readonly presentBytes: number;
  /** Commit records that verify, in ascending order. */
  readonly records: readonly CommitRecord[];
  /** Whether the last of these is that of the file header. */
  readonly lastIsCommitted: boolean;
  /** Whether a record that took effect for sure says what page the block was last. */
  readonly isRecorded: boolean;
}

/** Finds the nodes of pages, one page after the other, as damaged as they may be. */
export class PageRecovery {
  readonly #scratch = new DirectoryScratch();

  /** The page in `bytes`, if it is one and has no error. Valid until another page is looked at. */
  soundPage(bytes: Uint8Array, block: number): Page | undefined {
    const page = decodePage(bytes, this.#scratch);
    return page && firstPageError(page, block) === undefined ? page : undefined;
  }

  /**
   * Finds the nodes of the page in `bytes`.
   * @param bytes - 262,144; where the page can be made sound they are changed
   * @param slots - gets the slots
   * @param soundPage - what {@link soundPage} gives for the bytes
   * @returns undefined for what is no page, or one of which nothing is left
   */
  recover(bytes: Uint8Array, facts: BlockFacts, slots: SlotTable, soundPage?: Page): PageFate | undefined {
    slots.clear();
    const page = soundPage ?? decodePage(bytes, this.#scratch);
    if (page && page === soundPage) {
      const fate = takeSound(page, slots);
      // Node bytes without a directory that can be found again are a loss; the others are none.
      return fate.lostBytes === 0 ? fate : (this.#takeDirectory(bytes, facts, [page.format], slots) ?? fate);
    }
    const { formats, found } = look(bytes, facts);
    return (
      restoreSound(bytes, facts, formats, found, slots) ??
      (page ? this.#takeFlippedBit(page, facts, slots) : undefined) ??
      (page ? this.#takeDamaged(page, facts, found, slots) : undefined) ??
      this.#takeDirectory(bytes, facts, formats, slots)
    );
  }

  #takeFlippedBit(page: Page, { block }: BlockFacts, slots: SlotTable): PageFate | undefined {
    const mended = mendFlippedBit(page, block, this.#scratch);
    if (!mended) return undefined;
    const { page: sound, coveredSlots, isProven } = mended;
    slots.fillFrom(sound.directory, isProven ? 'sound' : 'mended', coveredSlots, 'doubtful');
    const { format } = page;
    return { format, basis: 'flipped bit', isSound: true, lostBytes: 0, flippedBit: mended.flippedBit };
  }

  /** The nodes whose own bounds hold. */
  #takeDamaged(
    page: Page,
    { presentBytes }: BlockFacts,
    found: FoundDirectory | undefined,
    slots: SlotTable,
  ): PageFate | undefined {
    findDamagedSlots(page, presentBytes, found, slots);
    if (slots.count === 0 && usedBytes(page.block) > 0) return undefined;
    return { format: page.format, basis: 'header', isSound: false, lostBytes: lostNodeBytes(page, slots) };
  }

  /** The nodes of a page whose header says nothing, by its directory. */
  #takeDirectory(
    bytes: Uint8Array,
    { presentBytes }: BlockFacts,
    formats: readonly PageFormat[],
    slots: SlotTable,
  ): PageFate | undefined {
    const common = { basis: 'directory', isSound: false, lostBytes: 0 } as const;
    const found = formats.includes('v2') ? findV2Directory(bytes, presentBytes) : undefined;
    if (formats.includes('v1') && presentBytes === BLOCK_BYTES) {
      findV1Slots(bytes, {}, slots);
      if (slots.count > 0 && slots.count >= (found?.count ?? 0)) return { ...common, format: 'v1' };
    }
    slots.clear();
    if (!found) return undefined;
    takeV2Pairs(bytes, found, slots);
    return { ...common, format: 'v2' };
  }
}

/** A page without error, as it stands. */
function takeSound(page: Page, slots: SlotTable): PageFate {
  const { format, block, header, directory } = page;
  const state = checksumState(format, block, header, directory);
  const vouchedFor = state === 'match' ? directory.count : state === 'stale' ? header.checksumNodeCount : 0;
  slots.fillFrom(directory, 'sound', vouchedFor, 'unverified');
  return { format, basis: 'header', isSound: true, lostBytes: orphanedBytes(page) };
}

/** How many bytes of the node area no slot that was taken speaks of, where slots are lost. */
function lostNodeBytes({ header }: Page, slots: SlotTable): number {
  if (slots.counts().lost === 0 || header.freeOffset > BLOCK_BYTES) return 0;
  let bytes = header.freeOffset - NODE_AREA_OFFSET;
  for (let slot = 0; slot < slots.count; slot++) bytes -= slots.nodeBytes(slot);
  return Math.max(0, bytes);
}

/** The formats that a block may be a page of, and its V2 directory where it may have been lost. */
function look(bytes: Uint8Array, facts: BlockFacts): { formats: PageFormat[]; found: FoundDirectory | undefined } {
  const format = pageFormatOf(bytes);
  const { version } = PAGE_HEADER.read(bytes);
  const named: PageFormat | undefined =
    format ?? (['v1', 'v2'] as const).find((each) => PAGE_VERSION[each] === version);
  const formats: PageFormat[] = named === undefined ? ['v1', 'v2'] : [named];
  const found = named === 'v1' ? undefined : findV2Directory(bytes, facts.presentBytes);
  return { formats, found };
}

/** Makes the page sound by its checksum: under a header from a commit record or from other fields, or with slots as their neighbours say. */
function restoreSound(
  bytes: Uint8Array,
  facts: BlockFacts,
  formats: readonly PageFormat[],
  found: FoundDirectory | undefined,
  slots: SlotTable,
): PageFate | undefined {
  const sound = (page: Page, basis: PageBasis, state: SlotState): PageFate => {
    slots.fillFrom(page.directory, state);
    return { format: page.format, basis, isSound: true, lostBytes: 0 };
  };
  // With nothing but zeros, or a link, where the magic should be, the page may have been freed.
  const mayBeFree = bytes.subarray(0, 5).every((byte) => byte === 0);
  const committed = (): PageFate | undefined => {
    const under = underRecord(bytes, facts);
    return under && sound(under.page, 'commit record', under.state);
  };
  const restored = (): PageFate | undefined => {
    const page = restoreHead(bytes, facts.block, formats, found);
    return page && sound(page, 'new header', mayBeFree ? 'doubtful' : 'sound');
  };
  // The record may have an older header than the page had; but it says that the page is one.
  const whole = mayBeFree ? (committed() ?? restored()) : (restored() ?? committed());
  if (whole) return whole;
  if (!formats.includes('v1') || facts.presentBytes < BLOCK_BYTES) return undefined;
  const undo = writeV1Slots(bytes, slots);
  if (!undo) return undefined;
  const reslotted = restoreHead(bytes, facts.block, ['v1'], undefined);
  if (reslotted) return sound(reslotted, 'directory', mayBeFree ? 'doubtful' : 'sound');
  undo();
  return undefined;
}

/** The page under the last header that a commit record has for it. */
function underRecord(
  bytes: Uint8Array,
  { block, records, lastIsCommitted, isRecorded }: BlockFacts,
): { page: Page; state: SlotState } | undefined {
  const record = records.findLast((each) => each.block === block);
  if (block < 1 || record?.kind !== COMMIT_KIND.pageHeader) return undefined;
  const page = soundPageUnder(bytes, block, record.blockHead);
  // Without its file header nobody can tell whether the record was ever acknowledged.
  const isCommitted = (isRecorded || record !== records.at(-1) || lastIsCommitted) && page && !mayHaveMoreNodes(page);
  return page && { page, state: isCommitted ? 'sound' : 'doubtful' };
}

/** Bytes of a block behind its first 64 up to the last that is not zero: what there may have been of nodes. */
export function usedBytes(bytes: Uint8Array): number {
  return Math.max(0, bytes.findLastIndex((byte) => byte !== 0) + 1 - NODE_AREA_OFFSET);
}
