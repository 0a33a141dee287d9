import type { ArenaShard, ConcurrentArenaDescriptor } from '../../arena/concurrent-arena.ts';
import { PageStoreError } from '../../errors.ts';
import { decodeFrame, Framer, type Framing, MAX_FRAME_BYTES, type TextEncoding } from '../framing.ts';

/** Framings that split a stream into many frames. */
export type ManyFraming = Exclude<Framing, 'whole'>;

/** With this much input, messages between threads cost little compared to decoding. */
export const SEGMENT_BYTES = 262_144;

/** Most nodes of a segment: each takes a byte at least, and a longer segment has one frame more. */
export const SEGMENT_NODES: number = SEGMENT_BYTES + 1;

/** One frame, its length or delimiter, and one byte by which it is too long. */
export const SLOT_BYTES: number = MAX_FRAME_BYTES + 8;

/** What a decoding thread gets when it starts. */
export interface DecoderSetup {
  readonly framing: ManyFraming;
  readonly encoding: TextEncoding;
  /** Used in turn; each has a shard for this thread. */
  readonly arenas: readonly ConcurrentArenaDescriptor[];
}

/** A segment to decode: a message to a decoding thread. */
export interface SegmentTask {
  /** Number of the segment in the input, from 0. */
  readonly segment: number;
  /** Index of the arena that it is decoded into. */
  readonly turn: number;
  /** Only the first `bytes`; not changed before the answer. */
  readonly input: SharedArrayBuffer;
  readonly bytes: number;
}

export interface SegmentAnswer {
  readonly segment: number;
  readonly nodes: DecodedNodes;
}

/** The nodes of a segment, in a shard of an arena. */
export interface DecodedNodes {
  readonly shard: number;
  /** The claims of the nodes, as the shard returned them. */
  readonly runs: readonly number[];
  /** Why the next frame is invalid; the frames after it were not decoded. */
  readonly refusal: Refusal | undefined;
}

/** Only the fields: the class of an error does not survive a message to another thread. */
type Refusal = Pick<PageStoreError, 'code' | 'message' | 'detail'>;

const LENGTH_BYTES = 4;

/** Splits a stream into segments of whole frames; the decoder reports a last frame that is truncated or too long. */
export class SegmentCutter {
  readonly #framing: ManyFraming;
  readonly #delimiter: number;
  #slot: Buffer;
  /** Includes the bytes of an incomplete frame. */
  usedBytes = 0;
  /** Whether the segment has to be submitted before more is pushed. */
  isFull = false;
  /** Whether the segment ends with a frame that is too long; then it is the last one. */
  isTooLong = false;
  /** After the last complete frame; for lines and nul, searched for when needed. */
  #wholeEnd = 0;

  constructor(framing: ManyFraming, slot: Uint8Array) {
    this.#framing = framing;
    this.#delimiter = framing === 'nul' ? 0x00 : 0x0a;
    this.#slot = bufferOf(slot);
  }

  get wholeBytes(): number {
    if (this.#framing !== 'u32' && this.#wholeEnd === 0 && this.usedBytes > 0)
      return this.#slot.lastIndexOf(this.#delimiter, this.usedBytes - 1) + 1;
    return this.#wholeEnd;
  }

  /** Takes bytes of `chunk` from `from` on, until the segment is full. @returns the offset after them */
  push(chunk: Uint8Array, from: number): number {
    if (this.usedBytes < SEGMENT_BYTES) {
      const to = this.#take(chunk, from, SEGMENT_BYTES - this.usedBytes);
      if (this.#framing === 'u32') this.#walk();
      else if (this.usedBytes === SEGMENT_BYTES) this.#wholeEnd = this.wholeBytes;
      this.isFull = this.isTooLong || (this.usedBytes === SEGMENT_BYTES && this.#wholeEnd > 0);
      return to;
    }
    return this.#framing === 'u32' ? this.#endLengthPrefixed(chunk, from) : this.#endDelimited(chunk, from);
  }

  /** Starts the next segment with what follows the first `bytes` of this one. */
  next(slot: Uint8Array, bytes: number): void {
    const following = bufferOf(slot);
    this.#slot.copy(following, 0, bytes, this.usedBytes);
    this.#slot = following;
    this.usedBytes -= bytes;
    this.#wholeEnd = 0;
    this.isFull = this.isTooLong = false;
    if (this.#framing === 'u32') this.#walk();
  }

  #endDelimited(chunk: Uint8Array, from: number): number {
    const found = chunk.indexOf(this.#delimiter, from);
    const frameBytes = this.usedBytes + (found < 0 ? chunk.length : found) - from;
    this.isTooLong = frameBytes > MAX_FRAME_BYTES;
    this.isFull = this.isTooLong || found >= 0;
    if (this.isTooLong) return this.#take(chunk, from, MAX_FRAME_BYTES + 1 - this.usedBytes);
    const to = this.#take(chunk, from, (found < 0 ? chunk.length : found + 1) - from);
    if (found >= 0) this.#wholeEnd = this.usedBytes;
    return to;
  }

  #endLengthPrefixed(chunk: Uint8Array, from: number): number {
    const to = this.#take(chunk, from, this.#frameEnd() - this.usedBytes);
    this.#walk();
    this.isFull = this.#wholeEnd > 0;
    return to;
  }

  #walk(): void {
    while (this.usedBytes - this.#wholeEnd >= LENGTH_BYTES) {
      const end = this.#frameEnd();
      this.isTooLong = end - this.#wholeEnd > LENGTH_BYTES + MAX_FRAME_BYTES;
      if (end > this.usedBytes || this.isTooLong) return;
      this.#wholeEnd = end;
    }
  }

  #frameEnd(): number {
    return this.#wholeEnd + LENGTH_BYTES + this.#slot.readUInt32LE(this.#wholeEnd);
  }

  #take(chunk: Uint8Array, from: number, mostBytes: number): number {
    const to = Math.min(chunk.length, from + mostBytes);
    this.#slot.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.usedBytes);
    this.usedBytes += to - from;
    return to;
  }
}

function bufferOf(slot: Uint8Array): Buffer {
  if (slot.length < SLOT_BYTES) throw new RangeError(`a slot has at least ${SLOT_BYTES} bytes`);
  return Buffer.from(slot.buffer, slot.byteOffset, slot.length);
}

/** Splits segments into frames and decodes them, without an allocation per frame. */
export class SegmentDecoder {
  readonly #framing: ManyFraming;
  readonly #encoding: TextEncoding;

  constructor(framing: ManyFraming, encoding: TextEncoding) {
    this.#framing = framing;
    this.#encoding = encoding;
  }

  /** Decodes up to the first invalid frame. */
  decode(segment: Uint8Array, shard: ArenaShard): DecodedNodes {
    // A node is never longer than its text.
    const target = shard.reserve(segment.length);
    let end = 0;
    let refusal: Refusal | undefined;
    const filledBytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
    const frames = { block: segment, filledBytes, start: 0, end: segment.length };
    const framer = new Framer(this.#framing, frames, MAX_FRAME_BYTES);
    framer.finish();
    try {
      while (framer.next()) {
        const start = end;
        end += decodeFrame(framer.source, framer.start, framer.end, this.#encoding, target, end);
        shard.claimNext(start, end);
      }
    } catch (error) {
      if (!(error instanceof PageStoreError)) throw error;
      refusal = { code: error.code, message: error.message, detail: error.detail };
    }
    return { shard: shard.index, runs: shard.takeClaims(), refusal };
  }
}
