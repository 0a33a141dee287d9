import { readVarint, varintBytesFrom } from '../bytes/encodings.ts';
import { BLOCK_BYTES, NODE_AREA_OFFSET, V1_MAX_SLOTS, V1_SLOT_BYTES, V2_MAX_SLOTS } from '../format/layout.ts';
import { checksumState, newPageHeader, PAGE_FLAG, PAGE_HEADER } from '../format/page-header.ts';
import type { Page } from '../format/page.ts';
import type { SlotDirectory } from '../format/slots.ts';
import { DirectoryScratch, V2Directory } from '../format/v2-directory.ts';

/**
 * What became of a slot. `sound`: a checksum vouches for the node. `mended`: it does once one bit is put back, which
 * other damage passes for once in 2,000 times. `unverified`: nothing is wrong with its page, which has no checksum.
 * `doubtful`: its bounds hold, or were found again, and nothing vouches for its bytes. `lost`: no node could be taken.
 */
export type SlotState = 'sound' | 'mended' | 'unverified' | 'doubtful' | 'lost';

/** Every state, in the order in which a report names them. */
export const SLOT_STATES: readonly SlotState[] = ['sound', 'mended', 'unverified', 'doubtful', 'lost'];

/** Slots of one page that follow each other and have one state. */
export interface SlotRun {
  readonly from: number;
  /** The last of them. */
  readonly to: number;
  readonly state: SlotState;
}

/** How many slots there are of each state. */
export type SlotCounts = Readonly<Record<SlotState, number>>;

/** The slots that were found of one page: where each node is in the block, and its state. Used for one page after the other. */
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

  /** Adds the next slot. */
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

  /** Takes every slot of a directory. @param vouchedFor - how many from the first on have `state`; the others have `otherwise` */
  fillFrom(
    directory: SlotDirectory,
    state: SlotState,
    vouchedFor: number = directory.count,
    otherwise: SlotState = state,
  ): void {
    this.clear();
    for (let slot = 0; slot < directory.count; slot++) {
      this.add(directory.nodeOffset(slot), directory.nodeBytes(slot), slot < vouchedFor ? state : otherwise);
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

  /** Makes every slot that was taken doubtful. */
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
