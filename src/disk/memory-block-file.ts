import { showAs } from '../arguments.ts';
import type { BlockFile, Journal } from './block-file.ts';

/** A {@link BlockFile} in memory. */
export class MemoryBlockFile implements BlockFile {
  readonly name: string;
  readonly journal: Journal = new MemoryJournal();
  #bytes: Uint8Array;
  #size: number;

  /** @param bytes - the initial content. It is not copied: writes change it until the file grows */
  constructor(bytes: Uint8Array = new Uint8Array(0), name: string = 'memory') {
    this.name = name;
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  /** The content: a view, valid until the file grows. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = this.bytes.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    this.#reserve(position + source.length);
    this.#bytes.set(source, position);
    this.#size = Math.max(this.#size, position + source.length);
  }

  async truncate(bytes: number): Promise<void> {
    this.#reserve(bytes);
    if (bytes < this.#size) this.#bytes.fill(0, bytes, this.#size);
    this.#size = bytes;
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length));
    grown.set(this.bytes);
    this.#bytes = grown;
  }

  static {
    showAs(this, (file) => `MemoryBlockFile { '${file.name}', ${file.#size} bytes }`);
  }
}

/** A {@link Journal} in memory. */
export class MemoryJournal implements Journal {
  #bytes: Uint8Array | undefined;

  async read(): Promise<Uint8Array | undefined> {
    return this.#bytes?.slice();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#bytes = bytes.slice();
  }

  async remove(): Promise<void> {
    this.#bytes = undefined;
  }
}
