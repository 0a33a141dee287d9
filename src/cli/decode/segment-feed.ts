import type { DecodePipeline } from './decode-pipeline.ts';
import type { ManyFraming } from './segment.ts';
import { SegmentCutter } from './segment-cutter.ts';

/** Brings a stream to the threads that decode it. */
export class SegmentFeed {
  readonly #pipeline: DecodePipeline;
  readonly #cutter: SegmentCutter;
  /** Whether anything has come that may have made a frame whole. */
  #hasNew = false;

  constructor(pipeline: DecodePipeline, framing: ManyFraming) {
    this.#pipeline = pipeline;
    this.#cutter = new SegmentCutter(framing, pipeline.slot);
  }

  /** Whether something has come that {@link flush} would stage. */
  get hasUnstaged(): boolean {
    return this.#hasNew || this.#pipeline.isBusy;
  }

  /** Copies all of a chunk, which may take until there is room for it. @throws as {@link DecodePipeline.submit} */
  async push(chunk: Uint8Array): Promise<void> {
    this.#hasNew = true;
    for (let at = 0; at < chunk.length && !this.#pipeline.isOver;) {
      at = this.#cutter.push(chunk, at);
      if (this.#cutter.isTooLong) return this.end();
      if (this.#cutter.isFull) await this.#handOver();
    }
  }

  /** Stages what has been decoded by now. @throws as {@link DecodePipeline.submit} */
  async takeDecoded(): Promise<void> {
    await this.#pipeline.takeDecoded();
  }

  /** Stages all frames that are whole. @throws as {@link DecodePipeline.submit} */
  async flush(): Promise<void> {
    this.#hasNew = false;
    if (this.#cutter.wholeBytes > 0) await this.#handOver();
    await this.#pipeline.drain();
  }

  /** Stages everything: the stream has ended, or cannot go on. @throws as {@link DecodePipeline.submit} */
  async end(): Promise<void> {
    if (this.#cutter.usedBytes > 0) await this.#pipeline.submit(this.#cutter.usedBytes);
    await this.#pipeline.drain();
    // Never silently: what comes behind it would be cut in the wrong places.
    if (this.#cutter.isTooLong && !this.#pipeline.isOver) throw new Error('a frame that is too long was not refused');
  }

  async #handOver(): Promise<void> {
    const bytes = this.#cutter.wholeBytes;
    await this.#pipeline.submit(bytes);
    if (!this.#pipeline.isOver) this.#cutter.next(this.#pipeline.slot, bytes);
  }
}
