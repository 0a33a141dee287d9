import { assertByteRange, compareBytes, Copier, equalRange } from '../bytes/buffer.ts';
import { fnv1a64Into, Hash64 } from '../bytes/checksum.ts';
import { PageStoreError } from '../errors.ts';

/** Size of a chunk, and the step from the first key of one to that of the next. */
const CHUNK_BYTES = 65_536;

/**
 * Memory for keys. Bytes of keys grow up, and from the end two bytes for each key, where it starts, grow down; so a key
 * has a number in its chunk, and ends where the next one starts.
 */
class Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same memory; the start of key n is at `last - n`. */
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

  enter(firstKey: number): void {
    this.firstKey = firstKey;
    this.keyCount = 0;
    this.freeOffset = 0;
  }
}

/** Holds no key, so the first one asks for a chunk. */
const NO_CHUNK = new Chunk(0);

/** Chunks of one size beyond the common one, each for a single key. */
interface LargeChunks {
  readonly chunks: Chunk[];
  usedCount: number;
  /** The round of `usedCount`; in a later one all are free, so a reset need not visit them. */
  round: number;
}

/**
 * Keys of any length in chunks of 64 KiB, freed all at once by `reset`, which keeps the memory for the next ones. A key
 * longer than 65,534 bytes has a chunk of its own, of the next power of two.
 *
 * A key is a number, and no number is given twice: after a reset they go on from where they were. So reading a key from
 * before a reset throws `STALE_KEY`, and never gives the bytes of another. Numbers end at 2^53, after some 9 PB of
 * keys; days of nothing but adding long ones, with `ARENA_FULL` at the end. A key of another arena cannot be told from
 * an own one.
 */
export class KeyArena {
  readonly #common: Chunk[] = [];
  #commonUsed = 0;
  /** By size. */
  readonly #large = new Map<number, LargeChunks>();
  /** Chunks in the order in which they were entered since the reset: the one at n has the keys from `base + n * 65,536`. */
  readonly #entered: Chunk[] = [];
  #enteredCount = 0;
  /** Where keys of less than a chunk go: one of `#common`. */
  #chunk = NO_CHUNK;
  #base: number;
  readonly #first: number;
  #round = 0;
  readonly #copier = new Copier();

  /** @param firstKey - the number of the first key: an integer of 0 to 2^53 - 1. Arenas that are far apart refuse each other's keys. */
  constructor(firstKey = 0) {
    if (!Number.isSafeInteger(firstKey) || firstKey < 0) {
      throw new RangeError(`${String(firstKey)} is not an integer of 0 to 2^53 - 1`);
    }
    this.#base = this.#first = firstKey;
  }

  /** Keys since the reset. */
  get keyCount(): number {
    let count = 0;
    for (let at = 0; at < this.#enteredCount; at++) count += (this.#entered[at] as Chunk).keyCount;
    return count;
  }

  /** Bytes of the keys since the reset. Each takes two more in its chunk. */
  get usedBytes(): number {
    let bytes = 0;
    for (let at = 0; at < this.#enteredCount; at++) bytes += (this.#entered[at] as Chunk).freeOffset;
    return bytes;
  }

  /** Chunks that the arena has, free ones included. */
  get chunkCount(): number {
    let count = this.#common.length;
    for (const { chunks } of this.#large.values()) count += chunks.length;
    return count;
  }

  /** Bytes of all chunks. */
  get reservedBytes(): number {
    let bytes = this.#common.length * CHUNK_BYTES;
    for (const [size, { chunks }] of this.#large) bytes += size * chunks.length;
    return bytes;
  }

  /**
   * Copies `source[start, end)`.
   * @returns the key, valid until `reset`
   * @throws RangeError where that is no range, or where there is no memory, and then the arena is as it was;
   * TypeError for what is not bytes; PageStoreError `ARENA_FULL` when no number below 2^53 is left
   */
  add(source: Uint8Array, start = 0, end: number = source.length): number {
    assertByteRange(source, start, end);
    const length = end - start;
    let chunk = this.#chunk;
    if (chunk.freeOffset + length + 2 * chunk.keyCount + 2 > chunk.bytes.length) chunk = this.#enterChunk(length);
    const { bytes, freeOffset, keyCount } = chunk;
    chunk.starts[chunk.last - keyCount] = freeOffset;
    this.#copier.copy(source, start, end, bytes, chunk.view, freeOffset);
    chunk.freeOffset = freeOffset + length;
    chunk.keyCount = keyCount + 1;
    return chunk.firstKey + keyCount;
  }

  /**
   * The bytes of a key: a view, valid until `reset`, when they become those of other keys. It is not to be written to.
   * @throws PageStoreError `STALE_KEY` for a key from before a reset; RangeError for what is no key
   */
  bytes(key: number): Uint8Array {
    const chunk = this.#chunkOf(key);
    const index = key - chunk.firstKey;
    return chunk.bytes.subarray(chunk.startOf(index), chunk.endOf(index));
  }

  /** Length of a key in bytes. @throws as `bytes` */
  length(key: number): number {
    const chunk = this.#chunkOf(key);
    const index = key - chunk.firstKey;
    return chunk.endOf(index) - chunk.startOf(index);
  }

  /** Whether a key has the bytes of `source[start, end)`. @throws as `bytes` and `add` */
  equals(key: number, source: Uint8Array, start = 0, end: number = source.length): boolean {
    assertByteRange(source, start, end);
    const chunk = this.#chunkOf(key);
    const index = key - chunk.firstKey;
    const from = chunk.startOf(index);
    const length = end - start;
    return chunk.endOf(index) - from === length && equalRange(chunk.bytes, from, source, start, length);
  }

  /** The order of two keys by their unsigned bytes: below 0, 0 or above 0; the shorter is first where it begins the other. @throws as `bytes` */
  compare(a: number, b: number): number {
    return compareBytes(this.bytes(a), this.bytes(b));
  }

  /** Frees all keys at once, whatever their number, and keeps the chunks. */
  reset(): void {
    if (this.#enteredCount === 0) return;
    const last = this.#entered[this.#enteredCount - 1] as Chunk; // not the one that keys go to, behind a long key
    this.#base = last.firstKey + last.keyCount;
    this.#chunk = NO_CHUNK;
    this.#enteredCount = 0;
    this.#commonUsed = 0;
    this.#round++;
    this.#copier.release();
  }

  /** A chunk with room for a key of `length` bytes; a long key's own one, and else the one that is now filled. */
  #enterChunk(length: number): Chunk {
    const firstKey = this.#base + this.#enteredCount * CHUNK_BYTES;
    if (firstKey > Number.MAX_SAFE_INTEGER - CHUNK_BYTES) {
      throw new PageStoreError('ARENA_FULL', 'the arena has given out all keys below 2^53; use a new one');
    }
    const common = length + 2 <= CHUNK_BYTES;
    const chunk = common ? this.#takeCommon() : this.#takeLarge(length + 2);
    chunk.enter(firstKey);
    this.#entered[this.#enteredCount++] = chunk;
    if (common) this.#chunk = chunk;
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

  #chunkOf(key: number): Chunk {
    const place = Math.floor((key - this.#base) / CHUNK_BYTES);
    if (place >= 0 && place < this.#enteredCount) {
      const chunk = this.#entered[place] as Chunk; // place < enteredCount
      if (key - chunk.firstKey < chunk.keyCount && Number.isInteger(key)) return chunk;
    }
    if (Number.isInteger(key) && key >= this.#first && key < this.#base) {
      throw new PageStoreError('STALE_KEY', `the key ${key} is from before a reset; keys begin at ${this.#base} now`, {
        found: String(key),
        expected: `at least ${this.#base}`,
      });
    }
    throw new RangeError(`${String(key)} is not a key of this arena`);
  }
}

// A module is evaluated once in each thread, so all of this is the thread's own.

/** Idle arenas that are kept for later calls; more come only from calls within calls. */
const MAX_IDLE = 8;

/** Keys of one arena begin so far from those of the next that neither reaches the other's: 16 TiB of keys. */
const KEYS_APART = 2 ** 44;
const PLACES = 512;

let arenaCount = 0;

/** An arena that refuses the keys of the others. */
function newArena(): KeyArena {
  return new KeyArena((arenaCount++ % PLACES) * KEYS_APART);
}

let arenaOfThread: KeyArena | undefined;
const idle: KeyArena[] = [];

/**
 * The arena of this thread; each thread has its own. `withArena` gives it out, and resets it, whenever no call of
 * `withArena` has it, so keys that are to outlive such a call belong into an arena of one's own.
 */
export function threadArena(): KeyArena {
  if (arenaOfThread === undefined) idle.push((arenaOfThread = newArena()));
  return arenaOfThread;
}

/**
 * Calls `use` with an arena that nobody else is given meanwhile, and resets it afterwards, also when `use` throws.
 * Where `use` returns a promise, the reset waits until that is settled. The arena is that of the thread; while another
 * call has it, as one that this call is made in, or one that waits for its promise, it is another one. So no call
 * resets the keys of a call that is still running.
 * @returns what `use` returns, and for a promise one with its outcome, settled after the reset
 */
export function withArena<T>(use: (arena: KeyArena) => T): T {
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
  // The thread's own is on top, and so the first to be used again.
  if (arena === arenaOfThread) idle.push(arena);
  else if (idle.length < MAX_IDLE) idle.unshift(arena);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof value === 'object' && 'then' in value && typeof value.then === 'function';
}

/** Bytes that are kept in the fields of a handle. */
const INLINE_BYTES = 24;

const hashOfKey = new Hash64();
const scratch = new Uint8Array(INLINE_BYTES);
/** The words of the key at hand, on their way into the fields of its handle. */
const words = new Int32Array(INLINE_BYTES / 4);

/**
 * A key that owns its bytes, with their FNV-1a of 64 bits, computed once. It never changes. The first 24 bytes are in
 * six fields of 32 bits, so a key of up to 24 bytes needs no array; a longer one has a copy of all of its bytes.
 */
export class KeyHandle {
  /** Length of the key in bytes. */
  readonly length: number;
  /** The upper half of the hash, a signed 32-bit integer. */
  readonly hashHigh: number;
  /** The lower half of the hash, a signed 32-bit integer. */
  readonly hashLow: number;
  // Big-endian and filled up with zeros, so that words compare as the bytes do.
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly #word4: number;
  readonly #word5: number;
  readonly #copy: Uint8Array | undefined;

  private constructor(source: Uint8Array, start: number, end: number) {
    // Not by `slice`, which of a Buffer is a view. Copied before it is hashed: a shared source may change meanwhile, and hash and bytes have to agree.
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

  /** A handle of `source[start, end)`. @throws RangeError where that is no range; TypeError for what is not bytes */
  static of(source: Uint8Array, start = 0, end: number = source.length): KeyHandle {
    assertByteRange(source, start, end);
    return new KeyHandle(source, start, end);
  }

  /** FNV-1a, 64 bit, of the bytes: an unsigned bigint, made at each call from its halves. */
  get hash(): bigint {
    return (BigInt(this.hashHigh >>> 0) << 32n) | BigInt(this.hashLow >>> 0);
  }

  /** The bytes: a copy. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.copyTo(bytes);
    return bytes;
  }

  /**
   * Writes the bytes at `offset`.
   * @returns the offset behind them
   * @throws RangeError where they run past the end of `target`, which is left alone then
   */
  copyTo(target: Uint8Array, offset = 0): number {
    const end = offset + this.length;
    assertByteRange(target, offset, end);
    if (this.#copy !== undefined) target.set(this.#copy, offset);
    else for (let at = 0; at < this.length; at++) target[offset + at] = this.#inlineByte(at);
    return end;
  }

  /** Whether these are the bytes `source[start, end)`. The range is not checked. */
  equalsRange(source: Uint8Array, start: number, end: number): boolean {
    if (end - start !== this.length) return false;
    if (this.#copy !== undefined) return equalRange(this.#copy, 0, source, start, this.length);
    for (let at = 0; at < this.length; at++) if (source[start + at] !== this.#inlineByte(at)) return false;
    return true;
  }

  equals(other: KeyHandle): boolean {
    return (
      this.hashLow === other.hashLow &&
      this.hashHigh === other.hashHigh &&
      this.length === other.length &&
      this.compare(other) === 0
    );
  }

  /** The order of two keys by their unsigned bytes: -1, 0 or 1; the shorter is first where it begins the other. */
  compare(other: KeyHandle): number {
    return (
      compareWords(this.#word0, other.#word0) ||
      compareWords(this.#word1, other.#word1) ||
      compareWords(this.#word2, other.#word2) ||
      compareWords(this.#word3, other.#word3) ||
      compareWords(this.#word4, other.#word4) ||
      compareWords(this.#word5, other.#word5) ||
      // Where one of them ends here, the other begins with it, or with it and zeros: its length says which is first.
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
    const byte = source[start + at] as number; // within the range that the handle is of
    words[at >> 2] = (words[at >> 2] as number) | (byte << (24 - 8 * (at & 3)));
  }
}

/** The order of two unsigned words. */
function compareWords(a: number, b: number): number {
  if (a === b) return 0;
  return a >>> 0 < b >>> 0 ? -1 : 1;
}
