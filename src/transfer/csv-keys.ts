import { EpochArena } from '../arena/epoch-arena.ts';
import { type ClaimRun, PRIVATE_ARENA } from '../arena/handle-table.ts';
import { BatchKeyGenerator, MAX_BUFFERED_KEY_BYTES } from '../arena/key-buffer.ts';
import { copyRange } from '../bytes/buffer.ts';
import { U64_DIGITS } from '../bytes/encodings.ts';
import { BLOCK_BYTES } from '../format/layout.ts';

/** The length of a key in a node is a u16. */
export const MAX_KEY_BYTES = 65_535;

const SLASH = 0x2f;
const U64_END = 2n ** 64n;
/** Every number of so many digits is below 2^53. */
const SAFE_DIGITS = 15;

/** A u64 as `String` writes it, so that no other text gives the same key. */
const CANONICAL = /^(?:0|[1-9][0-9]{0,19})$/;

/** Builds the keys `table/row/column`: the current one is `bytes[0, length)`. A column is one of a fixed list. */
export class CellKeys {
  /** Valid until the next key. */
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  readonly #prefix: Buffer;
  readonly #columns: readonly Uint8Array[];
  /** For keys of up to 63 bytes; undefined if no key of the table is as short. */
  readonly #batch: BatchKeyGenerator | undefined;
  /** Holds every other key. */
  #long: Buffer = Buffer.alloc(256);
  /** The row as a number; undefined if it is other text. */
  #number: number | bigint | undefined;
  #row: Uint8Array = new Uint8Array(0);

  constructor(table: Uint8Array, columns: readonly Uint8Array[]) {
    this.#prefix = Buffer.concat([table, Buffer.from('/')]);
    this.#columns = columns;
    const isShort = this.#prefix.length < MAX_BUFFERED_KEY_BYTES;
    this.#batch = isShort ? new BatchKeyGenerator(table) : undefined;
  }

  /** @param row - the bytes of the next row in its keys, which stay unchanged until the next one */
  beginRow(row: Buffer): void {
    const text = row.length <= U64_DIGITS ? row.toString('latin1') : '';
    const number = !CANONICAL.test(text) ? U64_END : text.length <= SAFE_DIGITS ? Number(text) : BigInt(text);
    this.#number = number < U64_END ? number : undefined;
    this.#row = row;
  }

  lengthOf(column: number): number {
    return this.#prefix.length + this.#row.length + 1 + this.#columnAt(column).length;
  }

  /** Builds the key of a cell. It has `lengthOf(column)` bytes, of which none is ever left out. */
  build(column: number): void {
    const name = this.#columnAt(column);
    this.length = this.lengthOf(column);
    if (this.#number !== undefined && this.#batch !== undefined && this.length <= MAX_BUFFERED_KEY_BYTES) {
      this.bytes = this.#batch.columnKey(this.#number, name);
      return;
    }
    if (this.length > this.#long.length) this.#long = Buffer.alloc(2 * this.length);
    const key = this.#long;
    const rowEnd = this.#prefix.length + this.#row.length;
    key.set(this.#prefix);
    key.set(this.#row, this.#prefix.length);
    key[rowEnd] = SLASH;
    key.set(name, rowEnd + 1);
    this.bytes = key;
  }

  #columnAt(column: number): Uint8Array {
    return this.#columns[column] as Uint8Array; // the caller has one for each cell
  }
}

/** A batch ends when its nodes have this many bytes. */
const BATCH_BYTES = 2 ** 18;
/** A batch, and the node that ends it: no page holds a longer one than a block. */
const ROOM_BYTES: number = BATCH_BYTES + BLOCK_BYTES;

/** The nodes of one batch: allocations in an arena whose epoch ends with it. */
export class BatchNodes {
  readonly #arena = new EpochArena(
    { blockBytes: ROOM_BYTES, maxBlocks: 1, maxAllocations: ROOM_BYTES / 2 },
    PRIVATE_ARENA,
  );
  /** The next node is to be written here from `end` on. */
  room: Buffer;
  end = 0;

  constructor() {
    this.room = this.#reserve();
  }

  get isFull(): boolean {
    return this.end >= BATCH_BYTES;
  }

  /** Makes the next `bytes` of the room a node. */
  allocate(bytes: number): void {
    this.#arena.claimNext(this.end, this.end + bytes);
    this.end += bytes;
  }

  /** The nodes since the last call, in order. */
  take(): Iterable<ClaimRun> {
    return this.#arena.takeClaims();
  }

  /** Ends the epoch, and begins the next one. */
  endEpoch(): void {
    this.#arena.reset(this.#arena.epoch + 1);
    this.room = this.#reserve();
    this.end = 0;
  }

  #reserve(): Buffer {
    const { buffer, byteOffset, length } = this.#arena.reserve(ROOM_BYTES);
    return Buffer.from(buffer, byteOffset, length);
  }
}

/** Strings longer than this are copied by a native call. */
const LOOP_CHARACTERS = 48;

/** Writes text whose characters are bytes. */
export function writeLatin1(text: string, target: Buffer, offset: number): void {
  if (text.length > LOOP_CHARACTERS) target.write(text, offset, 'latin1');
  else for (let at = 0; at < text.length; at++) target[offset + at] = text.charCodeAt(at);
}

/** Writes a node: the length of its key as u16, the key, and the value. @returns the offset of the value */
export function writeKeyAndLength(key: Uint8Array, length: number, target: Uint8Array, offset: number): number {
  target[offset] = length & 0xff;
  target[offset + 1] = length >>> 8;
  copyRange(key, 0, length, target, offset + 2);
  return offset + 2 + length;
}
