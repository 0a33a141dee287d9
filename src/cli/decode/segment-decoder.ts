import { ARENA_BLOCK_BYTES } from '../../arena/block-memory.ts';
import type { ArenaShard } from '../../arena/concurrent-arena.ts';
import { PageStoreError } from '../../errors.ts';
import { MAX_FRAME_BYTES } from '../append-limits.ts';
import { decodeFrame, type TextEncoding } from '../encoding.ts';
import { Framer } from '../framing.ts';
import { type DecodedNodes, lengthsOf, type ManyFraming, type Refusal } from './segment.ts';

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
