import { lengthOf, showAs, wrongType, valueText } from '../arguments.ts';
import { assertByteRange, copyRange, equalRange } from '../bytes/buffer.ts';
import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { KeyHandle } from './key-arena.ts';

/** 2^10 records of four 32-bit words each: hash, chunk, offset in the chunk, length. */
const RECORDS_BITS = 10;
const RECORDS = 1 << RECORDS_BITS;
const WORDS = 4;

const MIN_CHUNK_BYTES = 4096;
const MAX_CHUNK_BYTES = 1024 * 1024;
/** A new chunk above the minimum adds at most 1/32 to all chunks, so that little is unused. */
const CHUNK_PART = 32;

/** The keys of a map with 32 bits of hash each, numbered in insertion order. They are neither removed nor moved. */
class KeyRecords {
  count = 0;
  keyBytes = 0;
  #chunkBytes = 0;
  readonly #pages: Int32Array[] = [];
  readonly #chunks: Uint8Array[] = [];
  /** The chunk that is being filled; chunks of single long keys may follow it. */
  #chunk = -1;
  #freeOffset = 0;

  get reservedBytes(): number {
    return this.#chunkBytes + this.#pages.length * RECORDS * WORDS * 4;
  }

  /** Copies the key. If no memory is available, this throws before the key counts. @returns its number */
  add(hash: number, source: Uint8Array, start: number, end: number): number {
    const entry = this.count;
    const length = end - start;
    const page = (this.#pages[entry >>> RECORDS_BITS] ??= new Int32Array(RECORDS * WORDS));
    let chunk = this.#chunk;
    let offset = this.#freeOffset;
    if (chunk < 0 || offset + length > (this.#chunks[chunk] as Uint8Array).length) {
      chunk = this.#addChunk(length);
      offset = 0;
    }
    copyRange(source, start, end, this.#chunks[chunk] as Uint8Array, offset);
    if (chunk === this.#chunk) this.#freeOffset = offset + length;
    const at = (entry & (RECORDS - 1)) * WORDS;
    page[at] = hash;
    page[at + 1] = chunk;
    page[at + 2] = offset;
    page[at + 3] = length;
    this.keyBytes += length;
    this.count = entry + 1;
    return entry;
  }

  hashAt(entry: number): number {
    return this.#pageOf(entry)[(entry & (RECORDS - 1)) * WORDS] as number; // every page has all its records
  }

  keyAt(entry: number): Uint8Array {
    const page = this.#pageOf(entry);
    const at = (entry & (RECORDS - 1)) * WORDS;
    const offset = page[at + 2] as number;
    return this.#chunkOf(page, at).subarray(offset, offset + ((page[at + 3] as number) >>> 0));
  }

  equals(entry: number, hash: number, source: Uint8Array, start: number, end: number): boolean {
    const page = this.#pageOf(entry);
    const at = (entry & (RECORDS - 1)) * WORDS;
    const length = end - start;
    return (
      page[at] === hash &&
      (page[at + 3] as number) >>> 0 === length &&
      equalRange(this.#chunkOf(page, at), page[at + 2] as number, source, start, length)
    );
  }

  #pageOf(entry: number): Int32Array {
    return this.#pages[entry >>> RECORDS_BITS] as Int32Array;
  }

  #chunkOf(page: Int32Array, at: number): Uint8Array {
    return this.#chunks[page[at + 1] as number] as Uint8Array;
  }

  /** A chunk with room for `length` bytes: the next one to fill, or one for a single long key. */
  #addChunk(length: number): number {
    const part = Math.floor(this.#chunkBytes / CHUNK_PART / MIN_CHUNK_BYTES) * MIN_CHUNK_BYTES;
    const bytes = Math.min(Math.max(part, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES);
    const isLong = length * 4 > bytes;
    this.#chunks.push(new Uint8Array(isLong ? length : bytes));
    this.#chunkBytes += isLong ? length : bytes;
    const chunk = this.#chunks.length - 1;
    if (!isLong) {
      this.#chunk = chunk;
      this.#freeOffset = 0;
    }
    return chunk;
  }
}

/** Writes a hash of `source[start, end)` to `into`. Equal bytes must have equal hashes. */
export type KeyHash = (source: Uint8Array, start: number, end: number, into: Hash64) => void;

const FIRST_SLOTS = 16;
/** The tag, and the number of the entry. */
const SLOT_BYTES = 5;
const MAX_LOAD = 0.75;
/** The number of a slot has to fit an int32. */
const MAX_SLOTS = 2 ** 31;
/** The table of an empty map: a look-up finds an empty slot in it. */
const NO_TAGS = new Uint8Array(2);
const NO_TAGS_SHIFT = 31;
/** The odd number closest to 2^32 divided by the golden ratio. */
const SPREAD = 0x9e3779b1;

/** 2^10 values in an array: a single array would be copied whenever it grows, and is limited in length. */
const VALUES_BITS = 10;

/**
 * A hash map from byte strings to values. Entries are numbered 0, 1, 2, ... in insertion order, until `clear`.
 * Keys are copied: each takes 23 to 30 bytes more than its length. While the table grows, both tables exist.
 * The hash, 64-bit FNV-1a, has no secret: keys that were chosen to collide make look-ups slow but not wrong.
 * Bytes passed to a method must not change during the call. Without memory it throws RangeError, and nothing changes.
 */
export class KeyMap<V> {
  static {
    showAs<KeyMap<unknown>>(this, ({ size, usedBytes, reservedBytes }, show) => {
      return `KeyMap ${show({ size, usedBytes, reservedBytes })}`;
    });
  }

  readonly #hashOf: KeyHash;
  readonly #hash = new Hash64();
  #records = new KeyRecords();
  /** For each slot 0 if it is empty, else 128 plus seven bits of the hash of its key. */
  #tags = NO_TAGS;
  #slots = new Int32Array(0);
  /** The home slot of a hash is its upper bits: the hash shifted right by this. */
  #shift = NO_TAGS_SHIFT;
  #maxEntries = 0;
  #values: (V | undefined)[][] = [];

  /** @param hash - replaces FNV-1a, for example to test collisions @throws TypeError */
  constructor(hash: KeyHash = fnv1a64Into) {
    if (typeof hash !== 'function') throw wrongType('hash', 'a function', hash);
    this.#hashOf = hash;
  }

  get size(): number {
    return this.#records.count;
  }

  /** Bytes of the keys. */
  get usedBytes(): number {
    return this.#records.keyBytes;
  }

  /** Memory reserved for keys and table; without the values, which belong to the caller. */
  get reservedBytes(): number {
    return this.#records.reservedBytes + SLOT_BYTES * this.#slots.length;
  }

  /**
   * The entry of a key; a new one is added with the value undefined, and `size` grows.
   * @throws TypeError; RangeError for an invalid range or no memory; PageStoreError `ARENA_FULL`
   * beyond 1,610,612,736 entries
   */
  entryOf(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertByteRange(source, start, end);
    return this.#entryOf(source, start, end);
  }

  /** The entry of the key `source[start, end)`, or -1. @throws TypeError or RangeError for an invalid range */
  find(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertByteRange(source, start, end);
    const slot = this.#find(this.#hashKey(source, start, end), source, start, end);
    return slot < 0 ? -1 : (this.#slots[slot] as number);
  }

  /** The entry of the key of a handle, or -1. Its hash is not computed again. @throws TypeError */
  findHandle(handle: KeyHandle): number {
    if (!(handle instanceof KeyHandle)) throw wrongType('handle', 'a KeyHandle', handle);
    if (this.#hashOf !== fnv1a64Into) return this.find(handle.bytes());
    const slot = this.#find(mix(handle.hashHigh, handle.hashLow), handle.sharedBytes(), 0, handle.length);
    return slot < 0 ? -1 : (this.#slots[slot] as number);
  }

  /** The value of the key `source[start, end)`, or undefined. @throws as `find` */
  get(source: Uint8Array, start = 0, end: number = lengthOf(source)): V | undefined {
    return this.#value(this.find(source, start, end));
  }

  /** The value of the key of a handle, or undefined. @throws as `findHandle` */
  getHandle(handle: KeyHandle): V | undefined {
    return this.#value(this.findHandle(handle));
  }

  /** @throws as `find` */
  has(source: Uint8Array, start = 0, end: number = lengthOf(source)): boolean {
    return this.find(source, start, end) >= 0;
  }

  /** @throws as `findHandle` */
  hasHandle(handle: KeyHandle): boolean {
    return this.findHandle(handle) >= 0;
  }

  /** Sets the value of the key `source[start, end)`. @throws as `entryOf` */
  set(source: Uint8Array, start: number, end: number, value: V): this {
    // Without defaults, so that `set(key, value)` is refused.
    assertByteRange(source, start, end);
    this.#setValue(this.#entryOf(source, start, end), value);
    return this;
  }

  /** @throws RangeError for an invalid entry */
  valueAt(entry: number): V | undefined {
    this.#assertEntry(entry);
    return this.#value(entry);
  }

  /** @throws RangeError for an invalid entry */
  setValueAt(entry: number, value: V | undefined): void {
    this.#assertEntry(entry);
    this.#setValue(entry, value);
  }

  /** The key of an entry: a read-only view, valid even after `clear`. @throws RangeError for an invalid entry */
  keyAt(entry: number): Uint8Array {
    this.#assertEntry(entry);
    return this.#records.keyAt(entry);
  }

  /** Keys and values in insertion order, including those added meanwhile. A loop over entry numbers allocates less. */
  *[Symbol.iterator](): Generator<[key: Uint8Array, value: V | undefined], void, undefined> {
    const records = this.#records;
    for (let entry = 0; records === this.#records && entry < records.count; entry++) {
      yield [records.keyAt(entry), this.#value(entry)];
    }
  }

  /** Removes all entries and frees their memory. Numbering starts at 0 again. */
  clear(): void {
    this.#records = new KeyRecords();
    this.#tags = NO_TAGS;
    this.#slots = new Int32Array(0);
    this.#shift = NO_TAGS_SHIFT;
    this.#maxEntries = 0;
    this.#values = [];
  }

  #entryOf(source: Uint8Array, start: number, end: number): number {
    const hash = this.#hashKey(source, start, end);
    let slot = this.#find(hash, source, start, end);
    if (slot >= 0) return this.#slots[slot] as number;
    if (this.#records.count === this.#maxEntries) {
      this.#grow();
      slot = this.#find(hash, source, start, end);
    }
    const entry = this.#records.add(hash, source, start, end);
    this.#slots[~slot] = entry;
    this.#tags[~slot] = tagOf(hash);
    return entry;
  }

  #hashKey(source: Uint8Array, start: number, end: number): number {
    this.#hashOf(source, start, end, this.#hash);
    return mix(this.#hash.high, this.#hash.low);
  }

  /** The slot of a key, or -1 minus the slot where it belongs. */
  #find(hash: number, source: Uint8Array, start: number, end: number): number {
    const tags = this.#tags;
    const slots = this.#slots;
    const records = this.#records;
    const tag = tagOf(hash);
    const mask = tags.length - 1;
    for (let slot = hash >>> this.#shift; ; slot = (slot + 1) & mask) {
      const found = tags[slot];
      if (found === 0) return ~slot;
      if (found === tag && records.equals(slots[slot] as number, hash, source, start, end)) return slot;
    }
  }

  #grow(): void {
    const slotCount = Math.max(FIRST_SLOTS, 2 * this.#tags.length);
    if (slotCount > MAX_SLOTS)
      throw new PageStoreError('ARENA_FULL', `a map holds at most ${MAX_LOAD * MAX_SLOTS} keys`);
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
    this.#maxEntries = MAX_LOAD * slotCount;
  }

  #value(entry: number): V | undefined {
    return entry < 0 ? undefined : this.#values[entry >>> VALUES_BITS]?.[entry & ((1 << VALUES_BITS) - 1)];
  }

  #setValue(entry: number, value: V | undefined): void {
    (this.#values[entry >>> VALUES_BITS] ??= [])[entry & ((1 << VALUES_BITS) - 1)] = value;
  }

  #assertEntry(entry: number): void {
    if (Number.isInteger(entry) && entry >= 0 && entry < this.#records.count) return;
    throw new RangeError(`entry must be a whole number below the size ${this.#records.count}, not ${valueText(entry)}`);
  }
}

/** Folds a hash so that the upper bits depend on all: the lower bits of FNV-1a depend on lower bits only. */
function mix(high: number, low: number): number {
  const folded = Math.imul(high ^ low, SPREAD);
  return folded ^ (folded >>> 16);
}

function tagOf(hash: number): number {
  return 0x80 | (hash & 0x7f);
}
