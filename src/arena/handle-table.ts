import { types } from 'node:util';
import { threadId } from 'node:worker_threads';
import { wrongType, valueText } from '../arguments.ts';
import { PageStoreError } from '../errors.ts';
import type { BlockMemory } from './block-memory.ts';

/**
 * A handle is a number of 53 bits. The highest is 1, so that it is never a key of a KeyArena; then follow the arena (10), the
 * round (17), which is another one after each reset, and the index of the allocation in the table of its arena (25). So
 * millions of handles are no objects, and a `Float64Array` or a message can carry them. Arenas of a thread have different
 * numbers until 1,023 more have been made, and equal rounds return after 131,072 of them.
 */
export type ArenaHandle = number;

const INDEX_RADIX = 2 ** 25;
const ROUND_RADIX = 2 ** 17;
const ARENA_RADIX = 2 ** 10;
/** The highest bit of each handle, above its index. */
const HANDLE_TAG: number = ARENA_RADIX * ROUND_RADIX;
/** Every handle is at least this, and every key of a KeyArena that chooses its numbers is less. */
export const FIRST_HANDLE: number = HANDLE_TAG * INDEX_RADIX;
const ROUND_MASK: number = ROUND_RADIX - 1;

// An entry is two words: the offset of an allocation in its arena, and its length in bytes.
const ENTRY_WORDS = 2;
/** A thread reserves a chunk of entries at a time, and fills it without atomics. */
const CHUNK_ENTRIES = 512;
const CHUNK_WORDS: number = CHUNK_ENTRIES * ENTRY_WORDS;
/** Words of a chunk before its entries: how many there are, their bytes, also with padding, and their shard. */
const CHUNK_HEADER_WORDS = 4;
const COUNT = 0;
const USED_BYTES = 1;
const PADDED_BYTES = 2;
const SHARD = 3;
/** Handles that a thread reserves at a time. */
export const USABLE_ENTRIES: number = CHUNK_ENTRIES - CHUNK_HEADER_WORDS / ENTRY_WORDS;

/** Most allocations of one epoch: 33,423,360. */
export const MAX_ALLOCATIONS: number = (INDEX_RADIX / CHUNK_ENTRIES) * USABLE_ENTRIES;

/** The table grows by a segment, for which there is an array: over growing memory one array for all would be slow. */
const SEGMENT_BYTES = 65_536;
const SEGMENT_WORDS: number = SEGMENT_BYTES / 4;
const SEGMENT_ENTRIES: number = SEGMENT_WORDS / ENTRY_WORDS;
const CHUNKS_PER_SEGMENT: number = SEGMENT_WORDS / CHUNK_WORDS;

const CONTROL_BYTES = 4_096;
/** The magic number of this layout, `ARNH`. */
const MAGIC = 0x41_52_4e_48;
const MAGIC_WORD = 0;
const ARENA_WORD = 1;
const MAX_CHUNKS_WORD = 2;
/** 1 if a round is the low bits of an epoch, 0 if resets are counted: then epochs may have equal low bits. */
const IS_EPOCH_WORD = 3;
const ROUND_WORD = 4;
/** Chunks that are reserved; in another cache line than what every look-up reads. */
const CURSOR_WORD = 16;
/** The cursor during a reset. */
const CLOSED = -1;

/** The number of arenas whose handles no program gets. */
export const PRIVATE_ARENA = 0;

/** Threads begin at numbers that are far apart. */
let nextArena = threadId * 633;

/** A number for a new arena or pool; equal numbers return after 1,023 of them, and may come from other threads. */
export function newArenaNumber(): number {
  return 1 + (nextArena++ % (ARENA_RADIX - 1));
}

const NOTHING = new Uint8Array(0);

/** Bytes of handles that are in one array, for the packing loops. It is filled by {@link HandleSource.locate}. */
export class NodeRanges {
  /** Shared, and valid as long as the handles are. */
  source: Uint8Array = NOTHING;
  count = 0;
  /** For each handle the start of its bytes in `source`, and their number. */
  readonly words: Int32Array = new Int32Array(2 * 512);
  #memory: BlockMemory | undefined;
  /** Where `source` begins in the memory, and whether it is a block. */
  #base = 0;
  #isBlock = false;

  get capacity(): number {
    return this.words.length / 2;
  }

  /** Removes all, and the reference to their memory. @internal */
  clear(): void {
    this.source = NOTHING;
    this.count = 0;
    this.#memory = undefined;
  }

  /** Adds an allocation. @returns false, with nothing changed, if it is in another array than those before @internal */
  add(memory: BlockMemory, offset: number, bytes: number): boolean {
    const { words } = this;
    const at = 2 * this.count;
    if (bytes === 0) {
      // It may be at the end of the last block, so it is put after the one before.
      words[at] = at === 0 ? 0 : (words[at - 2] as number) + (words[at - 1] as number);
    } else {
      const isInBlock = memory.isInBlock(offset, bytes);
      if (this.#memory === undefined) {
        this.#memory = memory;
        this.#isBlock = isInBlock;
        this.#base = isInBlock ? memory.blockStart(offset) : offset;
        this.source = isInBlock ? memory.blockOf(offset) : memory.view(offset, bytes);
      } else if (!isInBlock || !this.#isBlock || this.#memory !== memory || memory.blockStart(offset) !== this.#base) {
        return false;
      }
      words[at] = offset - this.#base;
    }
    words[at + 1] = bytes;
    this.count++;
    return true;
  }
}

/** An arena whose handles a page file takes: see `PageStore.appendFrom`. */
export interface HandleSource {
  /**
   * Puts the ranges of the first of `handles[from, to)` into `ranges`: at least one, and as many as are in one array.
   * @throws {@link PageStoreError} `STALE_EPOCH` or `STALE_KEY`; RangeError for a number that is no handle of this arena
   */
  locate(handles: ArrayLike<number>, from: number, to: number, ranges: NodeRanges): void;
}

/** Claims that follow each other in a table, all in one array: see `PageWriter.addRanges`. */
export interface ClaimRun {
  readonly source: Uint8Array;
  readonly base: number;
  readonly words: Int32Array;
  readonly at: number;
  readonly end: number;
  /** Bytes of all. */
  readonly bytes: number;
}

/** Totals of the allocations in a table. */
export interface HandleTotals {
  readonly allocations: number;
  readonly usedBytes: number;
  readonly totalUsedBytes: number;
}

/**
 * Where each allocation of an arena is, in shared memory. Each thread fills chunks of its own, so that adding an entry
 * takes no atomics; other threads see it after a message or an atomic operation.
 */
export class HandleTable {
  readonly buffer: SharedArrayBuffer;
  readonly arena: number;
  readonly #control: Int32Array;
  readonly #maxChunks: number;
  readonly #segments: Int32Array[] = [];
  // The chunk of this thread: entries are added at `#at`, up to `#end`. None at first.
  #chunk = -1;
  #words: Int32Array = new Int32Array(0);
  #at = 0;
  #end = 0;
  #header = 0;
  /** The handle of the entry at word 0 of the segment. */
  #base = 0;
  /** The claims before the current run: three numbers for each run, see {@link takeRuns}. */
  #runs: number[] = [];
  #runStart = -1;
  #runBytes = 0;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#control = new Int32Array(buffer, 0, CONTROL_BYTES / 4);
    this.arena = this.#control[ARENA_WORD] as number;
    this.#maxChunks = this.#control[MAX_CHUNKS_WORD] as number;
  }

  /**
   * @param maxAllocations - rounded up to whole chunks
   * @param epoch - the first one, if the epochs of the arena are less than 262,144 apart and handles are to have them
   * @throws RangeError if the system has no address space
   */
  static create(arena: number, maxAllocations: number, epoch?: number): HandleTable {
    const maxChunks = Math.min(Math.ceil(maxAllocations / USABLE_ENTRIES), INDEX_RADIX / CHUNK_ENTRIES);
    const segments = Math.ceil(maxChunks / CHUNKS_PER_SEGMENT);
    const buffer = new SharedArrayBuffer(CONTROL_BYTES, { maxByteLength: CONTROL_BYTES + segments * SEGMENT_BYTES });
    const control = new Int32Array(buffer, 0, CONTROL_BYTES / 4);
    control[MAGIC_WORD] = MAGIC;
    control[ARENA_WORD] = arena;
    control[MAX_CHUNKS_WORD] = maxChunks;
    if (epoch !== undefined) {
      control[IS_EPOCH_WORD] = 1;
      control[ROUND_WORD] = epoch % ROUND_RADIX;
    }
    return new HandleTable(buffer);
  }

  /** The same table, in another thread. @throws TypeError unless `create` made the memory */
  static attach(buffer: SharedArrayBuffer): HandleTable {
    if (types.isSharedArrayBuffer(buffer) && buffer.growable && buffer.byteLength >= CONTROL_BYTES) {
      if (new Int32Array(buffer, 0, 1)[MAGIC_WORD] === MAGIC) return new HandleTable(buffer);
    }
    throw wrongType('descriptor', 'one that an arena returned, with its handles', buffer);
  }

  /** Whether claims were added that are not counted yet: see {@link addClaim}. */
  get hasRun(): boolean {
    return this.#runStart >= 0;
  }

  /** Whether {@link add} needs no {@link reserveChunk} first. */
  get hasRoom(): boolean {
    return this.#at < this.#end;
  }

  /** Forgets the chunk of this thread: it is of an earlier epoch. */
  drop(): void {
    this.#chunk = -1;
    this.#at = this.#end = 0;
    this.#runs = [];
    this.#runStart = -1;
    this.#runBytes = 0;
  }

  /** Number of the chunk that this thread fills; -1 if it has none. */
  get chunk(): number {
    return this.#chunk;
  }

  /** Reserves a chunk for this thread. @returns false if the table is full @throws RangeError if no memory is available */
  reserveChunk(shard: number): boolean {
    for (;;) {
      const chunk = Atomics.load(this.#control, CURSOR_WORD);
      if (chunk === CLOSED) continue;
      if (chunk >= this.#maxChunks) return false;
      const segment = Math.floor(chunk / CHUNKS_PER_SEGMENT);
      // Before the cursor advances: chunks below it exist for every thread.
      const words = this.#segment(segment);
      if (Atomics.compareExchange(this.#control, CURSOR_WORD, chunk, chunk + 1) !== chunk) continue;
      this.endRun();
      this.#fill(chunk, words);
      words[this.#header + SHARD] = shard;
      return true;
    }
  }

  /** Continues a chunk of this round to which another object has added, in this thread or before this thread had it. */
  continueChunk(chunk: number): void {
    this.endRun();
    if (chunk !== this.#chunk) this.#fill(chunk, this.#segment(Math.floor(chunk / CHUNKS_PER_SEGMENT)));
    const count = this.#words[this.#header + COUNT] as number; // a word of the chunk
    this.#at = this.#header + CHUNK_HEADER_WORDS + count * ENTRY_WORDS;
  }

  #fill(chunk: number, words: Int32Array): void {
    this.#chunk = chunk;
    this.#words = words;
    this.#header = (chunk % CHUNKS_PER_SEGMENT) * CHUNK_WORDS;
    this.#at = this.#header + CHUNK_HEADER_WORDS;
    this.#end = this.#header + CHUNK_WORDS;
    this.#base = this.#tag * INDEX_RADIX + Math.floor(chunk / CHUNKS_PER_SEGMENT) * SEGMENT_ENTRIES;
  }

  /** Adds an allocation; {@link hasRoom} must be true. @param paddedBytes - with the bytes that alignment took before it */
  add(offset: number, bytes: number, paddedBytes: number): ArenaHandle {
    if (this.#runStart >= 0) this.endRun();
    const words = this.#words;
    const at = this.#at;
    words[at] = offset;
    words[at + 1] = bytes;
    this.#at = at + ENTRY_WORDS;
    this.#count(bytes, paddedBytes);
    return this.#base + at / ENTRY_WORDS;
  }

  /**
   * As {@link add}, for {@link takeRuns}. It allocates nothing: a handle is a double. The entry is valid, and counted, once
   * {@link endRun} or `takeRuns` was called.
   */
  addClaim(offset: number, bytes: number): void {
    const at = this.#at;
    const words = this.#words;
    if (this.#runStart < 0) this.#runStart = at;
    words[at] = offset;
    words[at + 1] = bytes;
    this.#at = at + ENTRY_WORDS;
    this.#runBytes += bytes;
  }

  /**
   * The claims since the last call, in runs of consecutive handles: for each its first handle, how many they are, and how
   * many bytes.
   */
  takeRuns(): number[] {
    this.endRun();
    const runs = this.#runs;
    this.#runs = [];
    return runs;
  }

  /** The claims of {@link takeRuns}, also of another thread. @param memory - the blocks that the claims are in */
  *claimsOf(runs: readonly number[], memory: BlockMemory): Generator<ClaimRun, void> {
    for (let index = 0; index < runs.length; index += 3) {
      const [first, count, bytes] = runs.slice(index, index + 3) as [number, number, number];
      const entry = first % INDEX_RADIX;
      const words = this.#segment(Math.floor(entry / SEGMENT_ENTRIES));
      const at = (entry % SEGMENT_ENTRIES) * ENTRY_WORDS;
      const end = at + ENTRY_WORDS * count;
      const offset = words[at] as number; // the first claim
      const last = words[end - ENTRY_WORDS] as number;
      const runBytes = last + (words[end - ENTRY_WORDS + 1] as number) - offset;
      // A reservation may be longer than a block, and end with the last one.
      const isInBlock = runBytes > 0 && memory.isInBlock(offset, runBytes);
      const source = isInBlock ? memory.blockOf(offset) : memory.view(offset, runBytes);
      yield { source, base: isInBlock ? memory.blockStart(offset) : offset, words, at, end, bytes };
    }
  }

  /** What a handle of this arena and round has above its index. */
  get #tag(): number {
    return HANDLE_TAG + this.arena * ROUND_RADIX + Atomics.load(this.#control, ROUND_WORD);
  }

  /**
   * Finds the entry of a handle; {@link found} and {@link foundAt} are valid until the next call.
   * @param owner - the arena, whose epoch is for messages
   * @throws {@link PageStoreError} `STALE_EPOCH`; RangeError for a number that is no handle of this arena
   */
  find(handle: ArenaHandle, owner: { readonly epoch: number }): void {
    if (typeof handle !== 'number') throw notOfArena(handle);
    const tag = Math.floor(handle / INDEX_RADIX);
    const exact = handle - tag * INDEX_RADIX;
    // As an int32: the remainder of a double takes longer than all the rest.
    const index = exact | 0;
    if (tag !== this.#tag || index !== exact) this.#refuse(handle, owner.epoch);
    const slot = index % CHUNK_ENTRIES;
    const chunk = (index - slot) / CHUNK_ENTRIES;
    if (chunk >= Atomics.load(this.#control, CURSOR_WORD)) this.#refuse(handle, owner.epoch);
    const words = this.#segment((chunk / CHUNKS_PER_SEGMENT) | 0);
    const header = (chunk % CHUNKS_PER_SEGMENT) * CHUNK_WORDS;
    const entry = slot - CHUNK_HEADER_WORDS / ENTRY_WORDS;
    if (entry < 0 || entry >= (words[header + COUNT] as number)) this.#refuse(handle, owner.epoch);
    this.found = words;
    this.foundAt = header + slot * ENTRY_WORDS;
    this.foundShard = words[header + SHARD] as number;
  }

  /** The words of the entry that {@link find} found: at `foundAt` the offset, then the length. */
  found: Int32Array = this.#words;
  foundAt = 0;
  foundShard = 0;

  /** Offset of the allocation that {@link find} found. */
  get foundOffset(): number {
    return this.found[this.foundAt] as number; // find has checked the entry
  }

  /** Its length in bytes. */
  get foundBytes(): number {
    return this.found[this.foundAt + 1] as number; // find has checked the entry
  }

  /** @param shard - totals of one shard; undefined: of all */
  totals(shard?: number): HandleTotals {
    let [allocations, usedBytes, totalUsedBytes] = [0, 0, 0];
    const chunks = Math.min(Atomics.load(this.#control, CURSOR_WORD), this.#maxChunks);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const words = this.#segment(Math.floor(chunk / CHUNKS_PER_SEGMENT));
      const header = (chunk % CHUNKS_PER_SEGMENT) * CHUNK_WORDS;
      if (shard !== undefined && Atomics.load(words, header + SHARD) !== shard) continue;
      allocations += Atomics.load(words, header + COUNT);
      usedBytes += Atomics.load(words, header + USED_BYTES);
      totalUsedBytes += Atomics.load(words, header + PADDED_BYTES);
    }
    return { allocations, usedBytes, totalUsedBytes };
  }

  /** Lets no thread reserve a chunk until {@link reset}. @returns how many chunks there are, for `reset` */
  close(): number {
    return Atomics.exchange(this.#control, CURSOR_WORD, CLOSED);
  }

  /** Removes all entries, and keeps the memory. @param chunks - what {@link close} returned @param epoch - the next one */
  reset(chunks: number, epoch: number): void {
    const isEpoch = this.#control[IS_EPOCH_WORD] === 1;
    const round = isEpoch ? epoch % ROUND_RADIX : (Atomics.load(this.#control, ROUND_WORD) + 1) & ROUND_MASK;
    Atomics.store(this.#control, ROUND_WORD, round);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const header = (chunk % CHUNKS_PER_SEGMENT) * CHUNK_WORDS;
      this.#segment(Math.floor(chunk / CHUNKS_PER_SEGMENT)).fill(0, header, header + CHUNK_HEADER_WORDS);
    }
    Atomics.store(this.#control, CURSOR_WORD, 0);
    this.drop();
  }

  /** Makes the claims so far valid. */
  endRun(): void {
    const start = this.#runStart;
    if (start < 0) return;
    const bytes = this.#runBytes;
    this.#runs.push(this.#base + start / ENTRY_WORDS, (this.#at - start) / ENTRY_WORDS, bytes);
    this.#runStart = -1;
    this.#runBytes = 0;
    this.#count(bytes, bytes);
  }

  /** Counts what was added to the chunk, to which no other thread writes. */
  #count(bytes: number, paddedBytes: number): void {
    const words = this.#words;
    const header = this.#header;
    words[header + USED_BYTES] = (words[header + USED_BYTES] as number) + bytes;
    words[header + PADDED_BYTES] = (words[header + PADDED_BYTES] as number) + paddedBytes;
    words[header + COUNT] = (this.#at - header - CHUNK_HEADER_WORDS) / ENTRY_WORDS;
  }

  /** The array of a segment, which is allocated if necessary. */
  #segment(index: number): Int32Array {
    return this.#segments[index] ?? this.#addSegment(index);
  }

  #addSegment(index: number): Int32Array {
    const byteLength = CONTROL_BYTES + (index + 1) * SEGMENT_BYTES;
    growTo(this.buffer, byteLength);
    for (let each = this.#segments.length; each <= index; each++)
      this.#segments.push(new Int32Array(this.buffer, CONTROL_BYTES + each * SEGMENT_BYTES, SEGMENT_WORDS));
    return this.#segments[index] as Int32Array; // pushed above
  }

  #refuse(handle: ArenaHandle, epoch: number): never {
    const tag = Math.floor(handle / INDEX_RADIX);
    if (!Number.isSafeInteger(handle) || Math.floor(tag / ROUND_RADIX) !== ARENA_RADIX + this.arena)
      throw notOfArena(handle);
    // Another thread may be resetting the arena: then no entry is found, and it is not told which ones there were.
    if (tag === this.#tag && Atomics.load(this.#control, CURSOR_WORD) !== CLOSED) throw notOfArena(handle);
    const found = 'a handle of an earlier epoch';
    throw new PageStoreError('STALE_EPOCH', `${found}: the arena has been reset to epoch ${epoch}`, {
      found,
      expected: `a handle of epoch ${epoch}`,
    });
  }
}

/** The latest epoch up to `current` that a handle can be of, in a table whose rounds are epochs; it may be negative. */
export function epochOf(handle: ArenaHandle, current: number): number {
  const low = Math.floor(handle / INDEX_RADIX) % ROUND_RADIX;
  const age = ((current % ROUND_RADIX) - low + ROUND_RADIX) & ROUND_MASK;
  return current - age;
}

/** The number of the arena or pool that a handle is of; negative if it is no handle. */
export function arenaOf(handle: ArenaHandle): number {
  return Math.floor(handle / (INDEX_RADIX * ROUND_RADIX)) - ARENA_RADIX;
}

export function notOfArena(handle: unknown): RangeError {
  return new RangeError(`handle must be a number that this arena returned, not ${valueText(handle)}`);
}

/** Grows shared memory to at least `byteLength`. @throws RangeError if no memory is available */
export function growTo(buffer: SharedArrayBuffer, byteLength: number): void {
  if (buffer.byteLength >= byteLength) return;
  try {
    buffer.grow(byteLength);
  } catch (error) {
    // Shrinking is an error, and another thread may have grown it further in between.
    if (buffer.byteLength < byteLength) throw error;
  }
}
