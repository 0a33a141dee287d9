import { ArenaPool } from '../arena/arena-pool.ts';
import { ARENA_BLOCK_BYTES } from '../arena/block-memory.ts';

/** Most that is read at once: it is still in the processor's cache when it is packed. */
const READ_BYTES = 262_144;

/** Less room than this is not worth a call to the system. */
const LEAST_READ_BYTES = 65_536;

/**
 * Blocks of one epoch. The text of a batch takes up less than two, in hex as well. Of nodes that are never stored, since
 * they are duplicates, there may be any amount: then the window is full before the batch is.
 */
const EPOCH_BLOCKS = 2;

/**
 * The input between the system and the pages: it is read into the arena of the current epoch and packed from there, so
 * a frame stands in one piece however the reads cut it. `block[start, end)` is what has not been taken yet.
 *
 * Two arenas take turns. An epoch ends at the first read after a commit; what had been read with the last nodes of that
 * commit goes into the next one. So when the epoch after it ends as well, all of its bytes are durable, and its memory is
 * used again.
 */
export class InputWindow {
  block: Uint8Array = new Uint8Array(0);
  /** What the block holds so far, for searches that must not go beyond it. */
  filledBytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  readonly #pool = new ArenaPool(2, { maxBlocks: EPOCH_BLOCKS });
  #blocksLeft = EPOCH_BLOCKS;
  #isRetiring = false;

  /** Whether what is staged has to be made durable, and the epoch retired, before more is read. */
  get isFull(): boolean {
    return !this.#isRetiring && this.#blocksLeft === 0 && this.#roomBytes < LEAST_READ_BYTES;
  }

  get #roomBytes(): number {
    return this.block.length - this.end;
  }

  /** Where the next bytes of the input are to go; what was taken is gone then. */
  target(): Uint8Array {
    if (this.#isRetiring || this.#roomBytes < LEAST_READ_BYTES) this.#goOnInNewBlock();
    return this.block.subarray(this.end, Math.min(this.end + READ_BYTES, this.block.length));
  }

  /** Says how many bytes the target was given. */
  filled(bytes: number): void {
    this.end += bytes;
    this.#bound();
  }

  /** Says that all nodes staged so far are durable. */
  retire(): void {
    this.#isRetiring = true;
  }

  #goOnInNewBlock(): void {
    if (this.#isRetiring) {
      this.#pool.advanceEpoch();
      this.#blocksLeft = EPOCH_BLOCKS;
      this.#isRetiring = false;
    }
    const arena = this.#pool.current();
    const next = arena.blockOf(arena.allocate(ARENA_BLOCK_BYTES));
    this.#blocksLeft--;
    next.set(this.block.subarray(this.start, this.end));
    this.block = next;
    this.end -= this.start;
    this.start = 0;
    this.#bound();
  }

  #bound(): void {
    this.filledBytes = Buffer.from(this.block.buffer, this.block.byteOffset, this.end);
  }
}
