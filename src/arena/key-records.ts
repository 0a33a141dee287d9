import { copyRange, equalRange } from '../bytes/buffer.ts';
import type { KeyHandle } from './key-arena.ts';

/** 2^10 records of four 32-bit words each: hash, chunk, offset in the chunk, length. */
const RECORDS_BITS = 10;
const RECORDS = 1 << RECORDS_BITS;
const WORDS = 4;

const LEAST_CHUNK_BYTES = 4096;
const MOST_CHUNK_BYTES = 1024 * 1024;
/** A new chunk beyond the least has at most one in so many of the bytes of all chunks, so that little is unused. */
const CHUNK_PART = 32;

/** The keys of a map, with 32 bits of hash each, numbered in the order in which they came. None goes, and none moves. */
export class KeyRecords {
  #count = 0;
  #keyBytes = 0;
  #chunkBytes = 0;
  readonly #pages: Int32Array[] = [];
  readonly #chunks: Uint8Array[] = [];
  /** The chunk that is filled now; a long key may have one of its own behind it. */
  #chunk = -1;
  #freeOffset = 0;

  get count(): number {
    return this.#count;
  }

  /** Bytes of all keys. */
  get keyBytes(): number {
    return this.#keyBytes;
  }

  /** Bytes of the chunks and of the records. */
  get reservedBytes(): number {
    return this.#chunkBytes + this.#pages.length * RECORDS * WORDS * 4;
  }

  /**
   * Copies the key `source[start, end)`. The range is not checked.
   * @param hash - any 32 bits
   * @returns the number of the key
   * @throws RangeError where memory is refused; nothing is changed then but for what is reserved
   */
  add(hash: number, source: Uint8Array, start: number, end: number): number {
    const entry = this.#count;
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
    this.#keyBytes += length;
    this.#count = entry + 1;
    return entry;
  }

  hashAt(entry: number): number {
    return this.#pageOf(entry)[(entry & (RECORDS - 1)) * WORDS] as number; // every page has all its records
  }

  /** The key: a view. */
  keyAt(entry: number): Uint8Array {
    const page = this.#pageOf(entry);
    const at = (entry & (RECORDS - 1)) * WORDS;
    const offset = page[at + 2] as number;
    return this.#chunkOf(page, at).subarray(offset, offset + ((page[at + 3] as number) >>> 0));
  }

  /** Whether a key has this hash and the bytes `source[start, end)`. */
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

  /** Whether a key has this hash and the bytes of `handle`. */
  equalsHandle(entry: number, hash: number, handle: KeyHandle): boolean {
    const page = this.#pageOf(entry);
    const at = (entry & (RECORDS - 1)) * WORDS;
    const offset = page[at + 2] as number;
    const end = offset + ((page[at + 3] as number) >>> 0);
    return page[at] === hash && handle.equalsRange(this.#chunkOf(page, at), offset, end);
  }

  #pageOf(entry: number): Int32Array {
    return this.#pages[entry >>> RECORDS_BITS] as Int32Array; // entry < count
  }

  #chunkOf(page: Int32Array, at: number): Uint8Array {
    return this.#chunks[page[at + 1] as number] as Uint8Array;
  }

  /** A chunk with room for `length` bytes: a long key's own, and else the one that is now filled. */
  #addChunk(length: number): number {
    const part = Math.floor(this.#chunkBytes / CHUNK_PART / LEAST_CHUNK_BYTES) * LEAST_CHUNK_BYTES;
    const bytes = Math.min(Math.max(part, LEAST_CHUNK_BYTES), MOST_CHUNK_BYTES);
    const own = length * 4 > bytes;
    this.#chunks.push(new Uint8Array(own ? length : bytes));
    this.#chunkBytes += own ? length : bytes;
    const chunk = this.#chunks.length - 1;
    if (!own) {
      this.#chunk = chunk;
      this.#freeOffset = 0;
    }
    return chunk;
  }
}
