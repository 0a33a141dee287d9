/** Most that is read at once: it is still in the processor's cache when it is packed. */
const READ_BYTES = 262_144;

/** Less room than this is not worth a call to the system. */
const LEAST_READ_BYTES = 65_536;

/** Holds the longest frame, twice what a page does, and a read behind it. */
const WINDOW_BYTES = 3 * READ_BYTES;

/**
 * The input between the system and the pages: it is read into one block and packed from there, so a frame stands in one
 * piece however the reads cut it. `block[start, end)` is what has not been taken yet. A read begins where the frame before
 * was cut, at the beginning of the block, so of most input only the first part of it is ever touched.
 */
export class InputWindow {
  readonly block: Uint8Array = new Uint8Array(WINDOW_BYTES);
  /** What the block holds so far, for searches that must not go beyond it. */
  filledBytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;

  /** Where the next bytes of the input are to go; what was taken is gone then. @throws RangeError where no room is left */
  target(): Uint8Array {
    // A frame longer than a read is moved once: from then on it is at the beginning.
    this.block.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    this.filled(0);
    if (this.block.length - this.end < LEAST_READ_BYTES) throw new RangeError('a frame is longer than the window');
    return this.block.subarray(this.end, Math.min(this.end + READ_BYTES, this.block.length));
  }

  /** Says how many bytes the target was given. */
  filled(bytes: number): void {
    this.end += bytes;
    this.filledBytes = Buffer.from(this.block.buffer, 0, this.end);
  }
}
