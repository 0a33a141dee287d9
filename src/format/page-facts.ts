import { counted } from '../bytes/decimal.ts';
import type { SlotScan } from './directory.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from './layout.ts';
import { orphanedBytes, type Page } from './page.ts';
import { type ChecksumState, checksumState } from './page-checksum.ts';
import { PAGE_FLAG, type PageFormat, type PageHeader } from './page-header.ts';

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
