import { PageStoreError } from '../errors.ts';

/** How a stream is cut into nodes, and how nodes are put into one. */
export type Framing = 'lines' | 'nul' | 'u32' | 'whole';
export const FRAMINGS: readonly Framing[] = ['lines', 'nul', 'u32', 'whole'];

const LENGTH_BYTES = 4;

/** Of a frame so many bytes are searched for its end one by one. */
const LOOPED_BYTES = 64;

/** The bytes that frames are found in: `block[start, end)`. `filledBytes` is `block[0, end)`. */
export interface FrameBytes {
  readonly block: Uint8Array;
  readonly filledBytes: Buffer;
  /** Behind the last frame that was found. */
  start: number;
  readonly end: number;
}

/**
 * Cuts the input into frames without an object for each, and without copying them: after `next()` returned true, the
 * frame is `source[start, end)`, valid until more is read.
 */
export class Framer {
  start = 0;
  end = 0;

  readonly #framing: Framing;
  readonly #bytes: FrameBytes;
  /** Longer frames are refused before they fill the memory. */
  readonly #maxBytes: number;
  readonly #delimiter: number;
  /** Bytes of the frame at hand that are known to hold no delimiter. */
  #searchedBytes = 0;
  #ended = false;

  constructor(framing: Framing, bytes: FrameBytes, maxBytes: number) {
    this.#framing = framing;
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
    this.#delimiter = framing === 'nul' ? 0x00 : 0x0a;
  }

  get source(): Uint8Array {
    return this.#bytes.block;
  }

  /** Says that the stream has ended: what is left is the last frame. */
  finish(): void {
    this.#ended = true;
  }

  /**
   * Finds the next frame.
   * @returns false where more of the stream is needed
   * @throws {@link PageStoreError} `NODE_TOO_LARGE`, `INVALID_FRAMING`
   */
  next(): boolean {
    if (this.#framing === 'whole') return this.#whole();
    return this.#framing === 'u32' ? this.#lengthPrefixed() : this.#delimited();
  }

  #delimited(): boolean {
    const { block, filledBytes, start, end } = this.#bytes;
    const delimiter = this.#delimiter;
    let found = start + this.#searchedBytes;
    // Most frames are short: a call to search for their end costs more than a loop.
    const looped = Math.min(found + LOOPED_BYTES, end);
    while (found < looped && block[found] !== delimiter) found++;
    if (found >= looped) found = looped < end ? filledBytes.indexOf(delimiter, looped) : -1;
    if (found >= 0) {
      this.#searchedBytes = 0;
      return this.#take(start, found, found + 1);
    }
    this.#searchedBytes = end - start;
    this.#assertLength(end - start);
    return this.#ended && start < end && this.#take(start, end, end);
  }

  #lengthPrefixed(): boolean {
    const { filledBytes, start, end } = this.#bytes;
    const held = end - start;
    if (held < LENGTH_BYTES) {
      if (this.#ended && held > 0) throw this.#cut(`${held} of the 4 bytes of a length`);
      return false;
    }
    const bytes = filledBytes.readUInt32LE(start);
    this.#assertLength(bytes);
    const from = start + LENGTH_BYTES;
    if (held >= LENGTH_BYTES + bytes) return this.#take(from, from + bytes, from + bytes);
    if (this.#ended) throw this.#cut(`${held - LENGTH_BYTES} of the ${bytes} bytes of a node`);
    return false;
  }

  #whole(): boolean {
    const { start, end } = this.#bytes;
    this.#assertLength(end - start);
    if (!this.#ended) return false;
    this.#ended = false; // one frame, and no other
    return this.#take(start, end, end);
  }

  #take(start: number, end: number, next: number): boolean {
    this.#assertLength(end - start);
    this.start = start;
    this.end = end;
    this.#bytes.start = next;
    return true;
  }

  #assertLength(bytes: number): void {
    if (bytes <= this.#maxBytes) return;
    const message = `a node longer than ${this.#maxBytes} bytes of input fits no page; is --framing ${this.#framing} what the input has?`;
    throw new PageStoreError('NODE_TOO_LARGE', message, { expected: `at most ${this.#maxBytes} bytes` });
  }

  #cut(what: string): PageStoreError {
    return new PageStoreError('INVALID_FRAMING', `the input ends after ${what}; is it cut, or not --framing u32?`);
  }
}

/** The bytes that stand before and behind a node of so many bytes. */
export function frameOf(
  framing: Framing,
  nodeBytes: number,
): { readonly before: Uint8Array; readonly after: Uint8Array } {
  if (framing === 'lines') return LINE;
  if (framing === 'nul') return NUL;
  if (framing === 'whole') return BARE;
  const before = Buffer.alloc(LENGTH_BYTES);
  before.writeUInt32LE(nodeBytes);
  return { before, after: BARE.after };
}

const BARE = { before: Buffer.alloc(0), after: Buffer.alloc(0) };
const LINE = { before: BARE.before, after: Buffer.from('\n') };
const NUL = { before: BARE.before, after: Buffer.from('\0') };
