import type { BlockFile, Journal } from '../../src/disk/block-file.ts';
import { MemoryBlockFile, MemoryJournal } from '../../src/disk/memory-block-file.ts';
import { PageStoreError } from '../../src/errors.ts';

const SECTOR_BYTES = 512;

export type Operation =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'read'; readonly position: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'sync' | 'close' | 'journal write' | 'journal remove' };

/** A block file in memory that remembers what was done to it, and fails where it is told to. */
export class RecordingBlockFile implements BlockFile {
  readonly name = 'recording';
  readonly journal: Journal = {
    read: () => this.#journal.read(),
    write: async (bytes) => {
      this.#record({ kind: 'journal write' });
      await this.#journal.write(bytes);
    },
    remove: async () => {
      this.#record({ kind: 'journal remove' });
      await this.#journal.remove();
    },
  };
  readonly #journal = new MemoryJournal();
  readonly inner: MemoryBlockFile;
  operations: Operation[] = [];
  /** Asked before each operation; the errno that it gives is what the operation fails with. */
  failOn: (operation: Operation) => string | undefined = () => undefined;

  constructor(bytes?: Uint8Array) {
    this.inner = new MemoryBlockFile(bytes);
  }

  get bytes(): Uint8Array {
    return this.inner.bytes;
  }

  count(kind: Operation['kind']): number {
    return this.operations.filter((operation) => operation.kind === kind).length;
  }

  async size(): Promise<number> {
    return this.inner.size();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.#record({ kind: 'read', position, length: target.length });
    return this.inner.read(target, position);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    const operation: Operation = { kind: 'write', position, bytes: source.slice() };
    const errno = this.failOn(operation);
    if (errno !== undefined) {
      // As a full disk does: some sectors of it are written, then it fails.
      const cut = (position + (source.length >> 1)) & ~(SECTOR_BYTES - 1);
      if (cut > position) await this.inner.write(source.subarray(0, cut - position), position);
      throw new PageStoreError('IO', `write: ${errno}`, { errno });
    }
    this.operations.push(operation);
    await this.inner.write(source, position);
  }

  async truncate(bytes: number): Promise<void> {
    this.#record({ kind: 'truncate', bytes });
    await this.inner.truncate(bytes);
  }

  async sync(): Promise<void> {
    this.#record({ kind: 'sync' });
  }

  async close(): Promise<void> {
    this.#record({ kind: 'close' });
  }

  #record(operation: Operation): void {
    const errno = this.failOn(operation);
    if (errno !== undefined) throw new PageStoreError('IO', `${operation.kind}: ${errno}`, { errno });
    this.operations.push(operation);
  }
}
