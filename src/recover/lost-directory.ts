import { readVarint, varintBytesFrom } from '../bytes/varint.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES } from '../format/layout.ts';
import { newPageHeader } from '../format/page-header.ts';
import { DirectoryScratch, V2Directory } from '../format/page-v2.ts';
import type { SlotTable } from './slot-table.ts';

/** A V2 directory that was found without its header. */
export interface FoundDirectory {
  readonly start: number;
  readonly end: number;
  readonly count: number;
  /** Where the nodes end. */
  readonly nodesEnd: number;
}

/** Fewer pairs in a row than this may stand in any bytes, where they do not end at the directory itself. */
const MIN_PAIRS = 4;

/** How many pairs are read in all before the search gives up, so that no bytes can make it long. */
const MAX_PAIRS_READ = 2 * BLOCK_BYTES;

/**
 * Looks for a V2 directory by what writers do: nodes stand end to end from byte 64 on, so a stream of pairs begins with
 * 64, and each offset is the end of the node before. Straight behind its nodes, a directory ends where the nodes reach
 * its own first byte; elsewhere the longest such stream is taken.
 * @param presentBytes - how much of the block is there
 */
export function findV2Directory(block: Uint8Array, presentBytes: number = BLOCK_BYTES): FoundDirectory | undefined {
  let longest: FoundDirectory | undefined;
  let pairsRead = 0;
  for (let start = block.indexOf(NODE_AREA_OFFSET, NODE_AREA_OFFSET); start >= 0 && start < presentBytes;) {
    const found = pairsFrom(block, start, presentBytes);
    pairsRead += found.count + 1;
    if (pairsRead > MAX_PAIRS_READ) break;
    if (found.count > 0 && found.nodesEnd === start) return found;
    if (found.count >= MIN_PAIRS && found.count > (longest?.count ?? 0)) longest = found;
    start = block.indexOf(NODE_AREA_OFFSET, start + 1);
  }
  return longest;
}

/** The pairs from `start` on that continue each other, with all nodes before `start`. */
function pairsFrom(block: Uint8Array, start: number, presentBytes: number): FoundDirectory {
  let at = start;
  let count = 0;
  let nodesEnd = NODE_AREA_OFFSET;
  while (readVarint(block, at, presentBytes) === nodesEnd) {
    const lengthAt = at + varintBytesFrom(block[at] as number); // readVarint found the byte
    const nodeBytes = readVarint(block, lengthAt, presentBytes);
    if (nodeBytes < 0 || nodesEnd + nodeBytes > start) break;
    nodesEnd += nodeBytes;
    at = lengthAt + varintBytesFrom(block[lengthAt] as number); // readVarint found the byte
    count++;
  }
  return { start, end: at, count, nodesEnd };
}

/** Takes the nodes of a V2 directory that was found; they are doubtful. */
export function takeV2Pairs(block: Uint8Array, { start, count }: FoundDirectory, slots: SlotTable): void {
  const header = { ...newPageHeader('v2'), directoryStart: start, nodeCount: count };
  const directory = new V2Directory(block, header, new DirectoryScratch());
  slots.fillFrom(directory, 'doubtful');
}

/** What is known of the nodes of a V1 page, besides its slots. */
export interface V1Bounds {
  /** Slots; as many as continue each other, where it is not known. */
  readonly count?: number;
  /** Where the nodes end, if that is known. */
  readonly nodesEnd?: number;
  /** Whether a slot whose node is within bounds stays as it is, though its neighbours say something else. */
  readonly keepsBounded?: boolean;
}

/** A slot that says what its neighbours do not, and where these say its node is. */
export interface MendedSlot {
  readonly slot: number;
  readonly nodeOffset: number;
  readonly nodeBytes: number;
}

/**
 * Finds the nodes of a V1 page from its slots, which count down from the end of the block. Writers lay nodes end to end
 * from byte 64 on, so each slot says what its neighbours say as well: one that does not fit between them is put right.
 * @param slots - gets the slots, doubtful or lost
 * @returns the slots that were put right
 */
export function findV1Slots(block: Uint8Array, bounds: V1Bounds, slots: SlotTable): MendedSlot[] {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const offsetOf = (slot: number): number => view.getUint32(BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1), true);
  const bytesOf = (slot: number): number => view.getUint32(BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1) + 4, true);
  const { count } = bounds;
  const mended: MendedSlot[] = [];
  let end = NODE_AREA_OFFSET;
  slots.clear();
  for (let slot = 0; slot < (count ?? V1_MAX_SLOTS); slot++) {
    const limit = BLOCK_BYTES - V1_SLOT_BYTES * (count ?? slot + 1);
    if (end > limit) break;
    const [nodeOffset, nodeBytes] = [offsetOf(slot), bytesOf(slot)];
    if (nodeOffset === end && end + nodeBytes <= limit) {
      slots.add(nodeOffset, nodeBytes, 'doubtful');
      end += nodeBytes;
      continue;
    }
    const isBounded = nodeOffset >= NODE_AREA_OFFSET && nodeOffset + nodeBytes <= limit;
    const next = bounds.keepsBounded === true && isBounded ? undefined : nextOffset(slot, end, limit);
    if (next !== undefined) {
      slots.add(end, next - end, 'doubtful');
      mended.push({ slot, nodeOffset: end, nodeBytes: next - end });
      end = next;
    } else if (count === undefined) {
      break;
    } else if (isBounded) {
      slots.add(nodeOffset, nodeBytes, 'doubtful');
      end = Math.max(end, nodeOffset + nodeBytes);
    } else {
      slots.add(0, 0, 'lost');
    }
  }
  return mended;

  /** Where the slot behind `slot` begins, if that one is right by what it says and the one behind it. */
  function nextOffset(slot: number, from: number, limit: number): number | undefined {
    if (slot + 1 === count) {
      const { nodesEnd = 0 } = bounds;
      return nodesEnd >= from && nodesEnd <= limit ? nodesEnd : undefined;
    }
    if (limit - 2 * V1_SLOT_BYTES < from) return undefined;
    const next = offsetOf(slot + 1);
    const nextEnd = next + bytesOf(slot + 1);
    const isNextRight = slot + 2 === count ? nextEnd === bounds.nodesEnd : offsetOf(slot + 2) === nextEnd;
    return next >= from && nextEnd <= limit && isNextRight ? next : undefined;
  }
}
