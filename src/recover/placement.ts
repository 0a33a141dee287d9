import { BLOCK_BYTES } from '../format/layout.ts';
import type { PageFormat } from '../format/page-header.ts';
import { maxNodeBytes } from '../format/page.ts';
import type { SlotTable } from '../salvage/page-slots.ts';
import type { PageFileBuilder } from '../store/page-file-builder.ts';
import type { MovedRun } from './report.ts';

/**
 * At most so many bytes of nodes of one page are moved to other pages. Overlapping slots can contain the same bytes 100,000
 * times, and one page must not fill a disk.
 */
const MAX_MOVED_BYTES = BLOCK_BYTES;

/**
 * Adds the nodes of a page to a new one, each in its slot, with an empty node in place of one that is lost or does not fit.
 * Nodes that are too long to be moved become lost.
 * @param add - adds `bytes[start, end)`, or returns false if it does not fit
 * @returns the slots of the nodes that did not fit, in ascending order
 */
export function* placeNodes(
  bytes: Uint8Array,
  format: PageFormat,
  slots: SlotTable,
  add: (bytes: Uint8Array, start: number, end: number) => boolean,
): Generator<number> {
  const longest = maxNodeBytes(format);
  let movedBytes = 0;
  let isFull = false;
  for (let slot = 0; slot < slots.count; slot++) {
    if (!slots.isLost(slot)) {
      const start = slots.nodeOffset(slot);
      const nodeBytes = slots.nodeBytes(slot);
      if (!isFull && add(bytes, start, start + nodeBytes)) continue;
      if (nodeBytes <= longest && movedBytes + nodeBytes <= MAX_MOVED_BYTES) {
        movedBytes += nodeBytes;
        yield slot;
      } else {
        slots.lose(slot);
      }
    }
    isFull ||= !add(bytes, 0, 0);
  }
}

/** Writes nodes that cannot keep their refs to pages after all others, and reports their new refs. */
export class MovedNodes {
  readonly #builder: PageFileBuilder;
  readonly #onMoved: (run: MovedRun) => void | Promise<void>;
  #firstBlock: number;
  #format: PageFormat | undefined;
  #run: { block: number; slot: number; newBlock: number; newSlot: number; count: number } | undefined;

  /** @param firstBlock - the block of the first of these pages */
  constructor(builder: PageFileBuilder, firstBlock: number, onMoved: (run: MovedRun) => void | Promise<void>) {
    this.#builder = builder;
    this.#firstBlock = firstBlock;
    this.#onMoved = onMoved;
  }

  /** Adds the node `bytes[start, start + nodeBytes)`, which fits in an empty page of this format. */
  async add(
    block: number,
    slot: number,
    format: PageFormat,
    bytes: Uint8Array,
    start: number,
    nodeBytes: number,
  ): Promise<void> {
    if (this.#format !== format || !this.#builder.add(bytes, start, start + nodeBytes)) {
      await this.#endPage();
      await this.#builder.beginPage(format, Math.max(this.#firstBlock, this.#builder.block));
      this.#format = format;
      this.#builder.add(bytes, start, start + nodeBytes);
    }
    const [newBlock, newSlot] = [this.#builder.block, this.#builder.slotCount - 1];
    const run = this.#run;
    const goesOn = run?.block === block && run.slot + run.count === slot && run.newBlock === newBlock;
    if (run && goesOn) {
      run.count++;
    } else {
      await this.#endRun();
      this.#run = { block, slot, newBlock, newSlot, count: 1 };
    }
  }

  async end(): Promise<void> {
    await this.#endRun();
    await this.#endPage();
  }

  async #endRun(): Promise<void> {
    if (this.#run) await this.#onMoved(this.#run);
    this.#run = undefined;
  }

  async #endPage(): Promise<void> {
    if (this.#format !== undefined) await this.#builder.endPage(false);
    this.#format = undefined;
  }
}
