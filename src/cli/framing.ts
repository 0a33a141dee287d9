import { decodeBase64, decodeHex } from '../bytes/encodings.ts';
import { PageStoreError } from '../errors.ts';

/** How a stream is split into nodes, and how nodes are joined to one. */
export type Framing = 'lines' | 'nul' | 'u32' | 'whole';

/** No page holds a longer node, and hex takes two characters per byte. */
export const MAX_FRAME_BYTES: number = 2 * 262_144;

const LENGTH_BYTES = 4;

/** Up to here a loop finds the end of a frame faster than indexOf. */
const LOOPED_BYTES = 64;

/** The bytes that are searched for frames: `block[start, end)`. */
export interface FrameBytes {
  readonly block: Uint8Array;
  readonly filledBytes: Buffer;
  start: number;
  readonly end: number;
}

/** Takes frames by where they are in the bytes, in order. */
export interface FrameClaims {
  claimNext(start: number, end: number): void;
}

/** Splits input without copies or allocations: the current frame is `source[start, end)`, until more is read. */
export class Framer {
  start = 0;
  end = 0;

  readonly #framing: Framing;
  readonly #bytes: FrameBytes;
  /** Longer frames are refused, so that they do not fill the memory. */
  readonly #maxBytes: number;
  readonly #delimiter: number;
  /** Bytes of the current frame without a delimiter. */
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

  /** Marks the end of the stream: the rest is the last frame. */
  finish(): void {
    this.#ended = true;
  }

  /** @returns false if more input is needed @throws {@link PageStoreError} `NODE_TOO_LARGE`, `INVALID_FRAMING` */
  next(): boolean {
    if (this.#framing === 'whole') return this.#whole();
    return this.#framing === 'u32' ? this.#lengthPrefixed() : this.#delimited();
  }

  /** Claims all frames that are complete. @throws as {@link next}, with the frames before claimed */
  claimAll(claims: FrameClaims): void {
    for (;;) {
      if (this.#framing === 'lines' || this.#framing === 'nul') this.#claimShort(claims);
      if (!this.next()) return;
      claims.claimNext(this.start, this.end);
    }
  }

  /** Claims short frames up to the first that is longer or incomplete, in half the time that {@link next} takes. */
  #claimShort(claims: FrameClaims): void {
    const { block, end } = this.#bytes;
    const delimiter = this.#delimiter;
    let start = this.#bytes.start;
    for (;;) {
      const looped = Math.min(start + LOOPED_BYTES, end);
      let found = start;
      while (found < looped && block[found] !== delimiter) found++;
      if (found >= looped) break;
      claims.claimNext(start, found);
      start = found + 1;
    }
    if (start === this.#bytes.start) return;
    this.#bytes.start = start;
    this.#searchedBytes = 0;
  }

  #delimited(): boolean {
    const { block, filledBytes, start, end } = this.#bytes;
    const delimiter = this.#delimiter;
    let found = start + this.#searchedBytes;
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
    this.#ended = false; // there is only one frame
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
    const message = `a node of more than ${this.#maxBytes} input bytes fits no page; is --framing ${this.#framing} right?`;
    throw new PageStoreError('NODE_TOO_LARGE', message, { expected: `at most ${this.#maxBytes} bytes` });
  }

  #cut(what: string): PageStoreError {
    return new PageStoreError(
      'INVALID_FRAMING',
      `the input ends after ${what}; is it truncated, or not --framing u32?`,
    );
  }
}

export function frameOf(
  framing: Framing,
  nodeBytes: number,
): { readonly before: Uint8Array; readonly after: Uint8Array } {
  if (framing !== 'u32') return FRAMES[framing];
  const before = Buffer.alloc(LENGTH_BYTES);
  before.writeUInt32LE(nodeBytes);
  return { before, after: NOTHING };
}

const NOTHING = Buffer.alloc(0);
const FRAMES = {
  lines: { before: NOTHING, after: Buffer.from('\n') },
  nul: { before: NOTHING, after: Buffer.from('\0') },
  whole: { before: NOTHING, after: NOTHING },
};

/** How the bytes of a node are encoded as text. */
export type Encoding = 'raw' | TextEncoding;

export type TextEncoding = 'hex' | 'base64';

const DECODERS = { hex: decodeHex, base64: decodeBase64 } as const;

const SHOWN_CHARACTERS = 40;

/** Decodes a command line argument. @throws {@link PageStoreError} `INVALID_ENCODING` */
export function decodeText(text: string, encoding: Encoding): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (encoding === 'raw') return bytes;
  const length = DECODERS[encoding](bytes, 0, bytes.length, bytes, 0);
  if (length < 0) throw invalid(text, encoding);
  return bytes.subarray(0, length);
}

/**
 * Decodes the frame `source[start, end)` into another array at `offset`, and returns the length in bytes.
 * @throws {@link PageStoreError} `INVALID_ENCODING`
 */
export function decodeFrame(
  source: Uint8Array,
  start: number,
  end: number,
  encoding: TextEncoding,
  target: Uint8Array,
  offset: number,
): number {
  const bytes = DECODERS[encoding](source, start, end, target, offset);
  if (bytes >= 0) return bytes;
  // One more than is shown becomes an ellipsis.
  const shownEnd = Math.min(end, start + SHOWN_CHARACTERS + 1);
  throw invalid(Buffer.from(source.subarray(start, shownEnd)).toString('latin1'), encoding);
}

function invalid(text: string, encoding: TextEncoding): PageStoreError {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  const rule =
    encoding === 'hex' ? 'two digits per byte, 0-9 and a-f' : 'four characters per three bytes, padded with =';
  return new PageStoreError('INVALID_ENCODING', `'${shown}' is not ${encoding}: ${rule}`, {
    found: shown,
    expected: rule,
  });
}

export function encodeBytes(bytes: Uint8Array, encoding: Encoding): string | Uint8Array {
  if (encoding === 'raw') return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);
}
