import { BLOCK_BYTES, V1_MAX_SLOTS, V1_SLOT_BYTES } from '../format/layout.ts';
import { PAGE_HEADER } from '../format/page-header.ts';
import { findV1Slots } from './lost-directory.ts';
import type { SlotTable } from './slot-table.ts';

/** With more slots than these to put right, it is no single place that is damaged. */
const MAX_MENDED_SLOTS = 64;

/**
 * Writes the slots of a V1 page that do not fit between their neighbours as these say they are.
 * @param slots - used on the way
 * @returns what takes the change back; undefined where there is nothing to write
 */
export function writeV1Slots(block: Uint8Array, slots: SlotTable): (() => void) | undefined {
  const { nodeCount, freeOffset } = PAGE_HEADER.read(block);
  const bounds = nodeCount > 0 && nodeCount <= V1_MAX_SLOTS ? { count: nodeCount, nodesEnd: freeOffset } : {};
  const mended = findV1Slots(block, bounds, slots);
  if (mended.length === 0 || mended.length > MAX_MENDED_SLOTS) return undefined;
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const before: [at: number, bytes: bigint][] = [];
  for (const { slot, nodeOffset, nodeBytes } of mended) {
    const at = BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1);
    before.push([at, view.getBigUint64(at, true)]);
    view.setUint32(at, nodeOffset, true);
    view.setUint32(at + 4, nodeBytes, true);
  }
  return () => {
    for (const [at, bytes] of before) view.setBigUint64(at, bytes, true);
  };
}
