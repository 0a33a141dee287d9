import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { assertByteRange } from '../bytes/buffer.ts';
import { PageStoreError } from '../errors.ts';
import type { KeyHandle } from './key-arena.ts';
import { KeyRecords } from './key-records.ts';

/** Puts a hash of `source[start, end)` into `into`; of equal bytes an equal one. */
export type KeyHash = (source: Uint8Array, start: number, end: number, into: Hash64) => void;

const FIRST_SLOTS = 16;
/** The tag, and the number of the entry. */
const SLOT_BYTES = 5;
/** The slots are at most three quarters full. */
const MOST_ENTRIES = 0.75;
/** A slot's number has to fit an int32. */
const MOST_SLOTS = 2 ** 31;
/** The table of a map without entries. A look-up finds a slot in it, and the slot empty. */
const NO_TAGS = new Uint8Array(2);
const NO_TAGS_SHIFT = 31;
/** The odd number next to 2^32 divided by the golden ratio. */
const SPREAD = 0x9e3779b1;

/** 2^10 values each: an array of all would be copied whenever it grows, and has an end. */
const VALUES_BITS = 10;

/**
 * A map from keys, byte strings of any length, to values. The entries are numbered 0, 1, 2, ... in the order in which
 * their keys came, and keep their numbers until `clear`. A look-up makes no string and no object.
 *
 * The keys are copied into memory of the map. Beside its bytes a key takes 16 bytes, and 5 for each slot of the table,
 * of which there are 1.3 to 2.7 for each key: 23 to 30 bytes in all, apart from the value. While the table doubles, the
 * old one and the new one are there.
 *
 * Keys hash by FNV-1a, 64 bit, which has no secret: somebody who chooses the keys can make them collide. Then look-ups
 * are slow, and still correct. There is no way to delete a key.
 *
 * Bytes that a method is given are not to change during the call, as those of a shared buffer could. Where memory is
 * refused, the RangeError of the system is thrown and the map is as it was.
 */
export class KeyMap<V> {
  readonly #hashOf: KeyHash;
  readonly #hash = new Hash64();
  #records = new KeyRecords();
  /** What a slot holds: 0 for nothing, else 128 and seven bits of the hash of its key. */
  #tags = NO_TAGS;
  /** The entry in each slot that holds one. */
  #slots = new Int32Array(0);
  /** The upper bits of a hash are its slot: 32 minus their number. */
  #shift = NO_TAGS_SHIFT;
  #most = 0;
  #values: (V | undefined)[][] = [];

  /** @param hash - instead of FNV-1a, as for a test of collisions */
  constructor(hash: KeyHash = fnv1a64Into) {
    this.#hashOf = hash;
  }

  /** Count of entries. */
  get size(): number {
    return this.#records.count;
  }

  /** Bytes of the keys. */
  get usedBytes(): number {
    return this.#records.keyBytes;
  }

  /** Bytes that the map has reserved for keys and table; the values, which are the caller's, not counted. */
  get reservedBytes(): number {
    return this.#records.reservedBytes + SLOT_BYTES * this.#slots.length;
  }

  /**
   * Finds the entry of the key `source[start, end)`, or adds it with the value undefined. `size` tells which it was.
   * @returns its number
   * @throws RangeError where that is no range, or memory is refused; TypeError for what is not bytes; PageStoreError
   * `ARENA_FULL` beyond 1,610,612,736 entries
   */
  entryOf(source: Uint8Array, start = 0, end: number = source.length): number {
    assertByteRange(source, start, end);
    const hash = this.#mixed(source, start, end);
    let slot = this.#find(hash, source, start, end);
    if (slot >= 0) return this.#slots[slot] as number;
    if (this.#records.count === this.#most) {
      this.#grow();
      slot = this.#find(hash, source, start, end);
    }
    const entry = this.#records.add(hash, source, start, end);
    this.#slots[~slot] = entry;
    this.#tags[~slot] = tagOf(hash);
    return entry;
  }

  /** The entry of the key `source[start, end)`, or -1. @throws RangeError or TypeError as `entryOf` */
  find(source: Uint8Array, start = 0, end: number = source.length): number {
    assertByteRange(source, start, end);
    const slot = this.#find(this.#mixed(source, start, end), source, start, end);
    return slot < 0 ? -1 : (this.#slots[slot] as number);
  }

  /** The entry of the key of a handle, or -1. Its hash is not computed again. */
  findHandle(handle: KeyHandle): number {
    if (this.#hashOf !== fnv1a64Into) return this.find(handle.bytes());
    const hash = mix(handle.hashHigh, handle.hashLow);
    const tag = tagOf(hash);
    for (let slot = this.#home(hash); ; slot = (slot + 1) & (this.#tags.length - 1)) {
      const found = this.#tags[slot];
      if (found === 0) return -1;
      if (found !== tag) continue;
      const entry = this.#slots[slot] as number;
      if (this.#records.equalsHandle(entry, hash, handle)) return entry;
    }
  }

  /** The value of the key `source[start, end)`; undefined where there is none. @throws as `find` */
  get(source: Uint8Array, start = 0, end: number = source.length): V | undefined {
    return this.#value(this.find(source, start, end));
  }

  /** The value of the key of a handle; undefined where there is none. */
  getHandle(handle: KeyHandle): V | undefined {
    return this.#value(this.findHandle(handle));
  }

  /** @throws as `find` */
  has(source: Uint8Array, start = 0, end: number = source.length): boolean {
    return this.find(source, start, end) >= 0;
  }

  hasHandle(handle: KeyHandle): boolean {
    return this.findHandle(handle) >= 0;
  }

  /** Sets the value of the key `source[start, end)`. @throws as `entryOf` */
  set(source: Uint8Array, start: number, end: number, value: V): this {
    this.#setValue(this.entryOf(source, start, end), value);
    return this;
  }

  /** @throws RangeError for what is no entry */
  valueAt(entry: number): V | undefined {
    this.#assertEntry(entry);
    return this.#value(entry);
  }

  /** @throws RangeError for what is no entry */
  setValueAt(entry: number, value: V | undefined): void {
    this.#assertEntry(entry);
    this.#setValue(entry, value);
  }

  /** The key of an entry: a view, which stays as it is even after `clear`. It is not to be written to. @throws RangeError for what is no entry */
  keyAt(entry: number): Uint8Array {
    this.#assertEntry(entry);
    return this.#records.keyAt(entry);
  }

  /** Keys and values in the order of the entries, those included that come meanwhile. It makes a view and a pair for each; a loop over the numbers of entries does not. */
  *[Symbol.iterator](): Generator<[key: Uint8Array, value: V | undefined], void, undefined> {
    const records = this.#records;
    for (let entry = 0; records === this.#records && entry < records.count; entry++) {
      yield [records.keyAt(entry), this.#value(entry)];
    }
  }

  /** Removes all entries, and gives their memory back. Numbers begin at 0 again. */
  clear(): void {
    this.#records = new KeyRecords();
    this.#tags = NO_TAGS;
    this.#slots = new Int32Array(0);
    this.#shift = NO_TAGS_SHIFT;
    this.#most = 0;
    this.#values = [];
  }

  #mixed(source: Uint8Array, start: number, end: number): number {
    this.#hashOf(source, start, end, this.#hash);
    return mix(this.#hash.high, this.#hash.low);
  }

  #home(hash: number): number {
    return hash >>> this.#shift;
  }

  /** The slot of a key, or -1 minus the slot that it would take. */
  #find(hash: number, source: Uint8Array, start: number, end: number): number {
    const tags = this.#tags;
    const slots = this.#slots;
    const records = this.#records;
    const tag = tagOf(hash);
    const mask = tags.length - 1;
    for (let slot = this.#home(hash); ; slot = (slot + 1) & mask) {
      const found = tags[slot];
      if (found === 0) return ~slot;
      if (found === tag && records.equals(slots[slot] as number, hash, source, start, end)) return slot;
    }
  }

  #grow(): void {
    const slotCount = Math.max(FIRST_SLOTS, 2 * this.#tags.length);
    if (slotCount > MOST_SLOTS) {
      throw new PageStoreError('ARENA_FULL', `a map holds at most ${MOST_ENTRIES * MOST_SLOTS} keys`);
    }
    const tags = new Uint8Array(slotCount);
    const slots = new Int32Array(slotCount);
    const shift = 32 - Math.log2(slotCount);
    for (let entry = 0; entry < this.#records.count; entry++) {
      const hash = this.#records.hashAt(entry);
      let slot = hash >>> shift;
      while (tags[slot] !== 0) slot = (slot + 1) & (slotCount - 1);
      slots[slot] = entry;
      tags[slot] = tagOf(hash);
    }
    this.#tags = tags;
    this.#slots = slots;
    this.#shift = shift;
    this.#most = MOST_ENTRIES * slotCount;
  }

  #value(entry: number): V | undefined {
    return entry < 0 ? undefined : this.#values[entry >>> VALUES_BITS]?.[entry & ((1 << VALUES_BITS) - 1)];
  }

  #setValue(entry: number, value: V | undefined): void {
    (this.#values[entry >>> VALUES_BITS] ??= [])[entry & ((1 << VALUES_BITS) - 1)] = value;
  }

  #assertEntry(entry: number): void {
    if (Number.isInteger(entry) && entry >= 0 && entry < this.#records.count) return;
    throw new RangeError(`${String(entry)} is not an entry of ${this.#records.count}`);
  }
}

/** 32 bits of a hash, such that the upper ones depend on all: in FNV-1a the lower bits of a hash know only those of the bytes. */
function mix(high: number, low: number): number {
  const folded = Math.imul(high ^ low, SPREAD);
  return folded ^ (folded >>> 16);
}

function tagOf(hash: number): number {
  return 0x80 | (hash & 0x7f);
}
