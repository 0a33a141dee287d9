import type { Problem } from './invariants.ts';
import { fileOffset, NODE_AREA_OFFSET } from './layout.ts';
import type { Page } from './page.ts';

/** More than any slot number, so that an offset and a slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

/**
 * What is wrong with the slots of a page whose header is within bounds: nodes outside the node area, which
 * the directory borders on, and nodes that overlap.
 */
export function* slotProblems(page: Page, blockId: number): Generator<Problem> {
  const { directory, header } = page;
  let highest = NODE_AREA_OFFSET;
  let ascending = true;
  for (let slot = 0; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if (offset < NODE_AREA_OFFSET || offset + bytes > header.freeOffset) {
      yield {
        code: 'SLOT_BOUNDS',
        severity: 'error',
        block: blockId,
        slot,
        offset: fileOffset(blockId, directory.entryOffset(slot)),
        found: `${offset}+${bytes}`,
        expected: `within ${NODE_AREA_OFFSET} to ${header.freeOffset}`,
        message: `page ${blockId}, slot ${slot}: the node at ${offset} with ${bytes} bytes is outside the node area, ${NODE_AREA_OFFSET} to ${header.freeOffset}`,
      };
    }
    if (bytes > 0) {
      ascending &&= offset >= highest;
      highest = offset + bytes;
    }
  }
  // Writers lay nodes out in the order of their slots; only where one did not is there something to sort.
  if (!ascending) yield* overlaps(page, blockId);
}

function* overlaps(page: Page, blockId: number): Generator<Problem> {
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
      yield {
        code: 'SLOT_OVERLAP',
        severity: 'error',
        block: blockId,
        slot,
        offset: fileOffset(blockId, directory.entryOffset(slot)),
        found: `${offset}+${bytes}`,
        expected: `at or behind ${end}`,
        message: `page ${blockId}, slot ${slot}: the node at ${offset} overlaps that of slot ${endSlot}, which ends at ${end}`,
      };
    }
    if (offset + bytes > end) {
      end = offset + bytes;
      endSlot = slot;
    }
  }
}
