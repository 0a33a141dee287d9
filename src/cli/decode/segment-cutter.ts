import { MAX_FRAME_BYTES } from '../append-limits.ts';
import { type ManyFraming, SEGMENT_BYTES, SLOT_BYTES } from './segment.ts';

const LENGTH_BYTES = 4;

/**
 * Cuts a stream into segments of whole frames. It looks for the last delimiter of a segment and not for each, and it
 * refuses nothing: the last segment of a stream may end in a frame that is cut or too long, and whoever takes the
 * segment apart finds what is wrong with it.
 */
export class SegmentCutter {
  readonly #framing: ManyFraming;
  readonly #delimiter: number;
  /** Where the segment is gathered, {@link SLOT_BYTES} long. */
  #slot: Buffer;
  #used = 0;
  /** Behind the last frame that is known to be whole; of lines and nul it is looked for when it is asked for. */
  #wholeEnd = 0;
  #isFull = false;
  #isTooLong = false;

  constructor(framing: ManyFraming, slot: Uint8Array) {
    this.#framing = framing;
    this.#delimiter = framing === 'nul' ? 0x00 : 0x0a;
    this.#slot = bufferOf(slot);
  }

  /** Whether the segment is to be handed over before more is pushed. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether it ends in a frame that is longer than any may be: it is the last one of this stream. */
  get isTooLong(): boolean {
    return this.#isTooLong;
  }

  /** Bytes that were gathered, with those of a frame that is not whole. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Bytes of the whole frames. */
  get wholeBytes(): number {
    if (this.#framing !== 'u32' && this.#wholeEnd === 0 && this.#used > 0)
      return this.#slot.lastIndexOf(this.#delimiter, this.#used - 1) + 1;
    return this.#wholeEnd;
  }

  /** Takes bytes of `chunk` from `from` on, until there are no more or the segment is full. @returns the offset behind them */
  push(chunk: Uint8Array, from: number): number {
    if (this.#used < SEGMENT_BYTES) {
      const to = this.#take(chunk, from, SEGMENT_BYTES - this.#used);
      if (this.#framing === 'u32') this.#walk();
      else if (this.#used === SEGMENT_BYTES) this.#wholeEnd = this.wholeBytes;
      this.#isFull = this.#isTooLong || (this.#used === SEGMENT_BYTES && this.#wholeEnd > 0);
      return to;
    }
    return this.#framing === 'u32' ? this.#endLengthPrefixed(chunk, from) : this.#endDelimited(chunk, from);
  }

  /** Begins the next segment in another slot, with what comes behind the first `bytes` of this one. */
  next(slot: Uint8Array, bytes: number): void {
    const following = bufferOf(slot);
    this.#slot.copy(following, 0, bytes, this.#used);
    this.#slot = following;
    this.#used -= bytes;
    this.#wholeEnd = 0;
    this.#isFull = this.#isTooLong = false;
    if (this.#framing === 'u32') this.#walk();
  }

  /** Goes on with the one frame of a segment, up to its delimiter. */
  #endDelimited(chunk: Uint8Array, from: number): number {
    const found = chunk.indexOf(this.#delimiter, from);
    const frameBytes = this.#used + (found < 0 ? chunk.length : found) - from;
    this.#isTooLong = frameBytes > MAX_FRAME_BYTES;
    this.#isFull = this.#isTooLong || found >= 0;
    if (this.#isTooLong) return this.#take(chunk, from, MAX_FRAME_BYTES + 1 - this.#used);
    const to = this.#take(chunk, from, (found < 0 ? chunk.length : found + 1) - from);
    if (found >= 0) this.#wholeEnd = this.#used;
    return to;
  }

  #endLengthPrefixed(chunk: Uint8Array, from: number): number {
    const to = this.#take(chunk, from, this.#frameEnd() - this.#used);
    this.#walk();
    this.#isFull = this.#wholeEnd > 0;
    return to;
  }

  /** Goes from length to length, over the frames that are whole. */
  #walk(): void {
    while (this.#used - this.#wholeEnd >= LENGTH_BYTES) {
      const end = this.#frameEnd();
      this.#isTooLong = end - this.#wholeEnd > LENGTH_BYTES + MAX_FRAME_BYTES;
      if (end > this.#used || this.#isTooLong) return;
      this.#wholeEnd = end;
    }
  }

  /** Where the frame ends that begins behind the whole ones. */
  #frameEnd(): number {
    return this.#wholeEnd + LENGTH_BYTES + this.#slot.readUInt32LE(this.#wholeEnd);
  }

  #take(chunk: Uint8Array, from: number, mostBytes: number): number {
    const to = Math.min(chunk.length, from + mostBytes);
    this.#slot.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.#used);
    this.#used += to - from;
    return to;
  }
}

function bufferOf(slot: Uint8Array): Buffer {
  if (slot.length < SLOT_BYTES) throw new RangeError(`a slot has at least ${SLOT_BYTES} bytes`);
  return Buffer.from(slot.buffer, slot.byteOffset, slot.length);
}
