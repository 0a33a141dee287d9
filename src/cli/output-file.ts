import { type FileHandle, lstat, open, realpath, rm, stat } from 'node:fs/promises';
import { ioError, NewFile, permissionsOf, unlessMissing } from '../disk/node-fs.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_MAGIC } from '../format/file-header.ts';
import type { MovedRun } from '../recover/report.ts';
import { writeRef } from '../store/page-ref.ts';
import type { MovedPage } from '../transfer/node-packer.ts';
import { BufferedOutput } from './context.ts';

/** How a complete file gets its name. */
interface Publication {
  readonly file: NewFile;
  /** The path, with symbolic links resolved. */
  readonly target: string;
  readonly replace: boolean;
  /** Whether its content is made durable first. */
  readonly sync: boolean;
}

/**
 * A file that gets its name when it is complete, so that a good file is never replaced by half of a new one. Pipes and
 * devices are written in place. Every call may reject because of bytes that were written earlier.
 */
export class OutputFile extends BufferedOutput {
  readonly isTerminal = false;
  readonly closed = false;
  readonly #path: string;
  readonly #action: string;
  readonly #publication: Publication | undefined;
  #handle: FileHandle | undefined;
  #isPublished = false;

  private constructor(path: string, action: string, handle: FileHandle, publication?: Publication) {
    super();
    this.#path = path;
    this.#action = action;
    this.#handle = handle;
    this.#publication = publication;
  }

  /**
   * Opens the file for a report. A file that exists is replaced.
   * @throws {@link PageStoreError} `IO`; `FILE_EXISTS` for a page file
   */
  static async forReport(path: string): Promise<OutputFile> {
    const action = 'write the report, which is not complete';
    try {
      const target = await reportTarget(path);
      if (target === undefined) return new OutputFile(path, action, await open(path, 'w'));
      const file = await NewFile.open(target);
      return new OutputFile(path, action, file.handle, { file, target, replace: true, sync: false });
    } catch (error) {
      throw ioError(path, 'open to write the report', error);
    }
  }

  /**
   * Opens the file for a map of refs.
   * @param source - the page file whose refs it maps, and whose permissions it gets
   * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`
   */
  static async forMap(path: string, source: string, replace: boolean): Promise<OutputFile> {
    try {
      const existing = await unlessMissing(stat(path));
      if (existing && !existing.isFile()) return new OutputFile(path, 'write', await open(path, 'w'));
      if (existing && !replace) {
        const message = 'the map already exists; use another name, or --force to replace it';
        throw new PageStoreError('FILE_EXISTS', message, { file: path });
      }
      const target = existing ? await realpath(path) : path;
      const file = await NewFile.open(target, await permissionsOf(source));
      return new OutputFile(path, 'write', file.handle, { file, target, replace, sync: true });
    } catch (error) {
      throw ioError(path, 'create', error);
    }
  }

  /** Writes what is buffered, closes the file and gives it its name. If that fails, nothing is left of it. */
  async complete(): Promise<void> {
    try {
      await this.flush();
      if (this.#publication?.sync === true) await this.#handle?.datasync();
      await this.#close();
      if (this.#publication === undefined) return;
      const { file, replace } = this.#publication;
      await file.publish(replace);
      this.#isPublished = true;
    } catch (error) {
      await this.discard();
      throw ioError(this.#path, this.#action, error);
    }
  }

  /** Closes and removes the file. Does not throw: there is an earlier error to report. */
  async discard(): Promise<void> {
    await this.#close().catch(() => undefined);
    if (this.#publication === undefined) return;
    const { file, target } = this.#publication;
    await (this.#isPublished ? rm(target, { force: true }) : file.discard()).catch(() => undefined);
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      let written = 0;
      try {
        written = (await this.#handle?.write(bytes, done, bytes.length - done))?.bytesWritten ?? 0;
      } catch (error) {
        throw ioError(this.#path, this.#action, error);
      }
      // A device that accepts no byte and reports no error would loop forever.
      if (written === 0) throw ioError(this.#path, this.#action, undefined);
      done += written;
    }
  }
}

/** The regular file that a report replaces or creates; undefined for a pipe, a device, or a dangling link. */
async function reportTarget(path: string): Promise<string | undefined> {
  const existing = await unlessMissing(stat(path));
  if (existing === undefined) return (await unlessMissing(lstat(path))) === undefined ? path : undefined;
  if (!existing.isFile()) return undefined;
  const target = await realpath(path);
  const handle = await open(target, 'r+');
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    if (buffer.readBigUInt64LE(0) !== FILE_MAGIC) return target;
  } finally {
    await handle.close();
  }
  throw new PageStoreError('FILE_EXISTS', 'the report would overwrite a page file; name another --output', {
    file: path,
  });
}

const LINES_BYTES = 65_536;
/** Two refs of at most 8 digits, a colon and at most 7 digits each, a space and a line feed. */
const MAX_LINE_BYTES = 40;
const [SPACE, LINE_FEED] = [0x20, 0x0a];

/** Writes a map of refs: a line with the old ref, a space and the new ref of each node. */
export class RefMap {
  readonly #file: OutputFile;
  readonly #lines = Buffer.allocUnsafe(LINES_BYTES);
  #usedBytes = 0;

  constructor(file: OutputFile) {
    this.#file = file;
  }

  /** Adds the nodes of a page. */
  readonly addPage = async ({ block, count, newBlocks, newSlots }: MovedPage): Promise<void> => {
    for (let slot = 0; slot < count; slot++) {
      if (this.#usedBytes > LINES_BYTES - MAX_LINE_BYTES) await this.#flush();
      this.#addRef(block, slot, SPACE);
      this.#addRef(newBlocks[slot] as number, newSlots[slot] as number, LINE_FEED); // slot < count
    }
  };

  /** Adds nodes in consecutive slots. */
  async addRun({ block, slot, newBlock, newSlot, count }: MovedRun): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (this.#usedBytes > LINES_BYTES - MAX_LINE_BYTES) await this.#flush();
      this.#addRef(block, slot + index, SPACE);
      this.#addRef(newBlock, newSlot + index, LINE_FEED);
    }
  }

  #addRef(block: number, slot: number, end: number): void {
    this.#usedBytes = writeRef(block, slot, this.#lines, this.#usedBytes);
    this.#lines[this.#usedBytes++] = end;
  }

  /** Completes the file. */
  readonly complete = async (): Promise<void> => {
    await this.#flush();
    await this.#file.complete();
  };

  /** Removes the file. */
  async discard(): Promise<void> {
    await this.#file.discard();
  }

  async #flush(): Promise<void> {
    await this.#file.write(this.#lines.subarray(0, this.#usedBytes));
    this.#usedBytes = 0;
  }
}
