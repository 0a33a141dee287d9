// The subpath `artrie-pages/testing`: block files in memory, for tests of programs that use the library.

import type { BlockFile, Journal } from './disk/block-file.ts';
import { MemoryBlockFile, MemoryJournal } from './disk/memory-block-file.ts';
import { PageStoreError } from './errors.ts';

export type { BlockFile, Journal };
export { MemoryBlockFile, MemoryJournal };

const SECTOR_BYTES = 512;

/** One call of a {@link FaultInjectingBlockFile} or of its journal. Positions and lengths are in bytes. */
export type BlockFileOperation =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'read'; readonly position: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'sync' | 'close' | 'journal write' | 'journal remove' };

/**
 * A block file in memory that records its operations, and fails those that a test chooses:
 *
 * ```ts
 * const file = new FaultInjectingBlockFile();
 * const store = await create(file);
 * file.failOn = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined);
 * await store.append(bytes); // rejects with code IO
 * ```
 */
export class FaultInjectingBlockFile implements BlockFile {
  readonly name: string;
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
  readonly #content: MemoryBlockFile;
  /** The operations that succeeded, in order. */
  operations: BlockFileOperation[] = [];
  /** Called before each operation except `size`; the errno that it returns makes the operation fail with code `IO`. */
  failOn: (operation: BlockFileOperation) => string | undefined = () => undefined;

  /** @param bytes - the initial content; not copied */
  constructor(bytes?: Uint8Array, name: string = 'memory') {
    this.name = name;
    this.#content = new MemoryBlockFile(bytes, name);
  }

  /** The content: a view, valid until the file grows. */
  get bytes(): Uint8Array {
    return this.#content.bytes;
  }

  /** Number of recorded operations of one kind. */
  count(kind: BlockFileOperation['kind']): number {
    return this.operations.filter((operation) => operation.kind === kind).length;
  }

  async size(): Promise<number> {
    return this.#content.size();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.#record({ kind: 'read', position, length: target.length });
    return this.#content.read(target, position);
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    const operation: BlockFileOperation = { kind: 'write', position, bytes: source.slice() };
    const errno = this.failOn(operation);
    if (errno !== undefined) {
      // As on a full disk, some of its sectors are written before it fails.
      const cut = (position + (source.length >> 1)) & ~(SECTOR_BYTES - 1);
      if (cut > position) await this.#content.write(source.subarray(0, cut - position), position);
      throw new PageStoreError('IO', `write: ${errno}`, { errno });
    }
    this.operations.push(operation);
    await this.#content.write(source, position);
  }

  async truncate(bytes: number): Promise<void> {
    this.#record({ kind: 'truncate', bytes });
    await this.#content.truncate(bytes);
  }

  async sync(): Promise<void> {
    this.#record({ kind: 'sync' });
  }

  async close(): Promise<void> {
    this.#record({ kind: 'close' });
  }

  #record(operation: BlockFileOperation): void {
    const errno = this.failOn(operation);
    if (errno !== undefined) throw new PageStoreError('IO', `${operation.kind}: ${errno}`, { errno });
    this.operations.push(operation);
  }
}
