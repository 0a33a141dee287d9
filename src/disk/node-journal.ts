import { constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Journal } from './block-file.ts';
import { JOURNAL_BYTES } from '../format/journal.ts';
import { errnoOf, ioError } from './io-error.ts';
import { syncDirectory } from './node-directory.ts';

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
      return await withFile(this.path, constants.O_RDONLY, async (handle) => {
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
      throw ioError(this.path, 'read journal', error);
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
      throw ioError(this.path, 'write journal', error);
    }
  }

  async remove(): Promise<void> {
    try {
      await unlink(this.path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw ioError(this.path, 'remove journal', error);
    }
    try {
      await syncDirectory(dirname(this.path));
    } catch (error) {
      throw ioError(this.path, 'remove journal', error);
    }
  }
}

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
