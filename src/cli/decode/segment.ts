import { ARENA_BLOCK_BYTES } from '../../arena/block-memory.ts';
import type { ArenaShard, ConcurrentArenaDescriptor } from '../../arena/concurrent-arena.ts';
import { type ErrorCode, type ErrorDetail, PageStoreError } from '../../errors.ts';
import { decodeFrame, Framer, type Framing, type TextEncoding } from '../framing.ts';
import { MAX_FRAME_BYTES } from '../input.ts';

/** Framings of which a stream has many frames. */
export type ManyFraming = Exclude<Framing, 'whole'>;

/** Input is handed over when so much has come: the message and the answer cost little beside decoding it. */
export const SEGMENT_BYTES = 262_144;

/** Room for a segment of one frame: its length or delimiter, and a byte by which it is too long. */
export const SLOT_BYTES: number = MAX_FRAME_BYTES + 8;

/** What a decoding thread is told when it starts. */
export interface DecoderSetup {
  readonly framing: ManyFraming;
  readonly encoding: TextEncoding;
  /** Each has a shard for it, where it puts what it decodes, in turn. */
  readonly arenas: readonly ConcurrentArenaDescriptor[];
}

/** Frames to decode, in the order of the input. */
export interface SegmentTask {
  /** The place in the input: 0 for the first one. */
  readonly segment: number;
  /** Which of the arenas it is decoded into. */
  readonly turn: number;
  /** The frames are its first `bytes`; not changed before the answer has come. */
  readonly input: SharedArrayBuffer;
  readonly bytes: number;
}

export interface SegmentAnswer {
  readonly segment: number;
  readonly nodes: DecodedNodes;
}

/** The nodes of a segment. */
export interface DecodedNodes {
  readonly shard: number;
  /** In the shard: the bytes of all nodes, one behind the other. */
  readonly bytesOffset: number;
  readonly bytes: number;
  /** In the shard, a multiple of 4: the length of each node, as u32 in the byte order of the machine. */
  readonly lengthsOffset: number;
  readonly nodeCount: number;
  /** What is wrong with the frame behind these nodes; those after it were not looked at. */
  readonly refusal: Refusal | undefined;
}

/** A PageStoreError as it goes from one thread to another, which keeps no class. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: ErrorDetail;
}

/** Lengths that stand in a shard, valid for as long as they do. */
export function lengthsOf({ buffer, byteOffset, length }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length / 4);
}

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

const FIRST_LENGTHS = 16_384;

/** Takes segments apart and decodes their frames, without an object for a frame. */
export class SegmentDecoder {
  readonly #framing: ManyFraming;
  readonly #encoding: TextEncoding;
  /** Lengths of the nodes of this segment: how many there are is known at its end. */
  #lengths = new Uint32Array(FIRST_LENGTHS);

  constructor(framing: ManyFraming, encoding: TextEncoding) {
    this.#framing = framing;
    this.#encoding = encoding;
  }

  /** Decodes the frames of `segment` into `shard`, up to the first one that is refused. */
  decode(segment: Uint8Array, shard: ArenaShard): DecodedNodes {
    // No node is longer than its text.
    const bytesOffset = shard.allocate(segment.length);
    const target = shard.blockOf(bytesOffset);
    const start = bytesOffset % ARENA_BLOCK_BYTES;
    let end = start;
    let nodeCount = 0;
    let refusal: Refusal | undefined;
    const filledBytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
    const frames = { block: segment, filledBytes, start: 0, end: segment.length };
    const framer = new Framer(this.#framing, frames, MAX_FRAME_BYTES);
    framer.finish();
    try {
      while (framer.next()) {
        const bytes = decodeFrame(framer.source, framer.start, framer.end, this.#encoding, target, end);
        this.#keepLength(nodeCount, bytes);
        end += bytes;
        nodeCount++;
      }
    } catch (error) {
      refusal = refusalOf(error);
    }
    const lengthsOffset = shard.allocate(4 * nodeCount);
    lengthsOf(shard.view(lengthsOffset, 4 * nodeCount)).set(this.#lengths.subarray(0, nodeCount));
    return { shard: shard.index, bytesOffset, bytes: end - start, lengthsOffset, nodeCount, refusal };
  }

  #keepLength(node: number, bytes: number): void {
    if (node === this.#lengths.length) {
      const more = new Uint32Array(2 * this.#lengths.length);
      more.set(this.#lengths);
      this.#lengths = more;
    }
    this.#lengths[node] = bytes;
  }
}

/** @throws what is no refusal of a frame */
function refusalOf(error: unknown): Refusal {
  if (!(error instanceof PageStoreError)) throw error;
  return { code: error.code, message: error.message, detail: error.detail };
}
