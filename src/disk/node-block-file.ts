import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PageStoreError } from '../errors.ts';
import type { BlockFile, Journal } from './block-file.ts';
import { ioError, syncDirectory } from './node-io.ts';
import { NodeJournal } from './node-journal.ts';

/** What a file is opened for. A file opened for reading is never written to, not even to recover it. */
export type Access = 'read' | 'write';

/** What a block file needs of a `FileHandle` of node:fs; said here, so that users of the types need no others. */
export interface Handle {
  stat(): Promise<{ readonly size: number }>;
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  truncate(bytes: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** A {@link BlockFile} over a file of the operating system. It owns the handle. */
export class NodeBlockFile implements BlockFile {
  readonly name: string;
  readonly journal: Journal;
  readonly #handle: Handle;

  constructor(name: string, handle: Handle, journal: Journal) {
    this.name = name;
    this.#handle = handle;
    this.journal = journal;
  }

  async size(): Promise<number> {
    return (await this.#io('stat', this.#handle.stat())).size;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const reading = this.#handle.read(target, done, target.length - done, position + done);
      const { bytesRead } = await this.#io('read', reading, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < source.length) {
      const writing = this.#handle.write(source, done, source.length - done, position + done);
      const { bytesWritten } = await this.#io('write', writing, position + done);
      // A device that takes no byte and gives no error would keep this loop for ever.
      if (bytesWritten === 0) throw ioError(this.name, 'write', undefined, position + done);
      done += bytesWritten;
    }
  }

  async truncate(bytes: number): Promise<void> {
    await this.#io('truncate', this.#handle.truncate(bytes));
  }

  async sync(): Promise<void> {
    await this.#io('fdatasync', this.#handle.datasync());
  }

  async close(): Promise<void> {
    await this.#io('close', this.#handle.close());
  }

  async #io<T>(call: string, result: Promise<T>, offset?: number): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw ioError(this.name, call, error, offset);
    }
  }
}

/**
 * Opens an existing regular file.
 * @throws {@link PageStoreError} `IO`; `NOT_A_PAGE_FILE` for a directory, a device or a pipe
 */
export async function openBlockFile(path: string, access: Access): Promise<BlockFile> {
  try {
    // Before it is opened: opening a pipe would wait for somebody at its other end.
    const stats = await stat(path);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? 'a directory' : 'not a regular file';
      throw new PageStoreError('NOT_A_PAGE_FILE', `this is ${kind}`, { file: path });
    }
    const journal = new NodeJournal(await realpath(path));
    const flags = access === 'read' ? constants.O_RDONLY : constants.O_RDWR;
    return new NodeBlockFile(path, await open(path, flags), journal);
  } catch (error) {
    throw error instanceof PageStoreError ? error : ioError(path, 'open', error);
  }
}

/**
 * Makes a file that is whole when it appears under its name: `fill` writes and syncs it, then its directory is
 * synced. What fails in between leaves nothing behind.
 * @param replace - whether to take the place of a file that has the name; that one stays until the new one is whole
 * @throws {@link PageStoreError} `FILE_EXISTS`, `IO`, and whatever `fill` throws
 */
export async function createBlockFile(
  path: string,
  replace: boolean,
  fill: (file: BlockFile) => Promise<void>,
): Promise<BlockFile> {
  const target = replace ? await resolveTarget(path) : path;
  const temporary = `${target}.${randomUUID()}.new`;
  const journal = new NodeJournal(target);
  let file: BlockFile;
  try {
    if (!replace && (await exists(target))) throw Object.assign(new Error('the file exists'), { code: 'EEXIST' });
    file = new NodeBlockFile(path, await open(temporary, 'wx+', 0o666), journal);
  } catch (error) {
    throw ioError(path, 'create', error);
  }
  try {
    await fill(file);
    if (replace) await rename(temporary, target);
    else await publish(temporary, target);
    await syncDirectory(dirname(target));
    // One that is there belongs to a file that had the name before.
    await journal.remove();
    return file;
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error instanceof PageStoreError ? error : ioError(path, 'create', error);
  }
}

/** Gives a file a name that no file has. */
async function publish(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
    await unlink(temporary);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errno)) throw error;
    // A file system without hard links: take the name first, then put the file in its place.
    await (await open(target, 'wx')).close();
    await rename(temporary, target);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Where a file that is to be replaced really is; only a regular file is replaced. */
async function resolveTarget(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isFile()) {
      throw new PageStoreError('NOT_A_PAGE_FILE', 'only a regular file is replaced', { file: path });
    }
    return await realpath(path);
  } catch (error) {
    if (error instanceof PageStoreError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw ioError(path, 'create', error);
  }
}
