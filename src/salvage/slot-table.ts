import type { SlotDirectory } from '../format/slots.ts';

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
