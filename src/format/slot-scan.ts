import { NODE_AREA_OFFSET } from './layout.ts';
import type { Page } from './page.ts';

/** What one pass over the slots of a page tells. */
export interface SlotScan {
  /** The first slot whose node is not in the node area; -1 where all are. */
  readonly firstOutside: number;
  /** Whether the nodes are laid out in the order of their slots, so that none can overlap. */
  readonly isAscending: boolean;
}

/** Looks at each slot of a page whose header is within bounds, once. */
export function scanSlots({ directory, header }: Page): SlotScan {
  const { freeOffset } = header;
  let firstOutside = -1;
  let highest = NODE_AREA_OFFSET;
  let isAscending = true;
  for (let slot = 0; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if (firstOutside < 0 && (offset < NODE_AREA_OFFSET || offset + bytes > freeOffset)) firstOutside = slot;
    if (bytes > 0) {
      isAscending &&= offset >= highest;
      highest = offset + bytes;
    }
  }
  return { firstOutside, isAscending };
}
