import { threadId } from 'node:worker_threads';
import { assertInteger, isBytes, lengthOf, showAs, valueText, wrongType } from '../arguments.ts';
import { assertByteRange, compareBytes, Copier, copyRange, equalRange } from '../bytes/buffer.ts';
import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { utf8Bytes, utf8Text, writeUtf8 } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';
import { FIRST_HANDLE, type HandleSource, type NodeRanges } from './handle-table.ts';
import { shownKey } from './key-buffer.ts';

/** Size of a chunk, and the distance between the numbers of the first keys of two chunks. */
const CHUNK_BYTES = 65_536;
const CHUNK_BITS = 16;
/** So many chunks have 2^32 numbers: the distance of a key from the first one since a reset is a uint32. */
const MAX_USED_CHUNKS = 65_536;

/** Key bytes grow upwards, start offsets (u16) downwards from the end. Key n ends where key n + 1 starts. */
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

  /** @param index - of a key of this chunk: 0 for the first one */
  startOf(index: number): number {
    return this.starts[this.last - index] as number; // the caller has checked the index
  }

  endOf(index: number): number {
    return index + 1 === this.keyCount ? this.freeOffset : this.startOf(index + 1);
  }
}

/** Has no room, so the first key allocates a chunk. */
const NO_CHUNK = new Chunk(0);

interface ChunkList {
  readonly chunks: Chunk[];
  usedCount: number;
  /** The round that `usedCount` belongs to; in a later one all chunks are free, so that a reset need not visit them. */
  round: number;
}

// Each thread evaluates a module for itself, so its variables are the thread's own.

/** An arena takes its keys from a range of numbers that no other arena uses, so that those refuse its keys. */
const RANGE_KEYS = 2 ** 33;
/** All keys are below the handles of other arenas. After so many ranges of a thread the first one is used again. */
const RANGES: number = FIRST_HANDLE / RANGE_KEYS;
/** About RANGES divided by the golden ratio, so that the ranges of threads with close ids are far from each other. */
const THREAD_RANGES = 324_027;

let rangeCount = 0;

/**
 * Keys of any length in chunks of 64 KiB, all freed by `reset`; a key over 65,534 bytes has a chunk of its own.
 * A key is a number. It is not reused after a reset, and other arenas have other numbers: a key from before a reset
 * and a key of another arena throw `STALE_KEY`. Over 65,536 chunks between two resets throw `ARENA_FULL`.
 */
export class KeyArena implements HandleSource {
  static {
    showAs(this, ({ keyCount, usedBytes, chunkCount, reservedBytes }, show) => {
      return `KeyArena ${show({ keyCount, usedBytes, chunkCount, reservedBytes })}`;
    });
  }

  readonly #lists = new Map<number, ChunkList>();
  /** Chunks in the order of their use since the reset: the one at n has the keys from `base + n * 65,536` on. */
  readonly #used: Chunk[] = [];
  #usedCount = 0;
  /** The chunk of 64 KiB that is being filled. */
  #chunk = NO_CHUNK;
  #base: number;
  /** The numbers of this arena are `#first` to `#end` - 1: none until it has a key, unless the caller has chosen. */
  #first: number;
  #end: number;
  readonly #isChosen: boolean;
  #round = 0;
  readonly #copier = new Copier();

  /**
   * @param firstKey - number of the first key, 0 to 2^53 - 1, if the caller wants to choose it: keys then go up to 2^53,
   * and arenas whose numbers overlap do not refuse each other's. By default, numbers that no other arena has.
   */
  constructor(firstKey?: number) {
    if (firstKey !== undefined) assertInteger('firstKey', firstKey, 0, Number.MAX_SAFE_INTEGER);
    this.#isChosen = firstKey !== undefined;
    this.#base = this.#first = firstKey ?? 0;
    this.#end = this.#isChosen ? Number.MAX_SAFE_INTEGER : 0;
  }

  /** Keys since the reset. */
  get keyCount(): number {
    return this.#sum(({ keyCount }) => keyCount);
  }

  /** Bytes of the keys since the reset. Each takes two more in its chunk. */
  get usedBytes(): number {
    return this.#sum(({ freeOffset }) => freeOffset);
  }

  /** Number of chunks, including free ones. */
  get chunkCount(): number {
    return [...this.#lists.values()].reduce((count, { chunks }) => count + chunks.length, 0);
  }

  get reservedBytes(): number {
    return [...this.#lists].reduce((bytes, [size, { chunks }]) => bytes + size * chunks.length, 0);
  }

  /** Adds a copy. @returns the key, valid until `reset` @throws TypeError; RangeError; PageStoreError `ARENA_FULL` */
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

  /** Adds a text in UTF-8. @returns as `add` @throws as `add`; TypeError also for a lone surrogate */
  addText(text: string): number {
    if (typeof text !== 'string') throw wrongType('text', 'a string (add takes bytes)', text);
    const length = utf8Bytes(text);
    let chunk = this.#chunk;
    if (chunk.freeOffset + length + 2 * chunk.keyCount + 2 > chunk.bytes.length) chunk = this.#nextChunk(length);
    const { bytes, freeOffset, keyCount } = chunk;
    chunk.starts[chunk.last - keyCount] = freeOffset;
    chunk.freeOffset = writeUtf8(text, bytes, freeOffset);
    chunk.keyCount = keyCount + 1;
    return chunk.firstKey + keyCount;
  }

  /** A read-only view, valid until `reset`. @throws PageStoreError `STALE_KEY`; RangeError for an invalid key */
  bytes(key: number): Uint8Array {
    return this.#bytesOf(key, 'key');
  }

  /** A key as text, with U+FFFD for what is not UTF-8. @throws as `bytes` */
  text(key: number): string {
    return utf8Text(this.#bytesOf(key, 'key'));
  }

  /** Length of a key in bytes. @throws as `bytes` */
  length(key: number): number {
    const at = this.#find(key, 'key');
    const chunk = this.#chunkAt(at);
    const index = at % CHUNK_BYTES;
    return chunk.endOf(index) - chunk.startOf(index);
  }

  /** @see HandleSource.locate */
  locate(keys: ArrayLike<number>, from: number, to: number, ranges: NodeRanges): void {
    const { words } = ranges;
    const end = Math.min(to, from + ranges.capacity);
    let chunk: Chunk | undefined;
    let word = 0;
    for (let next = from; next < end; next++, word += 2) {
      const at = this.#find(keys[next] as number, 'key'); // next < to
      const found = this.#chunkAt(at);
      if (chunk !== undefined && found !== chunk) break;
      chunk = found;
      const start = found.startOf(at % CHUNK_BYTES);
      words[word] = start;
      words[word + 1] = found.endOf(at % CHUNK_BYTES) - start;
    }
    if (chunk !== undefined) ranges.source = chunk.bytes;
    ranges.count = word / 2;
  }

  /** Whether a key has the bytes `source[start, end)`. @throws as `bytes` and `add` */
  equals(key: number, source: Uint8Array, start = 0, end: number = lengthOf(source)): boolean {
    assertByteRange(source, start, end);
    const at = this.#find(key, 'key');
    const chunk = this.#chunkAt(at);
    const from = chunk.startOf(at % CHUNK_BYTES);
    const length = end - start;
    return chunk.endOf(at % CHUNK_BYTES) - from === length && equalRange(chunk.bytes, from, source, start, length);
  }

  /** Compares by unsigned bytes: below 0, 0 or above 0. A prefix comes before the longer key. @throws as `bytes` */
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
    this.#round++;
    this.#copier.release();
  }

  /** A chunk with room for `length` bytes: the next one to fill, or one for a single long key. */
  #nextChunk(length: number): Chunk {
    if (this.#usedCount === 0 && !this.#isChosen && this.#end - this.#base < RANGE_KEYS / 2) this.#takeRange();
    const firstKey = this.#base + this.#usedCount * CHUNK_BYTES;
    if (firstKey > this.#end - CHUNK_BYTES)
      throw new PageStoreError('ARENA_FULL', `the arena has used all its numbers below ${this.#end}; use a new arena`);
    if (this.#usedCount === MAX_USED_CHUNKS)
      throw new PageStoreError(
        'ARENA_FULL',
        `the arena has used ${MAX_USED_CHUNKS} chunks; use another one, or reset it`,
      );
    const size = Math.max(CHUNK_BYTES, 2 ** Math.ceil(Math.log2(length + 2)));
    let list = this.#lists.get(size);
    if (list === undefined) this.#lists.set(size, (list = { chunks: [], usedCount: 0, round: this.#round }));
    if (list.round !== this.#round) {
      list.round = this.#round;
      list.usedCount = 0;
    }
    const chunk = (list.chunks[list.usedCount] ??= new Chunk(size));
    list.usedCount++;
    chunk.firstKey = firstKey;
    chunk.keyCount = chunk.freeOffset = 0;
    this.#used[this.#usedCount++] = chunk;
    if (size === CHUNK_BYTES) this.#chunk = chunk;
    return chunk;
  }

  /** Only between two rounds: all keys of a round are in one range. */
  #takeRange(): void {
    const range = (threadId * THREAD_RANGES + rangeCount++) % RANGES;
    this.#base = this.#first = range * RANGE_KEYS;
    this.#end = this.#first + RANGE_KEYS;
  }

  #sum(of: (chunk: Chunk) => number): number {
    let sum = 0;
    for (let at = 0; at < this.#usedCount; at++) sum += of(this.#used[at] as Chunk);
    return sum;
  }

  #bytesOf(key: number, parameter: string): Uint8Array {
    const at = this.#find(key, parameter);
    const chunk = this.#chunkAt(at);
    const index = at % CHUNK_BYTES;
    return chunk.bytes.subarray(chunk.startOf(index), chunk.endOf(index));
  }

  #chunkAt(at: number): Chunk {
    return this.#used[at >>> CHUNK_BITS] as Chunk; // a result of #find
  }

  /** The distance of a key from the first one: its chunk is at `distance >>> 16`, its index is the rest. */
  #find(key: number, parameter: string): number {
    if (typeof key !== 'number') throw wrongType(parameter, 'a key of this arena, a number', key);
    const at = (key - this.#base) >>> 0;
    // The sum is not the key if that is too far away, or no integer at all.
    if (at + this.#base === key && at >>> CHUNK_BITS < this.#usedCount && at % CHUNK_BYTES < this.#chunkAt(at).keyCount)
      return at;
    if (Number.isSafeInteger(key) && key >= 0 && (key < this.#base || key >= this.#end)) {
      const isOwn = key >= this.#first && key < this.#base;
      const isHandle = key >= FIRST_HANDLE && !this.#isChosen;
      const origin = isOwn
        ? ''
        : isHandle
          ? 'a handle of another kind of arena, not a key'
          : 'a key of another arena, or ';
      const expected = this.#usedCount === 0 ? 'no key, since the arena has none now' : `${this.#base} or more`;
      const message = `${parameter} ${key} is ${origin}${isHandle ? '' : 'from before a reset'}; expected ${expected}`;
      throw new PageStoreError('STALE_KEY', message, { found: String(key), expected });
    }
    throw new RangeError(`${parameter} must be a key of this arena, not ${valueText(key)}`);
  }
}

/** Idle arenas kept for later calls; only nested calls need more than one. */
const MAX_IDLE_ARENAS = 8;

/** The arena of this thread. Every call of `withArena` may use and reset it. */
export const threadArena: KeyArena = new KeyArena();
const idle = [threadArena];

/**
 * Calls `use` with an arena that no other running call has, and resets it when `use` has returned or thrown, or its
 * promise has settled. @returns the result of `use`; a promise settles after the reset @throws TypeError
 */
export function withArena<T>(use: (arena: KeyArena) => T): T {
  if (typeof use !== 'function') throw wrongType('use', 'a function', use);
  const arena = idle.pop() ?? new KeyArena();
  let isPending = false;
  try {
    const result = use(arena);
    isPending = isThenable(result);
    return isPending ? (Promise.resolve(result).finally(() => giveBack(arena)) as T) : result;
  } finally {
    if (!isPending) giveBack(arena);
  }
}

function giveBack(arena: KeyArena): void {
  arena.reset();
  // The thread's own arena is on top, so that it is used first.
  if (arena === threadArena) idle.push(arena);
  else if (idle.length < MAX_IDLE_ARENAS) idle.unshift(arena);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof value === 'object' && 'then' in value && typeof value.then === 'function';
}

/** Key bytes that a handle holds in its fields. */
const INLINE_BYTES = 24;

const hashOfKey = new Hash64();
/** The first bytes of the current key, on their way to the fields of its handle, or from them. */
const inline = new Uint8Array(INLINE_BYTES);
const inlineView = new DataView(inline.buffer);

/** An immutable key with its 64-bit FNV-1a hash. Up to 24 bytes are in six fields, so a short key needs no array. */
export class KeyHandle {
  static {
    showAs(this, (key, show) => `KeyHandle ${show({ key: shownKey(key.bytes()), length: key.length })}`);
  }

  readonly length: number;
  // The halves of the hash, signed 32-bit integers.
  readonly hashHigh: number;
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
    // Copied before it is hashed, since shared memory may change in between; not by `slice`, which of a Buffer is a view.
    const length = end - start;
    this.length = length;
    this.#copy = length > INLINE_BYTES ? new Uint8Array(source.subarray(start, end)) : undefined;
    inline.fill(0);
    if (this.#copy === undefined) copyRange(source, start, end, inline, 0);
    else copyRange(this.#copy, 0, INLINE_BYTES, inline, 0);
    this.#word0 = inlineView.getInt32(0);
    this.#word1 = inlineView.getInt32(4);
    this.#word2 = inlineView.getInt32(8);
    this.#word3 = inlineView.getInt32(12);
    this.#word4 = inlineView.getInt32(16);
    this.#word5 = inlineView.getInt32(20);
    fnv1a64Into(this.#copy ?? inline, 0, length, hashOfKey);
    this.hashHigh = hashOfKey.high;
    this.hashLow = hashOfKey.low;
  }

  /**
   * A handle with a copy of `source[start, end)`, or of a text in UTF-8, which is taken as a whole.
   * @throws TypeError, also for a lone surrogate; RangeError for an invalid range
   */
  static of(text: string): KeyHandle;
  static of(source: Uint8Array, start?: number, end?: number): KeyHandle;
  static of(source: Uint8Array | string, start?: number, end?: number): KeyHandle {
    if (typeof source !== 'string') return KeyHandle.#ofRange(source, start, end);
    if (start !== undefined || end !== undefined)
      throw new TypeError('start and end are for a source of bytes; a text is taken as a whole');
    const bytes = new Uint8Array(utf8Bytes(source));
    return new KeyHandle(bytes, 0, writeUtf8(source, bytes, 0));
  }

  static #ofRange(source: Uint8Array, start = 0, end: number = lengthOf(source)): KeyHandle {
    assertByteRange(source, start, end);
    return new KeyHandle(source, start, end);
  }

  /** Whether the bytes, at most 24, are in fields, and not in an array. */
  get isInline(): boolean {
    return this.#copy === undefined;
  }

  /** The key as text, with U+FFFD for what is not UTF-8. */
  get text(): string {
    return utf8Text(this.sharedBytes().subarray(0, this.length));
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

  /** Writes the bytes to `target`. @returns the offset after them @throws TypeError; RangeError if they do not fit */
  copyTo(target: Uint8Array, offset = 0): number {
    if (!isBytes(target)) throw wrongType('target', 'a Uint8Array', target);
    if (!Number.isInteger(offset) || offset < 0 || offset + this.length > target.length)
      throw new RangeError(
        `target of ${target.length} bytes has no room for ${this.length} at offset ${valueText(offset)}`,
      );
    copyRange(this.sharedBytes(), 0, this.length, target, offset);
    return offset + this.length;
  }

  /** Whether the key has the bytes `source[start, end)`. @throws TypeError or RangeError for an invalid range */
  equalsRange(source: Uint8Array, start: number, end: number): boolean {
    assertByteRange(source, start, end);
    return end - start === this.length && equalRange(this.sharedBytes(), 0, source, start, this.length);
  }

  equals(other: KeyHandle): boolean {
    if (!(other instanceof KeyHandle)) throw wrongType('other', 'a KeyHandle', other);
    return this.hashLow === other.hashLow && this.hashHigh === other.hashHigh && this.compare(other) === 0;
  }

  /** Compares by unsigned bytes: -1, 0 or 1. A prefix comes before the longer key. */
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

  /** An array that starts with the bytes, valid until another handle is used. @internal */
  sharedBytes(): Uint8Array {
    if (this.#copy !== undefined) return this.#copy;
    inlineView.setInt32(0, this.#word0);
    inlineView.setInt32(4, this.#word1);
    inlineView.setInt32(8, this.#word2);
    inlineView.setInt32(12, this.#word3);
    inlineView.setInt32(16, this.#word4);
    inlineView.setInt32(20, this.#word5);
    return inline;
  }
}

function compareWords(a: number, b: number): number {
  if (a === b) return 0;
  return a >>> 0 < b >>> 0 ? -1 : 1;
}
