import type { BlockKind, BlockReport } from './recovery-report.ts';
import { noSlots, SLOT_STATES } from './slot-table.ts';

/** A report of a block of which nothing more is to be said than these fields do. */
export function reportOf(block: number, kind: BlockKind, fields: Partial<BlockReport> = {}): BlockReport {
  return {
    block,
    kind,
    slots: noSlots(),
    runs: () => [],
    lostBytes: 0,
    movedNodes: 0,
    isSealed: false,
    problems: [],
    ...fields,
  };
}

/** What the reports of all blocks come to. */
export class RecoveryTotals {
  readonly slots: ReturnType<typeof noSlots> = noSlots();
  pages = 0;
  intactPages = 0;
  freeBlocks = 0;
  unwrittenBlocks = 0;
  lostBlocks = 0;
  unreservedBlocks = 0;
  uncountedBlocks = 0;
  lostBytes = 0;
  movedNodes = 0;

  add(report: BlockReport): void {
    const { kind, slots, lostBytes, movedNodes, isSealed, basis, note } = report;
    for (const state of SLOT_STATES) this.slots[state] += slots[state];
    this.lostBytes += lostBytes;
    this.movedNodes += movedNodes;
    if (kind === 'page') this.pages++;
    if (kind === 'page' && !isSealed && basis === 'header' && lostBytes === 0 && note === undefined) this.intactPages++;
    if (kind === 'free') this.freeBlocks++;
    if (kind === 'unwritten') this.unwrittenBlocks++;
    if (kind === 'unknown') this.lostBlocks++;
    if (kind === 'uncounted') this.uncountedBlocks++;
  }

  /** Nodes that were taken. */
  get nodes(): number {
    const { sound, mended, unverified, doubtful } = this.slots;
    return sound + mended + unverified + doubtful;
  }

  /** Whether every node was taken, is at its ref, and has nothing against it. */
  get isWhole(): boolean {
    const { mended, doubtful, lost } = this.slots;
    return mended + doubtful + lost + this.movedNodes + this.lostBlocks + this.lostBytes === 0;
  }
}
