import { BLOCK_BYTES } from '../format/layout.ts';
import { maxNodeBytes } from '../format/page.ts';
import type { PageFormat } from '../format/page-header.ts';
import type { SlotTable } from './slot-table.ts';

/**
 * Most bytes of nodes of one page that go to other pages. Slots that overlap can name the same bytes 100,000 times, and
 * what one page gives must not fill a disk.
 */
const MAX_MOVED_BYTES = BLOCK_BYTES;

/**
 * Puts the nodes of a page into a new one, each in its slot; an empty node takes the place of one that is lost or has no
 * room. Those beyond all bounds become lost.
 * @param add - adds `bytes[start, end)`, or returns false where it has no room
 * @returns the slots of the nodes that had no room, in ascending order
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
