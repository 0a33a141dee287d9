/** Which terms a walk returns. All bounds are compared by bytes. */
export interface TermBounds {
  /** Only terms that begin with these bytes. */
  readonly prefix?: Uint8Array | undefined;
  /** Only this term and those after it. */
  readonly from?: Uint8Array | undefined;
  /** Only terms before this one. */
  readonly to?: Uint8Array | undefined;
}

/** Bits of the state of a path: it is the beginning of the lower bound, or of the upper one, and shorter. */
const IN_LOWER = 1;
const IN_UPPER = 2;

/** The state of a path below which no term is in the range. */
export const OUTSIDE = -1;

/** A range of terms, which tells from the beginning of a path whether to follow it: so only nodes on the way are read. */
export class TermRange {
  readonly #lower: Uint8Array;
  /** Exclusive. */
  readonly #upper: Uint8Array | undefined;

  constructor({ prefix, from, to }: TermBounds) {
    const start = prefix ?? new Uint8Array(0);
    const end = prefix && after(prefix);
    this.#lower = from && Buffer.compare(from, start) > 0 ? from : start;
    this.#upper = to && (end === undefined || Buffer.compare(to, end) < 0) ? to : end;
  }

  /** The state of the empty path. */
  get start(): number {
    if (this.#upper?.length === 0) return OUTSIDE;
    return (this.#lower.length > 0 ? IN_LOWER : 0) | (this.#upper === undefined ? 0 : IN_UPPER);
  }

  /** The state of a path of `length` bytes and `byte`. @param state - of the path without it, not {@link OUTSIDE} */
  next(state: number, length: number, byte: number): number {
    if (state === 0) return 0;
    let next = 0;
    if ((state & IN_LOWER) !== 0) {
      const bound = this.#lower[length] as number; // the path is shorter than the bound
      if (byte < bound) return OUTSIDE;
      if (byte === bound && length + 1 < this.#lower.length) next |= IN_LOWER;
    }
    if ((state & IN_UPPER) !== 0) {
      const [bound, bytes] = [this.#upper?.[length] ?? 0, this.#upper?.length ?? 0];
      if (byte > bound || (byte === bound && length + 1 === bytes)) return OUTSIDE;
      if (byte === bound) next |= IN_UPPER;
    }
    return next;
  }

  /** As {@link next}, for some bytes. */
  nextAll(state: number, length: number, bytes: Uint8Array): number {
    let next = state;
    for (let at = 0; at < bytes.length && next > 0; at++) next = this.next(next, length + at, bytes[at] as number); // at < length
    return next;
  }

  /** Whether the path itself is in the range: it may be the beginning of the upper bound, not of the lower one. */
  has(state: number): boolean {
    return state !== OUTSIDE && (state & IN_LOWER) === 0;
  }
}

/** The first bytes after all that begin with `prefix`; undefined if there are none. */
function after(prefix: Uint8Array): Uint8Array | undefined {
  const last = prefix.findLastIndex((byte) => byte < 0xff);
  if (last < 0) return undefined;
  const end = new Uint8Array(prefix.subarray(0, last + 1));
  end[last] = (end[last] as number) + 1; // last is within it
  return end;
}
