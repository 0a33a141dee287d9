import { PageStoreError } from '../errors.ts';
import type { BlockFile, Journal } from './block-file.ts';

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
