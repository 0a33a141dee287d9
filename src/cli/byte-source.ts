/** A stream of bytes that is read to where its reader says. */
export interface ByteSource {
  /**
   * Reads what comes next, as much as there is.
   * @param target - at least a byte, which must not be touched until it resolves
   * @returns how many bytes it wrote to the beginning of `target`; 0 at the end of the stream
   */
  read(target: Uint8Array): Promise<number>;
}

/** A stream that comes in chunks of its own, each of which is valid until the next one is asked for. */
export class ChunkSource implements ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.#at === this.#chunk.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return 0;
      this.#chunk = next.value;
      this.#at = 0;
    }
    const bytes = Math.min(target.length, this.#chunk.length - this.#at);
    target.set(this.#chunk.subarray(this.#at, this.#at + bytes));
    this.#at += bytes;
    return bytes;
  }
}
