import { constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PageStoreError } from '../errors.ts';
import type { Journal } from './block-file.ts';
import { JOURNAL_BYTES } from '../format/journal.ts';
import { errnoOf, ioError } from './node-fs.ts';
import { syncDirectory } from './node-fs.ts';

/** A {@link Journal} that is a file beside the page file: its path and `.journal`. */
export class NodeJournal implements Journal {
  readonly path: string;
  readonly #pageFile: string;

  /** @param pageFile - the absolute path of the page file, behind all symbolic links */
  constructor(pageFile: string) {
    this.#pageFile = pageFile;
    this.path = `${pageFile}.journal`;
  }

  async read(): Promise<Uint8Array | undefined> {
    try {
      return await withFile(this.path, constants.O_RDONLY | NO_WAITING, async (handle) => {
        if (!(await handle.stat()).isFile()) throw new PageStoreError('IO', NOT_A_JOURNAL, { file: this.path });
        // A byte more than a journal has: whatever else is there under the name is not taken for one.
        const bytes = new Uint8Array(JOURNAL_BYTES + 1);
        let done = 0;
        while (done < bytes.length) {
          const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return bytes.subarray(0, done);
      });
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw this.#error('read', error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      const { mode } = await stat(this.#pageFile);
      await withFile(this.path, TO_WRITE, async (handle) => {
        // Whoever may read the page file needs the journal for it.
        await handle.chmod(mode & 0o666);
        await handle.writeFile(bytes);
        await handle.sync();
      });
      await syncDirectory(dirname(this.path));
    } catch (error) {
      throw this.#error('write', error);
    }
  }

  #error(call: string, error: unknown): PageStoreError {
    // By its name in the message as well: a report on the page file would say that of the page file.
    return error instanceof PageStoreError
      ? error
      : ioError(this.path, `${call} the journal ${this.path}`, error, undefined, true);
  }

  async remove(): Promise<void> {
    try {
      await unlink(this.path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw this.#error('remove', error);
    }
    try {
      await syncDirectory(dirname(this.path));
    } catch (error) {
      throw this.#error('remove', error);
    }
  }
}

const NOT_A_JOURNAL = 'this is no journal, and the page file beside it needs the name for one; move it away';

// Opening a pipe would wait for somebody at its other end.
const NO_WAITING = (constants.O_NONBLOCK as number | undefined) ?? 0;
// Not through a symbolic link, which could lead to a file worth having. Windows has none of that kind.
const NO_LINKS = (constants.O_NOFOLLOW as number | undefined) ?? 0;
const TO_WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | NO_LINKS;

async function withFile<T>(path: string, flags: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, flags, 0o666);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}
