import { type BlockFile, type Journal, MemoryBlockFile } from '../../src/disk/block-file.ts';

/** A file of many blocks, of which only those at its beginning are anything but zeros. Never waits for anything. */
export class HugeFile implements BlockFile {
  readonly name = 'huge';
  readonly journal: Journal;
  readonly #start: MemoryBlockFile;
  #bytes: number;
  reads = 0;

  constructor(start: Uint8Array, bytes: number) {
    this.#start = new MemoryBlockFile(start);
    this.journal = this.#start.journal;
    this.#bytes = bytes;
  }

  async size(): Promise<number> {
    return this.#bytes;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.reads++;
    const bytes = Math.max(0, Math.min(target.length, this.#bytes - position));
    const found = await this.#start.read(target.subarray(0, bytes), position);
    target.fill(0, found, bytes);
    return bytes;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    await this.#start.write(source, position);
  }

  async truncate(bytes: number): Promise<void> {
    this.#bytes = bytes;
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}
}
