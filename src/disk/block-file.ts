import { assertBytes, assertWholeNumber, showAs, wrongType } from '../arguments.ts';
import { copyOf } from '../bytes/buffer.ts';
import { PageStoreError } from '../errors.ts';
import type { ByteRange } from '../format/slots.ts';

/** A file opened for reading is never written to, not even to recover it. */
export type Access = 'read' | 'write';

/**
 * Random access to the bytes of a page file; all I/O goes through it. Implement it to keep page files elsewhere.
 * Calls stay within one block, and callers rely on no bytes that a `sync` has not covered. Positions are byte offsets
 * up to 2^42. Methods reject with a PageStoreError of code `IO` if the underlying system fails.
 */
export interface BlockFile {
  /** For messages: for a file, the path that the caller passed. */
  readonly name: string;
  /** Keeps the bytes of a block while they are overwritten. */
  readonly journal: Journal;
  size(): Promise<number>;
  /** Fills `target` from `position`. @returns bytes read: fewer than `target` has only at the end of the file */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `source`, extending the file if needed. The caller does not change `source` until this settles. */
  write(source: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or extends it with zeros. */
  truncate(bytes: number): Promise<void>;
  /** Resolves when everything written before is durable. After a failure the state of those bytes is unknown. */
  sync(): Promise<void>;
  /**
   * Rejects with `FILE_REPLACED` if others who open the name would not get this file any more: it was deleted or
   * replaced. Called before each commit is acknowledged. Absent where that cannot happen.
   */
  assertNamed?(): Promise<void>;
  close(): Promise<void>;
}

/** Durable storage for one byte string of up to JOURNAL_BYTES. Methods reject as those of {@link BlockFile}. */
export interface Journal {
  /** Undefined if there is no content. After a crash during `write`, any part of what was being written. */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Replaces the content. Resolves when it is durable. If it fails, there may be any part of it, or nothing. The caller
   * does not change `bytes` until this settles.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the removal is durable. */
  remove(): Promise<void>;
}

export abstract class ReadOnlyFile implements BlockFile {
  readonly name: string;
  abstract readonly journal: Journal;
  protected readonly file: BlockFile;

  constructor(file: BlockFile) {
    this.name = file.name;
    this.file = file;
  }

  abstract read(target: Uint8Array, position: number): Promise<number>;

  async size(): Promise<number> {
    return this.file.size();
  }

  async write(): Promise<void> {
    throw readOnlyError(this);
  }

  async truncate(): Promise<void> {
    throw readOnlyError(this);
  }

  async sync(): Promise<void> {
    throw readOnlyError(this);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

export function readOnlyError(file: { readonly name: string }): PageStoreError {
  return new PageStoreError('FILE_READ_ONLY', 'the file was opened for reading', { file: file.name });
}

export interface Overlay {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A file with some bytes replaced, for reading. An overlay after its end makes it longer. */
export class OverlaidFile extends ReadOnlyFile {
  readonly journal: Journal;
  readonly #overlays: readonly Overlay[];

  /** @param overlays - few, as each read looks at all; later ones win @param journal - default none, whatever the file has */
  constructor(file: BlockFile, overlays: readonly Overlay[], journal: Journal = NO_JOURNAL) {
    super(file);
    this.journal = journal;
    this.#overlays = overlays;
  }

  override async size(): Promise<number> {
    return Math.max(await this.file.size(), ...this.#overlays.map(({ position, bytes }) => position + bytes.length));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let read = await this.file.read(target, position);
    for (const overlay of this.#overlays) {
      const overlap = overlapOf(overlay.position, overlay.bytes.length, position, target.length);
      if (overlap === undefined) continue;
      const { start, end } = overlap;
      // A gap between the end of the file and an overlay reads as zeros.
      if (start - position > read) target.fill(0, read, start - position);
      target.set(overlay.bytes.subarray(start - overlay.position, end - overlay.position), start - position);
      read = Math.max(read, end - position);
    }
    return read;
  }
}

/** The common range, undefined if it is empty. */
export function overlapOf(from: number, bytes: number, otherFrom: number, otherBytes: number): ByteRange | undefined {
  const start = Math.max(from, otherFrom);
  const end = Math.min(from + bytes, otherFrom + otherBytes);
  return end > start ? { start, end } : undefined;
}

const refuseWrite = async (): Promise<never> => {
  throw readOnlyError({ name: 'journal' });
};
const NO_JOURNAL: Journal = { read: async () => undefined, write: refuseWrite, remove: refuseWrite };

/** A file in memory. What is written is copied at once. */
export class MemoryBlockFile implements BlockFile {
  readonly name: string;
  readonly journal: Journal = new MemoryJournal();
  #bytes: Uint8Array;
  #size: number;

  /** @param bytes - the initial content. Not copied: writes change it until the file grows */
  constructor(bytes: Uint8Array = new Uint8Array(0), name: string = 'memory') {
    assertBytes('MemoryBlockFile', 'bytes', bytes);
    if (typeof name !== 'string') throw wrongType('MemoryBlockFile: name', 'a string', name);
    this.name = name;
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  /** A view of the content, valid until the file grows. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    assertBytes('read', 'target', target);
    assertWholeNumber('read', 'position', position);
    const bytes = this.bytes.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    assertBytes('write', 'source', source);
    assertWholeNumber('write', 'position', position);
    this.#reserve(position + source.length);
    this.#bytes.set(source, position);
    this.#size = Math.max(this.#size, position + source.length);
  }

  async truncate(bytes: number): Promise<void> {
    assertWholeNumber('truncate', 'bytes', bytes);
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

/** A journal in memory. What is written is copied at once. */
export class MemoryJournal implements Journal {
  #bytes: Uint8Array | undefined;

  async read(): Promise<Uint8Array | undefined> {
    return this.#bytes?.slice();
  }

  async write(bytes: Uint8Array): Promise<void> {
    assertBytes('write', 'bytes', bytes);
    this.#bytes = copyOf(bytes);
  }

  async remove(): Promise<void> {
    this.#bytes = undefined;
  }
}
