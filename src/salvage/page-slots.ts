import { readVarint, varintBytesFrom } from '../bytes/encodings.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from '../format/layout.ts';
import { checksumState, newPageHeader, PAGE_FLAG, PAGE_HEADER } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import { isLostEntry, type SlotDirectory } from '../format/slots.ts';
import { DirectoryScratch, V2Directory } from '../format/v2-directory.ts';

/**
 * The state of a slot in a damaged file. `sound`: a checksum proves the node. `mended`: it does with one bit flipped
 * back, by chance in 1 of 2,048 cases. `unverified`: the page has no error and no checksum. `doubtful`: the node is
 * within bounds, but its bytes are not proved. `lost`: there is no node.
 */
export type SlotState = 'sound' | 'mended' | 'unverified' | 'doubtful' | 'lost';

export const SLOT_STATES: readonly SlotState[] = ['sound', 'mended', 'unverified', 'doubtful', 'lost'];

export interface SlotRun {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  readonly state: SlotState;
}

export type SlotCounts = Readonly<Record<SlotState, number>>;

/** The state of each slot of a page, and the location of its node in the block. Reused for every page. */
export class SlotTable {
  #offsets: Uint32Array = new Uint32Array(1024);
  #bytes: Uint32Array = new Uint32Array(1024);
  #states: Uint8Array = new Uint8Array(1024);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  add(nodeOffset: number, nodeBytes: number, state: SlotState): void {
    if (this.#count === this.#states.length) this.#grow();
    this.#offsets[this.#count] = nodeOffset;
    this.#bytes[this.#count] = nodeBytes;
    this.#states[this.#count] = SLOT_STATES.indexOf(state);
    this.#count++;
  }

  addLost(slots: number): void {
    for (let slot = 0; slot < slots; slot++) this.add(0, 0, 'lost');
  }

  /** Replaces all slots: the first `count` of a directory get `state`, the rest `otherwise` or are left out. */
  fillFrom(directory: SlotDirectory, state: SlotState, count: number = directory.count, otherwise?: SlotState): void {
    this.clear();
    for (let slot = 0; slot < directory.count; slot++) {
      const slotState = slot < count ? state : otherwise;
      if (slotState === undefined) break;
      if (isLostEntry(directory, slot)) this.addLost(1);
      else this.add(directory.nodeOffset(slot), directory.nodeBytes(slot), slotState);
    }
  }

  nodeOffset(slot: number): number {
    return this.#offsets[slot] as number; // 0 <= slot < count, by contract
  }

  nodeBytes(slot: number): number {
    return this.#bytes[slot] as number; // 0 <= slot < count, by contract
  }

  isLost(slot: number): boolean {
    return this.#states[slot] === LOST;
  }

  lose(slot: number): void {
    this.#states[slot] = LOST;
  }

  /** Makes every slot doubtful except lost ones. */
  doubt(): void {
    for (let slot = 0; slot < this.#count; slot++) {
      if (this.#states[slot] !== LOST) this.#states[slot] = DOUBTFUL;
    }
  }

  counts(): Record<SlotState, number> {
    const counts = noSlots();
    for (const { from, to, state } of this.runs()) counts[state] += to - from + 1;
    return counts;
  }

  *runs(): Generator<SlotRun> {
    for (let from = 0; from < this.#count;) {
      const code = this.#states[from] as number; // from < count
      let to = from;
      while (to + 1 < this.#count && this.#states[to + 1] === code) to++;
      yield { from, to, state: SLOT_STATES[code] as SlotState };
      from = to + 1;
    }
  }

  #grow(): void {
    const slots = 2 * this.#states.length;
    const [offsets, bytes, states] = [new Uint32Array(slots), new Uint32Array(slots), new Uint8Array(slots)];
    offsets.set(this.#offsets);
    bytes.set(this.#bytes);
    states.set(this.#states);
    [this.#offsets, this.#bytes, this.#states] = [offsets, bytes, states];
  }
}

const LOST = SLOT_STATES.indexOf('lost');
const DOUBTFUL = SLOT_STATES.indexOf('doubtful');

export const noSlots = (): Record<SlotState, number> => ({ sound: 0, mended: 0, unverified: 0, doubtful: 0, lost: 0 });

export interface FoundDirectory {
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly nodesEnd: number;
}

/** Fewer pairs in a row may occur in any bytes, unless their nodes end exactly at the directory. */
const MIN_PAIRS = 4;

/** Bounds the time of the search on any input. */
const MAX_PAIRS_READ = 2 * BLOCK_BYTES;

/**
 * Finds a V2 directory by what writers do: nodes follow each other from byte 64 on, so each offset is the end of the
 * node before. Takes the first one that begins where its nodes end, otherwise the longest.
 */
export function findV2Directory(block: Uint8Array, presentBytes: number): FoundDirectory | undefined {
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

export function takeV2Pairs(block: Uint8Array, { start, count }: FoundDirectory, slots: SlotTable): void {
  const header = { ...newPageHeader('v2'), directoryStart: start, nodeCount: count };
  const directory = new V2Directory(block, header, new DirectoryScratch());
  slots.fillFrom(directory, 'doubtful');
}

/** What is known of the nodes of a V1 page besides its slots. */
export interface V1Bounds {
  /** If undefined, slots are read as long as each continues the one before. */
  readonly count?: number;
  readonly nodesEnd?: number;
  /** Whether to keep a slot within bounds that its neighbours contradict. */
  readonly keepsBounded?: boolean;
}

export interface RepairedSlot {
  readonly slot: number;
  readonly nodeOffset: number;
  readonly nodeBytes: number;
}

/** Finds the nodes of a V1 page. They follow each other from byte 64 on, so neighbours prove a damaged slot. */
export function findV1Slots(block: Uint8Array, bounds: V1Bounds, slots: SlotTable): RepairedSlot[] {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const offsetOf = (slot: number): number => view.getUint32(BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1), true);
  const bytesOf = (slot: number): number => view.getUint32(BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1) + 4, true);
  const { count } = bounds;
  const repaired: RepairedSlot[] = [];
  let end = NODE_AREA_OFFSET;
  // Whether `end` is where the slot before ends; if that slot is lost, the bytes that follow are of more than one node.
  let isEndKnown = true;
  slots.clear();
  for (let slot = 0; slot < (count ?? V1_MAX_SLOTS); slot++) {
    const limit = BLOCK_BYTES - V1_SLOT_BYTES * (count ?? slot + 1);
    if (end > limit) break;
    const [nodeOffset, nodeBytes] = [offsetOf(slot), bytesOf(slot)];
    if (nodeOffset === end && end + nodeBytes <= limit) {
      slots.add(nodeOffset, nodeBytes, 'doubtful');
      end += nodeBytes;
      isEndKnown = true;
      continue;
    }
    const isBounded = nodeOffset >= NODE_AREA_OFFSET && nodeOffset + nodeBytes <= limit;
    const isKept = bounds.keepsBounded === true && isBounded;
    const next = isKept || !isEndKnown ? undefined : nextOffset(slot, end, limit);
    const isMark = nodeOffset === 0 && nodeBytes === 0 && next === end;
    if (isMark && count !== undefined) {
      slots.addLost(1);
    } else if (next !== undefined) {
      slots.add(end, next - end, 'doubtful');
      repaired.push({ slot, nodeOffset: end, nodeBytes: next - end });
      end = next;
    } else if (count === undefined) {
      break;
    } else if (isBounded) {
      slots.add(nodeOffset, nodeBytes, 'doubtful');
      end = Math.max(end, nodeOffset + nodeBytes);
      isEndKnown = false;
    } else {
      slots.addLost(1);
      isEndKnown = false;
    }
  }
  return repaired;

  /** The node offset of the next slot, if the slot after it confirms it. */
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

/** Finds the nodes within bounds, as doubtful. */
export function findDamagedSlots(
  page: Page,
  presentBytes: number,
  found: FoundDirectory | undefined,
  slots: SlotTable,
): void {
  const { format, block, header, directory } = page;
  // If the checksum matches, the slots are as written, even if they overlap.
  const isAsWritten =
    directory.count === header.nodeCount && checksumState(format, block, header, directory) === 'match';
  if (isAsWritten) takeBounded(page, Math.min(header.directoryStart, presentBytes), slots);
  else if (format === 'v1') findV1(page, presentBytes, slots);
  else findV2(page, presentBytes, found, slots);
}

function findV1(page: Page, presentBytes: number, slots: SlotTable): void {
  const { block, header } = page;
  if (presentBytes < BLOCK_BYTES) {
    // The slots were in the part that is cut off, so no node has a known end.
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

/** The slot count that two header fields or the slots agree on; otherwise `walked`. */
function v1Count({ header }: Page, walked: number): number {
  const byStart = (BLOCK_BYTES - header.directoryStart) / V1_SLOT_BYTES;
  const counts = [header.nodeCount, byStart, header.checksumNodeCount, walked];
  const agreed = counts.find((count, index) => counts.indexOf(count, index + 1) >= 0);
  return agreed !== undefined && agreed > 0 && agreed <= V1_MAX_SLOTS ? agreed : walked;
}

function findV2(page: Page, presentBytes: number, found: FoundDirectory | undefined, slots: SlotTable): void {
  const { header, directory } = page;
  const limit = Math.min(directory.start, presentBytes);
  // If bytes moved, the header points into the middle of pairs, which can end at the right offset by chance.
  const isElsewhere = found !== undefined && found.start !== directory.start && found.count >= directory.count;
  if (isInStep(page) && !isElsewhere) {
    takeBounded(page, limit, slots);
    return;
  }
  const inOrder = slotsInOrder(directory, limit);
  if (found && found.count > inOrder) takeV2Pairs(page.block, found, slots);
  else slots.fillFrom(directory, 'doubtful', inOrder);
  const counts = [header.nodeCount, header.checksumNodeCount];
  slots.addLost((counts.find((count) => count > 0 && count <= V2_MAX_SLOTS) ?? 0) - slots.count);
}

/** A damaged V2 directory that ends at the right offset has all its pairs in step. */
function isInStep({ header, directory }: Page): boolean {
  if (directory.count === 0 || directory.count < header.nodeCount) return false;
  if ((header.flags & PAGE_FLAG.hasChecksum) !== 0) return header.directoryLength === directory.end - directory.start;
  const last = directory.count - 1;
  return directory.nodeOffset(last) + directory.nodeBytes(last) === header.freeOffset;
}

/** The slots before the first that cannot follow its predecessor; no pair after it can be trusted. */
function slotsInOrder(directory: SlotDirectory, limit: number): number {
  let end = NODE_AREA_OFFSET;
  for (let slot = 0; slot < directory.count; slot++) {
    const offset = directory.nodeOffset(slot);
    const bytes = directory.nodeBytes(slot);
    // An older directory leaves a gap between nodes; then the next pair confirms this one.
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
    else slots.addLost(1);
  }
}

/** More wrong slots are not damage in a single place. */
const MAX_REPAIRED_SLOTS = 64;

/** @returns a function that undoes it; undefined, with nothing written, for no or too many repaired slots */
export function writeV1Slots(block: Uint8Array, slots: SlotTable): (() => void) | undefined {
  const { nodeCount, freeOffset } = PAGE_HEADER.read(block);
  const bounds = nodeCount > 0 && nodeCount <= V1_MAX_SLOTS ? { count: nodeCount, nodesEnd: freeOffset } : {};
  const repaired = findV1Slots(block, bounds, slots);
  if (repaired.length === 0 || repaired.length > MAX_REPAIRED_SLOTS) return undefined;
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_BYTES);
  const before: [at: number, bytes: bigint][] = [];
  for (const { slot, nodeOffset, nodeBytes } of repaired) {
    const at = BLOCK_BYTES - V1_SLOT_BYTES * (slot + 1);
    before.push([at, view.getBigUint64(at, true)]);
    view.setUint32(at, nodeOffset, true);
    view.setUint32(at + 4, nodeBytes, true);
  }
  return () => {
    for (const [at, bytes] of before) view.setBigUint64(at, bytes, true);
  };
}
