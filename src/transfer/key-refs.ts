import { KeyMap } from '../arena/key-map.ts';
import { PageRef } from '../store/page-ref.ts';

/** A slot is below 2^18, a block below 2^24. */
const SLOTS = 2 ** 24;

/** The keys of a batch in the order of the cells, and the refs of their nodes. */
export class KeyRefs {
  readonly #map = new KeyMap<number>();

  get size(): number {
    return this.#map.size;
  }

  /** @internal */
  add(key: Uint8Array, block: number, slot: number): void {
    this.#map.setValueAt(this.#map.entryOf(key), block * SLOTS + slot);
  }

  /** @internal */
  clear(): void {
    this.#map.clear();
  }

  /** A key by its number, 0 <= entry < size: a read-only view. @throws RangeError */
  keyAt(entry: number): Uint8Array {
    return this.#map.keyAt(entry);
  }

  /** The block of a node by the number of its key. @throws RangeError */
  blockAt(entry: number): number {
    return Math.floor((this.#map.valueAt(entry) ?? NaN) / SLOTS);
  }

  /** The slot of a node by the number of its key. @throws RangeError */
  slotAt(entry: number): number {
    return (this.#map.valueAt(entry) ?? NaN) % SLOTS;
  }

  /** The ref of a node by its key; undefined if no node of the batch has it. @throws TypeError */
  refOf(key: Uint8Array): PageRef | undefined {
    const entry = this.#map.find(key);
    return entry < 0 ? undefined : new PageRef(this.blockAt(entry), this.slotAt(entry));
  }
}
