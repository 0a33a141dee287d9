import { assertInteger, lengthOf, showAs, wrongType } from '../arguments.ts';
import { assertByteRange, compareBytes, Copier, equalRange } from '../bytes/buffer.ts';
import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';
import { keyText } from './key-buffer.ts';

/** Size of a chunk, and the distance between the numbers of the first keys of two chunks. */
const CHUNK_BYTES = 65_536;

/**
 * Memory for keys. Their bytes grow upwards from the start, and their start offsets, two bytes each, downwards from
 * the end. Key n of a chunk ends where key n + 1 starts.
 */
class Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same memory; the start offset of key n is at `last - n`. */
  readonly starts: Uint16Array;
  readonly last: number;
  firstKey = 0;
  keyCount = 0;
  freeOffset = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
    this.starts = new Uint16Array(this.bytes.buffer);
    this.last = this.starts.length - 1;
  }

  startOf(index: number): number {
    return this.starts[this.last - index] as number; // index < keyCount
  }

  endOf(index: number): number {
    return index === this.keyCount - 1 ? this.freeOffset : this.startOf(index + 1);
  }

  clear(firstKey: number): void {
    this.firstKey = firstKey;
    this.keyCount = 0;
    this.freeOffset = 0;
  }
}

/** Has no room, so the first key allocates a chunk. */
const NO_CHUNK = new Chunk(0);

/** Chunks of one size above 64 KiB, each for a single key. */
interface LargeChunks {
  readonly chunks: Chunk[];
  usedCount: number;
  /** The round that `usedCount` belongs to; in a later one all chunks are free, so that a reset need not visit them. */
  round: number;
}

/**
 * Keys of any length in chunks of 64 KiB, all freed at once by `reset`, which keeps the memory for later keys. A key
 * longer than 65,534 bytes has a chunk of its own, whose size is the next power of two.
 *
 * A key is identified by a number that is never reused: numbering continues after a reset. So reading a key from before
 * a reset throws `STALE_KEY` and never returns the bytes of another. Numbers end at 2^53, after about 9 PB of keys, with
 * `ARENA_FULL`. Keys of another arena cannot be recognized.
 */
export class KeyArena {
  static {
    showAs(this, ({ keyCount, usedBytes, chunkCount, reservedBytes }, show) => {
      return `KeyArena ${show({ keyCount, usedBytes, chunkCount, reservedBytes })}`;
    });
  }

  readonly #common: Chunk[] = [];
  #commonUsed = 0;
  /** By size. */
  readonly #large = new Map<number, LargeChunks>();
  /** Chunks in the order of their use since the reset: the one at n has the keys from `base + n * 65,536` on. */
  readonly #used: Chunk[] = [];
  #usedCount = 0;
  /** The one of `#common` that is being filled. */
  #chunk = NO_CHUNK;
  #base: number;
  readonly #first: number;
  #round = 0;
  readonly #copier = new Copier();

  /** @param firstKey - number of the first key, 0 to 2^53 - 1. Arenas with distant numbers refuse each other's keys. */
  constructor(firstKey = 0) {
    assertInteger('firstKey', firstKey, 0, Number.MAX_SAFE_INTEGER);
    this.#base = this.#first = firstKey;
  }

  /** Keys since the reset. */
  get keyCount(): number {
    let count = 0;
    for (let at = 0; at < this.#usedCount; at++) count += (this.#used[at] as Chunk).keyCount;
    return count;
  }

  /** Bytes of the keys since the reset. Each takes two more in its chunk. */
  get usedBytes(): number {
    let bytes = 0;
    for (let at = 0; at < this.#usedCount; at++) bytes += (this.#used[at] as Chunk).freeOffset;
    return bytes;
  }

  /** Number of chunks, including free ones. */
  get chunkCount(): number {
    let count = this.#common.length;
    for (const { chunks } of this.#large.values()) count += chunks.length;
    return count;
  }

  /** Size of all chunks. */
  get reservedBytes(): number {
    let bytes = this.#common.length * CHUNK_BYTES;
    for (const [size, { chunks }] of this.#large) bytes += size * chunks.length;
    return bytes;
  }

  /**
   * Adds a copy of `source[start, end)`.
   * @returns the key, valid until `reset`
   * @throws TypeError or RangeError for an invalid range; RangeError if no memory is available (the arena is unchanged);
   * PageStoreError `ARENA_FULL` if no number below 2^53 is left
   */
  add(source: Uint8Array, start = 0, end: number = lengthOf(source)): number {
    assertByteRange(source, start, end);
    const length = end - start;
    let chunk = this.#chunk;
    if (chunk.freeOffset + length + 2 * chunk.keyCount + 2 > chunk.bytes.length) chunk = this.#nextChunk(length);
    const { bytes, freeOffset, keyCount } = chunk;
    chunk.starts[chunk.last - keyCount] = freeOffset;
    this.#copier.copy(source, start, end, bytes, chunk.view, freeOffset);
    chunk.freeOffset = freeOffset + length;
    chunk.keyCount = keyCount + 1;
    return chunk.firstKey + keyCount;
  }

  /**
   * The bytes of a key: a read-only view, valid until `reset`; later keys reuse the memory.
   * @throws PageStoreError `STALE_KEY` for a key from before a reset; RangeError for an invalid key
   */
  bytes(key: number): Uint8Array {
    return this.#bytesOf(key, 'key');
  }

  /** Length of a key in bytes. @throws as `bytes` */
  length(key: number): number {
    const chunk = this.#chunkOf(key, 'key');
    const index = key - chunk.firstKey;
    return chunk.endOf(index) - chunk.startOf(index);
  }

  /** Whether a key has the bytes `source[start, end)`. @throws as `bytes` and `add` */
  equals(key: number, source: Uint8Array, start = 0, end: number = lengthOf(source)): boolean {
    assertByteRange(source, start, end);
    const chunk = this.#chunkOf(key, 'key');
    const index = key - chunk.firstKey;
    const from = chunk.startOf(index);
    const length = end - start;
    return chunk.endOf(index) - from === length && equalRange(chunk.bytes, from, source, start, length);
  }

  /** Compares two keys by unsigned bytes: below 0, 0 or above 0. A prefix comes before the longer key. @throws as `bytes` */
  compare(a: number, b: number): number {
    return compareBytes(this.#bytesOf(a, 'a'), this.#bytesOf(b, 'b'));
  }

  /** Frees all keys in constant time, and keeps the chunks. */
  reset(): void {
    if (this.#usedCount === 0) return;
    const last = this.#used[this.#usedCount - 1] as Chunk; // not `#chunk`, if a long key was added later
    this.#base = last.firstKey + last.keyCount;
    this.#chunk = NO_CHUNK;
    this.#usedCount = 0;
    this.#commonUsed = 0;
    this.#round++;
    this.#copier.release();
  }

  /** A chunk with room for `length` bytes: the next one to fill, or one for a single long key. */
  #nextChunk(length: number): Chunk {
    const firstKey = this.#base + this.#usedCount * CHUNK_BYTES;
    if (firstKey > Number.MAX_SAFE_INTEGER - CHUNK_BYTES)
      throw new PageStoreError('ARENA_FULL', 'the arena has used all keys below 2^53; use a new arena');
    const isCommon = length + 2 <= CHUNK_BYTES;
    const chunk = isCommon ? this.#takeCommon() : this.#takeLarge(length + 2);
    chunk.clear(firstKey);
    this.#used[this.#usedCount++] = chunk;
    if (isCommon) this.#chunk = chunk;
    return chunk;
  }

  #takeCommon(): Chunk {
    const chunk = (this.#common[this.#commonUsed] ??= new Chunk(CHUNK_BYTES));
    this.#commonUsed++;
    return chunk;
  }

  #takeLarge(bytes: number): Chunk {
    const size = 2 ** Math.ceil(Math.log2(bytes));
    let large = this.#large.get(size);
    if (large === undefined) this.#large.set(size, (large = { chunks: [], usedCount: 0, round: this.#round }));
    if (large.round !== this.#round) {
      large.round = this.#round;
      large.usedCount = 0;
    }
    const chunk = (large.chunks[large.usedCount] ??= new Chunk(size));
    large.usedCount++;
    return chunk;
  }

  #bytesOf(key: number, parameter: string): Uint8Array {
    const chunk = this.#chunkOf(key, parameter);
    const index = key - chunk.firstKey;
    return chunk.bytes.subarray(chunk.startOf(index), chunk.endOf(index));
  }

  #chunkOf(key: number, parameter: string): Chunk {
    const index = Math.floor((key - this.#base) / CHUNK_BYTES);
    if (index >= 0 && index < this.#usedCount) {
      const chunk = this.#used[index] as Chunk; // index < usedCount
      if (key - chunk.firstKey < chunk.keyCount && Number.isInteger(key)) return chunk;
    }
    if (Number.isInteger(key) && key >= this.#first && key < this.#base) {
      const message = `${parameter} ${key} is from before a reset; keys start at ${this.#base} now`;
      throw new PageStoreError('STALE_KEY', message, { found: String(key), expected: `at least ${this.#base}` });
    }
    throw new RangeError(`${parameter} must be a key of this arena, not ${String(key)}`);
  }
}

// Each thread evaluates a module for itself, so these variables are the thread's own.

/** Idle arenas kept for later calls; only nested calls need more than one. */
const MAX_IDLE_ARENAS = 8;

/** Distance between the first keys of two arenas: neither reaches the keys of the other before 16 TiB of keys. */
const ARENA_KEYS = 2 ** 44;
const MAX_ARENAS = 512;

let arenaCount = 0;

/** An arena that refuses the keys of the others. */
function newArena(): KeyArena {
  return new KeyArena((arenaCount++ % MAX_ARENAS) * ARENA_KEYS);
}

let arenaOfThread: KeyArena | undefined;
const idle: KeyArena[] = [];

/**
 * The arena of this thread. Every call of `withArena` may use and reset it, so keys that outlive such a call need an
 * arena of their own.
 */
export function threadArena(): KeyArena {
  if (arenaOfThread === undefined) idle.push((arenaOfThread = newArena()));
  return arenaOfThread;
}

/**
 * Calls `use` with an arena that no other call has meanwhile, and resets it afterwards, also if `use` throws. If `use`
 * returns a promise, the reset waits until it settles. The arena is that of the thread, unless a call that is still
 * running has it: then it is another one, so no call resets the keys of another.
 * @returns the result of `use`; if that is a promise, one with the same outcome, settled after the reset
 * @throws TypeError unless `use` is a function
 */
export function withArena<T>(use: (arena: KeyArena) => T): T {
  if (typeof use !== 'function') throw wrongType('use', 'a function', use);
  threadArena();
  const arena = idle.pop() ?? newArena();
  let result: T;
  let pending: boolean;
  try {
    result = use(arena);
    pending = isThenable(result);
  } catch (error) {
    giveBack(arena);
    throw error;
  }
  if (pending) return Promise.resolve(result).finally(() => giveBack(arena)) as T;
  giveBack(arena);
  return result;
}

function giveBack(arena: KeyArena): void {
  arena.reset();
  // The thread's own arena is on top, so that it is used first.
  if (arena === arenaOfThread) idle.push(arena);
  else if (idle.length < MAX_IDLE_ARENAS) idle.unshift(arena);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof value === 'object' && 'then' in value && typeof value.then === 'function';
}

/** Key bytes that a handle holds in its fields. */
const INLINE_BYTES = 24;

const hashOfKey = new Hash64();
const scratch = new Uint8Array(INLINE_BYTES);
/** The words of the current key, before they are copied to the fields of its handle. */
const words = new Int32Array(INLINE_BYTES / 4);

/**
 * An immutable key that owns its bytes, with their 64-bit FNV-1a hash. The first 24 bytes are in six 32-bit fields, so
 * that a key of up to 24 bytes needs no array; a longer key has a copy of all its bytes.
 */
export class KeyHandle {
  static {
    showAs(this, (key, show) => `KeyHandle ${show({ key: keyText(key.bytes()), length: key.length })}`);
  }

  /** Length of the key in bytes. */
  readonly length: number;
  /** The upper half of the hash, a signed 32-bit integer. */
  readonly hashHigh: number;
  /** The lower half of the hash, a signed 32-bit integer. */
  readonly hashLow: number;
  // Big-endian and padded with zeros, so that words compare as the bytes do.
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly #word4: number;
  readonly #word5: number;
  readonly #copy: Uint8Array | undefined;

  private constructor(source: Uint8Array, start: number, end: number) {
    // Copied before it is hashed, since shared memory may change meanwhile; not by `slice`, which of a Buffer is a view.
    const length = end - start;
    this.length = length;
    this.#copy = length > INLINE_BYTES ? new Uint8Array(source.subarray(start, end)) : undefined;
    if (this.#copy === undefined) loadWords(source, start, length);
    else loadWords(this.#copy, 0, INLINE_BYTES);
    this.#word0 = words[0] as number; // six words, here and below
    this.#word1 = words[1] as number;
    this.#word2 = words[2] as number;
    this.#word3 = words[3] as number;
    this.#word4 = words[4] as number;
    this.#word5 = words[5] as number;
    if (this.#copy !== undefined) {
      fnv1a64Into(this.#copy, 0, length, hashOfKey);
    } else {
      this.copyTo(scratch, 0);
      fnv1a64Into(scratch, 0, length, hashOfKey);
    }
    this.hashHigh = hashOfKey.high;
    this.hashLow = hashOfKey.low;
  }

  /** A handle with a copy of `source[start, end)`. @throws TypeError or RangeError for an invalid range */
  static of(source: Uint8Array, start = 0, end: number = lengthOf(source)): KeyHandle {
    assertByteRange(source, start, end);
    return new KeyHandle(source, start, end);
  }

  /** The 64-bit FNV-1a hash of the bytes: an unsigned bigint, allocated at each call. */
  get hash(): bigint {
    return (BigInt(this.hashHigh >>> 0) << 32n) | BigInt(this.hashLow >>> 0);
  }

  /** A copy of the bytes. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.copyTo(bytes);
    return bytes;
  }

  /**
   * Writes the bytes at `offset`.
   * @returns the offset after them
   * @throws TypeError or RangeError if they do not fit `target`, which is unchanged
   */
  copyTo(target: Uint8Array, offset = 0): number {
    if (!(target instanceof Uint8Array)) throw wrongType('target', 'a Uint8Array', target);
    if (!Number.isInteger(offset) || offset < 0 || offset + this.length > target.length)
      throw new RangeError(
        `target has no room for ${this.length} bytes at offset ${String(offset)} of ${target.length}`,
      );
    if (this.#copy !== undefined) target.set(this.#copy, offset);
    else for (let at = 0; at < this.length; at++) target[offset + at] = this.#inlineByte(at);
    return offset + this.length;
  }

  /** Whether the key has the bytes `source[start, end)`. @throws TypeError or RangeError for an invalid range */
  equalsRange(source: Uint8Array, start: number, end: number): boolean {
    assertByteRange(source, start, end);
    if (end - start !== this.length) return false;
    if (this.#copy !== undefined) return equalRange(this.#copy, 0, source, start, this.length);
    for (let at = 0; at < this.length; at++) if (source[start + at] !== this.#inlineByte(at)) return false;
    return true;
  }

  equals(other: KeyHandle): boolean {
    if (!(other instanceof KeyHandle)) throw wrongType('other', 'a KeyHandle', other);
    return (
      this.hashLow === other.hashLow &&
      this.hashHigh === other.hashHigh &&
      this.length === other.length &&
      this.compare(other) === 0
    );
  }

  /** Compares two keys by unsigned bytes: -1, 0 or 1. A prefix comes before the longer key. */
  compare(other: KeyHandle): number {
    if (!(other instanceof KeyHandle)) throw wrongType('other', 'a KeyHandle', other);
    return (
      compareWords(this.#word0, other.#word0) ||
      compareWords(this.#word1, other.#word1) ||
      compareWords(this.#word2, other.#word2) ||
      compareWords(this.#word3, other.#word3) ||
      compareWords(this.#word4, other.#word4) ||
      compareWords(this.#word5, other.#word5) ||
      // If one of them ends here, the other starts with it, perhaps followed by zeros: the shorter one is first.
      (this.#copy !== undefined && other.#copy !== undefined
        ? compareBytes(this.#copy, other.#copy)
        : Math.sign(this.length - other.length))
    );
  }

  #inlineByte(at: number): number {
    return (this.#inlineWord(at >> 2) >>> (24 - 8 * (at & 3))) & 0xff;
  }

  #inlineWord(index: number): number {
    switch (index) {
      case 0:
        return this.#word0;
      case 1:
        return this.#word1;
      case 2:
        return this.#word2;
      case 3:
        return this.#word3;
      case 4:
        return this.#word4;
      default:
        return this.#word5;
    }
  }
}

function loadWords(source: Uint8Array, start: number, length: number): void {
  words.fill(0);
  for (let at = 0; at < length; at++) {
    const byte = source[start + at] as number; // within the range of the handle
    words[at >> 2] = (words[at >> 2] as number) | (byte << (24 - 8 * (at & 3)));
  }
}

/** Compares two words as unsigned integers. */
function compareWords(a: number, b: number): number {
  if (a === b) return 0;
  return a >>> 0 < b >>> 0 ? -1 : 1;
}
