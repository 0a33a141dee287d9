import type { SlotDirectory } from '../format/directory.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from '../format/layout.ts';
import type { Page } from '../format/page.ts';
import { checksumState } from '../format/page-checksum.ts';
import { PAGE_FLAG } from '../format/page-header.ts';
import { findV1Slots, type FoundDirectory, takeV2Pairs } from './lost-directory.ts';
import type { SlotTable } from './slot-table.ts';

/**
 * Finds the nodes of a page with errors whose own bounds hold; they are doubtful.
 * @param found - the V2 directory that was found without the header
 * @param slots - gets the slots
 */
export function findDamagedSlots(
  page: Page,
  presentBytes: number,
  found: FoundDirectory | undefined,
  slots: SlotTable,
): void {
  const { format, block, header, directory } = page;
  // What its checksum vouches for, somebody wrote so, nodes that overlap included.
  const isAsWritten =
    directory.count === header.nodeCount && checksumState(format, block, header, directory) === 'match';
  if (isAsWritten) takeBounded(page, Math.min(header.directoryStart, presentBytes), slots);
  else if (format === 'v1') findV1(page, presentBytes, slots);
  else findV2(page, presentBytes, found, slots);
}

function findV1(page: Page, presentBytes: number, slots: SlotTable): void {
  const { block, header } = page;
  if (presentBytes < BLOCK_BYTES) {
    // Without its end the page has no slots any more: nodes are there, and nobody knows where one ends.
    slots.clear();
    slots.addLost(Math.min(header.nodeCount, V1_MAX_SLOTS));
    return;
  }
  findV1Slots(block, {}, slots);
  const count = v1Count(page, slots.count);
  const start = BLOCK_BYTES - V1_SLOT_BYTES * count;
  const { freeOffset } = header;
  const isPlausible = freeOffset >= NODE_AREA_OFFSET && freeOffset <= start;
  findV1Slots(block, { count, keepsBounded: true, ...(isPlausible ? { nodesEnd: freeOffset } : {}) }, slots);
}

/** How many slots a V1 page has, by what two of those say who know it; else by the slots themselves. */
function v1Count({ header }: Page, walked: number): number {
  const byStart = (BLOCK_BYTES - header.directoryStart) / V1_SLOT_BYTES;
  const said = [header.nodeCount, byStart, header.checksumNodeCount, walked];
  const agreed = said.find((count, index) => said.indexOf(count, index + 1) >= 0);
  return agreed !== undefined && agreed > 0 && agreed <= V1_MAX_SLOTS ? agreed : walked;
}

function findV2(page: Page, presentBytes: number, found: FoundDirectory | undefined, slots: SlotTable): void {
  const { header, directory } = page;
  const limit = Math.min(directory.start, presentBytes);
  // Where bytes have been moved, the header leads to the middle of pairs, and these can end where they should by chance.
  const isElsewhere = found !== undefined && found.start !== directory.start && found.count >= directory.count;
  if (isInStep(page) && !isElsewhere) {
    takeBounded(page, limit, slots);
    return;
  }
  const inOrder = slotsInOrder(directory, limit);
  if (found && found.count > inOrder) {
    takeV2Pairs(page.block, found, slots);
  } else {
    slots.clear();
    for (let slot = 0; slot < inOrder; slot++) {
      slots.add(directory.nodeOffset(slot), directory.nodeBytes(slot), 'doubtful');
    }
  }
  const said = [header.nodeCount, header.checksumNodeCount].find((count) => count > 0 && count <= V2_MAX_SLOTS) ?? 0;
  slots.addLost(Math.max(0, said - slots.count));
}

/** Whether a V2 directory that is damaged ends where it should: then each of its pairs is where it was. */
function isInStep({ header, directory }: Page): boolean {
  if (directory.count === 0 || directory.count < header.nodeCount) return false;
  if ((header.flags & PAGE_FLAG.hasChecksum) !== 0) return header.directoryLength === directory.end - directory.start;
  const last = directory.count - 1;
  return directory.nodeOffset(last) + directory.nodeBytes(last) === header.freeOffset;
}

/** How many slots there are before the first that cannot follow the one before it: behind that the stream says nothing. */
function slotsInOrder(directory: SlotDirectory, limit: number): number {
  let end = NODE_AREA_OFFSET;
  for (let slot = 0; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    // Nodes leave a gap where an older directory was in the way; the next pair then tells that this one is right.
    const isStep = offset > end && slot + 1 < directory.count && directory.nodeOffset(slot + 1) === offset + bytes;
    if ((offset !== end && !isStep) || offset + bytes > limit) return slot;
    end = offset + bytes;
  }
  return directory.count;
}

function takeBounded({ directory }: Page, limit: number, slots: SlotTable): void {
  slots.clear();
  for (let slot = 0; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if (offset >= NODE_AREA_OFFSET && offset + bytes <= limit) slots.add(offset, bytes, 'doubtful');
    else slots.add(0, 0, 'lost');
  }
}
