const CHUNK_BYTES = 16_384;
const ZEROS = new Uint8Array(CHUNK_BYTES);

/** The content of a file, in chunks that copies share until one of them is written to. */
export class Image {
  size = 0;
  #chunks: Uint8Array[] = [];
  #isOwn: boolean[] = [];

  copy(): Image {
    const image = new Image();
    image.size = this.size;
    image.#chunks = this.#chunks.slice();
    this.#isOwn = [];
    return image;
  }

  read(target: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(target.length, this.size - position));
    for (let done = 0; done < bytes;) {
      const index = Math.floor((position + done) / CHUNK_BYTES);
      const from = (position + done) % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - from, bytes - done);
      target.set((this.#chunks[index] ?? ZEROS).subarray(from, from + length), done);
      done += length;
    }
    return bytes;
  }

  write(source: Uint8Array, position: number): void {
    for (let done = 0; done < source.length;) {
      const from = (position + done) % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - from, source.length - done);
      this.#own(Math.floor((position + done) / CHUNK_BYTES)).set(source.subarray(done, done + length), from);
      done += length;
    }
    this.size = Math.max(this.size, position + source.length);
  }

  truncate(bytes: number): void {
    if (bytes < this.size) {
      const last = Math.floor(bytes / CHUNK_BYTES);
      const rest = bytes % CHUNK_BYTES;
      this.#chunks.length = Math.min(this.#chunks.length, rest === 0 ? last : last + 1);
      this.#isOwn.length = Math.min(this.#isOwn.length, this.#chunks.length);
      if (rest > 0 && this.#chunks[last]) this.#own(last).fill(0, rest);
    }
    this.size = bytes;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    this.read(bytes, 0);
    return bytes;
  }

  #own(index: number): Uint8Array {
    let chunk = this.#chunks[index];
    if (chunk === undefined || this.#isOwn[index] !== true) {
      chunk = chunk === undefined ? new Uint8Array(CHUNK_BYTES) : chunk.slice();
      this.#chunks[index] = chunk;
      this.#isOwn[index] = true;
    }
    return chunk;
  }
}
