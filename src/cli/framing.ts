import { PageStoreError } from '../errors.ts';

/** How a stream is cut into nodes, and how nodes are put into one. */
export type Framing = 'lines' | 'nul' | 'u32' | 'whole';
export const FRAMINGS: readonly Framing[] = ['lines', 'nul', 'u32', 'whole'];

const LENGTH_BYTES = 4;

/**
 * Cuts a stream into frames without an object for each: after `next()` returned true, the frame is
 * `source[start, end)`, valid until `next` or `push` is called again.
 */
export class Framer {
  source: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  readonly #framing: Framing;
  /** Longer frames are refused before they fill the memory. */
  readonly #maxBytes: number;
  readonly #delimiter: number;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The beginning of a frame that goes on in the next chunk. */
  #carry: Buffer = Buffer.alloc(4096);
  #carried = 0;
  #ended = false;

  constructor(framing: Framing, maxBytes: number) {
    this.#framing = framing;
    this.#maxBytes = maxBytes;
    this.#delimiter = framing === 'nul' ? 0x00 : 0x0a;
  }

  /** Gives it the next bytes of the stream, which it reads until `next` returns false. */
  push(chunk: Uint8Array): void {
    this.#chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /** Says that the stream has ended: what is left is the last frame. */
  finish(): void {
    this.#chunk = Buffer.alloc(0);
    this.#at = 0;
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
    const found = this.#chunk.indexOf(this.#delimiter, this.#at);
    if (found < 0) {
      this.#keepRest();
      if (!this.#ended || this.#carried === 0) return false;
      return this.#emitCarry();
    }
    const from = this.#at;
    this.#at = found + 1;
    if (this.#carried === 0) return this.#emit(this.#chunk, from, found);
    this.#keep(from, found);
    return this.#emitCarry();
  }

  #lengthPrefixed(): boolean {
    if (!this.#fill(LENGTH_BYTES)) {
      if (this.#ended && this.#carried > 0) throw this.#cut(`${this.#carried} of the 4 bytes of a length`);
      return false;
    }
    const bytes = this.#carry.readUInt32LE(0);
    this.#assertLength(bytes);
    if (!this.#fill(LENGTH_BYTES + bytes)) {
      if (this.#ended) throw this.#cut(`${this.#carried - LENGTH_BYTES} of the ${bytes} bytes of a node`);
      return false;
    }
    this.#emitCarry();
    this.start = LENGTH_BYTES;
    return true;
  }

  #whole(): boolean {
    this.#keepRest();
    if (!this.#ended) return false;
    this.#ended = false; // one frame, and no other
    return this.#emitCarry();
  }

  #emit(source: Uint8Array, start: number, end: number): boolean {
    this.#assertLength(end - start);
    this.source = source;
    this.start = start;
    this.end = end;
    return true;
  }

  #emitCarry(): boolean {
    const bytes = this.#carried;
    this.#carried = 0;
    this.source = this.#carry;
    this.start = 0;
    this.end = bytes;
    return true;
  }

  #keepRest(): void {
    this.#keep(this.#at, this.#chunk.length);
    this.#at = this.#chunk.length;
  }

  /** Takes from the chunk until so many bytes are carried. @returns whether there were enough */
  #fill(bytes: number): boolean {
    const to = Math.min(this.#chunk.length, this.#at + Math.max(0, bytes - this.#carried));
    this.#keep(this.#at, to);
    this.#at = to;
    return this.#carried >= bytes;
  }

  #keep(from: number, to: number): void {
    const bytes = this.#carried + to - from;
    this.#assertLength(bytes - (this.#framing === 'u32' ? LENGTH_BYTES : 0));
    if (bytes > this.#carry.length) {
      const larger = Buffer.alloc(Math.max(bytes, 2 * this.#carry.length));
      this.#carry.copy(larger, 0, 0, this.#carried);
      this.#carry = larger;
    }
    this.#chunk.copy(this.#carry, this.#carried, from, to);
    this.#carried = bytes;
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
