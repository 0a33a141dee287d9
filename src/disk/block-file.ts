import { PageStoreError } from '../errors.ts';

/**
 * The one seam that all input and output passes: a row of bytes that can be read and written at any place.
 * A file is one, memory is another; so can be a store of 256 KiB objects, which is why callers read and
 * write within one block at a time and never count on bytes that no `sync` has covered.
 *
 * Positions are byte offsets from the start, up to 2^42. Every method rejects with a PageStoreError of code
 * `IO` where the system below it fails.
 */
export interface BlockFile {
  /** What messages call it: for a file, the path as the caller gave it. */
  readonly name: string;
  /** Where the bytes of a block are kept while they are overwritten. */
  readonly journal: Journal;
  /** Size in bytes. */
  size(): Promise<number>;
  /** Fills `target` from `position`. @returns the bytes read: fewer than asked for only at the end of the file */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes the whole of `source` at `position`; the file grows where it ends before that. */
  write(source: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or lengthens it with zeros. */
  truncate(bytes: number): Promise<void>;
  /** Resolves when everything written before is on the device. After a failure nothing is known of those bytes: see DiskManager. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A place beside a block file for one row of bytes, up to JOURNAL_BYTES long, that is there again after a crash.
 * Every method rejects with a PageStoreError of code `IO` where the system below it fails.
 */
export interface Journal {
  /** What it holds, if anything; after a crash during `write` that may be any part of what was to be written. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when the bytes are on the device, in the place of those before. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when what it held is gone for good. */
  remove(): Promise<void>;
}

/** What stands before a file for those who only read it. */
export abstract class ReadOnlyFile implements BlockFile {
  readonly name: string;
  abstract readonly journal: Journal;
  protected readonly file: BlockFile;

  /** @param file - closed with this one */
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

/** The error that refuses to write. */
export function readOnlyError(file: { readonly name: string }): PageStoreError {
  return new PageStoreError('FILE_READ_ONLY', 'the file was opened for reading', { file: file.name });
}
