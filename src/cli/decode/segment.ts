import type { ConcurrentArenaDescriptor } from '../../arena/concurrent-arena.ts';
import type { ErrorCode, ErrorDetail } from '../../errors.ts';
import { MAX_FRAME_BYTES } from '../append-limits.ts';
import type { TextEncoding } from '../encoding.ts';
import type { Framing } from '../framing.ts';

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
