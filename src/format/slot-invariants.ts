import { counted } from '../bytes/decimal.ts';
import { NO_PROBLEMS, type Problem } from './invariants.ts';
import { fileOffset, NODE_AREA_OFFSET, V1_SLOT_BYTES } from './layout.ts';
import type { PageFacts } from './page-facts.ts';

/** More than any slot number, so that an offset and a slot make one number that sorts by offset. */
const SLOT_RADIX = 2 ** 20;

/** Nodes outside the node area, which the directory borders on. */
export function slotBoundsProblems(facts: PageFacts): Iterable<Problem> {
  return !facts.isBounded || facts.slots.firstOutside < 0 ? NO_PROBLEMS : outsideProblems(facts);
}

function* outsideProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
  const { directory, header } = page;
  const expected = `within ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
  for (let slot = facts.slots.firstOutside; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    if (offset >= NODE_AREA_OFFSET && offset + bytes <= header.freeOffset) continue;
    const message = `page ${blockId}, slot ${slot}: the node at ${offset} with ${counted(bytes, 'byte')} is outside the node area, ${NODE_AREA_OFFSET} to ${header.freeOffset}`;
    yield { code: 'SLOT_BOUNDS', ...slotPlace(facts, slot), found: `${offset}+${bytes}`, expected, message };
  }
}

/** Nodes that share bytes. */
export function slotOverlapProblems(facts: PageFacts): Iterable<Problem> {
  // Writers lay nodes out in the order of their slots; only where one did not is there something to sort.
  return !facts.isBounded || facts.slots.isAscending ? NO_PROBLEMS : overlapProblems(facts);
}

function* overlapProblems(facts: PageFacts): Generator<Problem> {
  const { blockId, page } = facts;
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
      const message = `page ${blockId}, slot ${slot}: the node at ${offset} overlaps that of slot ${endSlot}, which ends at ${end}`;
      const [found, expected] = [`${offset}+${bytes}`, `at or behind ${end}`];
      yield { code: 'SLOT_OVERLAP', ...slotPlace(facts, slot), found, expected, message };
    }
    if (offset + bytes > end) {
      end = offset + bytes;
      endSlot = slot;
    }
  }
}

/** Where the directory's entry for a slot is. */
function slotPlace(
  { blockId, page }: PageFacts,
  slot: number,
): Pick<Problem, 'severity' | 'block' | 'slot' | 'offset' | 'bytes'> {
  const { directory, format } = page;
  const entry = directory.entryOffset(slot);
  const next = slot + 1 < directory.count ? directory.entryOffset(slot + 1) : directory.end;
  const bytes = format === 'v1' ? V1_SLOT_BYTES : next - entry;
  return { severity: 'error', block: blockId, slot, offset: fileOffset(blockId, entry), bytes };
}
