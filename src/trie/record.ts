import { compareBytes } from '../bytes/buffer.ts';
import { readVarint, varintBytesFrom } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

// Decodes the records of a trie: pure functions of the bytes in a slot. See docs/format.md#4-node-records.

/** Where a record is. */
export interface RecordPlace {
  readonly block: number;
  readonly slot: number;
}

const SLOTS_PER_BLOCK = 2 ** 22;
const BLOCK_LIMIT = 2 ** 23;

/** A place as one number, so that a node keeps its children in an array of numbers. */
export function packPlace({ block, slot }: RecordPlace): number {
  return block * SLOTS_PER_BLOCK + slot;
}

export function unpackPlace(target: number): RecordPlace {
  return { block: Math.floor(target / SLOTS_PER_BLOCK), slot: target % SLOTS_PER_BLOCK };
}

/** `block:slot`, for messages. */
export function placeText(target: number): string {
  const { block, slot } = unpackPlace(target);
  return `${block}:${slot}`;
}

/** An ART node. `value` is a view of the record. */
export interface ArtNode {
  readonly isFinal: boolean;
  readonly prefix: Uint8Array;
  /** In ascending order, each once. */
  readonly keys: readonly number[];
  /** The child of each key, as of {@link packPlace}. */
  readonly targets: readonly number[];
  readonly value: Uint8Array | undefined;
}

/** A bucket: the ends of the terms below a node. All are views of the record. */
export interface Bucket {
  /** In ascending order, each once. */
  readonly suffixes: readonly Uint8Array[];
  readonly values: readonly (Uint8Array | undefined)[];
}

export type TrieRecord = ArtNode | Bucket;

export function isBucket(record: TrieRecord): record is Bucket {
  return 'suffixes' in record;
}

/**
 * Decodes the record in a slot.
 * @throws {@link PageStoreError} `TRIE_NODE` if the bytes are no record, or contradict themselves
 */
export function decodeTrieRecord(record: Uint8Array, place: RecordPlace): TrieRecord {
  if (startsWith(record, ART_MAGIC)) return decodeArtNode(record, place);
  if (startsWith(record, BUCKET_MAGIC)) return decodeBucket(record, place);
  if (startsWith(record, CHAR_MAGIC)) {
    throw recordError(place, 'is of a char trie', Buffer.from(record.subarray(0, 4)).toString('hex'));
  }
  throw recordError(place, 'is neither an ART node nor a bucket', Buffer.from(record.subarray(0, 8)).toString('hex'));
}

const ART_MAGIC = Buffer.from('ART\0');
const CHAR_MAGIC = Buffer.from('ARC\0');
const BUCKET_MAGIC = Buffer.from('PARTBKT\0');

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  for (let at = 0; at < magic.length; at++) if (bytes[at] !== magic[at]) return false;
  return true;
}

function recordError({ block, slot }: RecordPlace, message: string, found?: string): PageStoreError {
  return new PageStoreError('TRIE_NODE', `the trie record at ${block}:${slot} ${message}`, {
    block,
    slot,
    ...(found !== undefined && { found }),
  });
}

const ART_HEADER_BYTES = 16;
const MAX_PREFIX_BYTES = 12;
const FINAL = 1;
const RELATIVE = 0x80;
const SEQUENTIAL = 0x40;
const HAS_VALUE = 0x20;
const NO_CHILD = 255;
const BITMAP_BYTES = 32;
const INDEX_BYTES = 256;

/** Node types of a char trie: libdictenstein refuses them in a byte trie. */
const CHAR_TYPES: ReadonlySet<number> = new Set([101, 104, 116, 148]);

function decodeArtNode(record: Uint8Array, place: RecordPlace): ArtNode {
  if (record.length < ART_HEADER_BYTES) throw recordError(place, `has ${record.length} bytes, its header has 16`);
  const version = byteAt(record, 4);
  const encoding = byteAt(record, 7);
  const prefixBytes = byteAt(record, 10);
  if (version > 2) throw recordError(place, `has version ${version}, supported are 1 and 2`, String(version));
  if (prefixBytes > MAX_PREFIX_BYTES) throw recordError(place, `has a prefix of ${prefixBytes} bytes, at most 12 fit`);
  const keysAt = ART_HEADER_BYTES + (prefixBytes === 0 ? 0 : MAX_PREFIX_BYTES);
  const children = new Children(record, place, byteAt(record, 5), keysAt, u16At(record, 8));
  // Records of version 1 are older than the other encodings, and ignore their bits; libdictenstein reads 0 as 2.
  if (version === 1) children.readAbsolute(true);
  else if ((encoding & SEQUENTIAL) !== 0) children.readSequential();
  else if ((encoding & RELATIVE) !== 0) children.readRelative();
  else children.readAbsolute(false);
  children.sort();
  return {
    isFinal: (byteAt(record, 6) & FINAL) !== 0,
    // A copy, since a view would keep the page of each node on a path in memory.
    prefix: new Uint8Array(record.subarray(ART_HEADER_BYTES, ART_HEADER_BYTES + prefixBytes)),
    keys: children.keys,
    targets: children.targets,
    value: (encoding & HAS_VALUE) === 0 ? undefined : valueOf(record, place),
  };
}

function valueOf(record: Uint8Array, place: RecordPlace): Uint8Array {
  const lengthAt = ART_HEADER_BYTES + u32At(record, 12);
  const start = lengthAt + 4;
  if (start > record.length) throw recordError(place, `has its value at byte ${lengthAt} of ${record.length}`);
  const end = start + u32At(record, lengthAt);
  if (end > record.length) throw recordError(place, `has a value that ends at byte ${end} of ${record.length}`);
  return record.subarray(start, end);
}

/** The children of an ART node while they are decoded. */
class Children {
  readonly #record: Uint8Array;
  readonly #place: RecordPlace;
  /** Of each key, which of the written children is its own; of version 1, its place in the table. */
  readonly #positions: number[] = [];
  readonly #count: number;
  readonly #size: number;
  #at: number;
  keys: number[] = [];
  targets: number[] = [];

  constructor(record: Uint8Array, place: RecordPlace, type: number, keysAt: number, count: number) {
    this.#record = record;
    this.#place = place;
    this.#count = count;
    this.#size = type === 0 ? 256 : type;
    this.#at = keysAt;
    if (count > this.#size) throw this.#error(`has ${count} children, a node of its type at most ${this.#size}`);
    if (type === 4 || type === 16) this.#readKeys(type);
    else if (type === 48) this.#readIndex();
    else if (type === 0) this.#readBitmap();
    else throw recordError(place, `has node type ${type}, expected 4, 16, 48, or 0 for 256`, String(type));
    if (this.keys.length < count) throw this.#error(`has ${count} children, but only ${this.keys.length} keys`);
  }

  #readKeys(size: number): void {
    const start = this.#skip(size, 'keys');
    for (let at = 0; at < this.#count; at++) this.#add(byteAt(this.#record, start + at), at);
  }

  #readIndex(): void {
    const start = this.#skip(INDEX_BYTES, 'index');
    for (let key = 0; key < INDEX_BYTES; key++) {
      const position = byteAt(this.#record, start + key);
      if (position === NO_CHILD) continue;
      if (position >= this.#size) throw this.#error(`has key ${key} at place ${position} of ${this.#size}`);
      this.#add(key, position);
    }
  }

  #readBitmap(): void {
    const start = this.#skip(BITMAP_BYTES, 'bitmap');
    // A u64 is little-endian, so bit b of word w is bit b mod 8 of a byte: its number is the key's.
    for (let key = 0; key < 256; key++) {
      if ((byteAt(this.#record, start + (key >> 3)) & (1 << (key & 7))) !== 0) this.#add(key, this.keys.length);
    }
  }

  #add(key: number, position: number): void {
    this.keys.push(key);
    this.#positions.push(position);
  }

  /** @param isWhole - of version 1: unused places are written too, except in a node of 256 */
  readAbsolute(isWhole: boolean): void {
    const hasTable = isWhole && this.#size < 256;
    const ranks = hasTable ? this.#positions : this.#ranks();
    const written = hasTable ? this.#size : this.#count;
    const start = this.#skip(8 * written, 'children');
    for (const rank of ranks) this.#addAbsolute(start + 8 * rank);
  }

  readRelative(): void {
    const ranks = this.#ranks();
    const targets: number[] = [];
    for (let child = 0; child < this.#count; child++) targets.push(this.#readTarget());
    this.#checkTypes();
    for (const rank of ranks) this.targets.push(targets[rank] as number); // ranks are below the count
  }

  readSequential(): void {
    const ranks = this.#ranks();
    if (this.#count === 0) return;
    const { block, slot } = unpackPlace(this.#readTarget());
    this.#checkTypes();
    for (const rank of ranks) this.targets.push(this.#target(block, slot + rank));
  }

  /** Sorts the children by key. */
  sort(): void {
    const { keys, targets } = this;
    let isSorted = true;
    for (let at = 1; at < keys.length; at++) if (!((keys[at - 1] as number) < (keys[at] as number))) isSorted = false; // at < length
    if (isSorted) return;
    const order = keys.map((_, at) => at).toSorted((a, b) => (keys[a] as number) - (keys[b] as number)); // indexes of keys
    this.keys = order.map((at) => keys[at] as number); // as above
    this.targets = order.map((at) => targets[at] as number); // one for each key
    const twice = this.keys.find((key, at) => at > 0 && key === this.keys[at - 1]);
    if (twice !== undefined) throw this.#error(`has two children for key ${twice}`);
  }

  /** Of each key, the number of the child: its place, without the unused ones before it. */
  #ranks(): readonly number[] {
    const positions = this.#positions;
    let isGapless = true;
    for (let at = 0; at < positions.length; at++) if (positions[at] !== at) isGapless = false;
    let ranks: readonly number[] = positions;
    let distinct = positions.length;
    if (!isGapless) {
      const used = [...new Set(positions)].toSorted((a, b) => a - b);
      const rankOf = new Map(used.map((position, rank) => [position, rank]));
      ranks = positions.map((position) => rankOf.get(position) as number); // every position is in it
      distinct = used.length;
    }
    if (distinct !== this.#count) throw this.#error(`has ${this.#count} children, and keys for ${distinct}`);
    return ranks;
  }

  #addAbsolute(at: number): void {
    const low = u32At(this.#record, at);
    const high = u32At(this.#record, at + 4);
    if (low === 0 && high === 0) throw this.#error('has a child that is a null pointer');
    if (high >= 2 ** 31) throw this.#error('has a child with bit 63 set, which is valid only in memory');
    this.#checkType(low & 0x3_ffff);
    // Bits 40 to 62, and 18 to 39.
    this.targets.push(this.#target(high >>> 8, (high & 0xff) * 2 ** 14 + (low >>> 18)));
  }

  #readTarget(): number {
    const { block, slot } = this.#place;
    const first = this.#record[this.#at] ?? 0;
    const start = this.#skip(first === 1 ? 9 : varintBytesFrom(first), 'children');
    if (first === 1) return this.#target(u32At(this.#record, start + 1) + 1, u32At(this.#record, start + 5));
    const distance = readVarint(this.#record, start);
    if (distance % 2 !== 0) throw this.#error(`has a child at the odd distance ${distance}`);
    return this.#target(block, slot - distance / 2);
  }

  #target(block: number, slot: number): number {
    if (block >= 1 && block < BLOCK_LIMIT && slot >= 0 && slot < SLOTS_PER_BLOCK) return packPlace({ block, slot });
    throw this.#error(`has a child at ${block}:${slot}, which no file has`);
  }

  #checkTypes(): void {
    const start = this.#skip(this.#count, 'types of its children');
    for (let at = start; at < start + this.#count; at++) this.#checkType(byteAt(this.#record, at));
  }

  /** The record of a child has its type too, so that only a type of another trie matters. */
  #checkType(type: number): void {
    if (CHAR_TYPES.has(type)) throw this.#error(`has a child of type ${type}, which is of a char trie`);
  }

  /** @returns the offset of the next `bytes`, which are within the record */
  #skip(bytes: number, what: string): number {
    const start = this.#at;
    this.#at += bytes;
    if (this.#at <= this.#record.length) return start;
    throw this.#error(`ends within its ${what}: it has ${this.#record.length} bytes, not ${this.#at}`);
  }

  #error(message: string): PageStoreError {
    return recordError(this.#place, message);
  }
}

const BUCKET_BYTES = 8192;
const BUCKET_HEADER_BYTES = 32;
const ENTRY_BYTES = 8;
const MAX_ENTRIES = 256;

function decodeBucket(record: Uint8Array, place: RecordPlace): Bucket {
  if (record.length !== BUCKET_BYTES) throw recordError(place, `is a bucket of ${record.length} bytes, expected 8192`);
  const version = u16At(record, 8);
  const count = u16At(record, 12);
  if (version !== 1) throw recordError(place, `is a bucket of version ${version}, expected 1`, String(version));
  if (count > MAX_ENTRIES) throw recordError(place, `is a bucket of ${count} entries, at most 256 fit`, String(count));
  const entries: { suffix: Uint8Array; value: Uint8Array | undefined }[] = [];
  for (let entry = 0; entry < count; entry++) {
    const at = BUCKET_HEADER_BYTES + ENTRY_BYTES * entry;
    const [valueOffset, valueBytes] = [u16At(record, at + 4), u16At(record, at + 6)];
    const hasValue = valueOffset !== 0 || valueBytes !== 0;
    entries.push({
      suffix: bucketRange(record, place, u16At(record, at), u16At(record, at + 2)),
      value: hasValue ? bucketRange(record, place, valueOffset, valueBytes) : undefined,
    });
  }
  entries.sort((a, b) => compareBytes(a.suffix, b.suffix));
  const isTwice = entries.some(
    ({ suffix }, at) => at > 0 && compareBytes(suffix, entries[at - 1]?.suffix ?? suffix) === 0,
  );
  if (isTwice) throw recordError(place, 'is a bucket with two equal entries');
  return { suffixes: entries.map(({ suffix }) => suffix), values: entries.map(({ value }) => value) };
}

function bucketRange(record: Uint8Array, place: RecordPlace, start: number, bytes: number): Uint8Array {
  const end = start + bytes;
  if (end > record.length) throw recordError(place, `is a bucket with an entry that ends at byte ${end} of 8192`);
  return record.subarray(start, end);
}

// The callers have checked that the offsets are within the record.

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function u16At(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8);
}

function u32At(bytes: Uint8Array, at: number): number {
  return u16At(bytes, at) + u16At(bytes, at + 2) * 0x1_0000;
}
