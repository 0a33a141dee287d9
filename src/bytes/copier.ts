import { copyRange } from './range.ts';

/** From here on `set` is faster. A little below it takes as long; but it needs a view, an object, for each range. */
const MAX_BYTES_BY_WORDS = 640;

const WORD_BYTES = 4;

/**
 * Copies short ranges, many of which come from the same bytes, as keys and nodes do. Those have a view kept for them,
 * through which they are copied by words, in half the time that bytes take. It holds on to the bytes that it copied from
 * last, until `release`.
 */
export class Copier {
  #source: Uint8Array | undefined;
  /** An array over memory that can grow may have another length than its view. */
  #sourceBytes = 0;
  #view: DataView | undefined;

  /**
   * Copies `source[start, end)` to `target` at `offset`. The ranges are not checked, and do not overlap.
   * @param view - of the bytes of `target`
   */
  copy(source: Uint8Array, start: number, end: number, target: Uint8Array, view: DataView, offset: number): void {
    const bytes = end - start;
    if (bytes > MAX_BYTES_BY_WORDS || bytes < WORD_BYTES) {
      copyRange(source, start, end, target, offset);
    } else if (source === this.#source && source.length === this.#sourceBytes) {
      this.#view ??= new DataView(source.buffer, source.byteOffset, source.length);
      copyWords(this.#view, start, bytes, view, offset);
    } else {
      // A view costs more than it saves on a source that comes once, as an array for each node does.
      this.#source = source;
      this.#sourceBytes = source.length;
      this.#view = undefined;
      copyRange(source, start, end, target, offset);
    }
  }

  /** Lets go of the bytes that were copied from. */
  release(): void {
    this.#source = this.#view = undefined;
  }
}

function copyWords(source: DataView, start: number, bytes: number, target: DataView, offset: number): void {
  const last = start + bytes - WORD_BYTES;
  let to = offset;
  for (let from = start; from < last; from += WORD_BYTES, to += WORD_BYTES) {
    target.setInt32(to, source.getInt32(from, true), true);
  }
  // The last word may begin among bytes that are copied: that costs less than a loop over the rest.
  target.setInt32(offset + bytes - WORD_BYTES, source.getInt32(last, true), true);
}
